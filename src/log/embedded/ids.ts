/**
 * The ids that a stream has taken within its window, in about 25 bytes each and none of them on the heap: by its hash,
 * an id is known to stand perhaps at a place, and what stands there is asked of the log itself.
 */
import type { Position } from '../record.js'

/** Whether the record with this id is, or was, at this place. */
export type IsAt = (partition: number, position: Position, id: string) => boolean

/**
 * Ids by generations: each takes ids for half a window, and is dropped as a whole when the last of them no longer
 * counts. Ages by a clock that only grows, so that one put back does not make it keep everything.
 */
export class Ids {
  #young = new Places()
  #middle = new Places()
  #old = new Places()
  readonly #seed: number

  /** `secret`: hashes begin with it, so that nobody can make up ids that all have the same. */
  constructor(
    readonly generationMs: number,
    private sinceMs: number,
    secret: string,
    readonly isAt: IsAt,
  ) {
    this.#seed = hashOf(secret, 0)
  }

  find(id: string): Position | undefined {
    const hash = hashOf(id, this.#seed)
    for (const places of [this.#young, this.#middle, this.#old]) {
      const found = places.find(hash, id, this.isAt)
      if (found !== undefined) return found
    }
    return undefined
  }

  note(id: string, partition: number, position: Position): void {
    this.#young.add(hashOf(id, this.#seed), partition, position)
  }

  /** Drops what no longer counts. To be called before ids of a later moment are noted. */
  age(nowMs: number): void {
    // Three steps empty them all, however long the silence was.
    for (let steps = 0; nowMs - this.sinceMs >= this.generationMs && steps < 3; steps++) {
      this.#old = this.#middle
      this.#middle = this.#young
      this.#young = new Places()
      this.sinceMs = steps === 2 ? nowMs : this.sinceMs + this.generationMs
    }
  }
}

const SLOTS_MIN = 64
const TWO_POW_32 = 2 ** 32

/** Places by hash: open addressing in three numbers a slot, at most three quarters full. */
class Places {
  #size = 0
  #slots = new Uint32Array(0)

  find(hash: number, id: string, isAt: IsAt): Position | undefined {
    const slots = this.#slots
    if (slots.length === 0) return undefined
    const mask = slots.length / 3 - 1
    for (let at = (hash & mask) * 3; ; at = at + 3 === slots.length ? 0 : at + 3) {
      const low = slots[at + 1] as number
      const high = slots[at + 2] as number
      if (low === 0 && high === 0) return undefined
      if (slots[at] !== hash) continue
      const position = (high >>> 16) * TWO_POW_32 + low
      if (isAt(high & 0xffff, position, id)) return position
    }
  }

  add(hash: number, partition: number, position: Position): void {
    if ((this.#size + 1) * 4 > this.#slots.length) this.#grow()
    this.#size++
    this.#put(hash, position % TWO_POW_32, Math.floor(position / TWO_POW_32) * 0x10000 + partition)
  }

  #put(hash: number, low: number, high: number): void {
    const slots = this.#slots
    let at = (hash & (slots.length / 3 - 1)) * 3
    while (slots[at + 1] !== 0 || slots[at + 2] !== 0) at = at + 3 === slots.length ? 0 : at + 3
    slots[at] = hash
    slots[at + 1] = low
    slots[at + 2] = high
  }

  #grow(): void {
    const before = this.#slots
    this.#slots = new Uint32Array(Math.max(SLOTS_MIN * 3, before.length * 2))
    for (let at = 0; at < before.length; at += 3) {
      const [low, high] = [before[at + 1] as number, before[at + 2] as number]
      if (low !== 0 || high !== 0) this.#put(before[at] as number, low, high)
    }
  }
}

/** 32 bits of an ASCII text, each of them depending on all of it. */
function hashOf(text: string, seed: number): number {
  let hash = seed ^ 0x811c9dc5
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193)
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b)
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35)
  return (hash ^ (hash >>> 16)) >>> 0
}
