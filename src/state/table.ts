/**
 * What an operator sees of its memory: rows by key, or rows by scope and key. A value that was put in a table is never
 * changed in place afterwards: undoing a turn puts back references, not copies.
 */

/** Rows by key. What `V` may be says `Storable` in `plain.ts`; anything else fails the turn that set it. */
export interface Table<V> {
  get(key: string): V | undefined
  has(key: string): boolean
  set(key: string, value: V): void
  delete(key: string): void
  readonly size: number
  /** In no order that can be relied on. Rows deleted on the way are not met any more, rows added may be. */
  entries(): IterableIterator<[string, V]>
}

/** Rows by scope and key, where a whole scope can be dropped at once: a window, a session, a unit of work. */
export interface ScopedTable<V> {
  get(scope: string, key: string): V | undefined
  set(scope: string, key: string, value: V): void
  delete(scope: string, key: string): void
  /** The whole scope, as one change, however many rows it has. */
  drop(scope: string): void
  /** The scopes that have rows, in no order that can be relied on. */
  scopes(): IterableIterator<string>
  /** In no order that can be relied on. */
  rows(scope: string): IterableIterator<[string, V]>
  size(scope: string): number
}
