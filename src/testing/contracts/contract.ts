/**
 * What a contract suite is: promises by name, each kept on a fresh link to a log. It knows no test runner; `test` and
 * `expect` are passed in, and vitest, jest and node:test with an expect all fit.
 */
import { systemChance, systemClock } from '../../clock.js'
import type { Clock } from '../../clock.js'
import { DefinitionError, InvariantError } from '../../errors.js'
import type { Ports } from '../../log/ports.js'

/** As much of a test runner as the suites need. */
export interface Test {
  (name: string, run: () => Promise<void>): unknown
  readonly skip: (name: string, run: () => Promise<void>) => unknown
}

/** As much of an `expect` as the suites need. */
export type Expect = (actual: unknown) => Matchers

export interface Matchers {
  toBe(expected: unknown): unknown
  toEqual(expected: unknown): unknown
  toContain(expected: string): unknown
  toBeGreaterThan(expected: number): unknown
  toBeLessThanOrEqual(expected: number): unknown
}

/** A link to a log that a test may fill as it likes. The log may hold other things: the suites draw fresh names. */
export interface Opened {
  readonly ports: Ports
  /** One more link to the same log, as another process would have it. */
  another(): Promise<Ports>
  /** Closes all links, also those that the test has closed, and frees what `open` made. */
  close(): Promise<void>
}

/** A promise of the contract that a kind cannot keep. */
export interface Skip {
  /** The name of the test. One that does not exist is an error, so that no skip outlives its reason. */
  readonly promise: string
  readonly reason: string
}

/** How a kind is put to the test. */
export interface Contract {
  readonly test: Test
  readonly expect: Expect
  readonly open: () => Promise<Opened>
  readonly skip?: readonly Skip[]
  /** What the log under test goes by; default the clock of the machine. */
  readonly clock?: Clock
}

/** What a test is given. */
export interface Scene {
  readonly ports: Ports
  readonly another: () => Promise<Ports>
  readonly expect: Expect
  readonly clock: Clock
  /** A name that nothing in the log bears. */
  readonly fresh: () => string
}

/** Promises by name, and for each what shows that it is kept. */
export type Promises = Readonly<Record<string, Keep>>

/** Shows on a fresh scene that a promise is kept, or throws. */
export type Keep = (scene: Scene) => Promise<void>

/** Registers one test for each promise. Throws when a skip names no promise or gives no reason. */
export function register(promises: readonly Promises[], contract: Contract): void {
  const all = promises.flatMap(section => Object.entries(section))
  const names = new Set(all.map(([name]) => name))
  if (names.size < all.length) throw new InvariantError('two promises of a contract bear the same name')

  const reasons = new Map<string, string>()
  for (const { promise, reason } of contract.skip ?? []) {
    if (!names.has(promise)) {
      throw new DefinitionError('BAD_OPTION', `a skip names the promise "${promise}", which is none`, 'take it away')
    }
    if (reason.trim() === '') {
      throw new DefinitionError('BAD_OPTION', `the skip of "${promise}" gives no reason`, 'write it beside the skip')
    }
    reasons.set(promise, reason)
  }

  for (const [name, keep] of all) {
    const run = () => onFreshLink(contract, keep)
    const reason = reasons.get(name)
    if (reason === undefined) contract.test(name, run)
    else contract.test.skip(`${name} (cannot: ${reason})`, run)
  }
}

async function onFreshLink({ open, expect, clock = systemClock }: Contract, keep: Keep): Promise<void> {
  const opened = await open()
  try {
    await keep({
      ports: opened.ports,
      another: () => opened.another(),
      expect,
      clock,
      fresh: () => `t-${systemChance.name()}`,
    })
  } finally {
    await opened.close()
  }
}
