/** Lines out of a stream of bytes, as they come, each with its number, however they are cut into chunks. */
import { isUtf8 } from 'node:buffer'

/** One line, without its end. */
export interface Line {
  readonly number: number
  readonly bytes: Buffer
}

/** Longer than any record a log takes: such a line is no record, and would fill the memory. */
const LINE_BYTES_MAX = 64 * 1024 * 1024

/** A line that is none: too long. */
export class LongLine extends Error {
  constructor(readonly number: number) {
    super(`it is longer than ${LINE_BYTES_MAX / 1024 / 1024} MB`)
  }
}

/**
 * The lines that are not blank, as text has them, many at once; `raw`: all lines, with every byte between their ends.
 * Throws `LongLine`, and what the input throws.
 */
export async function* linesOf(input: AsyncIterable<Uint8Array>, raw = false): AsyncGenerator<Line[], void> {
  const add = raw ? addRaw : addText
  let number = 0
  let parts: Buffer[] = []
  let held = 0
  for await (const given of input) {
    const chunk = Buffer.from(given.buffer, given.byteOffset, given.byteLength)
    const lines: Line[] = []
    let from = 0
    for (let at = chunk.indexOf(10); at >= 0; at = chunk.indexOf(10, from)) {
      const tail = chunk.subarray(from, at)
      from = at + 1
      add(lines, ++number, parts.length === 0 ? tail : Buffer.concat([...parts, tail]))
      if (held > 0) [parts, held] = [[], 0]
    }
    if (from < chunk.length) {
      parts.push(chunk.subarray(from))
      held += chunk.length - from
      if (held > LINE_BYTES_MAX) throw new LongLine(number + 1)
    }
    if (lines.length > 0) yield lines
  }
  const last: Line[] = []
  if (held > 0) add(last, number + 1, Buffer.concat(parts))
  if (last.length > 0) yield last
}

const BOM = Buffer.from([0xef, 0xbb, 0xbf])

function addRaw(lines: Line[], number: number, bytes: Buffer): void {
  lines.push({ number, bytes })
}

function addText(lines: Line[], number: number, whole: Buffer): void {
  let bytes = whole.at(-1) === 13 ? whole.subarray(0, -1) : whole
  if (number === 1 && bytes.subarray(0, 3).equals(BOM)) bytes = bytes.subarray(3)
  if (bytes.some(byte => byte !== 32 && byte !== 9)) lines.push({ number, bytes })
}

/** The JSON value in these bytes; throws an error that says what is wrong with them. */
export function jsonOf(bytes: Buffer): unknown {
  if (!isUtf8(bytes)) throw new Error('it is not UTF-8 text')
  try {
    return JSON.parse(bytes.toString('utf8'))
  } catch {
    const text = bytes.toString('utf8').trim()
    const start = JSON.stringify(text.length > 40 ? `${text.slice(0, 37)}...` : text)
    throw new Error(`it is not JSON: ${start}`)
  }
}
