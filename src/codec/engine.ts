/**
 * The schema library with our guards in it: types that read only what is there, count depth, keep maps free of inherited
 * names and take plain `Uint8Array`s. It is entered by its inner doors (`_read`, `_write`), which are not its public
 * face, so its version is pinned and `engine.test.ts` says what we rely on. Loaded at first use: it takes 20 ms.
 */
import { createRequire } from 'node:module'
import { badBytes, FORBIDDEN_KEY } from './guards.js'
import { ReadTap } from './read-tap.js'
import { WriteTap } from './write-tap.js'

/** A way to read: a type itself, or a writer's schema resolved into a reader's. */
export interface Reader {
  _read(tap: ReadTap): unknown
}

/** A type of the library, as far as we use it. */
export interface Type extends Reader {
  readonly typeName: string
  readonly name?: string
  readonly fields?: readonly { readonly name: string; readonly type: Type }[]
  readonly types?: readonly Type[]
  readonly itemsType?: Type
  readonly valuesType?: Type
  readonly size?: number
  _write(tap: WriteTap, value: unknown): void
  _skip(tap: ReadTap): void
  /** In the canonical form. */
  schema(): unknown
  isValid(value: unknown, options: { errorHook(path: string[], value: unknown, type: Type): void }): boolean
  /** Throws when records of the writer cannot be read as this. */
  createResolver(writer: Type, options: { ignoreNamespaces: boolean }): Reader
}

const require = createRequire(import.meta.url)

type Schema = unknown
type Options = object
/** What subclasses get at, beside what `Type` says. */
interface Inner extends Type {
  readonly itemsType: Type
  readonly valuesType: Type
  readonly size: number
  readonly _indices: object
  readonly _bucketIndices: Readonly<Record<string, number | undefined>>
  _check(value: unknown, ...rest: unknown[]): boolean
  _getIndex(value: unknown): number | undefined
  _createReader(): (tap: ReadTap) => unknown
  _createSkipper(): (tap: ReadTap) => void
  _createWriter(): (tap: WriteTap, value: unknown) => void
  _update(resolver: { _read: ((tap: ReadTap) => unknown) | null }, writer: Type, options: Options): void
}
type InnerClass = new (schema: Schema, options: Options) => Inner
interface BigLongMethods {
  isValid(value: unknown): boolean
  compare(a: bigint, b: bigint): number
  fromJSON(value: number | string | bigint): bigint
  toJSON(value: bigint): number | string
  fromBuffer(bytes: Buffer): bigint
  toBuffer(value: bigint): Buffer
}
type Kind = 'Array' | 'Bytes' | 'Enum' | 'Fixed' | 'Map' | 'Record' | 'UnwrappedUnion' | 'WrappedUnion'
interface Library {
  readonly Type: {
    forSchema(schema: Schema, options: Options): Type
    isType(any: unknown): boolean
  }
  readonly types: Readonly<Record<`${Kind}Type`, InnerClass>> & {
    readonly LongType: InnerClass & { __with(methods: BigLongMethods, noUnpack: boolean): Type }
  }
}

/** How a long looks in a value. */
export type Longs = 'number' | 'bigint'

/** Builds the guarded type of a schema, given as plain JSON. Throws what the library throws. */
export function typeOf(schema: unknown, longs: Longs): Type {
  return (engine ??= build(require('avsc') as Library))(schema, longs)
}

let engine: ((schema: unknown, longs: Longs) => Type) | undefined

/** The value of a map: no name is in it but its own, so that `counts['constructor']` is undefined unless written. */
export const Dictionary = function () {} as unknown as new () => Record<string, unknown>
Dictionary.prototype = Object.freeze(Object.create(null)) as Record<string, unknown>

