/**
 * Runs seeds in a process of its own and prints one line of JSON for each: `worker.js <first> <count> [mode] [until]`.
 * `until` is `failure` to end at the first seed that fails, `trace` to print the trace as well.
 */
import { runSeed } from './seed.js'
import type { SeedReport } from './seed.js'
import type { Mode } from '../../src/testing/simulation/swarm.js'

/** A report as it stands in a line. */
export interface WorkerLine extends Omit<SeedReport, 'trace' | 'faults' | 'crashes'> {
  readonly faults: Readonly<Record<string, number>>
  readonly crashes: Readonly<Record<string, number>>
}

const [first = '1', count = '1', mode = '', until = ''] = process.argv.slice(2)

// Errors are many here and their stacks are not looked at, which spares a twentieth of the time.
if (until !== 'trace') Error.stackTraceLimit = 0

/** Of the seed that runs: a promise that nobody took care of is a bug too. */
let unhandled: string[] = []
process.on('unhandledRejection', error => {
  unhandled.push(`unhandled rejection: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`)
})

for (let seed = Number(first); seed < Number(first) + Number(count); seed++) {
  const isTraced = until === 'trace'
  const report = await runSeed(seed, { keepLines: isTraced, ...(mode !== '' && { mode: mode as Mode }) })
  const { trace, faults, crashes, findings, ...rest } = report
  if (isTraced) console.log(trace.join('\n'))
  const line: WorkerLine = {
    ...{ ...rest, findings: [...findings, ...unhandled] },
    faults: Object.fromEntries(faults),
    crashes: Object.fromEntries(crashes),
  }
  unhandled = []
  console.log(JSON.stringify(line))
  if (until === 'failure' && line.findings.length > 0) break
}
