/**
 * Reads and writes the primitives of Avro's binary encoding. The reader trusts no byte: it never goes beyond its end,
 * and believes no length or count that the bytes left could not hold. The schema library drives both in place of its
 * own, which reads on in silence behind the end and leaves it to the caller to notice.
 */
import { isUtf8 } from 'node:buffer'
import { badBytes, tooDeep } from './guards.js'

const TWO_27 = 2 ** 27
const TWO_55 = 2 ** 55

/** Reads one record after another; `open` begins each. Everything throws `BAD_BYTES` or `TOO_DEEP_OR_LARGE`. */
export class ReadTap {
  buf: Buffer = Buffer.alloc(0)
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
    const [middle, high] = this.#rest()
    const size = (low >>> 1) + middle * TWO_27 + high * TWO_55
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

  /** What follows the first 28 bits of a long: 28 more, then up to 8. */
  #rest(): [middle: number, high: number] {
    let middle = 0
    for (let shift = 0; shift < 28; shift += 7) {
      const byte = this.#byte()
      middle |= (byte & 0x7f) << shift
      if (byte < 0x80) return [middle, 0]
    }
    const ninth = this.#byte()
    if (ninth < 0x80) return [middle, ninth]
    const tenth = this.#byte()
    if (tenth > 1) throw badBytes('a long has more than 64 bits')
    return [middle, (ninth & 0x7f) | (tenth << 7)]
  }
}

function cutShort() {
  return badBytes('the record ends in the middle of its value')
}

const NOTHING = Buffer.alloc(0)

/** Small records share a slab of this size, so that none of them needs memory of its own. */
const SLAB_BYTES = 16 * 1024
/** Up to here a loop beats a call into the engine, and the length takes one byte. */
const ASCII_LENGTH_MAX = 40

/** Writes one record after another. The bytes of a finished one are never written to again. */
export class WriteTap {
  buf: Buffer = NOTHING
  pos = 0
  #from = 0
  #depth = 0

  constructor(readonly depthMax: number) {}

  /** Begins a record with these bytes. What was begun and not finished is forgotten. */
  open(prefix: Uint8Array): void {
    this.#depth = 0
    this.pos = this.#from
    this.#reserve(prefix.length)
    for (let i = 0; i < prefix.length; i++) this.buf[this.pos++] = prefix[i] as number
  }

  /** How many bytes the record has so far. */
  get length(): number {
    return this.pos - this.#from
  }

  finish(): Uint8Array {
    const bytes = this.buf.subarray(this.#from, this.pos)
    this.#from = this.pos
    // A buffer made for a large record is not filled up with small ones, which would keep it alive.
    if (this.buf.length > SLAB_BYTES) this.#renew(NOTHING)
    return bytes
  }

  enter(): void {
    if (++this.#depth > this.depthMax) throw tooDeep(this.depthMax)
  }

  leave(): void {
    this.#depth--
  }

  writeBoolean(value: boolean): void {
    this.#reserve(1)
    this.buf[this.pos++] = value ? 1 : 0
  }

  writeInt(value: number): void {
    this.writeLong(value)
  }

  /** Any safe integer. */
  writeLong(value: number): void {
    this.#reserve(10)
    const { buf } = this
    let pos = this.pos
    if (value >= -0x40000000 && value < 0x40000000) {
      let rest = (value << 1) ^ (value >> 31)
      for (; rest & ~0x7f; rest >>>= 7) buf[pos++] = (rest & 0x7f) | 0x80
      buf[pos++] = rest
    } else {
      // Twice the value may be beyond 2^53, so the sign joins the low bits only.
      const size = value < 0 ? -value - 1 : value
      let low = (size % TWO_27) * 2 + (value < 0 ? 1 : 0)
      for (let i = 0; i < 4; i++, low >>>= 7) buf[pos++] = (low & 0x7f) | 0x80
      let high = Math.floor(size / TWO_27)
      for (; high & ~0x7f; high >>>= 7) buf[pos++] = (high & 0x7f) | 0x80
      buf[pos++] = high
    }
    this.pos = pos
  }

  /** Any 64 bits. */
  writeBigLong(value: bigint): void {
    this.#reserve(10)
    let rest = BigInt.asUintN(64, (value << 1n) ^ (value >> 63n))
    for (; rest > 0x7fn; rest >>= 7n) this.buf[this.pos++] = Number(rest & 0x7fn) | 0x80
    this.buf[this.pos++] = Number(rest)
  }

  writeFloat(value: number): void {
    this.#reserve(4)
    this.pos = this.buf.writeFloatLE(value, this.pos)
  }

  writeDouble(value: number): void {
    this.#reserve(8)
    this.pos = this.buf.writeDoubleLE(value, this.pos)
  }

  writeFixed(value: Uint8Array): void {
    this.#reserve(value.length)
    this.buf.set(value, this.pos)
    this.pos += value.length
  }

  writeBytes(value: Uint8Array): void {
    this.writeLong(value.length)
    this.writeFixed(value)
  }

  /** Bytes that were kept as text: the encoded default of a field. */
  writeBinary(latin1: string, length: number): void {
    this.#reserve(length)
    this.pos += this.buf.write(latin1, this.pos, length, 'latin1')
  }

  /** The text must be well-formed: half a surrogate pair has no UTF-8. */
  writeString(text: string): void {
    if (text.length <= ASCII_LENGTH_MAX && this.#writeAscii(text)) return
    if (HALF_PAIR.test(text)) throw new Error('half of a surrogate pair')
    const length = Buffer.byteLength(text)
    this.writeLong(length)
    this.#reserve(length)
    this.pos += this.buf.write(text, this.pos, length, 'utf8')
  }

  /** False, and nothing written, when the text is not all ASCII. A call into the engine would cost more than this. */
  #writeAscii(text: string): boolean {
    this.#reserve(text.length + 1)
    const { buf, pos } = this
    buf[pos] = text.length << 1
    for (let i = 0; i < text.length; i++) {
      const code = text.charCodeAt(i)
      if (code > 0x7f) return false
      buf[pos + 1 + i] = code
    }
    this.pos = pos + 1 + text.length
    return true
  }

  #reserve(bytes: number): void {
    if (this.pos + bytes > this.buf.length) this.#grow(bytes)
  }

  #grow(bytes: number): void {
    const needed = this.length + bytes
    const larger = Buffer.allocUnsafeSlow(needed <= SLAB_BYTES / 2 ? SLAB_BYTES : needed * 2)
    const begun = this.buf.subarray(this.#from, this.pos)
    larger.set(begun)
    this.#renew(larger)
    this.pos = begun.length
  }

  #renew(buf: Buffer): void {
    this.buf = buf
    this.pos = 0
    this.#from = 0
  }
}

/** Half of a surrogate pair. */
export const HALF_PAIR = /\p{Surrogate}/u
