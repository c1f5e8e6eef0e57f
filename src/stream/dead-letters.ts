/**
 * The records that a pipeline could not process, as they stand in a stream of their own: the bytes as they came, where
 * they came from, and why. JSON, so that any client can read them.
 */
import { messageOf, StreamNodeError } from '../errors.js'
import type { LogRecord, Position } from '../log/record.js'
import type { Framed } from './batch.js'
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
  readonly headers?: Readonly<Record<string, string>>
  /** Its key, where its publisher gave one beside the value and a message holds many. */
  readonly key?: Key
  /** The payload as base64, unless the letter would be larger than a record may be. */
  readonly bytes?: string
  /** Of the payload. */
  readonly size: number
  readonly error: LetterError
  /** How often it was tried. */
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
export function deadLettersOf(pipeline: string, partitions: number): Stream<DeadLetter> {
  return stream<DeadLetter>(`${pipeline}-dead-letters`, { partitions })
}

const CAUSES_MAX = 10
const MESSAGE_MAX = 4096

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
    time: one?.framed.time ?? record.time,
    ...headersOf(record, one?.framed),
    ...(one?.framed.key !== undefined && { key: one.framed.key }),
    size: payload.length,
    error: errorOf(error, where),
    attempts: given.attempts,
    at: given.at,
  }
  const whole = Buffer.from(JSON.stringify({ ...letter, bytes: Buffer.from(payload).toString('base64') }))
  if (whole.length <= bytesMax) return whole
  // What is needed to find it again is much smaller than any log's limit.
  const cut = Buffer.from(JSON.stringify(letter))
  if (cut.length <= bytesMax) return cut
  const { headers: _, ...bare } = letter
  return Buffer.from(JSON.stringify(bare))
}

/** The original payload; undefined when the letter had no room for it. */
export function payloadOf({ bytes }: DeadLetter): Uint8Array | undefined {
  return bytes === undefined ? undefined : Buffer.from(bytes, 'base64')
}

function headersOf(record: LogRecord, framed: Framed | undefined): { headers?: Readonly<Record<string, string>> } {
  const headers = framed === undefined ? record.headers() : (framed.headers ?? {})
  return Object.keys(headers).length === 0 ? {} : { headers: { ...headers } }
}

function errorOf(error: unknown, where: string | undefined): LetterError {
  const causes: string[] = []
  for (let at = causeOf(error); at !== undefined && causes.length < CAUSES_MAX; at = causeOf(at)) {
    causes.push(cut(messageOf(at)))
  }
  return {
    name: error instanceof Error ? error.name : typeof error,
    ...(error instanceof StreamNodeError && { code: error.code }),
    message: cut(messageOf(error)),
    ...(where !== undefined && { where }),
    ...(causes.length > 0 && { causes }),
  }
}

function causeOf(error: unknown): unknown {
  return error instanceof Error ? error.cause : undefined
}

function cut(text: string): string {
  return text.length <= MESSAGE_MAX ? text : `${text.slice(0, MESSAGE_MAX - 3)}...`
}
