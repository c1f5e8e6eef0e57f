/**
 * The inputs of a target, by number: what was thought up, the samples, every sample cut at each byte, with each bit
 * flipped and each piece put in and over each place, and from there on what chance makes of them. The same seed and
 * number give the same input for ever.
 */
import type { Target } from './target.js'

/** Of a sample longer than this not every place is tried in turn. */
const PLACES_MAX = 400

export class Inputs {
  readonly #target: Target
  readonly #seed: number
  readonly #places: number[][]

  constructor(target: Target, seed: number) {
    this.#target = target
    this.#seed = seed
    this.#places = target.samples.map(({ length }) => {
      const step = Math.max(1, Math.ceil(length / PLACES_MAX))
      return Array.from({ length: Math.ceil(length / step) }, (_, i) => i * step)
    })
  }

  /** How many are given before chance begins. */
  get planned(): number {
    const { bombs = [], samples } = this.#target
    return this.#places.reduce((sum, places) => sum + places.length * this.#perPlace, bombs.length + samples.length)
  }

  at(index: number): Uint8Array {
    const { bombs = [], samples } = this.#target
    if (index < bombs.length) return bombs[index] as Uint8Array
    let left = index - bombs.length
    if (left < samples.length) return samples[left] as Uint8Array
    left -= samples.length
    for (const [n, places] of this.#places.entries()) {
      const sample = samples[n] as Uint8Array
      const count = places.length * this.#perPlace
      if (left < count) {
        return this.#planned(sample, places[Math.floor(left / this.#perPlace)] as number, left % this.#perPlace)
      }
      left -= count
    }
    return this.#byChance(index)
  }

  /** A cut, eight flips, and each piece put in and over. */
  get #perPlace(): number {
    return 9 + 2 * this.#target.pieces.length
  }

  #planned(sample: Uint8Array, at: number, way: number): Uint8Array {
    if (way === 0) return sample.subarray(0, at)
    if (way < 9) return flipped(sample, at, way - 1)
    const piece = this.#target.pieces[(way - 9) >> 1] as Uint8Array
    return spliced(sample, at, way % 2 === 0 ? piece.length : 0, piece)
  }

  #byChance(index: number): Uint8Array {
    const { samples, pieces, keep = 0 } = this.#target
    const below = chance(this.#seed, index)
    let bytes = samples[below(samples.length)] as Uint8Array
    const kept = below(20) === 0 ? 0 : Math.min(keep, bytes.length)
    for (let times = below(4) + 1; times > 0; times--) {
      const at = kept + below(Math.max(1, bytes.length - kept))
      const piece = pieces[below(pieces.length)] as Uint8Array
      switch (below(7)) {
        case 0:
          bytes = bytes.subarray(0, at)
          break
        case 1:
          bytes = flipped(bytes, at, below(8))
          break
        case 2:
          bytes = spliced(bytes, at, 1, Uint8Array.of(below(256)))
          break
        case 3:
          bytes = spliced(bytes, at, 0, piece)
          break
        case 4:
          bytes = spliced(bytes, at, piece.length, piece)
          break
        case 5: {
          // A part of another sample, or of this one once more.
          const other = samples[below(samples.length)] as Uint8Array
          const from = below(other.length + 1)
          bytes = spliced(bytes, at, below(8), other.subarray(from, from + below(64)))
          break
        }
        default:
          bytes = spliced(bytes, at, below(16), new Uint8Array(0))
      }
    }
    return bytes
  }
}

function flipped(bytes: Uint8Array, at: number, bit: number): Uint8Array {
  const other = Uint8Array.from(bytes)
  if (at < other.length) other[at] = (other[at] as number) ^ (1 << bit)
  return other
}

function spliced(bytes: Uint8Array, at: number, over: number, piece: Uint8Array): Uint8Array {
  return Buffer.concat([bytes.subarray(0, at), piece, bytes.subarray(at + over)])
}

/** A seeded generator (mulberry32) of whole numbers below what it is given; one for each input. */
function chance(seed: number, index: number): (below: number) => number {
  let state = Math.imul(seed | 0, 0x9e3779b1) ^ Math.imul(index + 1, 0x85ebca6b)
  return below => {
    state = (state + 0x6d2b79f5) | 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return Math.floor((((t ^ (t >>> 14)) >>> 0) / 2 ** 32) * below)
  }
}
