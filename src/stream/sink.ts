/**
 * What a sink is, as a value: a target outside the log, and how records are written to it. Making one checks every option
 * at once and connects to nothing.
 */
import type { Codec } from '../codec/codec.js'
import type { OwnCodec } from '../codec/own.js'
import { badOption, duration, knownOptions, size, whole, type Duration, type Size } from '../options.js'
import type { Key } from './key.js'
import { goodName } from './name.js'
import { codecFrom, TAKES, type Stream, type Target } from './stream.js'

// Symbol.for, so that definitions made by one copy of the package are known to another.
const SETTINGS: unique symbol = Symbol.for('stream-node.sink/1')

/** A target outside the log: a frozen value that `sink` makes. */
export interface Sink<in out T> extends Target<T> {
  readonly kind: 'sink'
  readonly [SETTINGS]: SinkSettings<T>
}

/** A record as a sink gets it. */
export interface SinkRecord<out T> {
  /** The same each time this record is written, and that of no other: a far side that knows it has the record already. */
  readonly id: string
  /** As the codec reads it back. */
  readonly value: T
  /** Undefined where the record it came of has none. */
  readonly key: Key | undefined
  /** When it happened, in ms since 1970. */
  readonly time: number
}

/** What `write` is called with beside the records. */
export interface SinkCall {
  /** Ends with the call's `timeout`, and when its owner ends: what comes of the call then counts for nothing. */
  readonly signal: AbortSignal
}

export interface SinkOptions<T> {
  /**
   * Writes records, in this order, and gives a promise for when all of them are there, or nothing when they are. Called once
   * they are committed, one call at a time for each partition. When it throws, rejects or takes too long, it is called again
   * with these records, or with one of them at a time, until it succeeds.
   */
  // eslint-disable-next-line @typescript-eslint/no-invalid-void-type -- so that a function that returns nothing fits, and one that gives an array does not
  readonly write: (records: readonly SinkRecord<T>[], call: SinkCall) => PromiseLike<unknown> | void
  /** How values stand in the ledger until they are written. Default `json()`. */
  readonly codec?: Codec<T> | OwnCodec<T>
  /** How much is written in one call, if so much waits: default 100 records, and '1 MB' as the codec wrote them. */
  readonly batch?: { readonly records?: number; readonly bytes?: Size }
  /** How long a call may take. Default '30 seconds'. */
  readonly timeout?: Duration
}

/** A sink's options with everything set. */
export interface SinkSettings<in out T> {
  readonly write: SinkOptions<T>['write']
  readonly codec: Codec<T>
  readonly batchRecords: number
  readonly batchBytes: number
  readonly timeoutMs: number
}

/** What a pipeline may write to. */
export type Writable = Stream<unknown> | Sink<unknown>

const OPTIONS = ['write', 'codec', 'batch', 'timeout']

/**
 * Defines a sink. Nothing connects and nothing is written until a pipeline writes to it. Throws a `DefinitionError` for a
 * name or an option that cannot be.
 */
export function sink<T = unknown>(name: string, options: SinkOptions<T>): Sink<T> {
  goodName(name, 'sink')
  const where = `sink "${name}"`
  knownOptions(where, options, OPTIONS)
  const { write, codec, batch = {}, timeout = '30 seconds' } = options
  if (typeof write !== 'function') throw badOption(`write of ${where}`, 'a function of records', write)
  knownOptions(`batch of ${where}`, batch, ['records', 'bytes'])
  const settings: SinkSettings<T> = {
    write,
    codec: codecFrom(where, codec),
    batchRecords: whole(`batch.records of ${where}`, batch.records ?? 100, { min: 1 }),
    batchBytes: size(`batch.bytes of ${where}`, batch.bytes ?? '1 MB', { min: 1 }),
    timeoutMs: duration(`timeout of ${where}`, timeout, { min: 1, max: TIMEOUT_MAX_MS }),
  }
  const value: Sink<T> = {
    kind: 'sink',
    name,
    [TAKES]: Object.freeze({}),
    [SETTINGS]: Object.freeze(settings),
  }
  // What a person prints should be what they wrote, not the brands.
  for (const brand of [TAKES, SETTINGS]) Object.defineProperty(value, brand, { enumerable: false })
  return Object.freeze(value)
}

/** A timer of Node takes no more. */
const TIMEOUT_MAX_MS = 2 ** 31 - 1

/** The settings of a sink that `sink` made. */
export function sinkSettingsOf<T>(given: Sink<T>): SinkSettings<T> {
  return given[SETTINGS]
}

/** Whether `sink`, of this copy of the package or another, made it. */
export function isSink<T>(given: unknown): given is Sink<T> {
  return typeof given === 'object' && given !== null && SETTINGS in given
}

/** What a target is called where streams and sinks stand side by side: no stream has a colon in its name. */
export function targetName({ kind, name }: Pick<Target<never>, 'kind' | 'name'>): string {
  return kind === 'sink' ? `${SINK}${name}` : name
}

/** The name of the sink that is called so there; undefined for streams. */
export function sinkNamed(called: string): string | undefined {
  return called.startsWith(SINK) ? called.slice(SINK.length) : undefined
}

const SINK = 'sink:'
