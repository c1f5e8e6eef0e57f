/**
 * What becomes of the records at fault in one partition, by the rules of its pipeline: how often each is tried and after
 * which waits, and how many may be passed over before the partition is held up.
 */
import type { Chance, Clock } from '../clock.js'
import { InvariantError, messageOf, RecordError, RetryableError, UnavailableError } from '../errors.js'
import type { Fault, Judge } from '../pipeline/outcome.js'
import type { Rules } from '../pipeline/rules.js'

/** How a turn that ended before a record goes on: it is walked again after a wait, or a person is waited for, or not at all. */
export type Hold =
  | { readonly why: 'retry'; readonly waitMs: number }
  | { readonly why: 'pause' | 'stop' }
  /** `error` says that it is spent, and at which record. */
  | { readonly why: 'budget'; readonly error: RecordError }

export interface FaultsParts {
  readonly rules: Rules['onError']
  readonly clock: Clock
  readonly chance: Chance
}

/** Which record, or message of many: what is held, tried again and excused is always a whole message. */
interface Place {
  readonly source: number
  readonly position: number
}

type Budget = NonNullable<Rules['onError']['budget']>

const BACKOFF_MAX_MS = 30_000

export class Faults {
  readonly #parts: FaultsParts
  /** The record at which the judge last ended a turn. */
  #held: (Place & { readonly why: Hold['why'] }) | undefined
  /** The record that is tried again, and how often it was. */
  #tried: (Place & { readonly retries: number }) | undefined
  /** The record for which a person has lifted the budget: a message may hold more bad records than that is. */
  #excused: Place | undefined
  /** When how many were passed over, the oldest first. */
  #passed: { readonly ms: number; readonly count: number }[] = []
  #count = 0

  constructor(parts: FaultsParts) {
    this.#parts = parts
  }

  /** A turn may ask of records that it then does not end at, and of one record again and again: asking counts for nothing. */
  readonly judge: Judge = (fault, passed) => {
    const { rules, clock } = this.#parts
    const retries = this.#retriesOf(fault)
    const why = this.#whyHold(fault, passed, retries)
    if (why === undefined) {
      if (rules.then === 'skip') return { then: 'skip' }
      return { then: 'deadLetter', attempts: deathsAt(fault) ?? retries + 1, at: Math.floor(clock.now()) }
    }
    this.#held = { ...placeOf(fault), why }
    return { then: 'hold' }
  }

  /** To be called once for each turn: so many were passed over. */
  passed(count: number): void {
    if (count === 0 || this.#parts.rules.budget === undefined) return
    this.#passed.push({ ms: this.#parts.clock.elapsed(), count })
    this.#count += count
  }

  /** How the turn that ended before this record goes on. To be called once for each such turn. */
  holdOf(fault: Fault): Hold {
    const { rules, chance } = this.#parts
    if (!isAt(this.#held, fault)) throw new InvariantError('a turn ended before a record that nobody held up')
    const { why } = this.#held
    if (why === 'budget') return { why, error: this.#spent(fault.error) }
    if (why !== 'retry') return { why }
    const retries = this.#retriesOf(fault)
    this.#tried = { ...placeOf(fault), retries: retries + 1 }
    const mostMs = Math.min(rules.backoffMs * 2 ** retries, BACKOFF_MAX_MS)
    return { why, waitMs: mostMs * (0.5 + 0.5 * chance.fraction()) }
  }

  /** A person says that it may go on: all counting begins anew. */
  resume(): void {
    if (this.#held?.why === 'budget') this.#excused = this.#held
    this.#tried = undefined
    this.#passed = []
    this.#count = 0
  }

  #whyHold(fault: Fault, passed: number, retries: number): Hold['why'] | undefined {
    const { rules } = this.#parts
    if (mayPass(fault.thrown) && retries < rules.attempts) return 'retry'
    if (rules.then === 'pause' || rules.then === 'stop') return rules.then
    if (rules.budget === undefined || isAt(this.#excused, fault)) return undefined
    return this.#recent(rules.budget.perMs) + passed >= rules.budget.records ? 'budget' : undefined
  }

  #spent(error: RecordError): RecordError {
    const { records, perMs } = this.#parts.rules.budget as Budget
    const what = `the budget of ${records} bad records in ${perMs / 1000} s is spent; the next one: ${messageOf(error)}`
    const mend = 'see what is wrong with them, then let it go on by "stream-node resume"'
    return new RecordError(error.code as 'STEP_FAILED', what, mend, { cause: error, facts: error.facts })
  }

  #retriesOf(fault: Fault): number {
    return isAt(this.#tried, fault) ? this.#tried.retries : 0
  }

  /** How many were passed over in so long. */
  #recent(ms: number): number {
    const since = this.#parts.clock.elapsed() - ms
    let old = 0
    for (const one of this.#passed) {
      if (one.ms >= since) break
      this.#count -= one.count
      old++
    }
    this.#passed.splice(0, old)
    return this.#count
  }
}

/** How often owners before tried it, if it is given up for that. */
function deathsAt({ error }: Fault): number | undefined {
  return error.code === 'KILLS_PROCESS' ? Number(error.facts['deaths']) : undefined
}

function placeOf({ source, record }: Fault): Place {
  return { source, position: record.position }
}

function isAt<P extends Place>(place: P | undefined, { source, record }: Fault): place is P {
  return place?.source === source && place.position === record.position
}

/** By name too: a program may have another copy of the package than the command that runs it. */
const PASSING: ReadonlySet<string> = new Set(['RetryableError', 'UnavailableError', 'TimeoutError'])

function mayPass(thrown: unknown): boolean {
  if (thrown instanceof RetryableError || thrown instanceof UnavailableError) return true
  return thrown instanceof Error && PASSING.has(thrown.name)
}
