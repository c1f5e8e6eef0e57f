/**
 * The records that a pipeline could not process, as they stand in a stream of their own: the bytes as they came, where
 * they came from, and why; and between them which of these are done with. JSON, so that any client can read them.
 */
import { boundedJson } from '../codec/bounded-json.js'
import { FORBIDDEN_KEY } from '../codec/guards.js'
import { messageOf, StreamNodeError } from '../errors.js'
import { encodeHeaders, headerFault, LogRecord, type Position } from '../log/record.js'
import { decodeBatch, encodeBatch, type Framed } from './batch.js'
import type { Key } from './key.js'
import { stream, type Stream } from './stream.js'

/** A record that could not be processed. */
export interface DeadLetter {
  readonly pipeline: string
  readonly stage: number
  /** Where it stands, or stood. */
  readonly stream: string
  readonly partition: number
  readonly position: Position
  /** Which record of its message it is, where a message holds many. */
  readonly index?: number
  /** When the log took it, ms since 1970. */
  readonly time: number
  /** Those that are a visible name and one line of text; of a name that comes twice the first. */
  readonly headers?: Readonly<Record<string, string>>
  /**
   * As base64 all of them, where `headers` lacks one: the block as it came, or of one in a batch a batch of one record that
   * has them and no payload.
   */
  readonly head?: string
  /** Its key, where its publisher gave one beside the value and a message holds many. */
  readonly key?: Key
  /** Likewise its time. */
  readonly ownTime?: number
  /** The payload as base64, unless the letter would be larger than a record may be. */
  readonly bytes?: string
  /** Of the payload. */
  readonly size: number
  readonly error: LetterError
  /** How often it was tried, with a wait before each time but the first. */
  readonly attempts: number
  /** When it was given up, ms since 1970. */
  readonly at: number
}

export interface LetterError {
  /** `TypeError`, `RecordError`. */
  readonly name: string
  /** Where the error is one of ours. */
  readonly code?: string
  readonly message: string
  /** `step 2 (map) of pipeline "p"`; absent where the record could not be read. */
  readonly where?: string
  /** The messages of what caused it, the nearest first. */
  readonly causes?: readonly string[]
}

/** What became of a letter: its record was walked again, or is not wanted any more. */
export type How = 'retried' | 'dropped'

/** Stands in the same partition behind the letter that it is about: that one is done with. */
export interface Resolution {
  /** The position of the letter in the stream of dead letters. */
  readonly resolves: Position
  readonly how: How
  /** When, ms since 1970. */
  readonly at: number
}

/** Why and when a record was given up. */
export interface GivenUp {
  readonly pipeline: string
  readonly stage: number
  readonly stream: string
  readonly error: unknown
  readonly where: string | undefined
  readonly attempts: number
  readonly at: number
}

/** The dead letters of a pipeline: a stream with as many partitions as its sources have. */
export function deadLettersOf(pipeline: string, partitions: number): Stream<DeadLetter | Resolution> {
  return stream<DeadLetter | Resolution>(deadLettersName(pipeline), { partitions })
}

/** The name of that stream. */
export function deadLettersName(pipeline: string): string {
  return `${pipeline}${SUFFIX}`
}

/** The pipeline whose dead letters stand in a stream of this name; undefined for other names. */
export function pipelineOfLetters(name: string): string | undefined {
  return name.endsWith(SUFFIX) && name.length > SUFFIX.length ? name.slice(0, -SUFFIX.length) : undefined
}

const SUFFIX = '-dead-letters'

const CAUSES_MAX = 10
const MESSAGE_MAX = 4096
const LEAST_MAX = 60
const NOTHING = new Uint8Array(0)

/** The bytes of a letter, of `bytesMax` at the most. `one`: the record of the message that is meant, where it holds many. */
export function encodeLetter(
  record: LogRecord,
  one: { readonly framed: Framed; readonly index: number } | undefined,
  { error, where, ...given }: GivenUp,
  bytesMax: number,
): Uint8Array {
  const payload = one?.framed.payload ?? record.payload
  const letter: DeadLetter = {
    ...{ pipeline: given.pipeline, stage: given.stage },
    ...{ stream: given.stream, partition: record.partition, position: record.position },
    ...(one !== undefined && { index: one.index }),
    time: record.time,
    ...headersOf(record, one?.framed),
    ...(one?.framed.key !== undefined && { key: one.framed.key }),
    ...(one?.framed.time !== undefined && { ownTime: one.framed.time }),
    size: payload.length,
    error: errorOf(error, where),
    attempts: given.attempts,
    at: given.at,
  }
  let encoded: Uint8Array = new Uint8Array(0)
  for (const form of formsOf(letter, payload)) {
    encoded = Buffer.from(JSON.stringify(form))
    if (encoded.length <= bytesMax) break
  }
  return encoded
}

