/**
 * The names of outputs, as `docs/reference/wire.md` has them: the id by which each is told from all others, and the
 * header `Sn-Out` beside it. Read from the bytes of the header block, since every record of every pipeline passes here.
 */
import { IntegrityError } from '../errors.js'
import { HeaderSearch } from '../log/header-search.js'
import { ID_HEADER, type LogRecord } from '../log/record.js'
import { KnownTexts } from './known-texts.js'

export const OUT_HEADER = 'Sn-Out'

/** No id is sent before all that stand this far below it are acknowledged, so no reader ever holds more of one writer. */
export const OUTPUT_WINDOW = 4096

/** What a record says of itself as an output of a pipeline. */
export interface Out {
  /** Who wrote it and for which partition: all of the id but the number. Its numbers are counted from 1. */
  readonly writer: string
  readonly n: number
  /** Every number up to this one was acknowledged before this record was sent. */
  readonly confirmed: number
  /** The first 8 hex digits of the hash of the ledger entry that it came from. */
  readonly entry: string
}

/** The writer of outputs for one target, a partition of a stream or a sink as `targetName` has it; all of its ids begin so. */
export function outputWriter(
  from: { readonly pipeline: string; readonly incarnation: string; readonly stage: number; readonly partition: number },
  target: number | string,
): string {
  return `${from.pipeline}/${from.incarnation}/${from.stage}.${from.partition}>${target}`
}

export function outputId(writer: string, n: number): string {
  return `${writer}/${n}`
}

/** The value of `Sn-Out`. `entry`: the first 8 hex digits of the entry's hash. */
export function outHeader(confirmed: number, entry: string): string {
  return `1 ${confirmed} ${entry}`
}

/**
 * What a record says of itself as an output; undefined for everybody else's, those included that have a header of this
 * name which no pipeline wrote. Throws `BAD_LOG` for one of a later wire version, which must not be taken for another's;
 * `stream` is the name to say then.
 */
export function outOf(record: LogRecord, stream?: string): Out | undefined {
  const { head } = record
  const from = head.length === 0 ? -1 : OUT.in(head)
  return from < 0 ? undefined : read(head, from, record, stream)
}

const OUT = new HeaderSearch(OUT_HEADER)
const ID = new HeaderSearch(ID_HEADER)
const writers = new KnownTexts()
const entries = new KnownTexts()
const SPACE = 0x20
const SLASH = 0x2f
const ZERO = 0x30
const TARGET = 0x3e
const RETURN = 0x0d
const DIGITS_MAX = 15

function read(head: Uint8Array, from: number, record: LogRecord, stream: string | undefined): Out | undefined {
  let at = afterSpaces(head, from)
  const versionEnd = afterDigits(head, at)
  if (versionEnd === at || head[versionEnd] !== SPACE) return undefined
  if (versionEnd !== at + 1 || head[at] !== ZERO + 1)
    throw laterVersion(entries.of(head, at, versionEnd), record, stream)
  at = versionEnd + 1
  const confirmedEnd = afterDigits(head, at)
  const confirmed = number(head, at, confirmedEnd)
  if (confirmed === undefined || head[confirmedEnd] !== SPACE) return undefined
  at = confirmedEnd + 1
  const entryEnd = afterHex(head, at)
  if (entryEnd !== at + 8 || head[afterSpaces(head, entryEnd)] !== RETURN) return undefined
  const id = ID.in(head)
  return id < 0 ? undefined : named(head, id, confirmed, entries.of(head, at, entryEnd))
}

function named(head: Uint8Array, from: number, confirmed: number, entry: string): Out | undefined {
  const start = afterSpaces(head, from)
  let end = head.indexOf(RETURN, start)
  while (head[end - 1] === SPACE) end--
  const digits = beforeDigits(head, end)
  const n = number(head, digits, end)
  const slash = digits - 1
  if (n === undefined || n === 0 || head[slash] !== SLASH) return undefined
  const target = beforeDigits(head, slash)
  if (target === slash || head[target - 1] !== TARGET || target - 1 <= start) return undefined
  return { writer: writers.of(head, start, slash), n, confirmed, entry }
}

/** One text for one number: no leading zeros, nothing beyond what a double holds. */
function number(head: Uint8Array, from: number, to: number): number | undefined {
  if (from === to || to - from > DIGITS_MAX || (head[from] === ZERO && to - from > 1)) return undefined
  let value = 0
  for (let at = from; at < to; at++) value = value * 10 + (head[at] as number) - ZERO
  return value
}

function isDigit(byte: number | undefined): boolean {
  return byte !== undefined && byte >= ZERO && byte <= ZERO + 9
}

function afterSpaces(head: Uint8Array, from: number): number {
  let at = from
  while (head[at] === SPACE) at++
  return at
}

function afterDigits(head: Uint8Array, from: number): number {
  let at = from
  while (isDigit(head[at])) at++
  return at
}

function beforeDigits(head: Uint8Array, from: number): number {
  let at = from
  while (isDigit(head[at - 1])) at--
  return at
}

function afterHex(head: Uint8Array, from: number): number {
  let at = from
  for (let byte = head[at]; isDigit(byte) || (byte !== undefined && byte >= 0x61 && byte <= 0x66); byte = head[at]) at++
  return at
}

function laterVersion(version: string, { partition, position }: LogRecord, stream: string | undefined): IntegrityError {
  const where = stream === undefined ? `partition ${partition}` : `stream "${stream}", partition ${partition}`
  const what = `the output at position ${position} of ${where} has wire version ${version}, and this program knows 1`
  return new IntegrityError('BAD_LOG', what, 'read it with the release that wrote it, or a later one', {
    facts: { ...(stream !== undefined && { stream }), partition, position },
  })
}
