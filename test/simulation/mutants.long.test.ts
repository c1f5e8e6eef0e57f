/** Each mutant is found within two thousand seeds: a suite that misses one has gone blind. */
import { expect, test } from 'vitest'
import { build } from './build.js'
import { runSeeds } from './crew.js'
import { mutants } from './mutants.js'
import type { WorkerLine } from './worker.js'

for (const { name, does, changes } of mutants) {
  test(`finds the mutant ${name}, which ${does}`, async () => {
    const reports: WorkerLine[] = []
    const range = { first: 1, seeds: 2000, until: 'failure', processes: 1 } as const
    await runSeeds(build(`mutant-${name}`, changes), range, report => reports.push(report))
    const last = reports.at(-1)
    expect(last?.findings.length, `ran to seed ${last?.seed}`).toBeGreaterThan(0)
  })
}
