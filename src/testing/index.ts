/** `stream-node/testing`: what people test their own parts with. Imports no test runner. */
export { logContract } from './contracts/log.js'
export { bucketContract } from './contracts/bucket.js'
export { signalsContract } from './contracts/signals.js'
export type { Contract, Expect, Matchers, Opened, Skip, Test } from './contracts/contract.js'
export { simulate } from './simulation/simulate.js'
export type { Simulated, SimulateOptions } from './simulation/simulate.js'
