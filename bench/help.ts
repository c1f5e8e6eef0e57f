/** What `--help` costs over a bare start of Node: a command that is slow to say what it does is not asked twice. */
import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { contest, type Case } from './case.js'

export interface HelpBenchOptions {
  /** How many starts of each, in turns. Default 15. */
  readonly pairs?: number
}

const BAR_MS = 150
const MAIN = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url))

/** How many bare starts of Node `stream-node --help` takes, and that against the bar of 150 ms more. Needs the build. */
export async function* helpCases({ pairs = 15 }: HelpBenchOptions = {}): AsyncGenerator<Case> {
  const ours = () => 1000 / startMs([MAIN, '--help'])
  const rival = () => 1000 / (startMs(['-e', '0']) + BAR_MS)
  yield await contest(
    { case: '--help', rivalName: `node -e 0, and ${BAR_MS} ms`, unit: 'starts/s', ours, rival },
    pairs,
  )
}

function startMs(args: readonly string[]): number {
  const from = performance.now()
  const { status } = spawnSync(process.execPath, args, { stdio: 'ignore' })
  if (status !== 0) throw new Error(`node ${args.join(' ')} ended with ${String(status)}; run "npm run build" first`)
  return performance.now() - from
}
