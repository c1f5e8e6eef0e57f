/** What a turn gives back: what came of its records, and what was at fault. */
import type { RecordError } from '../errors.js'
import type { LogRecord } from '../log/record.js'
import type { Stream } from '../stream/stream.js'
import type { Output } from './outlet.js'

/** What a turn gives back. */
export interface Outcome {
  /** How many records it covers, counted from `from`: all, or those before the fault, or as many as gave enough. */
  readonly walked: number
  /** Of these, what was passed over. */
  readonly passed: readonly PassedOver[]
  readonly outputs: readonly Output[]
  /** Of the payloads of the outputs. */
  readonly bytes: number
  /** What failed at the record after those walked, and holds the turn; the tables are as after the record before it. */
  readonly fault?: Fault
  /** A stream that `choose` gave and that is not open. Everything was undone: open it, add it and walk again. */
  readonly opens?: Stream<unknown>
}

export interface Fault {
  readonly source: number
  readonly record: LogRecord
  /** Which record of its message it is, where a message holds many. */
  readonly index?: number
  /** A `RecordError`; its cause is what was thrown. */
  readonly error: RecordError
  readonly thrown: unknown
  /** `step 2 (map) of pipeline "p"`; undefined when the record could not be read. */
  readonly where: string | undefined
}

/** A record that changed nothing, and that the turn went on behind. */
export interface PassedOver {
  readonly fault: Fault
  readonly then: 'deadLetter' | 'skip'
}

/** What becomes of a record at fault: a letter, with how often it was tried and when it was given up, or nothing, or the turn ends before it. */
export type Verdict = DeadLetterVerdict | { readonly then: 'skip' } | { readonly then: 'hold' }

export interface DeadLetterVerdict {
  readonly then: 'deadLetter'
  readonly attempts: number
  readonly at: number
  /** Which record of its message it is, where that holds it alone now and held many. */
  readonly index?: number
}

/** Is asked of each record at fault, and again when that is undone and walked anew; the last answer counts. */
export type Judge = (fault: Fault, passed: number) => Verdict
