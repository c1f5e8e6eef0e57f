/**
 * Notices an owner that gets nowhere: it has something to do, waits for nobody, and nothing moves. It is ended, so that its
 * supervisor starts another.
 */
import type { Clock } from '../clock.js'
import { UnavailableError } from '../errors.js'

export interface HeadwayParts {
  readonly clock: Clock
  /** For the error: `partition 3 of pipeline "clicks"`. */
  readonly where: string
  /** What there is to do, for people; undefined when that is nothing, or waits for a person, a retry or a trial. */
  readonly due: () => string | undefined
  /** `elapsed()` when the log last showed that it answers. */
  readonly answeredMs: () => number
  readonly failed: (error: unknown) => void
}

const STUCK_MS = 60_000
/** Each look counts for no more: while the process stood still, or its thread was busy, nobody could do anything. */
const LOOK_COUNTS_MS = 1000
/** Asked each second: a log that has not answered for so long is away, and is waited for. */
const AWAY_MS = 5000

export class Headway {
  readonly #parts: HeadwayParts
  #lookedMs: number
  #idleMs = 0

  constructor(parts: HeadwayParts) {
    this.#parts = parts
    this.#lookedMs = parts.clock.elapsed()
  }

  /**
   * Something moves: records are taken, a turn was walked, an entry or an output was acknowledged. Or the log said why it
   * does not, which is waited out.
   */
  moves(): void {
    this.#idleMs = 0
  }

  /** To be called several times a second. */
  look(): void {
    const { clock, where, due, answeredMs, failed } = this.#parts
    const now = clock.elapsed()
    const passedMs = now - this.#lookedMs
    this.#lookedMs = now
    const work = due()
    if (work === undefined || now - answeredMs() > AWAY_MS) return this.moves()
    this.#idleMs += Math.min(passedMs, LOOK_COUNTS_MS)
    if (this.#idleMs < STUCK_MS) return
    this.moves()
    const what = `${where} has made no progress for ${STUCK_MS / 1000} seconds, with ${work}`
    const mend = 'it begins anew from its ledger; when this comes again, see what its codec waits for'
    failed(new UnavailableError('STUCK', what, mend))
  }
}

/** What there is to do, for people; undefined for nothing. */
export function dueOf(amounts: {
  readonly taken: number
  readonly waiting: number
  readonly entries: number
  readonly outputs: number
}): string | undefined {
  const { taken, waiting, entries, outputs } = amounts
  const parts = [
    taken > 0 && `${taken} records taken and not walked`,
    waiting > 0 && `${waiting} records in the mailbox`,
    entries > 0 && 'an entry on its way',
    outputs > 0 && `${outputs} outputs to publish`,
  ]
  return parts.filter(part => part !== false).join(', ') || undefined
}
