/**
 * The Avro codec: single-object encoding, so that each record names the schema it was written under by its fingerprint,
 * and is read with that schema resolved into the reader's. Old records stay readable while schemas move on.
 */
import { badOption } from '../options.js'
import { DefinitionError, messageOf, RecordError } from '../errors.js'
import type { Codec, OpenCodec, SchemaStore, Use } from './codec.js'
import type { Longs, Reader, Type } from './engine.js'
import {
  badBytes,
  badValue,
  FORBIDDEN_KEY,
  guards,
  inWords,
  tooDeep,
  tooLarge,
  type GuardOptions,
  type Guards,
  type Path,
} from './guards.js'
import { checkedSchema, type AvroSchema, type CheckedSchema } from './schema.js'
import { ReadTap } from './read-tap.js'
import { HALF_PAIR, WriteTap } from './write-tap.js'

export type { AvroSchema } from './schema.js'

export interface AvroOptions extends GuardOptions {
  /**
   * How a `long` looks in a value: `'number'` (default), where one beyond ±(2^53 − 1) is an error and never a rounded
   * number, or `'bigint'` for all 64 bits. The bytes are the same.
   */
  readonly longs?: Longs
}

/**
 * Avro, written and read under this schema; records written under another are read as this one, by Avro's rules of
 * schema resolution. The schema is checked at once: `BAD_SCHEMA` says what is wrong with it.
 *
 * A record in a value is any object with the fields; a field with a default may be left out, a field that the schema
 * does not have is not written. `bytes` and `fixed` take a `Uint8Array` and give a `Buffer`; a map gives an object
 * without inherited names.
 */
export function avro<T = unknown>(schema: AvroSchema, options: AvroOptions = {}): Codec<T> {
  const bounds = guards('the codec avro()', options, ['longs'])
  const longs: string = options.longs ?? 'number'
  if (longs !== 'number' && longs !== 'bigint')
    throw badOption('longs of the codec avro()', "'number' or 'bigint'", longs)
  const checked = checkedSchema(schema, longs)
  return Object.freeze({
    name: 'avro',
    definition: Object.freeze({ name: 'avro', schema: checked.json }),
    async open(schemas: SchemaStore, use: Use = 'write'): Promise<OpenCodec<T>> {
      if (use === 'write') await schemas.put(checked.fingerprint, checked.canonical)
      return new OpenAvro<T>(checked, longs, bounds, schemas)
    },
  })
}

const HEAD_BYTES = 10
/** Records of more schemas than this in one stream are read all the same, but schemas are fetched again now and then. */
const WRITERS_MAX = 1000

/** What is known of one writer's schema: how to read its records, or why they cannot be read. */
type Writer = { readonly reader: Reader } | { readonly fault: () => RecordError }

class OpenAvro<T> implements OpenCodec<T> {
  readonly #writers = new Map<string, Writer>()
  readonly #fetching = new Map<string, Promise<void>>()
  readonly #head: Uint8Array
  readonly #type: Type
  readonly #read: ReadTap
  /** Taken away while in use: a getter of a value may encode another one. */
  #write: WriteTap | undefined

  constructor(
    readonly schema: CheckedSchema,
    readonly longs: Longs,
    readonly guards: Guards,
    readonly schemas: SchemaStore,
  ) {
    this.#type = schema.type
    this.#head = headOf(schema.fingerprint)
    this.#read = new ReadTap(guards.depthMax)
  }

