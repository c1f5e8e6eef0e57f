/**
 * What becomes of the records at fault in one partition, by the rules of its pipeline: how often each is tried and after
 * which waits, and how many may be passed over before the partition is held up.
 */
import type { Chance, Clock } from '../clock.js'
import { RetryableError, UnavailableError } from '../errors.js'
import type { Fault, Judge, PassedOver } from '../pipeline/turn.js'
import type { Rules } from '../pipeline/rules.js'

/** How a turn that ended before a record goes on: it is walked again after a wait, or a person is waited for, or not at all. */
export type Hold = { readonly why: 'retry'; readonly waitMs: number } | { readonly why: 'pause' | 'budget' | 'stop' }

export interface FaultsParts {
  readonly rules: Rules['onError']
  readonly clock: Clock
  readonly chance: Chance
}

const BACKOFF_MAX_MS = 30_000

export class Faults {
  readonly #parts: FaultsParts
  /** The record that holds the partition up, and how often it was tried again. */
  #held: { readonly source: number; readonly position: number; retries: number; why: Hold['why'] } | undefined
  /** When how many were passed over, the oldest first. */
  #passed: { readonly ms: number; readonly count: number }[] = []
  #count = 0

  constructor(parts: FaultsParts) {
    this.#parts = parts
  }

  readonly judge: Judge = (fault, passed) => {
    const { rules, clock } = this.#parts
    const retries = this.#retriesOf(fault)
    const why = this.#whyHold(fault, passed, retries)
    if (why === undefined) {
      if (rules.then === 'skip') return { then: 'skip' }
      return { then: 'deadLetter', attempts: retries + 1, at: Math.floor(clock.now()) }
    }
    const { source, record } = fault
    this.#held = { source, position: record.position, retries, why }
    return { then: 'hold' }
  }

  /** Called once for each turn: so many were passed over. */
  passed(over: readonly PassedOver[]): void {
    if (over.length === 0) return
    this.#passed.push({ ms: this.#parts.clock.elapsed(), count: over.length })
    this.#count += over.length
  }

  /** How the turn that ended before this record goes on. */
  holdOf(fault: Fault): Hold {
    const { rules, chance } = this.#parts
    const held = this.#held
    if (held === undefined || !isOf(held, fault)) return { why: 'stop' }
    if (held.why !== 'retry') return { why: held.why }
    const mostMs = Math.min(rules.backoffMs * 2 ** held.retries, BACKOFF_MAX_MS)
    held.retries++
    return { why: 'retry', waitMs: mostMs * (0.5 + 0.5 * chance.fraction()) }
  }

  /** A person says that it may go on: all counting begins anew. */
  resume(): void {
    this.#held = undefined
    this.#passed = []
    this.#count = 0
  }

  #whyHold({ thrown }: Fault, passed: number, retries: number): Hold['why'] | undefined {
    const { rules } = this.#parts
    const mayPass = thrown instanceof RetryableError || thrown instanceof UnavailableError
    if (mayPass && retries < rules.attempts) return 'retry'
    if (rules.then === 'pause' || rules.then === 'stop') return rules.then
    if (rules.budget !== undefined && this.#recent(rules.budget.perMs) + passed >= rules.budget.records) return 'budget'
    return undefined
  }

  #retriesOf(fault: Fault): number {
    return this.#held !== undefined && isOf(this.#held, fault) ? this.#held.retries : 0
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

function isOf(held: { readonly source: number; readonly position: number }, { source, record }: Fault): boolean {
  return held.source === source && held.position === record.position
}