function build({ Type, types }: Library): (schema: unknown, longs: Longs) => Type {
  class GuardedArray extends types.ArrayType {
    override _read(tap: ReadTap): unknown[] {
      const items = this.itemsType
      const value: unknown[] = []
      tap.enter()
      for (let n = tap.readCount(); n > 0; n = tap.readCount()) while (n-- > 0) value.push(items._read(tap))
      tap.leave()
      return value
    }

    // Item by item, for the size that a block claims is not to be trusted.
    override _skip(tap: ReadTap): void {
      tap.enter()
      for (let n = tap.readCount(); n > 0; n = tap.readCount()) while (n-- > 0) this.itemsType._skip(tap)
      tap.leave()
    }

    override _write(tap: WriteTap, value: unknown): void {
      tap.enter()
      super._write(tap, value)
      tap.leave()
    }
  }

  class GuardedMap extends types.MapType {
    override _read(tap: ReadTap): Record<string, unknown> {
      const values = this.valuesType
      const value = new Dictionary()
      tap.enter()
      for (let n = tap.readCount(); n > 0; n = tap.readCount()) {
        while (n-- > 0) {
          const key = tap.readString()
          if (key === FORBIDDEN_KEY) throw badBytes(`a map has the key "${FORBIDDEN_KEY}"`)
          value[key] = values._read(tap)
        }
      }
      tap.leave()
      return value
    }

    override _skip(tap: ReadTap): void {
      tap.enter()
      for (let n = tap.readCount(); n > 0; n = tap.readCount()) {
        while (n-- > 0) {
          tap.skipString()
          this.valuesType._skip(tap)
        }
      }
      tap.leave()
    }

    override _write(tap: WriteTap, value: unknown): void {
      if (Object.hasOwn(Object(value) as object, FORBIDDEN_KEY)) throw new Error(`the key ${FORBIDDEN_KEY}`)
      tap.enter()
      super._write(tap, value)
      tap.leave()
    }
  }

  /** The three makers are called while the record is built, so that its functions count depth from the start. */
  class GuardedRecord extends types.RecordType {
    override _createReader() {
      return counted(super._createReader())
    }

    override _createSkipper() {
      return counted(super._createSkipper())
    }

    override _createWriter() {
      const write = super._createWriter()
      return (tap: WriteTap, value: unknown): void => {
        tap.enter()
        write(tap, value)
        tap.leave()
      }
    }

    override _update(resolver: { _read: ((tap: ReadTap) => unknown) | null }, writer: Type, options: Options): void {
      // Records resolve only from records; the library finds that out by failing.
      if (writer.typeName !== 'record' && writer.typeName !== 'error') return
      super._update(resolver, writer, options)
      if (resolver._read !== null) resolver._read = counted(resolver._read)
    }
  }

  class GuardedEnum extends types.EnumType {
    constructor(schema: Schema, options: Options) {
      super(schema, options)
      // A lookup table: without this, "toString" would be a symbol of every enum.
      Object.setPrototypeOf(this._indices, null)
    }

    override _check(value: unknown, ...rest: unknown[]): boolean {
      return super._check(typeof value === 'string' ? value : undefined, ...rest)
    }

    override _write(tap: WriteTap, value: unknown): void {
      super._write(tap, typeof value === 'string' ? value : undefined)
    }
  }

  class GuardedBytes extends types.BytesType {
    override _check(value: unknown, ...rest: unknown[]): boolean {
      return super._check(bufferOf(value), ...rest)
    }

    override _write(tap: WriteTap, value: unknown): void {
      super._write(tap, bufferOf(value))
    }
  }

  class GuardedFixed extends types.FixedType {
    override _check(value: unknown, ...rest: unknown[]): boolean {
      return super._check(bufferOf(value), ...rest)
    }

    override _write(tap: WriteTap, value: unknown): void {
      super._write(tap, bufferOf(value))
    }
  }

  class GuardedUnion extends types.UnwrappedUnionType {
    override _getIndex(value: unknown): number | undefined {
      return super._getIndex(bufferOf(value))
    }
  }

  class SafeLong extends types.LongType {
    override _check(value: unknown, ...rest: unknown[]): boolean {
      // The library stops two short of the largest; it also bends negative ones below -2^52, which our tap does not.
      return super._check(Number.isSafeInteger(value) ? 0 : undefined, ...rest)
    }

    override _read(tap: ReadTap): number {
      const value = tap.readLong()
      if (!Number.isSafeInteger(value)) throw badBytes(`a long is beyond 2^53; read it with { longs: 'bigint' }`)
      return value
    }

    override _write(tap: WriteTap, value: unknown): void {
      if (!Number.isSafeInteger(value)) throw new Error('no safe integer')
      tap.writeLong(value as number)
    }
  }

  function union(branches: readonly unknown[], options: Options): Type {
    const built = branches.map(branch => Type.forSchema(branch, options))
    const kinds = built.map(kindInJavaScript)
    return new Set(kinds).size < kinds.length
      ? new types.WrappedUnionType(built, options)
      : new GuardedUnion(built, options)
  }

  const bytes = new GuardedBytes('bytes', {})
  const longTypes: Record<Longs, Type> = {
    number: new SafeLong('long', {}),
    bigint: bigLong(types.LongType),
  }

  return (schema, longs) => {
    const long = longTypes[longs]
    const typeHook = (node: unknown, options: Options): Type | undefined => {
      if (Array.isArray(node)) return union(node, options)
      const name = typeof node === 'string' ? node : (node as { type?: unknown }).type
      if (name === 'long') return long
      if (name === 'bytes') return bytes
      if (typeof node === 'string') return undefined
      if (name === 'array') return new GuardedArray(node, options)
      if (name === 'map') return new GuardedMap(node, options)
      if (name === 'record' || name === 'error') return new GuardedRecord(node, options)
      if (name === 'enum') return new GuardedEnum(node, options)
      if (name === 'fixed') return new GuardedFixed(node, options)
      return undefined
    }
    return Type.forSchema(schema, { typeHook, noAnonymousTypes: true, omitRecordMethods: true })
  }
}

