/** What a row is while it is in memory, and the rows that stand together: those of a plain table, or of one scope. */

/** As the last write left it. */
export const CLEAN = 0
/** Set since. */
export const DIRTY = 1
/**
 * Deleted since, and never to come back but by undo. It stays in last-written order until the deletion is written: till
 * then the ledger still needs it.
 */
export const GONE = 2
/** Not there: not yet made, or its making was undone. */
export const ABSENT = 3

export type RowState = typeof CLEAN | typeof DIRTY | typeof GONE | typeof ABSENT

export class Row {
  value: unknown
  state: RowState
  /** Its part in `dirtyBytes`. */
  rough: number
  /** The step of the journal that has kept what it was before. */
  touched: number
  /** The ledger message it rests on; -1 when no message has it. */
  number: number
  /** What it took when it was last written. */
  size: number
  older: Row | undefined
  newer: Row | undefined

  constructor(
    readonly home: Rows,
    readonly key: string,
  ) {
    this.value = undefined
    this.state = ABSENT
    this.rough = 0
    this.touched = 0
    this.number = -1
    this.size = 0
    this.older = undefined
    this.newer = undefined
  }
}

export class Rows {
  readonly live = new Map<string, Row>()
  /** The rows that are `DIRTY` or `GONE`, in the order in which they became so. */
  dirty: Row[] = []
  /** The ledger has rows of it. */
  written = false
  /** The scope was dropped, with all its rows as they stood. */
  dropped = false

  /** `scopes`: the scopes of the table that it is one of, when it is. */
  constructor(
    readonly table: string,
    readonly scope: string | undefined,
    readonly scopes: Map<string, Rows> | undefined,
  ) {}

  /** For errors. */
  holderOf(key: string): string {
    const scope = this.scope === undefined ? '' : ` of the scope ${JSON.stringify(this.scope)}`
    return `the row ${JSON.stringify(key)}${scope} of the table "${this.table}"`
  }

  /** Lets go of a scope in which nothing is left. */
  leaveWhenEmpty(): void {
    if (this.scope === undefined || this.live.size > 0 || this.dirty.length > 0) return
    if (this.scopes?.get(this.scope) === this) this.scopes.delete(this.scope)
  }
}
