/** All tables of one partition: what a turn changed in them, how that is undone, and how it gets to the ledger and back. */
import type { OctetReader, OctetWriter } from '../codec/octets.js'
import { InvariantError } from '../errors.js'
import { ChangeWriter, readChanges, type ChangeReader } from './changes.js'
import { Journal, type Savepoint } from './journal.js'
import { LastWritten } from './last-written.js'
import { notStorable } from './plain.js'
import { CLEAN, DIRTY, GONE, Row, type Rows } from './rows.js'
import type { ScopedTable, Table } from './table.js'
import { PlainRows, ScopedRows } from './views.js'

export type { Savepoint } from './journal.js'

export class Tables {
  readonly #journal = new Journal()
  readonly #lastWritten = new LastWritten()
  readonly #plain = new Map<string, PlainRows>()
  readonly #scoped = new Map<string, ScopedRows>()

  /** The same name gives the same table. A name that is used for a scoped one too is an `InvariantError`. */
  table<V>(name: string): Table<V> {
    if (this.#scoped.has(name)) throw new InvariantError(`the table "${name}" has scopes, and was asked for without`)
    return this.#plainOf(name) as Table<V>
  }

  /** Likewise. */
  scopedTable<V>(name: string): ScopedTable<V> {
    if (this.#plain.has(name))
      throw new InvariantError(`the table "${name}" has no scopes, and was asked for with some`)
    return this.#scopedOf(name) as ScopedTable<V>
  }

  /** A point to go back to. They nest: one for the turn, and one for each record in it. */
  savepoint(): Savepoint {
    return this.#journal.savepoint()
  }

  /** Everything is as it was at the savepoint, which can be gone back to again. */
  undo(to: Savepoint): void {
    this.#journal.undo(to)
  }

  /**
   * Throws `NOT_STORABLE` when a value that was set since the savepoint cannot be stored: to be called at the end of
   * each turn, so that the turn fails and not the write. Changes nothing, but makes `dirtyBytes` more exact.
   */
  check(since: Savepoint): void {
    this.#journal.check(since)
  }

  /** The turn is over: its savepoints are forgotten. */
  settle(): void {
    this.#journal.settle()
  }

  /** About as many bytes as `write` would write now, without re-writes; 0 when nothing has changed. */
  get dirtyBytes(): number {
    return this.#journal.bytes
  }

  /**
   * Writes all changes since the last write, and about `rewriteBytes` of those other rows that were not written for
   * longest. All these rest on the ledger message `number` from here on; numbers never go down. When a value cannot be
   * stored it throws `NOT_STORABLE`, and nothing has changed.
   */
  write(out: OctetWriter, number: number, rewriteBytes: number): void {
    if (this.#journal.open) throw new InvariantError('tables are written while a turn can still be undone')
    this.#follows(number)
    const changes = new ChangeWriter(out)
    const written: Row[] = []
    const sizes: number[] = []
    const set = (row: Row): number => {
      const size = changes.set(row.home, row.key, row.value)
      if (size < 0) throw notStorable(row.value, row.home.holderOf(row.key))
      written.push(row)
      sizes.push(size)
      return size
    }
    for (const rows of this.#journal.dropped) changes.drop(rows)
    for (const rows of this.#journal.changed) {
      if (rows.dropped) continue
      for (const row of rows.dirty) {
        if (row.state === DIRTY) set(row)
        else if (row.number >= 0 && !rows.live.has(row.key)) changes.delete(rows, row.key)
      }
    }
    let row = this.#lastWritten.head
    for (let spent = 0; row !== undefined && spent < rewriteBytes; row = row.newer) {
      if (row.state === CLEAN && !row.home.dropped) spent += set(row)
    }
    changes.end()
    this.#forget()
    for (let i = 0; i < written.length; i++) this.#rest(written[i] as Row, number, sizes[i] as number)
    this.#journal.written()
  }

  /**
   * Applies what `write` wrote, and then rows rest on what they rest on at the writer. Throws the reader's fault when
   * the bytes are wrong; the tables are of no use then.
   */
  read(from: OctetReader, number: number): void {
    if (this.#journal.open || this.#journal.changed.length > 0 || this.#journal.dropped.length > 0) {
      throw new InvariantError('tables that have changes of their own are to read those of another')
    }
    this.#follows(number)
    const reader = this.#reader(from, number)
    readChanges(from, reader)
    reader.end()
  }

  /** The lowest ledger message that a row rests on, as of the last write; Infinity without rows. */
  floor(): number {
    return this.#lastWritten.floor
  }

  /** What all rows took when each was last written. */
  get liveBytes(): number {
    return this.#lastWritten.bytes
  }

  /** How many rows there are now. */
  get rows(): number {
    return this.#journal.rows
  }

  #plainOf(name: string): PlainRows {
    let table = this.#plain.get(name)
    if (table === undefined) this.#plain.set(name, (table = new PlainRows(this.#journal, name)))
    return table
  }

  #scopedOf(name: string): ScopedRows {
    let table = this.#scoped.get(name)
    if (table === undefined) this.#scoped.set(name, (table = new ScopedRows(this.#journal, name)))
    return table
  }

  #follows(number: number): void {
    const { end } = this.#lastWritten
    if (number >= 0 && number >= end) return
    throw new InvariantError(`rows are to rest on ledger message ${number}, and some rest on ${end} already`)
  }

  #rest(row: Row, number: number, size: number): void {
    row.state = CLEAN
    row.rough = 0
    this.#lastWritten.put(row, number, size)
  }

  /** Lets go of what was deleted and dropped. */
  #forget(): void {
    for (const rows of this.#journal.dropped) this.#release(rows)
    for (const rows of this.#journal.changed) {
      for (const row of rows.dirty) if (row.state === GONE) this.#lastWritten.remove(row)
      rows.dirty = []
      rows.leaveWhenEmpty()
    }
  }

  #release(rows: Rows): void {
    for (const row of rows.live.values()) this.#lastWritten.remove(row)
  }

  #reader(from: OctetReader, number: number): ChangeReader & { end(): void } {
    let rows: Rows | undefined
    const bothForms = (table: string) => from.fault(`the table "${table}" has scopes in one place, and none in another`)
    const scopedOf = (table: string) => {
      if (this.#plain.has(table)) throw bothForms(table)
      return this.#scopedOf(table)
    }
    return {
      goTo: (table, scope) => {
        rows?.leaveWhenEmpty()
        if (scope !== undefined) rows = scopedOf(table).rowsOf(scope)
        else if (this.#scoped.has(table)) throw bothForms(table)
        else rows = this.#plainOf(table).all
      },
      set: (key, value, size) => {
        const { live } = rows as Rows
        let row = live.get(key)
        if (row === undefined) {
          row = new Row(rows as Rows, key)
          live.set(key, row)
          this.#journal.rows++
        }
        row.value = value
        this.#rest(row, number, size)
      },
      delete: key => {
        const row = rows?.live.get(key)
        if (row === undefined) return
        rows?.live.delete(key)
        this.#journal.rows--
        this.#lastWritten.remove(row)
      },
      drop: (table, scope) => {
        const dropped = scopedOf(table).all.get(scope)
        if (dropped === undefined) return
        this.#journal.rows -= dropped.live.size
        this.#release(dropped)
        dropped.scopes?.delete(scope)
      },
      end: () => rows?.leaveWhenEmpty(),
    }
  }
}
