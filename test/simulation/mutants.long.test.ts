/** Each mutant is found within two thousand seeds: a suite that misses one has gone blind. */
import { spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import { expect, test } from 'vitest'
import { build } from './build.js'
import { mutants } from './mutants.js'
import type { WorkerLine } from './worker.js'

for (const { name, does, changes } of mutants) {
  test(`finds the mutant ${name}, which ${does}`, async () => {
    const child = spawn(process.execPath, [build(`mutant-${name}`, changes), '1', '2000', '', 'failure'], {
      stdio: ['ignore', 'pipe', 'ignore'],
    })
    let last: WorkerLine | undefined
    for await (const line of createInterface({ input: child.stdout })) last = JSON.parse(line) as WorkerLine
    expect(last?.findings.length, `ran to seed ${last?.seed}`).toBeGreaterThan(0)
  })
}
