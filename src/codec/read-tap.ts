/**
 * Reads the primitives of Avro's binary encoding and trusts no byte: it never goes beyond the end, and believes no
 * length or count that the bytes left could not hold. The schema library drives it in place of its own, which reads on
 * in silence behind the end and leaves it to the caller to notice.
 */
import { isUtf8 } from 'node:buffer'
import { badBytes, tooDeep } from './guards.js'

const NOTHING = Buffer.alloc(0)
const TWO_27 = 2 ** 27
const TWO_55 = 2 ** 55

/** Reads one record after another; `open` begins each. Everything throws `BAD_BYTES` or `TOO_DEEP_OR_LARGE`. */
export class ReadTap {
  buf: Buffer = NOTHING
  pos = 0
  #end = 0
  #depth = 0

  constructor(readonly depthMax: number) {}

  open(bytes: Uint8Array, from: number): void {
    this.buf = Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    this.pos = from
    this.#end = bytes.length
    this.#depth = 0
  }

  /** Every byte must have been read. Lets go of the bytes. */
  close(): void {
    if (this.pos !== this.#end) throw badBytes(`the record goes on for ${this.#end - this.pos} bytes after its value`)
    this.buf = NOTHING
  }

  /** Asked by the library's 64-bit long: whether the last read stayed inside. Here it threw otherwise. */
  isValid(): boolean {
    return true
  }

  enter(): void {
    if (++this.#depth > this.depthMax) throw tooDeep(this.depthMax)
  }

  leave(): void {
    this.#depth--
  }

  readBoolean(): boolean {
    const byte = this.#byte()
    if (byte > 1) throw badBytes(`a boolean is the byte ${byte}`)
    return byte === 1
  }

  readInt(): number {
    const value = this.readLong()
    if (value !== (value | 0)) throw badBytes('an int has more than 32 bits')
    return value
  }

  /** Exact up to 2^53, rounded beyond. */
  readLong(): number {
    let byte = this.#byte()
    if (byte < 0x80) return (byte >>> 1) ^ -(byte & 1)
    let low = byte & 0x7f
    let shift = 7
    do {
      byte = this.#byte()
      low |= (byte & 0x7f) << shift
      shift += 7
    } while (byte >= 0x80 && shift < 28)
    if (byte < 0x80) return (low >>> 1) ^ -(low & 1)
    const size = (low >>> 1) + this.#beyond28()
    return (low & 1) === 0 ? size : -size - 1
  }

  readBigLong(): bigint {
    let value = 0n
    for (let shift = 0n; shift < 70n; shift += 7n) {
      const byte = this.#byte()
      value |= BigInt(byte & 0x7f) << shift
      if (byte < 0x80) {
        if (value >> 64n !== 0n) break
        return (value >> 1n) ^ -(value & 1n)
      }
    }
    throw badBytes('a long has more than 64 bits')
  }

  readFloat(): number {
    return this.buf.readFloatLE(this.#take(4))
  }

  readDouble(): number {
    return this.buf.readDoubleLE(this.#take(8))
  }

  /** A copy, so that the value outlives what it was read from. */
  readFixed(size: number): Buffer {
    const from = this.#take(size)
    return Buffer.from(this.buf.subarray(from, this.pos))
  }

  readBytes(): Buffer {
    return this.readFixed(this.readLong())
  }

  readString(): string {
    const from = this.#take(this.readLong())
    const short = this.pos - from <= SHORT_BYTES ? shortAscii(this.buf, from, this.pos) : undefined
    if (short !== undefined) return short
    const text = this.buf.toString('utf8', from, this.pos)
    // What stands for damage may also have been written as such.
    if (text.includes('\ufffd') && !isUtf8(this.buf.subarray(from, this.pos))) throw badBytes('a string is not UTF-8')
    return text
  }

  /**
   * How many items or entries come next in an array or a map, 0 at its end. Each takes a byte at least (schemas where
   * that is not so are refused), so a count beyond the bytes left is a lie and is not looped over.
   */
  readCount(): number {
    let count = this.readLong()
    if (count < 0) {
      count = -count
      const size = this.readLong()
      if (size < 0 || size > this.#end - this.pos)
        throw badBytes(`a block of ${size} bytes does not fit into the record`)
    }
    if (count > this.#end - this.pos) throw badBytes(`a block of ${count} items does not fit into the record`)
    return count
  }

  skipBoolean(): void {
    this.readBoolean()
  }

  skipInt(): void {
    this.readInt()
  }

  skipLong(): void {
    this.readLong()
  }

  skipFloat(): void {
    this.#take(4)
  }

  skipDouble(): void {
    this.#take(8)
  }

  skipFixed(size: number): void {
    this.#take(size)
  }

  skipBytes(): void {
    this.#take(this.readLong())
  }

  skipString(): void {
    this.#take(this.readLong())
  }

  #byte(): number {
    if (this.pos >= this.#end) throw cutShort()
    return this.buf[this.pos++] as number
  }

  #take(size: number): number {
    const from = this.pos
    if (size < 0) throw badBytes(`a length is ${size}`)
    if (size > this.#end - from) throw cutShort()
    this.pos = from + size
    return from
  }

  /** What follows the first 28 bits of a long, at its own weight: 28 more, then up to 8. */
  #beyond28(): number {
    let middle = 0
    for (let shift = 0; shift < 28; shift += 7) {
      const byte = this.#byte()
      middle |= (byte & 0x7f) << shift
      if (byte < 0x80) return middle * TWO_27
    }
    let high = this.#byte()
    if (high >= 0x80) {
      const last = this.#byte()
      if (last > 1) throw badBytes('a long has more than 64 bits')
      high = (high & 0x7f) | (last << 7)
    }
    return middle * TWO_27 + high * TWO_55
  }
}

function cutShort() {
  return badBytes('the record ends in the middle of its value')
}

/** Up to here, making a text in place beats a call into the runtime. */
const SHORT_BYTES = 16

/** The text, or undefined when it is not all ASCII. */
function shortAscii(buf: Buffer, from: number, to: number): string | undefined {
  let text = ''
  let i = from
  for (; i + 4 <= to; i += 4) {
    const [a, b, c, d] = [buf[i] as number, buf[i + 1] as number, buf[i + 2] as number, buf[i + 3] as number]
    if ((a | b | c | d) > 0x7f) return undefined
    text += String.fromCharCode(a, b, c, d)
  }
  for (; i < to; i++) {
    const a = buf[i] as number
    if (a > 0x7f) return undefined
    text += String.fromCharCode(a)
  }
  return text
}