/** From the whole letter to the least: what is needed to find the record again, which is smaller than any log's limit. */
function* formsOf(letter: DeadLetter, payload: Uint8Array): Generator<object> {
  yield { ...letter, bytes: Buffer.from(payload).toString('base64') }
  yield letter
  const error = { ...letter.error, causes: undefined, where: undefined }
  const bare = { ...letter, headers: undefined, head: undefined, key: undefined, error }
  yield bare
  yield { ...bare, error: { ...error, name: cut(error.name, LEAST_MAX), message: cut(error.message, LEAST_MAX) } }
}

/** The bytes that say of a letter that it is done with. */
export function encodeResolution(resolution: Resolution): Uint8Array {
  return Buffer.from(JSON.stringify(resolution))
}

/** What stands in a stream of dead letters; undefined for what no pipeline wrote there. */
export function letterIn(payload: Uint8Array): DeadLetter | Resolution | undefined {
  let found: unknown
  try {
    found = boundedJson(payload)
  } catch {
    return undefined
  }
  return isLetter(found) || isResolution(found) ? found : undefined
}

export function isResolution(found: unknown): found is Resolution {
  if (!isObject(found)) return false
  const { resolves, how, at } = found
  return isCount(resolves) && (how === 'retried' || how === 'dropped') && isCount(at)
}

export function isLetter(found: unknown): found is DeadLetter {
  if (!isObject(found) || !isObject(found['error'])) return false
  const { pipeline, stream, headers, head, key, bytes, error, index, ownTime } = found
  const counts = [found['stage'], found['partition'], found['position'], found['size'], found['attempts'], found['at']]
  const texts = [pipeline, stream, error['name'], error['message']]
  return (
    counts.every(isCount) &&
    Number.isFinite(found['time']) &&
    texts.every(text => typeof text === 'string') &&
    [head, key, bytes, error['code'], error['where']].every(text => text === undefined || typeof text === 'string') &&
    (index === undefined || isCount(index)) &&
    (ownTime === undefined || Number.isSafeInteger(ownTime)) &&
    (headers === undefined || (isObject(headers) && Object.entries(headers).every(isHeader)))
  )
}

/**
 * The record that a letter is about, as it came; of a message that held many a message with this one alone. `found`: what
 * stands at its place in its stream, for a letter that had no room for the bytes. Undefined where these are gone.
 */
export function recordOf(letter: DeadLetter, found?: LogRecord): LogRecord | undefined {
  const { partition, position, time, index, key, ownTime, bytes } = letter
  if (bytes === undefined) return found && oneOf(found, index)
  const payload = Buffer.from(bytes, 'base64')
  const head = letter.head === undefined ? undefined : Buffer.from(letter.head, 'base64')
  if (index === undefined) {
    return new LogRecord(partition, position, time, head ?? encodeHeaders(letter.headers), payload)
  }
  const headers = head === undefined ? letter.headers : decodeBatch(head)[0]?.headers
  return alone({ key, time: ownTime, headers, payload }, { partition, position, time })
}

function oneOf(found: LogRecord, index: number | undefined): LogRecord | undefined {
  if (index === undefined) return found
  const framed = decodeBatch(found.payload)[index]
  return framed && alone(framed, found)
}

function alone(framed: Framed, { partition, position, time }: Pick<LogRecord, 'partition' | 'position' | 'time'>) {
  return new LogRecord(partition, position, time, new Uint8Array(0), encodeBatch([framed]))
}

/** One that would not become others on its way back into a block of headers. */
function isHeader([name, value]: readonly [string, unknown]): boolean {
  return typeof value === 'string' && headerFault(name, value) === undefined
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0
}

function headersOf(record: LogRecord, framed: Framed | undefined): Pick<DeadLetter, 'headers' | 'head'> {
  const all = Object.entries(framed === undefined ? record.headers() : (framed.headers ?? {}))
  const told = all.filter(header => header[0] !== FORBIDDEN_KEY && isHeader(header))
  const head = framed === undefined ? record.head : encodeBatch([{ headers: framed.headers, payload: NOTHING }])
  return {
    ...(told.length > 0 && { headers: Object.fromEntries(told) }),
    ...(told.length < all.length && { head: Buffer.from(head).toString('base64') }),
  }
}

function errorOf(error: unknown, where: string | undefined): LetterError {
  const causes: string[] = []
  for (let at = causeOf(error); at !== undefined && causes.length < CAUSES_MAX; at = causeOf(at)) {
    causes.push(cut(messageOf(at)))
  }
  return {
    name: error instanceof Error ? cut(messageOf(error.name)) : typeof error,
    ...(error instanceof StreamNodeError && { code: error.code }),
    message: cut(messageOf(error)),
    ...(where !== undefined && { where }),
    ...(causes.length > 0 && { causes }),
  }
}

function causeOf(error: unknown): unknown {
  return error instanceof Error ? error.cause : undefined
}

function cut(text: string, max = MESSAGE_MAX): string {
  return text.length <= max ? text : `${text.slice(0, max - 3)}...`
}
