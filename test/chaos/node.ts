/** A node as users run it, `stream-node run` in a process of its own, to be killed, frozen and woken. */
import { spawn, type ChildProcess } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'
import { reaped } from '../reaper.js'

export interface NodeOptions {
  /** The path of the command. */
  readonly main: string
  /** The folder that holds the pipelines' file. */
  readonly folder: string
  readonly file: string
  readonly name: string
  readonly env: Readonly<Record<string, string>>
  /** Told what the process holds, when it is asked to say so. */
  readonly sampled?: (sample: Sample) => void
}

/** What a node said of itself. */
export interface Sample {
  readonly heapUsed: number
  readonly rss: number
  readonly handles: number
  /** How long it had lived, in seconds. */
  readonly uptime: number
}

export interface NodeEnd {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
}

const LINES_KEPT = 20
const STOPPED_WITHIN_MS = 1000

export class ChaosNode {
  readonly name: string
  readonly ended: Promise<NodeEnd>
  /** It has walked a record. */
  isAtWork = false
  isFrozen = false
  end: NodeEnd | undefined
  readonly #child: ChildProcess
  readonly #working: Promise<boolean>
  /** The last lines that it wrote. */
  readonly #lines: string[] = []

  constructor({ main, folder, file, name, env, sampled }: NodeOptions) {
    this.name = name
    const args = [main, 'run', file, '--name', name, '--log-level', 'warn']
    const child = reaped(
      spawn(process.execPath, args, {
        ...{ cwd: folder, env: { PATH: process.env['PATH'], ...env } },
        stdio: ['ignore', 'ignore', 'pipe'],
      }),
    )
    this.#child = child
    this.ended = new Promise(resolve => {
      child.once('exit', (code, signal) => {
        resolve((this.end = { code, signal }))
      })
    })
    let works = () => {}
    const atWork = new Promise<boolean>(resolve => (works = () => resolve(true)))
    this.#working = Promise.race([atWork, this.ended.then(() => false)])
    createInterface({ input: child.stderr }).on('line', line => {
      if (line === 'at work') {
        this.isAtWork = true
        works()
      } else if (line.startsWith('sample ')) sampled?.(JSON.parse(line.slice('sample '.length)) as Sample)
      else if (this.#lines.push(line) > LINES_KEPT) this.#lines.shift()
    })
  }

  get isAlive(): boolean {
    return this.end === undefined
  }

  /** Resolves with true when it has walked a record, with false when it ends before. */
  working(): Promise<boolean> {
    return this.#working
  }

  /** What it said last, for people. */
  get said(): string {
    return this.#lines.join('\n')
  }

  /** Kills it. True when it was at work and died of that. */
  async kill(): Promise<boolean> {
    const wasAtWork = this.isAtWork && this.isAlive
    this.#child.kill('SIGKILL')
    const { signal } = await this.ended
    return wasAtWork && signal === 'SIGKILL'
  }

  /** Stops it in its tracks. True when it was at work and stands still now. */
  async freeze(): Promise<boolean> {
    this.isFrozen = true
    this.#child.kill('SIGSTOP')
    const until = performance.now() + STOPPED_WITHIN_MS
    while (stateOf(this.#child.pid) !== 'T' && performance.now() < until) await sleep(1)
    return this.isAtWork && this.isAlive && stateOf(this.#child.pid) === 'T'
  }

  /** Lets it go on. */
  thaw(): void {
    this.isFrozen = false
    this.#child.kill('SIGCONT')
  }

  /** Asks it to end well. */
  stop(): void {
    this.#child.kill('SIGTERM')
  }
}

/** As the system has it: `R`, `S`, `T` for stopped; `T` where the system does not tell. */
function stateOf(pid: number | undefined): string | undefined {
  try {
    return /\) (\w)/.exec(readFileSync(`/proc/${pid ?? 0}/stat`, 'utf8'))?.[1]
  } catch {
    return process.platform === 'linux' ? undefined : 'T'
  }
}
