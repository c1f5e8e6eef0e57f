/**
 * Bytes written one after the other, and read back: the pieces that batches of records and ledger entries are made of.
 * Reading trusts nothing: whatever the bytes are, it gives a value or throws what its reader calls such a fault.
 */
import { isUtf8 } from 'node:buffer'

/** Grows as it is written. */
export class OctetWriter {
  #buffer: Buffer
  #at = 0

  /** `guess`: how many bytes it will hold; a good one spares copies. */
  constructor(guess: number) {
    this.#buffer = Buffer.allocUnsafe(guess + 16)
  }

  get length(): number {
    return this.#at
  }

  byte(value: number): void {
    this.#reserve(1)
    this.#buffer[this.#at++] = value
  }

  /** A whole number from 0 to 2^53 - 1, LEB128. */
  varint(value: number): void {
    this.#reserve(10)
    let rest = value
    while (rest > 0x7f) {
      this.#buffer[this.#at++] = (rest % 128) | 0x80
      rest = Math.floor(rest / 128)
    }
    this.#buffer[this.#at++] = rest
  }

  /** A whole number of either sign. Zigzag without a 64-bit shift: times fit a double's whole numbers twice over. */
  signed(value: number): void {
    this.varint(value < 0 ? -value * 2 - 1 : value * 2)
  }

  /** A text after its length in bytes, to which `offset` is added. */
  text(value: string, offset = 0): void {
    const length = Buffer.byteLength(value)
    this.varint(length + offset)
    this.#reserve(length)
    this.#at += this.#buffer.write(value, this.#at, length, 'utf8')
  }

  /** Bytes after their length. */
  bytes(value: Uint8Array): void {
    this.varint(value.length)
    this.raw(value)
  }

  /** Bytes without a length: who reads them must know it. */
  raw(value: Uint8Array): void {
    this.#reserve(value.length)
    this.#buffer.set(value, this.#at)
    this.#at += value.length
  }

  /** A double, 8 bytes, little-endian. */
  double(value: number): void {
    this.#reserve(8)
    this.#at = this.#buffer.writeDoubleLE(value, this.#at)
  }

  /** What was written, as a view: write no more after this. */
  done(): Uint8Array {
    return this.#buffer.subarray(0, this.#at)
  }

  #reserve(bytes: number): void {
    if (this.#at + bytes <= this.#buffer.length) return
    const grown = Buffer.allocUnsafe(Math.max(this.#buffer.length * 2, this.#at + bytes))
    this.#buffer.copy(grown, 0, 0, this.#at)
    this.#buffer = grown
  }
}

/** Reads what an `OctetWriter` wrote. */
export class OctetReader {
  readonly #buffer: Buffer
  #at = 0

  /** `fault` makes the error for bytes that cannot be read, from what is wrong with them. */
  constructor(
    payload: Uint8Array,
    readonly fault: (what: string) => Error,
  ) {
    this.#buffer = Buffer.from(payload.buffer, payload.byteOffset, payload.byteLength)
  }

  get left(): number {
    return this.#buffer.length - this.#at
  }

  byte(): number {
    if (this.left === 0) throw this.fault('it ends too early')
    return this.#buffer[this.#at++] as number
  }

  varint(): number {
    let value = 0
    let scale = 1
    for (;;) {
      const byte = this.byte()
      value += (byte & 0x7f) * scale
      if (value > Number.MAX_SAFE_INTEGER) throw this.fault('a number is too large')
      if (byte < 0x80) return value
      scale *= 128
      if (scale > 2 ** 53) throw this.fault('a number is too long')
    }
  }

  signed(): number {
    const zigzag = this.varint()
    return zigzag % 2 === 0 ? zigzag / 2 : -(zigzag + 1) / 2
  }

  maybeText(): string | undefined {
    const length = this.varint()
    return length === 0 ? undefined : this.text(length - 1)
  }

  text(length: number): string {
    const from = this.#pass(length)
    // Not from a view: making one costs as much as the text.
    const text = this.#buffer.toString('utf8', from, this.#at)
    // Only a text with the replacement character can have been malformed.
    if (text.includes('\ufffd') && !isUtf8(this.#buffer.subarray(from, this.#at))) {
      throw this.fault('a text in it is not UTF-8')
    }
    return text
  }

  double(): number {
    return this.#buffer.readDoubleLE(this.#pass(8))
  }

  /** The next so many bytes, as a view. */
  bytes(length: number): Buffer {
    const from = this.#pass(length)
    return this.#buffer.subarray(from, this.#at)
  }

  /** Steps over so many bytes, and says where they begin. */
  #pass(length: number): number {
    if (length > this.left) throw this.fault(`it says that ${length} bytes follow, and ${this.left} do`)
    this.#at += length
    return this.#at - length
  }
}
