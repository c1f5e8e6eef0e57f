/**
 * What a codec is: how values become bytes and come back. A stream's definition names one; it is opened on a log, which
 * keeps the schemas that records were written under.
 */
import { DefinitionError } from '../errors.js'
import { avro, schemaMovedOn, type AvroOptions, type AvroSchema } from './avro.js'
import { bytes } from './bytes.js'
import type { GuardOptions } from './guards.js'
import { json } from './json.js'
import { CODECS } from './own.js'

/** How values become bytes. A frozen value: nothing is loaded from a log and nothing connects until it is opened. */
export interface Codec<T> {
  readonly name: string
  /** Plain JSON: what is kept with the stream's definition, so that others build ours without code. */
  readonly definition: CodecDefinition
  /**
   * Makes it ready to work on one log. To write (the default), a schema of its own is put into the store before this
   * resolves, and when that fails, so does this. To read, nothing is put, and `encode` is not to be called. Open it once
   * per log, not once per record.
   */
  open(schemas: SchemaStore, use?: Use): Promise<OpenCodec<T>>
}

/** What a codec is opened for; a writer reads as well. */
export type Use = 'read' | 'write'

/** A codec at work. Its calls are synchronous and leave no trace when they throw. */
export interface OpenCodec<T> {
  /**
   * The bytes of a value, which are the caller's from now on; they may be a view into a larger buffer. Throws a
   * `RecordError`: `INVALID_VALUE`, which names the place inside the value, or `TOO_DEEP_OR_LARGE`.
   */
  encode(value: T): Uint8Array
  /**
   * The value of bytes that may come from anywhere. Nothing in the value is a view into them, except with `bytes()`.
   * Throws a `RecordError` (`BAD_BYTES`, `UNKNOWN_SCHEMA`, `INCOMPATIBLE_SCHEMA`, `TOO_DEEP_OR_LARGE`) and nothing else.
   */
  decode(bytes: Uint8Array): T
  /**
   * Undefined when `decode` can say now what these bytes are, else a promise after which it can: the schema they were
   * written under is being fetched. It rejects as the store does, and then may be asked again. Never throws.
   */
  ready(bytes: Uint8Array): Promise<void> | undefined
}

/** Keeps the schemas that records were written under, by fingerprint: 16 hex digits. What is kept is JSON text. */
export interface SchemaStore {
  /** Undefined when there is none; rejects when the store cannot be asked. */
  get(fingerprint: string): Promise<string | undefined>
  /** Idempotent: the same fingerprint always comes with the same text. */
  put(fingerprint: string, schema: string): Promise<void>
}

/** A codec as plain JSON. A name that is none of ours is that of a codec which only its program's code knows. */
export type CodecDefinition =
  | { readonly name: 'avro'; readonly schema: AvroSchema }
  | { readonly name: 'json' | 'bytes' | (string & {}); readonly schema?: never }

/**
 * The codec of a kept definition. `options` are the reader's own and are not part of a definition; a codec ignores what
 * it has no use for. A `DefinitionError`: `CODEC_DIFFERS` when only code knows the codec, or what says that its schema
 * is wrong or not there. `where` names the stream.
 */
export function codecOf(
  where: string,
  definition: CodecDefinition,
  options: GuardOptions & AvroOptions = {},
): Codec<unknown> {
  const { longs, ...guards } = options
  switch (definition.name) {
    case 'json':
      return json(guards)
    case 'avro':
      return avro(definition.schema as AvroSchema, longs === undefined ? guards : { ...guards, longs })
    case 'bytes':
      return bytes()
    default:
      throw onlyInCode(where, definition.name)
  }
}

function onlyInCode(where: string, name: string): DefinitionError {
  const what = `${where} is written with the codec "${name}", which only the code of its program knows`
  const mend = `use the stream by a definition with that codec, as stream(name, { codec: { name: '${name}', encode, decode } })`
  return new DefinitionError('CODEC_DIFFERS', what, mend, { facts: { codec: name } })
}

/**
 * Whether the codec in a stream's kept definition has been overtaken: true when `mine` is a newer schema that reads all
 * that was written under the kept one and should be kept in its place, false when what is kept may stay. A `CODEC_DIFFERS`
 * error says what stands between the two: for a reader when it cannot read the kept schema's records, for a writer when
 * neither can read the other's. `where` names the stream.
 */
export function movedOn(where: string, kept: CodecDefinition, mine: CodecDefinition, use: Use): boolean {
  if (kept.name !== mine.name) {
    const what = `${where} is written with ${called(kept)}, but is to be opened with ${called(mine)}`
    const facts = { kept: kept.name, given: mine.name }
    throw new DefinitionError('CODEC_DIFFERS', what, `give its definition ${mendOf(kept)}`, { facts })
  }
  if (mine.schema === undefined) return false
  return schemaMovedOn(where, kept.schema as AvroSchema, mine.schema, use)
}

function called({ name }: CodecDefinition): string {
  return CODECS.includes(name) ? `${name}()` : `the codec "${name}"`
}

function mendOf(kept: CodecDefinition): string {
  return CODECS.includes(kept.name) ? `codec: ${called(kept)}` : called(kept)
}