/** Counts one level of depth around a reader. */
function counted<Value>(read: (tap: ReadTap) => Value): (tap: ReadTap) => Value {
  return tap => {
    tap.enter()
    const value = read(tap)
    tap.leave()
    return value
  }
}

/** What the library knows as bytes: it takes a `Buffer` and nothing else. */
function bufferOf(value: unknown): unknown {
  if (!(value instanceof Uint8Array) || Buffer.isBuffer(value)) return value
  return Buffer.from(value.buffer, value.byteOffset, value.byteLength)
}

/** Two branches of one kind cannot be told apart by a value, so a union of them is written `{ branch: value }`. */
function kindInJavaScript({ typeName }: Type): string {
  if (['int', 'long', 'float', 'double'].includes(typeName)) return 'number'
  if (typeName === 'bytes' || typeName === 'fixed') return 'bytes'
  if (typeName === 'string' || typeName === 'enum') return 'string'
  if (typeName === 'map' || typeName === 'record' || typeName === 'error') return 'object'
  return typeName
}

function bigLong(LongType: Library['types']['LongType']): Type {
  const long = (value: unknown): value is bigint => typeof value === 'bigint' && BigInt.asIntN(64, value) === value
  const methods: BigLongMethods = {
    isValid: long,
    compare: (a, b) => (a < b ? -1 : a > b ? 1 : 0),
    fromJSON: BigInt,
    toJSON: value => (Number.isSafeInteger(Number(value)) ? Number(value) : String(value)),
    fromBuffer: packed => {
      const tap = new ReadTap(1)
      tap.open(packed, 0)
      return tap.readBigLong()
    },
    toBuffer: value => {
      const tap = new WriteTap(1)
      tap.open(new Uint8Array(0))
      tap.writeBigLong(value)
      return Buffer.from(tap.finish())
    },
  }
  return LongType.__with(methods, true)
}
