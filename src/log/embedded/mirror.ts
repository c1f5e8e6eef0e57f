/**
 * What this process knows of a stream: where each partition ends and which ids still count. It is brought up to date
 * at the start of each transaction by one look at the tail, since other processes may have written; what a failed
 * transaction left in it is thrown away whole.
 */
import type { StreamSpec } from '../log.js'
import type { Position } from '../record.js'
import { decodeTail, encodeTail, freshTail, POSITION_MAX } from './layout.js'
import type { Tail } from './layout.js'
import { backwards, floorOf, lastOf } from './scan.js'
import type { Store } from './store.js'

interface Seen {
  readonly position: Position
  readonly time: number
}

export class Mirror {
  tail: Tail = unknownTail()
  /** By partition: the position of its last record; 0 when it has none. */
  readonly ends: Float64Array
  /** By partition: how many records it ever had. */
  readonly ordinals: Float64Array
  /** Counts how often others took records away, so that whoever keeps a list of them makes it anew. */
  cutsByOthers = 0
  #ids: Map<string, Seen> | undefined
  #sweptAt = 0

  constructor(
    readonly store: Store,
    readonly id: number,
    readonly spec: StreamSpec,
  ) {
    this.ends = new Float64Array(spec.partitions)
    this.ordinals = new Float64Array(spec.partitions)
  }

  /** Catches up with what is committed. False when the stream is no more. */
  load(): boolean {
    const value = this.store.tails.get(this.id)
    if (value === undefined) return false
    const tail = decodeTail(value)
    if (tail.edits === this.tail.edits) return true
    const before = this.tail.last
    if (tail.cuts !== this.tail.cuts) this.cutsByOthers++
    this.tail = tail
    for (let partition = 0; partition < this.ends.length; partition++) this.#loadEnd(partition)
    if (this.#ids !== undefined) this.#remember(this.#ids, before)
    return true
  }

  #loadEnd(partition: number): void {
    const last = lastOf(this.store, this.id, partition)
    this.ends[partition] = last?.record.position ?? 0
    this.ordinals[partition] = last?.ordinal ?? floorOf(this.store, this.id, partition).ordinal
  }

  /** Writes the tail down: the stream has changed. */
  save(): void {
    this.tail.edits++
    this.store.tails.putSync(this.id, encodeTail(this.tail))
  }

  /** Forgets all: the transaction that it tells of came to nothing. */
  forget(): void {
    this.tail = unknownTail()
    this.#ids = undefined
    this.cutsByOthers++
  }

  /** The position of the record with this id, if it was stored less than the window ago. */
  find(id: string, now: number): Position | undefined {
    this.#ids ??= this.#remember(new Map(), 0)
    const seen = this.#ids.get(id)
    return seen !== undefined && this.counts(seen.time, now) ? seen.position : undefined
  }

  /** Notes an id whose record is stored in this transaction. */
  note(id: string, position: Position, time: number): void {
    const ids = this.#ids
    if (ids === undefined) return
    ids.delete(id)
    ids.set(id, { position, time })
    // Ids stand in the order of their times. Looking at the oldest only now and then keeps that cheap.
    if (time - this.#sweptAt < this.spec.dedupWindowMs / 8) return
    this.#sweptAt = time
    for (const [old, seen] of ids) {
      if (this.counts(seen.time, time)) break
      ids.delete(old)
    }
  }

  /** Whether an id taken at `time` still counts. */
  counts(time: number, now: number): boolean {
    return time > now - this.spec.dedupWindowMs
  }

  /** Adds the ids of records after a position: from the records, and from the list of those taken away since. */
  #remember(ids: Map<string, Seen>, after: Position): Map<string, Seen> {
    const since = this.tail.time
    const found: (Seen & { readonly id: string })[] = []
    for (let partition = 0; partition < this.ends.length; partition++) {
      for (const { record } of backwards(this.store, this.id, partition)) {
        if (record.position <= after || !this.counts(record.time, since)) break
        if (record.id !== undefined) found.push({ id: record.id, position: record.position, time: record.time })
      }
    }
    const range = { start: [this.id, after + 1], end: [this.id, POSITION_MAX] } as const
    for (const { key, value } of this.store.ids.getRange(range)) {
      found.push({ id: value[1], position: key[1], time: value[0] })
    }
    found.sort((a, b) => a.position - b.position)
    for (const { id, position, time } of found) ids.set(id, { position, time })
    return ids
  }
}

// No stream was edited this many times, so the first look reads everything.
const unknownTail = (): Tail => ({ ...freshTail(), edits: -1 })
