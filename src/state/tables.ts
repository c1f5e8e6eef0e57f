/** All tables of one partition: what a turn changed in them, how that is undone, and how it gets to the ledger and back. */
import type { OctetReader, OctetWriter } from '../codec/octets.js'
import { InvariantError } from '../errors.js'
import type { ScopedTable, Table } from './table.js'

/** A point that `undo` can go back to, until the turn is settled. */
export type Savepoint = number

export class Tables {
  /** The same name gives the same table. */
  table<V>(name: string): Table<V> {
    throw new InvariantError(`table "${name}" is not built yet`)
  }

  scopedTable<V>(name: string): ScopedTable<V> {
    throw new InvariantError(`table "${name}" is not built yet`)
  }

  savepoint(): Savepoint {
    throw new InvariantError('tables are not built yet')
  }

  /** Everything is as it was at the savepoint, which can be gone back to again. */
  undo(to: Savepoint): void {
    throw new InvariantError(`tables are not built yet: ${to}`)
  }

  /** Throws `NOT_STORABLE` when a value that was set since the savepoint cannot be stored. Call it at the end of a turn. */
  check(since: Savepoint): void {
    throw new InvariantError(`tables are not built yet: ${since}`)
  }

  /** The turn is over: its savepoints are forgotten. */
  settle(): void {
    throw new InvariantError('tables are not built yet')
  }

  /** About as many bytes as `write` would write now, without re-writes; 0 when nothing has changed. */
  get dirtyBytes(): number {
    return 0
  }

  /**
   * All changes since the last write, and about `rewriteBytes` of the rows that were not written for longest. They rest
   * on the ledger message `number` from here on.
   */
  write(out: OctetWriter, number: number, rewriteBytes: number): void {
    throw new InvariantError(`tables are not built yet: ${out.length} ${number} ${rewriteBytes}`)
  }

  /** Applies what `write` wrote. */
  read(from: OctetReader, number: number): void {
    throw new InvariantError(`tables are not built yet: ${from.left} ${number}`)
  }

  /** The lowest ledger message that a row rests on, as of the last write; Infinity without rows. */
  floor(): number {
    return Infinity
  }

  /** What all rows took when each was last written. */
  get liveBytes(): number {
    return 0
  }

  /** How many rows there are now. */
  get rows(): number {
    return 0
  }
}