  encode(value: T): Uint8Array {
    const tap = this.#write ?? new WriteTap(this.guards.depthMax)
    this.#write = undefined
    try {
      tap.open(this.#head)
      this.#type._write(tap, value)
      if (tap.length > this.guards.bytesMax) throw tooLarge(tap.length, this.guards)
      return tap.finish()
    } catch (thrown) {
      throw this.#encodeFault(value, thrown)
    } finally {
      this.#write = tap
    }
  }

  decode(bytes: Uint8Array): T {
    if (bytes.length > this.guards.bytesMax) throw tooLarge(bytes.length, this.guards)
    const reader = this.#isOwn(bytes) ? this.#type : this.#readerOf(bytes)
    const tap = this.#read
    tap.open(bytes, HEAD_BYTES)
    try {
      const value = reader._read(tap)
      tap.close()
      return value as T
    } catch (thrown) {
      if (thrown instanceof RecordError) throw thrown
      if (thrown instanceof RangeError) throw tooDeep(this.guards.depthMax, thrown)
      throw badBytes(`the record does not fit its schema (${messageOf(thrown)})`, thrown)
    }
  }

  ready(bytes: Uint8Array): Promise<void> | undefined {
    if (this.#isOwn(bytes) || !isFramed(bytes)) return undefined
    const fingerprint = fingerprintIn(bytes)
    if (this.#writers.has(fingerprint)) return undefined
    let fetching = this.#fetching.get(fingerprint)
    if (fetching === undefined) {
      fetching = this.#fetch(fingerprint).finally(() => this.#fetching.delete(fingerprint))
      this.#fetching.set(fingerprint, fetching)
    }
    return fetching
  }

  #isOwn(bytes: Uint8Array): boolean {
    if (bytes.length < HEAD_BYTES) return false
    for (let i = 0; i < HEAD_BYTES; i++) if (bytes[i] !== this.#head[i]) return false
    return true
  }

  #readerOf(bytes: Uint8Array): Reader {
    if (!isFramed(bytes)) throw badBytes('the record does not begin as Avro single-object encoding does (C3 01)')
    const fingerprint = fingerprintIn(bytes)
    const writer = this.#writers.get(fingerprint)
    if (writer === undefined) throw unknownSchema(fingerprint, 'has not been fetched yet')
    if ('fault' in writer) throw writer.fault()
    return writer.reader
  }

  async #fetch(fingerprint: string): Promise<void> {
    const text = await this.schemas.get(fingerprint)
    const oldest = this.#writers.size < WRITERS_MAX ? undefined : this.#writers.keys().next().value
    if (oldest !== undefined) this.#writers.delete(oldest)
    this.#writers.set(fingerprint, this.#writerOf(fingerprint, text))
  }

  #writerOf(fingerprint: string, text: string | undefined): Writer {
    if (text === undefined) return { fault: () => unknownSchema(fingerprint, 'is not kept in the log') }
    let writer: CheckedSchema
    try {
      writer = checkedSchema(text, this.longs)
    } catch (thrown) {
      return { fault: () => unknownSchema(fingerprint, `is kept, but cannot be used: ${messageOf(thrown)}`, thrown) }
    }
    if (writer.fingerprint !== fingerprint) {
      return { fault: () => unknownSchema(fingerprint, `is kept, but is another one (${writer.fingerprint})`) }
    }
    try {
      return { reader: resolved(writer, this.schema) }
    } catch (thrown) {
      return { fault: () => incompatible(fingerprint, thrown) }
    }
  }

  #encodeFault(value: T, thrown: unknown): RecordError {
    if (thrown instanceof RecordError) return thrown
    if (thrown instanceof RangeError) return tooDeep(this.guards.depthMax, thrown)
    try {
      return (
        misfit(this.#type, value) ??
        badText(value, []) ??
        badValue([], `does not fit (${messageOf(thrown)})`, 'mend it', thrown)
      )
    } catch (closer) {
      return badValue([], `does not fit the schema (${messageOf(thrown)})`, 'mend the value', closer)
    }
  }
}

/** How records of the writer are read as the reader's schema; throws what stands between them. */
function resolved(writer: CheckedSchema, reader: CheckedSchema): Reader {
  // Avro matches records by their unqualified names.
  return reader.type.createResolver(writer.type, { ignoreNamespaces: true })
}

