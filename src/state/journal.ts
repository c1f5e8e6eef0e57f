/**
 * What changed in the tables and is not written yet, and what a turn changed and may still undo. A row's first change
 * after a savepoint keeps what it was before; later ones cost nothing more.
 */
import { InvariantError } from '../errors.js'
import { notStorable, sizeOf } from './plain.js'
import { ABSENT, CLEAN, DIRTY, GONE, Row, type Rows, type RowState } from './rows.js'

/** A point that `undo` can go back to, until the turn is settled. */
export type Savepoint = number

/** What a row was. */
class Touch {
  readonly value: unknown
  readonly state: RowState
  readonly rough: number

  constructor(readonly row: Row) {
    this.value = row.value
    this.state = row.state
    this.rough = row.rough
  }
}

class Drop {
  constructor(readonly rows: Rows) {}
}

/** A savepoint, and the sums as they were. */
class Mark {
  constructor(
    readonly rows: number,
    readonly bytes: number,
  ) {}
}

/** What the name of a change and the lengths in it take, roughly. */
const OVERHEAD = 4
/** For a new row with an object, until `check` has looked at it. */
const GUESS = 32

export class Journal {
  /** Rows now. */
  rows = 0
  /** See `Tables.dirtyBytes`. */
  bytes = 0
  /** Where rows are dirty, in the order in which they became so. Those dropped since are among them. */
  readonly changed: Rows[] = []
  /** The dropped scopes of which the ledger has rows. */
  readonly dropped: Rows[] = []

  /** Counts savepoints and the like. A row with this step has nothing more to keep, and is dirty if it is live. */
  #step = 1
  #undos: (Touch | Drop | Mark)[] = []
  /** The savepoint that the first of the undos would be. */
  #base = 0

  set(rows: Rows, key: string, value: unknown): void {
    const row = rows.live.get(key)
    if (row === undefined) return this.#add(rows, key, value)
    if (row.touched !== this.#step) this.#touch(row)
    if (row.state === CLEAN) this.#become(row, DIRTY, roughSize(row, value))
    row.value = value
  }

  delete(rows: Rows, key: string): void {
    const row = rows.live.get(key)
    if (row === undefined) return
    this.#touch(row)
    rows.live.delete(key)
    this.rows--
    row.value = undefined
    this.#become(row, GONE, row.number < 0 ? 0 : key.length + OVERHEAD)
  }

  /** For the rows of one scope. */
  drop(rows: Rows): void {
    for (const row of rows.dirty) this.bytes -= row.rough
    this.rows -= rows.live.size
    rows.dropped = true
    rows.scopes?.delete(rows.scope as string)
    if (rows.written) {
      this.bytes += (rows.scope as string).length + OVERHEAD
      this.dropped.push(rows)
    }
    if (this.open) this.#undos.push(new Drop(rows))
  }

  /** True while there is a savepoint. */
  get open(): boolean {
    return this.#undos.length > 0
  }

  savepoint(): Savepoint {
    this.#step++
    return this.#base + this.#undos.push(new Mark(this.rows, this.bytes)) - 1
  }

  undo(to: Savepoint): void {
    const mark = this.#markAt(to)
    while (this.#undos.at(-1) !== mark) {
      const undo = this.#undos.pop()
      if (undo instanceof Touch) this.#putBack(undo)
      else if (undo instanceof Drop) this.#putBackScope(undo.rows)
    }
    this.rows = mark.rows
    this.bytes = mark.bytes
    this.#step++
  }

  check(since: Savepoint): void {
    this.#markAt(since)
    for (let at = since - this.#base; at < this.#undos.length; at++) {
      const touch = this.#undos[at]
      if (!(touch instanceof Touch)) continue
      const { row } = touch
      if (row.state !== DIRTY || row.home.dropped) continue
      const size = sizeOf(row.value)
      if (size < 0) throw notStorable(row.value, row.home.holderOf(row.key))
      this.#become(row, DIRTY, row.key.length + size + OVERHEAD)
    }
  }

  settle(): void {
    this.#base += this.#undos.length
    // Not emptied in place: after a second walk it is long.
    if (this.open) this.#undos = []
  }

  /** All changes are written. */
  written(): void {
    this.#step++
    this.bytes = 0
    this.changed.length = 0
    this.dropped.length = 0
  }

  #add(rows: Rows, key: string, value: unknown): void {
    const row = new Row(rows, key)
    this.#touch(row)
    rows.live.set(key, row)
    this.rows++
    this.#become(row, DIRTY, roughSize(row, value))
    row.value = value
  }

  #touch(row: Row): void {
    if (row.touched === this.#step) return
    row.touched = this.#step
    if (this.open) this.#undos.push(new Touch(row))
  }

  #become(row: Row, state: typeof DIRTY | typeof GONE, rough: number): void {
    if (row.state === CLEAN || row.state === ABSENT) {
      if (row.home.dirty.push(row) === 1) this.changed.push(row.home)
    }
    this.bytes += rough - row.rough
    row.rough = rough
    row.state = state
  }

  #putBack({ row, value, state, rough }: Touch): void {
    const { home, key } = row
    if (state === ABSENT) home.live.delete(key)
    else if (row.state === GONE) home.live.set(key, row)
    // It became dirty when this was kept, and whatever became so later is put back already: it is the last one.
    if (state === CLEAN || state === ABSENT) {
      home.dirty.pop()
      if (home.dirty.length === 0) this.changed.pop()
    }
    row.value = value
    row.state = state
    row.rough = rough
    if (state === ABSENT) home.leaveWhenEmpty()
  }

  #putBackScope(rows: Rows): void {
    rows.dropped = false
    rows.scopes?.set(rows.scope as string, rows)
    if (rows.written) this.dropped.pop()
  }

  #markAt(savepoint: Savepoint): Mark {
    const mark = this.#undos[savepoint - this.#base]
    if (mark instanceof Mark) return mark
    throw new InvariantError(`there is no savepoint ${savepoint} any more`)
  }
}

/** Cheap, since it is asked for every row that becomes dirty. */
function roughSize(row: Row, value: unknown): number {
  if (row.size > 0) return row.size
  const size = typeof value === 'string' ? value.length : typeof value === 'object' ? GUESS : 8
  return row.key.length + size + OVERHEAD
}
