/** Writes the primitives of Avro's binary encoding, in place of the schema library's own writer, which encodes twice. */
import { tooDeep } from './guards.js'

const TWO_27 = 2 ** 27
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
