/** All rows that the ledger holds, in the order in which they were last written: at the head the one that waits longest. */
import type { Row } from './rows.js'

export class LastWritten {
  #head: Row | undefined
  #tail: Row | undefined
  #bytes = 0

  get head(): Row | undefined {
    return this.#head
  }

  /** What all its rows took when each was last written. */
  get bytes(): number {
    return this.#bytes
  }

  /** The lowest message that a row rests on. */
  get floor(): number {
    return this.#head?.number ?? Infinity
  }

  /** The highest message that a row rests on. */
  get end(): number {
    return this.#tail?.number ?? -Infinity
  }

  /** The row was written: it is the last one now. */
  put(row: Row, number: number, size: number): void {
    if (row.number >= 0) this.#unlink(row)
    row.home.written = true
    this.#bytes += size - row.size
    row.number = number
    row.size = size
    row.older = this.#tail
    if (this.#tail === undefined) this.#head = row
    else this.#tail.newer = row
    this.#tail = row
  }

  /** The row's deletion was written. */
  remove(row: Row): void {
    if (row.number < 0) return
    this.#unlink(row)
    this.#bytes -= row.size
    row.number = -1
    row.size = 0
  }

  #unlink(row: Row): void {
    if (row.older === undefined) this.#head = row.newer
    else row.older.newer = row.newer
    if (row.newer === undefined) this.#tail = row.older
    else row.newer.older = row.older
    row.older = undefined
    row.newer = undefined
  }
}
