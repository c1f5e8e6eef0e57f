import { expect, test } from 'vitest'
import type { Chance, Clock } from '../clock.js'
import { RecordError, RetryableError, UnavailableError } from '../errors.js'
import { LogRecord } from '../log/record.js'
import { rulesFrom, type OnError } from '../pipeline/rules.js'
import type { Fault } from '../pipeline/outcome.js'
import { Faults } from './faults.js'

const busy = new RetryableError('busy')

/** The faults of a partition whose clock stands still, and by whose chance waits are as long as they get. */
function faultsOf(onError: OnError = {}, fraction = 1) {
  let now = 1_000_000.7
  const clock: Clock = { now: () => now, elapsed: () => now, after: () => () => {}, soon: () => {} }
  const chance: Chance = { fraction: () => fraction, name: () => 'name' }
  const faults = new Faults({ rules: rulesFrom('pipeline "p"', onError).onError, clock, chance })
  return { faults, pass: (ms: number) => void (now += ms) }
}

function faultAt(position: number, thrown: unknown = new TypeError('no'), source = 0): Fault {
  const record = new LogRecord(0, position, 0, new Uint8Array(0), new Uint8Array(0))
  return { source, record, thrown, error: new RecordError('STEP_FAILED', 'failed', ''), where: 'step 1' }
}

/** How a partition goes on that ends its turn there: what becomes of the record, or the waits before it is tried again. */
function ends(faults: Faults, fault: Fault): unknown {
  const verdict = faults.judge(fault, 0)
  return verdict.then === 'hold' ? faults.holdOf(fault) : verdict.then
}

test('a record that cannot be processed goes to the dead letters at once, with the time by the clock', () => {
  const { faults } = faultsOf()
  expect(faults.judge(faultAt(5), 0)).toEqual({ then: 'deadLetter', attempts: 1, at: 1_000_000 })
  expect(faultsOf({ then: 'skip' }).faults.judge(faultAt(5), 0)).toEqual({ then: 'skip' })
})

test.each(['pause', 'stop'] as const)('with %s its partition is held up before it', then => {
  const { faults } = faultsOf({ then })
  expect(faults.judge(faultAt(5), 0)).toEqual({ then: 'hold' })
  expect(faults.holdOf(faultAt(5))).toEqual({ why: then })
})

test('what may pass is tried again, each wait twice the one before, and then counts how often it was tried', () => {
  const { faults } = faultsOf({ retry: { attempts: 4, backoff: 100 } })
  const waits = Array.from({ length: 4 }, () => ends(faults, faultAt(5, busy)))
  expect(waits).toEqual([100, 200, 400, 800].map(waitMs => ({ why: 'retry', waitMs })))
  expect(faults.judge(faultAt(5, busy), 0)).toMatchObject({ then: 'deadLetter', attempts: 5 })
  expect(ends(faults, faultAt(6, busy))).toEqual({ why: 'retry', waitMs: 100 })
})

test('no wait is longer than 30 seconds, and half of each is by chance', () => {
  const { faults } = faultsOf({ retry: { attempts: 1000, backoff: '20 seconds' } }, 0.5)
  const waits = Array.from({ length: 1000 }, () => ends(faults, faultAt(5, busy)))
  expect(waits.slice(0, 2)).toEqual([15_000, 22_500].map(waitMs => ({ why: 'retry', waitMs })))
  expect(waits.at(-1)).toEqual({ why: 'retry', waitMs: 22_500 })
  expect(ends(faultsOf({}, 0).faults, faultAt(5, busy))).toEqual({ why: 'retry', waitMs: 50 })
})

test('after the last try the record goes where the rules say', () => {
  for (const then of ['skip', 'pause', 'stop'] as const) {
    const { faults } = faultsOf({ retry: { attempts: 1 }, then })
    ends(faults, faultAt(5, busy))
    expect(ends(faults, faultAt(5, busy))).toEqual(then === 'skip' ? then : { why: then })
  }
  expect(ends(faultsOf({ retry: { attempts: 0 } }).faults, faultAt(5, busy))).toBe('deadLetter')
})

