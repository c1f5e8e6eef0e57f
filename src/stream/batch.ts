/**
 * The framing of many records in one message, byte by byte as `docs/reference/wire.md` has it. Reading trusts nothing:
 * whatever the bytes are, it gives records or a `BAD_BYTES` error, and takes memory in proportion to them.
 */
import { OctetReader, OctetWriter } from '../codec/octets.js'
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
  const out = new OctetWriter(bytes)
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
        out.text(name)
        out.text(value)
      }
    }
    out.bytes(payload)
  }
  return out.done()
}

/** The records of a batch; their payloads are views into it. Throws `BAD_BYTES`. */
export function decodeBatch(payload: Uint8Array): Framed[] {
  const from = new OctetReader(payload, bad)
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

function bad(what: string): RecordError {
  return new RecordError(
    'BAD_BYTES',
    `the bytes are no batch of records: ${what}`,
    'see who writes to this stream, and in which format',
  )
}
