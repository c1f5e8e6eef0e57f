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
  find(id: string, now: number): Position | undefined {
    this.#ids ??= this.#remember(new Ids(this.spec.dedupWindowMs / 2, now), 0)
    return this.#ids.find(id, now)
  }

  /** Notes an id whose record is stored in this transaction. */
  note(id: string, position: Position): void {
    this.#ids?.note(id, position)
  }

  /** Whether an id taken at `time` still counts. */
  counts(time: number, now: number): boolean {
    return time > now - this.spec.dedupWindowMs
  }

  /** Adds the ids of records after a position: from the records, and from the list of those taken away since. */
  #remember(ids: Ids, after: Position): Ids {
    const now = this.tail.time
    for (let partition = 0; partition < this.ends.length; partition++) {
      for (const { record } of backwards(this.store, this.id, partition)) {
        if (record.position <= after || !this.counts(record.time, now)) break
        if (record.id !== undefined) ids.note(record.id, record.position)
      }
    }
    const range = { start: [this.id, after + 1], end: [this.id, POSITION_MAX] } as const
    for (const { key, value } of this.store.ids.getRange(range)) ids.note(value[1], key[1])
    return ids
  }
}

/**
 * Ids and the positions of their records, by generations: each takes ids for half a window, and is dropped as a whole
 * when the last of them no longer counts. So an id costs one entry, and is kept for little longer than it counts.
 */
class Ids {
  #young = new Map<string, Position>()
  #middle = new Map<string, Position>()
  #old = new Map<string, Position>()

  constructor(
    readonly generationMs: number,
    private since: number,
  ) {}

  find(id: string, now: number): Position | undefined {
    // Three steps empty them all, however long the silence was.
    for (let steps = 0; now - this.since >= this.generationMs && steps < 3; steps++) this.#age(now, steps)
    return this.#young.get(id) ?? this.#middle.get(id) ?? this.#old.get(id)
  }

  #age(now: number, steps: number): void {
    this.#old = this.#middle
    this.#middle = this.#young
    this.#young = new Map()
    this.since = steps === 2 ? now : this.since + this.generationMs
  }

  note(id: string, position: Position): void {
    this.#young.set(id, position)
  }
}

// No stream was edited this many times, so the first look reads everything.
const unknownTail = (): Tail => ({ ...freshTail(), edits: -1 })
