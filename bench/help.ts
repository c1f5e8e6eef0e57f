/** What `--help` costs over a bare start of Node: a command that is slow to say what it does is not asked twice. */
import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import type { Case } from './case.js'

export interface HelpBenchOptions {
  /** How many starts of each, in turns. Default 15. */
  readonly pairs?: number
}

const MAIN = fileURLToPath(new URL('../dist/cli/main.js', import.meta.url))

/** The median of what `stream-node --help` takes over `node -e 0`, in ms, against the bar of 150. Needs the build. */
export function benchHelp({ pairs = 15 }: HelpBenchOptions = {}): Case[] {
  const over = Array.from({ length: pairs }, () => -startMs(['-e', '0']) + startMs([MAIN, '--help']))
  const ours = over.sort((a, b) => a - b)[pairs >> 1] ?? NaN
  const rival = 150
  return [{ case: '--help over a bare start', ours, rival, rivalName: 'the bar', ratio: rival / ours, unit: 'ms' }]
}

function startMs(args: readonly string[]): number {
  const from = performance.now()
  const { status } = spawnSync(process.execPath, args, { stdio: 'ignore' })
  if (status !== 0) throw new Error(`node ${args.join(' ')} ended with ${String(status)}; run "npm run build" first`)
  return performance.now() - from
}
