/** Runs seeds in processes of their own, as many at once as there are cores to use. */
import { spawn } from 'node:child_process'
import { availableParallelism } from 'node:os'
import { createInterface } from 'node:readline'
import type { Mode } from '../../src/testing/simulation/swarm.js'
import { reaped } from '../reaper.js'
import type { WorkerLine } from './worker.js'

export interface CrewOptions {
  readonly first: number
  readonly seeds: number
  readonly mode?: Mode
  /** With `failure` each process ends at its first seed that fails; with `trace` it prints the trace as well. */
  readonly until?: 'failure' | 'trace'
  readonly processes?: number
}

/** Hands each report on as it comes, and each line of a trace. `entry`: what `build` gave. */
export async function runSeeds(
  entry: string,
  { first, seeds, mode, until, processes = Math.min(availableParallelism(), seeds) }: CrewOptions,
  each: (report: WorkerLine) => void,
  trace: (line: string) => void = () => {},
): Promise<void> {
  const share = async (from: number, to: number) => {
    const args = [entry, `${first + from}`, `${to - from}`, mode ?? '', until ?? '']
    const child = reaped(spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] }))
    for await (const line of createInterface({ input: child.stdout })) {
      if (line.startsWith('{')) each(JSON.parse(line) as WorkerLine)
      else trace(line)
    }
  }
  const begins = (i: number) => Math.floor((seeds * i) / processes)
  await Promise.all(Array.from({ length: processes }, (_, i) => share(begins(i), begins(i + 1))))
}
