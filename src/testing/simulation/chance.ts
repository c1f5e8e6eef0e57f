/** Chance from a seed: the same numbers in the same order, whatever the machine. */
import type { Chance } from '../../clock.js'

const LETTERS = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz'

/** The generator sfc32. */
export class SimChance implements Chance {
  #a: number
  #b: number
  #c: number
  #count = 1

  /** Each `part` of one seed has numbers of its own, so that drawing more in one changes nothing in another. */
  constructor(
    readonly seed: number,
    part = '',
  ) {
    let mixed = seed >>> 0
    for (let i = 0; i < part.length; i++) mixed = Math.imul(mixed ^ part.charCodeAt(i), 0x01000193)
    this.#a = mixed
    this.#b = (seed / 2 ** 32) >>> 0
    this.#c = 0x9e3779b9
    for (let i = 0; i < 12; i++) this.#next()
  }

  #next(): number {
    const sum = (this.#a + this.#b + this.#count++) | 0
    this.#a = this.#b ^ (this.#b >>> 9)
    this.#b = (this.#c + (this.#c << 3)) | 0
    this.#c = ((this.#c << 21) | (this.#c >>> 11)) + sum
    return sum >>> 0
  }

  fraction(): number {
    return this.#next() / 2 ** 32
  }

  name(): string {
    let name = ''
    for (let i = 0; i < 22; i++) name += LETTERS[this.whole(LETTERS.length)]!
    return name
  }

  /** A whole number from 0 to below `limit`. */
  whole(limit: number): number {
    return Math.floor(this.fraction() * limit)
  }

  between(from: number, to: number): number {
    return from + (to - from) * this.fraction()
  }

  /** True in `share` of the cases. Draws nothing when the answer is sure. */
  happens(share: number): boolean {
    return share > 0 && (share >= 1 || this.fraction() < share)
  }

  /** One of them; there must be one. */
  pick<T>(among: readonly T[]): T {
    return among[this.whole(among.length)] as T
  }
}
