/**
 * What this process knows of a stream: where each partition ends and which ids still count. It is brought up to date
 * at the start of each transaction by one look at the tail, since other processes may have written; what a failed
 * transaction left in it is thrown away whole.
 */
import type { Clock } from '../../clock.js'
import type { StreamSpec } from '../log.js'
import type { Position } from '../record.js'
import { Ids } from './ids.js'
import { decodeTail, encodeTail, freshTail, Place, POSITION_MAX } from './layout.js'
import type { Tail } from './layout.js'
import { backwards, floorOf, idAt, lastOf } from './scan.js'
import type { Store } from './store.js'

export class Mirror {
  tail: Tail = unknownTail()
  /** By partition: the position of its last record; 0 when it has none. */
  readonly ends: Float64Array
  /** By partition: how many records it ever had. */
  readonly ordinals: Float64Array
  /** Counts how often others took records away, so that whoever keeps a list of them makes it anew. */
  cutsByOthers = 0
  #ids: Ids | undefined

  constructor(
    readonly store: Store,
    readonly id: number,
    readonly spec: StreamSpec,
    readonly incarnation: string,
    readonly clock: Clock,
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

  /** The position of the record with this id, if it was stored less than the window ago, or not much longer. */
  find(id: string): Position | undefined {
    this.#ids ??= this.#remember(this.#noIds(), 0)
    this.#ids.age(this.clock.elapsed())
    return this.#ids.find(id)
  }

  /** Notes an id whose record is stored in this transaction. */
  note(id: string, partition: number, position: Position): void {
    this.#ids?.note(id, partition, position)
  }

  #noIds(): Ids {
    const { store, id: stream, spec, incarnation, clock } = this
    const isAt = (partition: number, position: Position, id: string) =>
      idAt(store, new Place(stream, partition, position)) === id
    return new Ids(spec.dedupWindowMs / 2, clock.elapsed(), incarnation, isAt)
  }

  /** Whether an id taken at `time` still counts. */
  counts(time: number, now: number): boolean {
    return time > now - this.spec.dedupWindowMs
  }

  /** Adds the ids of records after a position that still count: from the records, and from the list of those taken away. */
  #remember(ids: Ids, after: Position): Ids {
    ids.age(this.clock.elapsed())
    const now = Math.max(this.tail.time, this.clock.now())
    for (let partition = 0; partition < this.ends.length; partition++) {
      for (const { record } of backwards(this.store, this.id, partition)) {
        if (record.position <= after || !this.counts(record.time, now)) break
        if (record.id !== undefined) ids.note(record.id, partition, record.position)
      }
    }
    const range = { start: [this.id, after + 1], end: [this.id, POSITION_MAX] } as const
    for (const { key, value } of this.store.ids.getRange(range)) {
      if (this.counts(value[0], now)) ids.note(value[1], 0, key[1])
    }
    return ids
  }
}

// No stream was edited this many times, so the first look reads everything.
const unknownTail = (): Tail => ({ ...freshTail(), edits: -1 })
