/**
 * The words all rooms share about what a log holds, and the header block that every kind stores as it is: the bytes of
 * NATS headers (`NATS/1.0`, then `Name: value` lines), written once and searched in place.
 */

/**
 * Where a record stands in its stream: a whole number above 0, growing by at least 1 from record to record. It is
 * counted per stream, not per partition, so within one partition there are gaps.
 */
export type Position = number

/** The position before the first record. */
export const START: Position = 0

/** The header that names a record for repeats: two appends with one id within the window store one record. */
export const ID_HEADER = 'Nats-Msg-Id'

/** One stored record, as the log gives it back. Its bytes are a view into what was read: copy them to keep them long. */
export class LogRecord {
  constructor(
    readonly partition: number,
    readonly position: Position,
    /** When the log took it: ms since 1970 by the log's own clock. */
    readonly time: number,
    /** The raw header block; empty when the record has none. */
    readonly head: Uint8Array,
    readonly payload: Uint8Array,
  ) {}

  /** The id it was appended with, if any. */
  get id(): string | undefined {
    return this.header(ID_HEADER)
  }

  /** The first value of a header, or undefined. The name is compared exactly. */
  header(name: string): string | undefined {
    return this.head.length === 0 ? undefined : findHeader(this.head, name)
  }

  /** All headers, in order; of a name that comes twice the first value holds. */
  headers(): Record<string, string> {
    return decodeHeaders(this.head)
  }

  /** What it weighs against a bound in bytes. */
  get bytes(): number {
    return this.head.length + this.payload.length
  }
}

const VERSION_LINE = 'NATS/1.0\r\n'
const EMPTY = new Uint8Array(0)

/** The header block for these headers; empty when there are none. Names and values must have passed `headerFault`. */
export function encodeHeaders(headers: Readonly<Record<string, string>> | undefined, id?: string): Uint8Array {
  let text = id === undefined ? '' : `${ID_HEADER}: ${id}\r\n`
  if (headers !== undefined) for (const name in headers) text += `${name}: ${headers[name]}\r\n`
  return text === '' ? EMPTY : Buffer.from(`${VERSION_LINE}${text}\r\n`)
}

/** What is wrong with a header, or undefined: the block is text in lines, so names and values must be such. */
export function headerFault(name: string, value: string): string | undefined {
  if (name !== goodName && !/^[!-9;-~]+$/.test(name))
    return `header name ${JSON.stringify(name)} must be visible ASCII without a colon`
  if (/[\r\n]/.test(value)) return `header ${name} has a line break in its value`
  goodName = name
  return undefined
}

/** What was found good last: most records have the headers of the one before. */
let goodName = ''

function decodeHeaders(head: Uint8Array): Record<string, string> {
  const headers = Object.create(null) as Record<string, string>
  const lines = text(head).split('\r\n')
  for (let i = 1; i < lines.length; i++) {
    const line = lines[i] as string
    const colon = line.indexOf(':')
    if (colon > 0) headers[line.slice(0, colon)] ??= line.slice(colon + 1).trim()
  }
  return headers
}

function findHeader(head: Uint8Array, name: string): string | undefined {
  const block = text(head)
  const at = block.indexOf(`\r\n${name}:`)
  if (at < 0) return undefined
  const from = at + name.length + 3
  return block.slice(from, block.indexOf('\r\n', from)).trim()
}

function text(head: Uint8Array): string {
  return Buffer.from(head.buffer, head.byteOffset, head.byteLength).toString('utf8')
}
