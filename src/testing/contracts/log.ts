/** The contract of the log port as tests: whatever stands behind `Log` must pass them. */
import type { Contract } from './contract.js'
import { register } from './contract.js'
import { appendPromises } from './log-append.js'
import { batchPromises } from './log-batches.js'
import { closePromises } from './log-close.js'
import { endPromises } from './log-ends.js'
import { expectPromises } from './log-expect.js'
import { purgePromises } from './log-purge.js'
import { readPromises } from './log-read.js'
import { streamPromises } from './log-streams.js'

/** Registers the tests of the log. Each takes well under a second; together they take a few. */
export function logContract(contract: Contract): void {
  const appending = [appendPromises, expectPromises]
  const reading = [readPromises, batchPromises, endPromises, purgePromises]
  register([...appending, ...reading, streamPromises, closePromises], contract)
}
