/**
 * What a stream is, as a value: its name, how its records find their key, time, partition and bytes. Making one checks
 * every option at once and connects to nothing.
 */
import type { StandardSchemaV1 } from '@standard-schema/spec'
import type { Codec } from '../codec/codec.js'
import { json } from '../codec/json.js'
import { ownCodec, type OwnCodec } from '../codec/own.js'
import { badOption, duration, knownOptions, size, whole, type Duration, type Size } from '../options.js'
import { idRule, keyRule, timeRule, type Rule } from './derive.js'
import type { Key } from './key.js'
import { goodName } from './name.js'

/** How TypeScript sees what a source gives; nothing stands behind it at run time. */
export interface Gives<out T> {
  readonly out?: readonly [T]
}
/** How TypeScript sees what a target takes; nothing stands behind it at run time. */
export interface Takes<in T> {
  readonly in?: (value: T) => void
}

// Symbol.for, so that definitions made by one copy of the package are known to another.
const GIVES: unique symbol = Symbol.for('stream-node.gives')
export const TAKES: unique symbol = Symbol.for('stream-node.takes')
const SETTINGS: unique symbol = Symbol.for('stream-node.stream/1')

/** Something to read. */
export interface Source<out T> {
  readonly name: string
  readonly [GIVES]: Gives<T>
}

/** Something to write. */
export interface Target<in T> {
  readonly kind: 'stream' | 'sink'
  readonly name: string
  readonly [TAKES]: Takes<T>
}

/** A named, partitioned, durable sequence of records: a frozen value that `stream` makes. */
export interface Stream<in out T> extends Source<T>, Target<T> {
  readonly kind: 'stream'
  readonly partitions: number
  readonly [SETTINGS]: StreamSettings<T>
}

/** The fields of T whose values fit; any name when T is unknown. */
export type FieldOf<T, V> = unknown extends T
  ? string
  : { [N in keyof T & string]-?: T[N] extends V ? N : never }[keyof T & string]

export interface StreamOptions<T> {
  /**
   * Records of one key keep their order. A function, or the name of a text field; a name is kept with the stream, so
   * that the command line knows it too. May be left out where each record brings its key, or has none.
   */
  readonly key?: ((value: T) => Key) | FieldOf<T, string>
  /** When it happened, in ms since 1970 or as a Date: a function or a field. Default: when the log took the record. */
  readonly time?: ((value: T) => number | Date) | FieldOf<T, number | Date>
  /** Names a record, so that publishing it twice within `dedupWindow` stores it once: a function or a field. */
  readonly id?: ((value: T) => string) | FieldOf<T, string>
  /** How many partitions, 1 to 4096. Default 6. It can not be changed later. */
  readonly partitions?: number
  /** How values become bytes: one of ours, or two functions of one's own with a name. Default `json()`. */
  readonly codec?: Codec<T> | OwnCodec<T>
  /**
   * Any Standard Schema; it also gives the stream its type. Values pass it on their way in, before anything is derived
   * from them, and on their way out, so it must take what it gives.
   */
  readonly validate?: StandardSchemaV1<unknown, T>
  /** One record a message, which any NATS client can read and write, or many, which is faster. Default `'message'`. */
  readonly format?: Format
  /** How far behind the latest time a record may come and still be in time. Default 1 second. */
  readonly outOfOrderness?: Duration
  /** After how long a silence time goes on with the clock. Default 5 seconds. */
  readonly idleAfter?: Duration
  /** For how long the log knows the ids of records. Default 20 seconds. */
  readonly dedupWindow?: Duration
  /** What may be dropped, oldest first. Default: nothing. */
  readonly retention?: { readonly age?: Duration; readonly bytes?: Size; readonly records?: number }
  /** How many servers of a cluster keep the records. Default 1. */
  readonly replicas?: 1 | 3 | 5
  /** Reads a JetStream stream that others write, as one partition, and never writes to it. `subject` may have `*`, `>`. */
  readonly source?: { readonly stream: string; readonly subject?: string }
}

export type Format = 'message' | 'batch'

/** A stream's options with everything set; what may be left to the log as it stands is absent when it was not given. */
export interface StreamSettings<in out T> {
  readonly key: Rule<T, Key> | undefined
  /** The stream is known by its name only: what its program alone knows is missing, and it is never made. */
  readonly byName?: { readonly keyInCode: boolean }
  readonly time: Rule<T, number> | undefined
  readonly id: Rule<T, string> | undefined
  readonly codec: Codec<T>
  readonly validate?: StandardSchemaV1<unknown, T>
  readonly format: Format
  readonly outOfOrdernessMs: number
  readonly idleAfterMs: number
  readonly dedupWindowMs?: number
  readonly retention?: { readonly ageMs?: number; readonly bytes?: number; readonly records?: number }
  readonly replicas?: number
  readonly source?: { readonly stream: string; readonly subject: string }
}

export const PARTITIONS_DEFAULT = 6
export const OUT_OF_ORDERNESS_DEFAULT_MS = 1000
export const IDLE_AFTER_DEFAULT_MS = 5000

const OPTIONS = [
  ...['key', 'time', 'id', 'partitions', 'codec', 'validate', 'format', 'outOfOrderness', 'idleAfter', 'dedupWindow'],
  ...['retention', 'replicas', 'source'],
]

/**
 * Defines a stream. Nothing connects and nothing is made: that happens when the stream is first written or read.
 * Throws a `DefinitionError` for a name or an option that cannot be.
 */
