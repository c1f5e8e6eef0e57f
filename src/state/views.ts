/** The tables as operators hold them: rows looked up here, and changed through the journal. */
import type { Journal } from './journal.js'
import { Rows } from './rows.js'
import type { ScopedTable, Table } from './table.js'

export class PlainRows implements Table<unknown> {
  readonly all: Rows
  readonly #journal: Journal

  constructor(journal: Journal, name: string) {
    this.#journal = journal
    this.all = new Rows(name, undefined, undefined)
  }

  get(key: string): unknown {
    return this.all.live.get(key)?.value
  }

  has(key: string): boolean {
    return this.all.live.has(key)
  }

  set(key: string, value: unknown): void {
    this.#journal.set(this.all, key, value)
  }

  delete(key: string): void {
    this.#journal.delete(this.all, key)
  }

  get size(): number {
    return this.all.live.size
  }

  entries(): IterableIterator<[string, unknown]> {
    return entriesOf(this.all)
  }
}

export class ScopedRows implements ScopedTable<unknown> {
  /** Those too of which all rows are deleted, until that is written. */
  readonly all = new Map<string, Rows>()
  readonly #journal: Journal
  readonly #name: string

  constructor(journal: Journal, name: string) {
    this.#journal = journal
    this.#name = name
  }

  get(scope: string, key: string): unknown {
    return this.all.get(scope)?.live.get(key)?.value
  }

  set(scope: string, key: string, value: unknown): void {
    this.#journal.set(this.rowsOf(scope), key, value)
  }

  delete(scope: string, key: string): void {
    const rows = this.all.get(scope)
    if (rows !== undefined) this.#journal.delete(rows, key)
  }

  drop(scope: string): void {
    const rows = this.all.get(scope)
    if (rows !== undefined) this.#journal.drop(rows)
  }

  *scopes(): IterableIterator<string> {
    for (const [scope, rows] of this.all) if (rows.live.size > 0) yield scope
  }

  rows(scope: string): IterableIterator<[string, unknown]> {
    const rows = this.all.get(scope)
    return rows === undefined ? [].values() : entriesOf(rows)
  }

  size(scope: string): number {
    return this.all.get(scope)?.live.size ?? 0
  }

  /** Made when there is none: who calls this puts a row into it, or lets it leave. */
  rowsOf(scope: string): Rows {
    let rows = this.all.get(scope)
    if (rows === undefined) this.all.set(scope, (rows = new Rows(this.#name, scope, this.all)))
    return rows
  }
}

function* entriesOf(rows: Rows): IterableIterator<[string, unknown]> {
  for (const [key, row] of rows.live) yield [key, row.value]
}
