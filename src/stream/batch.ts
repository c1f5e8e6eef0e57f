/**
 * The framing of many records in one message, byte by byte as `docs/reference/wire.md` has it. Reading trusts nothing:
 * whatever the bytes are, it gives records or a `BAD_BYTES` error, and takes memory in proportion to them.
 */
import { isUtf8 } from 'node:buffer'
import { InvariantError, RecordError } from '../errors.js'
import type { Key } from './key.js'

/** One record in a batch. */
export interface Framed {
  readonly key?: Key | undefined
  /** All records of a batch have a time, or none. */
  readonly time?: number | undefined
  readonly headers?: Readonly<Record<string, string>> | undefined
  readonly payload: Uint8Array
}

/** The most records in one batch, and the most headers in all of them: a message of 1 MB must not become 100 MB here. */
export const BATCH_RECORDS_MAX = 65_536
const BATCH_HEADERS_MAX = 65_536

const VERSION = 1
const KEYS = 1
const TIMES = 2
const HEADERS = 4

/** The payload of a message that holds these records, 1 to `BATCH_RECORDS_MAX`. */
export function encodeBatch(records: readonly Framed[]): Uint8Array {
  if (records.length === 0 || records.length > BATCH_RECORDS_MAX) {
    throw new InvariantError(`a batch of ${records.length} records`)
  }
  const timed = records[0]?.time !== undefined
  let flags = timed ? TIMES : 0
  let bytes = 0
  for (const { key, headers, payload } of records) {
    if (key !== undefined) flags |= KEYS
    if (headers !== undefined) flags |= HEADERS
    bytes += payload.length + (key?.length ?? 0) + 16
  }
  const out = new Writer(bytes)
  out.byte(VERSION)
  out.byte(flags)
  out.varint(records.length)
  let before = 0
  for (const { key, time, headers, payload } of records) {
    if (flags & KEYS) {
      if (key === undefined) out.varint(0)
      else out.text(key, 1)
    }
    if ((time !== undefined) !== timed)
      throw new InvariantError('a batch in which some records have a time and some none')
    if (time !== undefined) {
      out.signed(time - before)
      before = time
    }
    if (flags & HEADERS) {
      const pairs = Object.entries(headers ?? {})
      out.varint(pairs.length)
      for (const [name, value] of pairs) {
        out.text(name, 0)
        out.text(value, 0)
      }
    }
    out.bytes(payload)
  }
  return out.done()
}

/** The records of a batch; their payloads are views into it. Throws `BAD_BYTES`. */
export function decodeBatch(payload: Uint8Array): Framed[] {
  const from = new Reader(payload)
  const version = from.byte()
  if (version !== VERSION) throw bad(`version ${version} is unknown`)
  const flags = from.byte()
  if (flags & ~(KEYS | TIMES | HEADERS)) throw bad(`flags ${flags} are unknown`)
  const count = from.varint()
  if (count === 0 || count > BATCH_RECORDS_MAX) throw bad(`it says that it has ${count} records`)
  if (count > from.left) throw bad(`it says that it has ${count} records, and has ${from.left} bytes for them`)
  const records: Framed[] = []
  let time = 0
  let headersLeft = BATCH_HEADERS_MAX
  for (let i = 0; i < count; i++) {
    const key = flags & KEYS ? from.maybeText() : undefined
    if (flags & TIMES) {
      time += from.signed()
      if (!Number.isSafeInteger(time)) throw bad('a time is out of range')
    }
    let headers: Record<string, string> | undefined
    if (flags & HEADERS) {
      const pairs = from.varint()
      headersLeft -= pairs
      if (headersLeft < 0) throw bad('it has too many headers')
      if (pairs > 0) headers = Object.create(null) as Record<string, string>
      for (let n = 0; n < pairs; n++)
        (headers as Record<string, string>)[from.text(from.varint())] = from.text(from.varint())
    }
    records.push({ key, time: flags & TIMES ? time : undefined, headers, payload: from.bytes(from.varint()) })
  }
  if (from.left > 0) throw bad(`${from.left} bytes follow its last record`)
  return records
}

class Writer {
  #buffer: Buffer
  #at = 0

  constructor(guess: number) {
    this.#buffer = Buffer.allocUnsafe(guess + 16)
  }

  byte(value: number): void {
    this.#reserve(1)
    this.#buffer[this.#at++] = value
  }

  varint(value: number): void {
    this.#reserve(10)
    let rest = value
    while (rest > 0x7f) {
      this.#buffer[this.#at++] = (rest % 128) | 0x80
      rest = Math.floor(rest / 128)
    }
    this.#buffer[this.#at++] = rest
  }

  /** Zigzag without a 64-bit shift: times fit a double's whole numbers twice over. */
  signed(value: number): void {
    this.varint(value < 0 ? -value * 2 - 1 : value * 2)
  }

  text(value: string, offset: number): void {
    const length = Buffer.byteLength(value)
    this.varint(length + offset)
    this.#reserve(length)
    this.#at += this.#buffer.write(value, this.#at, length, 'utf8')
  }

  bytes(value: Uint8Array): void {
    this.varint(value.length)
    this.#reserve(value.length)
    this.#buffer.set(value, this.#at)
    this.#at += value.length
  }

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

class Reader {
  readonly #buffer: Buffer
  #at = 0

  constructor(payload: Uint8Array) {
    this.#buffer = Buffer.from(payload.buffer, payload.byteOffset, payload.byteLength)
  }

  get left(): number {
    return this.#buffer.length - this.#at
  }

  byte(): number {
    if (this.left === 0) throw bad('it ends too early')
    return this.#buffer[this.#at++] as number
  }

  varint(): number {
    let value = 0
    let scale = 1
    for (;;) {
      const byte = this.byte()
      value += (byte & 0x7f) * scale
      if (value > Number.MAX_SAFE_INTEGER) throw bad('a number is too large')
      if (byte < 0x80) return value
      scale *= 128
      if (scale > 2 ** 53) throw bad('a number is too long')
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
    const bytes = this.bytes(length)
    const text = bytes.toString('utf8')
    // Only a text with the replacement character can have been malformed.
    if (text.includes('\ufffd') && !isUtf8(bytes)) throw bad('a text in it is not UTF-8')
    return text
  }

  bytes(length: number): Buffer {
    if (length > this.left) throw bad(`it says that ${length} bytes follow, and ${this.left} do`)
    this.#at += length
    return this.#buffer.subarray(this.#at - length, this.#at)
  }
}

function bad(what: string): RecordError {
  return new RecordError(
    'BAD_BYTES',
    `the bytes are no batch of records: ${what}`,
    'see who writes to this stream, and in which format',
  )
}