/** `movedOn` of codec.ts, for two schemas. */
export function schemaMovedOn(where: string, kept: AvroSchema, mine: AvroSchema, use: Use): boolean {
  const [there, here] = [checkedSchema(kept, 'number'), checkedSchema(mine, 'number')]
  const cause = faultBetween(there, here)
  if (cause === undefined) return JSON.stringify(there.json) !== JSON.stringify(here.json)
  // A writer of the former schema that is still about, as while programs are being renewed one by one.
  if (use === 'write' && faultBetween(here, there) === undefined) return false
  const what = `${where} has records of an Avro schema that this one cannot read (${messageOf(cause)})`
  throw new DefinitionError('CODEC_DIFFERS', what, MEND_SCHEMA, { cause })
}

function faultBetween(writer: CheckedSchema, reader: CheckedSchema): unknown {
  try {
    resolved(writer, reader)
    return undefined
  } catch (fault) {
    return fault
  }
}

const MEND_SCHEMA = 'give new fields a default, renamed ones an alias, and change types only to wider ones'

/** The first place where a value is not what its schema wants. */
function misfit(type: Type, value: unknown): RecordError | undefined {
  let fault: RecordError | undefined
  type.isValid(value, {
    errorHook(steps, _, wanted) {
      if (fault !== undefined) return
      const path: (string | number)[] = []
      let part = value
      for (const step of steps) {
        path.push(Array.isArray(part) ? Number(step) : step)
        part = (part as Record<string, unknown>)[step]
      }
      fault = badValue(path, `is ${inWords(part)}, and the schema wants ${wantedOf(wanted)}`, 'mend the value')
    },
  })
  return fault
}

function wantedOf(type: Type): string {
  if (type.types !== undefined) return `one of ${type.types.map(branch => branch.name ?? branch.typeName).join(', ')}`
  const kind = type.typeName === 'abstract:long' ? 'long (a bigint)' : type.typeName
  return type.name === undefined ? kind : `${kind} ${type.name}`
}

/** What the schema lets pass and Avro cannot carry: text that has no UTF-8, and the forbidden key. */
function badText(value: unknown, path: Path): RecordError | undefined {
  if (typeof value === 'string' && HALF_PAIR.test(value)) {
    return badValue(path, 'has half of a surrogate pair, which has no UTF-8', 'mend the text')
  }
  if (typeof value !== 'object' || value === null || value instanceof Uint8Array) return undefined
  for (const key of Object.keys(value)) {
    const inner = [...path, Array.isArray(value) ? Number(key) : key]
    if (key === FORBIDDEN_KEY) return badValue(inner, 'is a key that may change prototypes', 'give it another name')
    if (HALF_PAIR.test(key)) return badValue(inner, 'is a key with half of a surrogate pair', 'mend the key')
    const fault = badText((value as Record<string, unknown>)[key], inner)
    if (fault !== undefined) return fault
  }
  return undefined
}

function unknownSchema(fingerprint: string, why: string, cause?: unknown): RecordError {
  const what = `the record was written under the Avro schema ${fingerprint}, which ${why}`
  return new RecordError('UNKNOWN_SCHEMA', what, `put the schema back under schemas.${fingerprint}`, {
    cause,
    facts: { fingerprint },
  })
}

function incompatible(fingerprint: string, cause: unknown): RecordError {
  const what = `the record was written under the Avro schema ${fingerprint}, which cannot be read as the stream's (${messageOf(cause)})`
  return new RecordError('INCOMPATIBLE_SCHEMA', what, MEND_SCHEMA, { cause, facts: { fingerprint } })
}

function isFramed(bytes: Uint8Array): boolean {
  return bytes.length >= HEAD_BYTES && bytes[0] === 0xc3 && bytes[1] === 0x01
}

function headOf(fingerprint: string): Uint8Array {
  return Buffer.concat([Buffer.from([0xc3, 0x01]), Buffer.from(fingerprint, 'hex').reverse()])
}

function fingerprintIn(bytes: Uint8Array): string {
  return Buffer.from(bytes.subarray(2, HEAD_BYTES)).reverse().toString('hex')
}
