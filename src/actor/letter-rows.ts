/**
 * What the ledger keeps of the dead letters of one partition: a row for each that is resolved, up to where all are, and how
 * many are open.
 */
import { START, type Position } from '../log/record.js'
import type { PassedOver } from '../pipeline/outcome.js'
import type { Table } from '../state/table.js'
import type { Tables } from '../state/tables.js'

/** All outputs up to number `n`, letters and what resolves them, are done with, and so is all that stands before `position`. */
export interface Floor {
  readonly n: number
  readonly position: Position
}

const TABLE = 'letters'
const FLOOR = 'floor'
const OPEN = 'open'

/** How many letters were written that nobody has resolved. */
export function openLetters(tables: Tables): number {
  return (rowsOf(tables).get(OPEN) as number | undefined) ?? 0
}

/** Counts the letters that a turn wrote. To be called before its outcome is committed. */
export function countLetters(tables: Tables, passed: readonly PassedOver[]): void {
  const written = passed.filter(({ then }) => then === 'deadLetter').length
  if (written > 0) addOpen(tables, written)
}

/** By the number of the output, or `@` and its position where it is none of ours: how it was resolved. Beside them the two names above. */
export function rowsOf(tables: Tables): Table<unknown> {
  return tables.table<unknown>(TABLE)
}

export function floorOf(rows: Table<unknown>): Floor {
  return (rows.get(FLOOR) as Floor | undefined) ?? { n: 0, position: START + 1 }
}

export function addOpen(tables: Tables, more: number): void {
  rowsOf(tables).set(OPEN, Math.max(0, openLetters(tables) + more))
  tables.settle()
}

/** Lets go of the rows that a floor stands for. To be settled with the turn. */
export function raiseFloor(rows: Table<unknown>, floor: Floor): void {
  for (const [row] of [...rows.entries()]) if (isBelow(row, floor)) rows.delete(row)
  rows.set(FLOOR, floor)
}

function isBelow(row: string, { n, position }: Floor): boolean {
  if (row === FLOOR || row === OPEN) return false
  return row.startsWith('@') ? Number(row.slice(1)) < position : Number(row) <= n
}
