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

export class Pace {
  readonly #clock: Clock
  #recordsMax = RECORDS_FIRST
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

  /** A turn of so many records has ended. */
  ends(records: number): void {
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
