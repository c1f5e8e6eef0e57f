/**
 * Event time cut into spans of equal length, which are the scopes of a table: so that what is too old is dropped a
 * whole span at a time, as one change, and a look at what is near in time is a look into few scopes.
 */
import type { ScopedTable } from '../state/table.js'
import type { Seat } from './operator.js'

/** At most so many spans are dropped at the end of a turn; the others wait for the next. */
const DROPS_MAX = 1000

export class Spans {
  /** No span that we know of is to be dropped below this watermark. */
  #due = -Infinity
  /** Of the last turn that dropped any: should it have been undone, they have rows again. */
  #dropped: readonly string[] = []
  /** No span with rows is later. Undefined until it was looked up. */
  #newest: number | undefined
  #named = NaN
  #names: readonly [itself: string, before: string, after: string] = ['', '', '']

  /**
   * Drops a span at the end of a turn when all of it lies at least `keepMs` behind the watermark.
   */
  constructor(
    private readonly seat: Seat,
    private readonly table: ScopedTable<unknown>,
    private readonly widthMs: number,
    private readonly keepMs: number,
  ) {
    seat.atTurnEnd(() => this.#drop())
  }

  /** The number of the span that a time is in. */
  of(time: number): number {
    return Math.floor(time / this.widthMs)
  }

  /** The scopes of a span, of the one before and of the one after. */
  names(span: number): readonly [itself: string, before: string, after: string] {
    if (span !== this.#named) {
      this.#named = span
      this.#names = [String(span), String(span - 1), String(span + 1)]
    }
    return this.#names
  }

  /** Say it of each span before it gets a row. */
  used(span: number): void {
    if (span > this.newest) this.#newest = span
    const due = this.#dueOf(span)
    if (due < this.#due) this.#due = due
  }

  /** No span with rows is later than this one; there may be none at it. */
  get newest(): number {
    if (this.#newest === undefined) {
      this.#newest = -Infinity
      for (const scope of this.table.scopes()) this.#newest = Math.max(this.#newest, Number(scope))
    }
    return this.#newest
  }

  #dueOf(span: number): number {
    return (span + 1) * this.widthMs + this.keepMs
  }

  #drop(): void {
    const watermark = this.seat.watermark()
    const undone = this.#dropped.some(scope => this.table.size(scope) > 0)
    this.#dropped = []
    if (watermark < this.#due && !undone) return
    const old: string[] = []
    this.#due = Infinity
    for (const scope of this.table.scopes()) {
      const due = this.#dueOf(Number(scope))
      if (due <= watermark && old.length < DROPS_MAX) old.push(scope)
      else this.#due = Math.min(this.#due, due)
    }
    for (const scope of old) this.table.drop(scope)
    this.#dropped = old
  }
}
