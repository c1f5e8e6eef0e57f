/**
 * Takes records away, oldest first, as retention says or as a purge asks. What is gone stays known: how far, for
 * readers that were still to come, and the ids that still count.
 */
import type { Position } from '../record.js'
import { Place, POSITION_MAX } from './layout.js'
import type { Mirror } from './mirror.js'
import { portionAfter } from './scan.js'
import { PORTION } from './store.js'

/** One of the oldest records of a partition. */
interface Old {
  readonly position: Position
  readonly ordinal: number
  readonly time: number
  readonly weight: number
  readonly id: string | undefined
}

const LOOK_AHEAD = 64

export class Trimmer {
  /** By partition: the oldest records, as far as looked at. */
  #old: Old[][] = []
  #knownAt = -1

  constructor(readonly mirror: Mirror) {}

  /** Takes away what retention does not keep. True when there is more to take away. Inside a transaction. */
  retain(now: number): boolean {
    const { tail, spec } = this.mirror
    const { ageMs, bytes = Infinity, records = Infinity } = spec.retention
    if (ageMs === undefined && tail.bytes <= bytes && tail.records <= records) return false
    const youngest = ageMs === undefined ? -Infinity : now - ageMs
    const cuts = new Cuts(this.mirror, now)
    while (tail.records > 0) {
      const partition = this.#oldestPartition()
      const old = this.#old[partition]?.[0]
      if (old === undefined) break
      if (tail.records <= records && tail.bytes <= bytes && old.time >= youngest) break
      if (cuts.count === PORTION) break
      this.#old[partition]?.shift()
      cuts.take(partition, old)
    }
    cuts.finish()
    return cuts.count === PORTION
  }

  /**
   * Takes away at most `most` records of a partition before a position. True when there may be more of them. Inside
   * a transaction.
   */
  purge(partition: number, before: Position, now: number, most: number): boolean {
    this.#look()
    const cuts = new Cuts(this.mirror, now)
    for (;;) {
      const old = this.#lane(partition)[0]
      if (old === undefined || old.position >= before || cuts.count === most) break
      this.#old[partition]?.shift()
      cuts.take(partition, old)
    }
    cuts.finish()
    return cuts.count === most
  }

  #look(): void {
    if (this.#knownAt === this.mirror.cutsByOthers) return
    this.#knownAt = this.mirror.cutsByOthers
    this.#old = Array.from({ length: this.mirror.spec.partitions }, () => [])
  }

  #oldestPartition(): number {
    this.#look()
    let best = -1
    let position = POSITION_MAX
    for (let partition = 0; partition < this.#old.length; partition++) {
      const first = this.#lane(partition)[0]
      if (first === undefined || first.position >= position) continue
      position = first.position
      best = partition
    }
    return best
  }

  #lane(partition: number): Old[] {
    const lane = this.#old[partition] as Old[]
    if (lane.length > 0 || this.mirror.ends[partition] === 0) return lane
    const { store, id } = this.mirror
    const portion = { records: LOOK_AHEAD, bytes: Infinity, headersOnly: true }
    for (const { record, ordinal, weight } of portionAfter(store, new Place(id, partition, 1), portion)) {
      lane.push({ position: record.position, ordinal, time: record.time, weight, id: record.id })
    }
    return lane
  }
}

/** The cuts of one transaction. */
class Cuts {
  count = 0
  readonly #floors = new Map<number, Old>()
  #ids = 0

  constructor(
    readonly mirror: Mirror,
    readonly now: number,
  ) {}

  take(partition: number, old: Old): void {
    const { store, id, tail, ends } = this.mirror
    store.records.removeSync(new Place(id, partition, old.position))
    this.count++
    this.#floors.set(partition, old)
    tail.records--
    tail.bytes -= old.weight
    if (ends[partition] === old.position) ends[partition] = 0
    if (old.id === undefined || !this.mirror.counts(old.time, this.now)) return
    store.ids.putSync([id, old.position], [old.time, old.id])
    this.#ids++
  }

  finish(): void {
    if (this.count === 0) return
    const { store, id, tail } = this.mirror
    for (const [partition, { position, ordinal }] of this.#floors) {
      store.floors.putSync([id, partition], [position, ordinal])
    }
    this.#sweepIds()
    tail.cuts++
    this.mirror.save()
  }

  /** Lets go of twice as many ids that no longer count as it has added, so that the list stays short. */
  #sweepIds(): void {
    const { store, id } = this.mirror
    const gone: (readonly [number, number])[] = []
    const range = { start: [id, 0], end: [id, POSITION_MAX], limit: this.#ids * 2 + 16 } as const
    for (const { key, value } of store.ids.getRange(range)) {
      if (this.mirror.counts(value[0], this.now)) break
      gone.push(key)
    }
    for (const key of gone) store.ids.removeSync(key)
  }
}