test.each<[string, unknown]>([
  ['the log being away', new UnavailableError('TIMED_OUT', 'late', '')],
  ['a timeout', new DOMException('late', 'TimeoutError')],
  ['a RetryableError of another copy of the package', Object.assign(new Error('busy'), { name: 'RetryableError' })],
  ['one of a class of its own', new (class Busy extends RetryableError {})('busy')],
])('%s may pass, too', (_, thrown) => {
  expect(ends(faultsOf().faults, faultAt(5, thrown))).toMatchObject({ why: 'retry' })
})

test.each<[string, unknown]>([
  ['an error that such a one caused', new Error('outer', { cause: busy })],
  ['an object that has its name', { name: 'RetryableError' }],
  ['nothing', undefined],
])('%s may not', (_, thrown) => {
  expect(ends(faultsOf().faults, faultAt(5, thrown))).toBe('deadLetter')
})

test('asking counts for nothing, and about other records neither', () => {
  const { faults } = faultsOf({ retry: { attempts: 2, backoff: 100 } })
  const wait = (waitMs: number) => ({ why: 'retry', waitMs })
  // As at the end of a turn, which asks of record after record until it can end before one.
  for (const position of [9, 8, 7, 6]) faults.judge(faultAt(position, busy), 0)
  expect(ends(faults, faultAt(5, busy))).toEqual(wait(100))
  for (const position of [9, 8, 7, 6, 5, 9, 6]) faults.judge(faultAt(position, busy), 0)
  expect(ends(faults, faultAt(5, busy))).toEqual(wait(200))
  for (const position of [9, 8, 7, 6]) faults.judge(faultAt(position, busy), 0)
  expect(faults.judge(faultAt(5, busy), 0)).toMatchObject({ then: 'deadLetter', attempts: 3 })
  expect(ends(faults, faultAt(5, busy, 1))).toEqual(wait(100))
})

test('a turn that ends where nobody held it up is a bug', () => {
  const { faults } = faultsOf({ then: 'pause' })
  expect(() => faults.holdOf(faultAt(5))).toThrow(/nobody held up/)
  faults.judge(faultAt(5), 0)
  expect(() => faults.holdOf(faultAt(6))).toThrow(/nobody held up/)
})

test('too many in too short a time hold the partition up, those of the turn at hand among them', () => {
  const { faults, pass } = faultsOf({ budget: { records: 5, per: 1000 } })
  faults.passed(2)
  pass(600)
  faults.passed(2)
  expect(faults.judge(faultAt(5), 0).then).toBe('deadLetter')
  expect(faults.judge(faultAt(5), 1).then).toBe('hold')
  expect(faults.holdOf(faultAt(5))).toMatchObject({ why: 'budget' })
  pass(500)
  expect(faults.judge(faultAt(5), 2).then).toBe('deadLetter')
  expect(faults.judge(faultAt(5), 3).then).toBe('hold')
})

test('a budget counts what is skipped, too, and can be lifted', () => {
  const { faults } = faultsOf({ then: 'skip', budget: { records: 1, per: '1 hour' } })
  faults.passed(1)
  expect(ends(faults, faultAt(5))).toMatchObject({ why: 'budget' })
  const free = faultsOf({ budget: false }).faults
  free.passed(1_000_000)
  expect(ends(free, faultAt(5))).toBe('deadLetter')
})

test('when a person lets it go on, tries and budget begin anew', () => {
  const { faults } = faultsOf({ retry: { attempts: 1 }, budget: { records: 1, per: '1 hour' } })
  expect(ends(faults, faultAt(5, busy))).toMatchObject({ why: 'retry' })
  faults.passed(1)
  expect(ends(faults, faultAt(5, busy))).toMatchObject({ why: 'budget' })
  faults.resume()
  expect(ends(faults, faultAt(5, busy))).toMatchObject({ why: 'retry' })
  expect(ends(faults, faultAt(5, busy))).toBe('deadLetter')
})

test('a message with more bad records than the budget gets past it once a person says so', () => {
  const { faults } = faultsOf({ budget: { records: 3, per: '1 hour' } })
  expect(faults.judge(faultAt(5), 3).then).toBe('hold')
  faults.holdOf(faultAt(5))
  faults.resume()
  for (let passed = 0; passed < 10; passed++) expect(faults.judge(faultAt(5), passed).then).toBe('deadLetter')
  faults.passed(10)
  expect(ends(faults, faultAt(6))).toMatchObject({ why: 'budget' })
})
