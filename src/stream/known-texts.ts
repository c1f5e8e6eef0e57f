/** Makes texts of bytes where the same few come again and again: those made lately are found by their bytes. */

const PLACES = 256

interface Known {
  readonly bytes: Uint8Array
  readonly text: string
}

/** A bounded memory of ASCII texts. A text that comes again is the very same string, whose hash is known. */
export class KnownTexts {
  readonly #known = new Array<Known | undefined>(PLACES)

  /** The text of the bytes from `from` up to `to`. */
  of(head: Uint8Array, from: number, to: number): string {
    const length = to - from
    let place = length
    // The ends tell most texts apart; those that share a place cost no more than without it.
    for (let i = Math.max(from, to - 6); i < to; i++) place = (place * 31 + (head[i] as number)) % PLACES
    const known = this.#known[place]
    if (known !== undefined && known.bytes.length === length && same(known.bytes, head, from)) return known.text
    const bytes = new Uint8Array(head.subarray(from, to))
    const text = Buffer.from(bytes.buffer, bytes.byteOffset, length).toString('latin1')
    this.#known[place] = { bytes, text }
    return text
  }
}

function same(bytes: Uint8Array, head: Uint8Array, from: number): boolean {
  for (let i = bytes.length - 1; i >= 0; i--) if (bytes[i] !== head[from + i]) return false
  return true
}
