/**
 * Keeps turns short where steps are slow, and lets others have their turn: a partition that always has records would
 * otherwise keep the thread for itself, with all signals, answers and other partitions waiting.
 */
import type { Clock } from '../clock.js'

/** How long a turn should take at the most, about. */
const TURN_MS = 10
/** How long turns may follow each other before others have theirs. */
const SPELL_MS = 15
/** Nobody knows yet how long they take. */
const RECORDS_FIRST = 64
/** Never fewer, for each turn and entry has a cost of its own. */
const RECORDS_MIN = 8
/** However much comes of each record, so many may wait. */
const WAITING_MIN = 128
/** How much the latest turn counts in what is learned of all. */
const LATEST_SHARE = 0.1

export class Pace {
  readonly #clock: Clock
  #recordsMax = RECORDS_FIRST
  #outputsPerRecord = 0
  #beganMs = 0
  #breathedMs: number

  constructor(clock: Clock) {
    this.#clock = clock
    this.#breathedMs = clock.elapsed()
  }

  /** How many records the next turn should walk. */
  get recordsMax(): number {
    return this.#recordsMax
  }

  begins(): void {
    this.#beganMs = this.#clock.elapsed()
  }

  /** Of how many records so many outputs come, about: no more need wait to fill an entry. */
  recordsFor(outputs: number): number {
    return Math.max(WAITING_MIN, outputs / this.#outputsPerRecord)
  }

  /** A turn of so many records has ended, and has given so many outputs. */
  ends(records: number, outputs: number): void {
    if (records > 0) this.#outputsPerRecord += (outputs / records - this.#outputsPerRecord) * LATEST_SHARE
    const tookMs = this.#clock.elapsed() - this.#beganMs
    if (tookMs > TURN_MS) this.#recordsMax = Math.max(RECORDS_MIN, Math.floor((records * TURN_MS) / tookMs))
    // One slow turn may have been chance: it may soon be twice as many again.
    else if (records >= this.#recordsMax) this.#recordsMax *= 2
  }

  /** Undefined while nobody has waited for long; else a promise for when the others had their turn. */
  breath(): Promise<void> | undefined {
    if (this.#clock.elapsed() - this.#breathedMs < SPELL_MS) return undefined
    return new Promise(resolve =>
      this.#clock.soon(() => {
        this.#breathedMs = this.#clock.elapsed()
        resolve()
      }),
    )
  }
}
