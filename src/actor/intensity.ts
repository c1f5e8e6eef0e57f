/** How soon a partition that ended is started again, and when that was tried too often. */
import type { Chance, Clock } from '../clock.js'
import type { Rules } from '../pipeline/rules.js'

export interface IntensityParts {
  readonly rules: Rules['supervise']
  readonly clock: Clock
  readonly chance: Chance
}

const BACKOFF_MIN_MS = 100
const BACKOFF_MAX_MS = 30_000
/** After so long in health its next end is the first again, and is waited out as shortly. */
const HEALTH_MS = 60_000

export class Intensity {
  readonly #parts: IntensityParts
  /** When it was to be started again, as far as that still counts, the oldest first. */
  #restarts: number[] = []
  /** How often in a row, without being in health for long enough. */
  #inRow = 0

  constructor(parts: IntensityParts) {
    this.#parts = parts
  }

  /**
   * It has ended after so long in health: how long to wait before it is started again, or undefined when it has been
   * started as often as it may. Full jitter, so that what ended together does not come back together.
   */
  ended(wellMs: number): number | undefined {
    const { rules, clock, chance } = this.#parts
    if (wellMs >= HEALTH_MS) this.#inRow = 0
    const now = clock.elapsed()
    this.#restarts = this.#restarts.filter(ms => now - ms < rules.withinMs)
    if (this.#restarts.length >= rules.restarts) return undefined
    this.#restarts.push(now)
    return chance.fraction() * Math.min(BACKOFF_MIN_MS * 2 ** this.#inRow++, BACKOFF_MAX_MS)
  }

  /** A person says that it may go on: all counting begins anew. */
  resume(): void {
    this.#restarts = []
    this.#inRow = 0
  }
}