export function stream<T = unknown>(name: string, options: StreamOptions<T> = {}): Stream<T> {
  goodName(name)
  const where = `stream "${name}"`
  knownOptions(where, options, OPTIONS)
  const settings: StreamSettings<T> = {
    key: keyRule(where, options.key),
    time: timeRule(where, options.time),
    id: idRule(where, options.id),
    codec: codecFrom(where, options.codec),
    ...(options.validate !== undefined && { validate: schemaFrom(where, options.validate) }),
    format: options.format ?? 'message',
    outOfOrdernessMs: duration(`outOfOrderness of ${where}`, options.outOfOrderness ?? OUT_OF_ORDERNESS_DEFAULT_MS),
    idleAfterMs: duration(`idleAfter of ${where}`, options.idleAfter ?? IDLE_AFTER_DEFAULT_MS),
    ...(options.dedupWindow !== undefined && { dedupWindowMs: dedupWindowFrom(where, options.dedupWindow) }),
    ...(options.retention !== undefined && { retention: retentionFrom(where, options.retention) }),
    ...(options.replicas !== undefined && { replicas: options.replicas }),
    ...(options.source !== undefined && { source: sourceFrom(where, options.source) }),
  }
  const partitions = partitionsFrom(where, options)
  if (!['message', 'batch'].includes(settings.format)) {
    throw badOption(`format of ${where}`, "'message' or 'batch'", options.format)
  }
  if (options.replicas !== undefined && ![1, 3, 5].includes(options.replicas)) {
    throw badOption(`replicas of ${where}`, '1, 3 or 5', options.replicas)
  }
  if (settings.format === 'batch' && settings.id !== undefined) {
    throw badOption(`id of ${where}`, "left out with format 'batch', where only whole batches have ids", options.id)
  }
  return streamOf(name, partitions, settings)
}

/** A stream from settings that were checked before. */
export function streamOf<T>(name: string, partitions: number, settings: StreamSettings<T>): Stream<T> {
  const value: Stream<T> = {
    kind: 'stream',
    name,
    partitions,
    [GIVES]: Object.freeze({}),
    [TAKES]: Object.freeze({}),
    [SETTINGS]: Object.freeze(settings),
  }
  // What a person prints should be what they wrote, not the brands.
  for (const brand of [GIVES, TAKES, SETTINGS]) Object.defineProperty(value, brand, { enumerable: false })
  return Object.freeze(value)
}

/** The settings of a stream; throws `BAD_OPTION` for anything that `stream` did not make. */
export function settingsOf<T>(given: Source<T> | Target<T>): StreamSettings<T> {
  if (isStream<T>(given)) return given[SETTINGS]
  throw badOption('the stream', "a value that stream('name') made", given)
}

/** Whether `stream`, of this copy of the package or another, made it. */
export function isStream<T>(given: unknown): given is Stream<T> {
  return typeof given === 'object' && given !== null && SETTINGS in given
}

function partitionsFrom<T>(where: string, { partitions, source }: StreamOptions<T>): number {
  const count = whole(`partitions of ${where}`, partitions ?? (source === undefined ? PARTITIONS_DEFAULT : 1), {
    min: 1,
    max: 4096,
  })
  if (source !== undefined && count !== 1) {
    throw badOption(`partitions of ${where}`, '1, for it reads a stream of others as one partition', partitions)
  }
  return count
}

/** The codec that was given, or ours. Throws `BAD_OPTION` for what is none. */
export function codecFrom<T>(where: string, codec: Codec<T> | OwnCodec<T> | undefined): Codec<T> {
  if (codec === undefined) return json<T>()
  const { open, encode, decode } = Object(codec) as Partial<Codec<T> & OwnCodec<T>>
  if (typeof encode === 'function' && typeof decode === 'function') return ownCodec(where, codec as OwnCodec<T>)
  if (typeof open === 'function') return codec as Codec<T>
  throw badOption(`codec of ${where}`, 'a codec such as json(), or one of your own: { name, encode, decode }', codec)
}

function schemaFrom<T>(where: string, schema: StandardSchemaV1<unknown, T>): StandardSchemaV1<unknown, T> {
  if (typeof (schema as Partial<StandardSchemaV1> | null)?.['~standard']?.validate === 'function') return schema
  throw badOption(`validate of ${where}`, 'a Standard Schema, as zod, valibot or arktype make them', schema)
}

function dedupWindowFrom(where: string, given: unknown): number {
  // A server refuses windows below 100 ms.
  return duration(`dedupWindow of ${where}`, given, { min: 100 })
}

function retentionFrom(where: string, given: NonNullable<StreamOptions<unknown>['retention']>) {
  knownOptions(`retention of ${where}`, given, ['age', 'bytes', 'records'])
  return Object.freeze({
    ...(given.age !== undefined && { ageMs: duration(`retention.age of ${where}`, given.age, { min: 100 }) }),
    ...(given.bytes !== undefined && { bytes: size(`retention.bytes of ${where}`, given.bytes, { min: 1 }) }),
    ...(given.records !== undefined && { records: whole(`retention.records of ${where}`, given.records, { min: 1 }) }),
  })
}

function sourceFrom(where: string, given: NonNullable<StreamOptions<unknown>['source']>) {
  knownOptions(`source of ${where}`, given, ['stream', 'subject'])
  const { stream: name, subject = '>' } = given
  // Streams of others may have any name that NATS allows, which is more than we allow ours.
  if (typeof name !== 'string' || !/^[^\s.*>/\\]+$/.test(name)) {
    throw badOption(`source.stream of ${where}`, 'the name of a JetStream stream', name)
  }
  if (typeof subject !== 'string' || !/^[^\s.]+(\.[^\s.]+)*$/.test(subject)) {
    throw badOption(`source.subject of ${where}`, "a subject such as 'orders.*'", subject)
  }
  return Object.freeze({ stream: name, subject })
}
