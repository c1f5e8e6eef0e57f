/**
 * The values that state may hold, to bytes and back, exactly: null, undefined, booleans, every number, texts, bytes,
 * arrays and plain objects of these. JSON text where JSON gives back the very same, tagged parts where it does not, and for
 * short arrays.
 * What is stored of an array is its items, of an object its own enumerable properties under text keys.
 */
import { FORBIDDEN_KEY, inWords, placeOf, type Path } from '../codec/guards.js'
import { holdsForbiddenKey, isFlat, textIsDeep } from '../codec/json-values.js'
import type { OctetReader, OctetWriter } from '../codec/octets.js'
import { DefinitionError } from '../errors.js'

/** `S` where it can be stored; where it cannot, a type that nothing fits and that says why. */
export type Storable<S> = S extends string | number | boolean | null | undefined | Uint8Array
  ? S
  : S extends
        | bigint
        | symbol
        | Date
        | ReadonlyMap<unknown, unknown>
        | ReadonlySet<unknown>
        | Promise<unknown>
        | ((...a: never[]) => unknown)
    ? { 'cannot be stored; use plain objects, arrays, strings, numbers, booleans': S }
    : S extends object
      ? { [K in keyof S]: Storable<S[K]> }
      : S

/** Room for what a codec reads at its deepest, within something of an operator's. */
const DEPTH_MAX = 1100

const UNDEFINED = 0
const NULL = 1
const FALSE = 2
const TRUE = 3
const WHOLE = 4
const NEGATIVE = 5
const DOUBLE = 6
const TEXT = 7
const BYTES = 8
const BUFFER = 9
const JSON_TEXT = 10
const ARRAY = 11
const OBJECT = 12
/** An object without a prototype. */
const BARE = 13
/** In arrays only: an index that was never set. */
const HOLE = 14

/** Writes a value; false when it cannot be stored, and then what was written is of no use. */
export function writePlain(out: OctetWriter, value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return writeSimple(out, value)
  if (isShortAndFlat(value)) {
    writeParts(out, value)
    return true
  }
  if (isJson(value, DEPTH_MAX)) {
    out.byte(JSON_TEXT)
    out.text(JSON.stringify(value))
    return true
  }
  if (sizeOf(value) < 0) return false
  writeParts(out, value)
  return true
}

/** Reads what `writePlain` wrote, or throws the reader's fault. */
export function readPlain(from: OctetReader): unknown {
  const tag = from.byte()
  return tag === JSON_TEXT ? readJson(from) : readTagged(from, tag, DEPTH_MAX, 0)
}

/** Writes any text, exactly: those that UTF-8 does not carry too. */
export function writeText(out: OctetWriter, text: string): void {
  if (!LONE_SURROGATE.test(text)) return out.text(text, 1)
  out.varint(0)
  out.bytes(Buffer.from(text, 'utf16le'))
}

/** Reads what `writeText` wrote. */
export function readText(from: OctetReader): string {
  const text = from.maybeText()
  if (text !== undefined) return text
  const bytes = from.bytes(from.varint())
  if (bytes.length % 2 !== 0) throw from.fault('a text in it ends within a character')
  return bytes.toString('utf16le')
}

const LONE_SURROGATE = /\p{Surrogate}/u

/** About as many bytes as a value takes, cheaply; -1 when it cannot be stored. */
export function sizeOf(value: unknown, levels = DEPTH_MAX): number {
  switch (typeof value) {
    case 'string':
      return value.length + 3
    case 'number':
      return 6
    case 'object':
      return value === null ? 1 : levels === 0 ? -1 : sizeOfParts(value, levels - 1)
    case 'boolean':
    case 'undefined':
      return 1
    default:
      return -1
  }
}

/** The error for a value that cannot be stored; `holder` is who holds it, as in `the row "a" of table "b"`. */
export function notStorable(value: unknown, holder: string): DefinitionError {
  const { path, why } = refusal(value, [], new Set()) ?? { path: [], why: 'cannot be stored' }
  const place = placeOf(path)
  const mend = 'keep plain objects, arrays, texts, numbers, booleans and bytes, and make the rest of them when needed'
  return new DefinitionError('NOT_STORABLE', `in ${holder}, ${place} ${why}`, mend, { facts: { path: place } })
}

function writeSimple(out: OctetWriter, value: unknown): boolean {
  switch (typeof value) {
    case 'string':
      out.byte(TEXT)
      writeText(out, value)
      return true
    case 'number':
      writeNumber(out, value)
      return true
    case 'boolean':
      out.byte(value ? TRUE : FALSE)
      return true
    case 'undefined':
      out.byte(UNDEFINED)
      return true
    default:
      if (value === null) out.byte(NULL)
      return value === null
  }
}

function writeNumber(out: OctetWriter, value: number): void {
  if (!Number.isSafeInteger(value) || Object.is(value, -0)) {
    out.byte(DOUBLE)
    out.double(value)
  } else if (value < 0) {
    out.byte(NEGATIVE)
    out.varint(-value)
  } else {
    out.byte(WHOLE)
    out.varint(value)
  }
}

/** A few texts and numbers, as aggregates keep them: read back several times faster than from JSON. */
function isShortAndFlat(value: object): boolean {
  if (!Array.isArray(value) || value.length > 16 || Object.getPrototypeOf(value) !== Array.prototype) return false
  for (let i = 0; i < value.length; i++) {
    const part: unknown = value[i]
    if (part !== null && (typeof part === 'object' || sizeOf(part) < 0)) return false
  }
  return true
}

/** True when JSON certainly gives back the very same. */
function isJson(value: object, levels: number): boolean {
  if (levels === 0) return false
  const prototype: unknown = Object.getPrototypeOf(value)
  if (Array.isArray(value)) {
    if (prototype !== Array.prototype) return false
    for (let i = 0; i < value.length; i++) if (!isJsonPart(value[i], levels)) return false
    return true
  }
  if (prototype !== Object.prototype) return false
  for (const key in value) {
    if (key === FORBIDDEN_KEY || !isJsonPart((value as Record<string, unknown>)[key], levels)) return false
  }
  return true
}

function isJsonPart(part: unknown, levels: number): boolean {
  switch (typeof part) {
    case 'number':
      return Number.isFinite(part) && !Object.is(part, -0)
    case 'string':
    case 'boolean':
      return true
    case 'object':
      return part === null || isJson(part, levels - 1)
    default:
      return false
  }
}

function sizeOfParts(value: object, levels: number): number {
  const tag = tagOf(value)
  if (tag === undefined) return -1
  if (tag === BYTES || tag === BUFFER) return (value as Uint8Array).length + 3
  let size = 3
  if (tag === ARRAY) {
    for (let i = 0; i < (value as unknown[]).length; i++) {
      const part = sizeOf((value as unknown[])[i], levels)
      if (part < 0) return -1
      size += part
    }
    return size
  }
  for (const key in value) {
    const part = key === FORBIDDEN_KEY ? -1 : sizeOf((value as Record<string, unknown>)[key], levels)
    if (part < 0) return -1
    size += key.length + 3 + part
  }
  return size
}

function tagOf(value: object): number | undefined {
  const prototype: unknown = Object.getPrototypeOf(value)
  if (prototype === Object.prototype) return OBJECT
  if (prototype === Array.prototype) return Array.isArray(value) ? ARRAY : undefined
  if (prototype === null) return BARE
  if (prototype === Uint8Array.prototype) return BYTES
  return prototype === Buffer.prototype ? BUFFER : undefined
}

/** For what `sizeOf` takes. */
function writeParts(out: OctetWriter, value: object): void {
  const tag = tagOf(value) as number
  out.byte(tag)
  if (tag === BYTES || tag === BUFFER) return out.bytes(value as Uint8Array)
  if (tag === ARRAY) {
    const items = value as unknown[]
    out.varint(items.length)
    for (let i = 0; i < items.length; i++) {
      if (i in items) writePart(out, items[i])
      else out.byte(HOLE)
    }
    return
  }
  const entries = Object.entries(value)
  out.varint(entries.length)
  for (const [key, part] of entries) {
    writeText(out, key)
    writePart(out, part)
  }
}

function writePart(out: OctetWriter, part: unknown): void {
  if (typeof part === 'object' && part !== null) writeParts(out, part)
  else writeSimple(out, part)
}

/** `owed`: how many parts are still to come of what it stands in, each of which takes a byte at least. */
function readTagged(from: OctetReader, tag: number, levels: number, owed: number): unknown {
  if (levels < 0) throw from.fault('a value in it is nested too deep')
  switch (tag) {
    case UNDEFINED:
      return undefined
    case NULL:
      return null
    case FALSE:
      return false
    case TRUE:
      return true
    case WHOLE:
      return from.varint()
    case NEGATIVE:
      return -from.varint()
    case DOUBLE:
      return from.double()
    case TEXT:
      return readText(from)
    case BYTES:
      // A copy, since a view would keep all of the entry in memory.
      return new Uint8Array(from.bytes(from.varint()))
    case BUFFER: {
      const bytes = from.bytes(from.varint())
      const copy = Buffer.allocUnsafeSlow(bytes.length)
      copy.set(bytes)
      return copy
    }
    case ARRAY:
      return readArray(from, levels - 1, owed)
    case OBJECT:
      return readObject(from, {}, levels - 1, owed)
    case BARE:
      return readObject(from, Object.create(null) as Parts, levels - 1, owed)
    default:
      throw from.fault(`a value in it is of the unknown kind ${tag}`)
  }
}

function readArray(from: OctetReader, levels: number, owed: number): unknown[] {
  const count = readCount(from, owed)
  // Of this length at once: one that grows takes room for 17 items, and there may be a million of them.
  const array = new Array<unknown>(count)
  for (let i = 0; i < count; i++) {
    const tag = from.byte()
    if (tag !== HOLE) array[i] = readTagged(from, tag, levels, owed + count - i - 1)
  }
  return array
}

type Parts = Record<string, unknown>

function readObject(from: OctetReader, object: Parts, levels: number, owed: number): Parts {
  const count = readCount(from, owed)
  for (let i = 0; i < count; i++) {
    const key = readText(from)
    if (key === FORBIDDEN_KEY) throw from.fault(`a value in it has a key "${FORBIDDEN_KEY}"`)
    object[key] = readTagged(from, from.byte(), levels, owed + count - i - 1)
  }
  return object
}

function readCount(from: OctetReader, owed: number): number {
  const count = from.varint()
  const left = from.left - owed
  if (count > left) throw from.fault(`it says that a value has ${count} parts, and has ${left} bytes for them`)
  return count
}

function readJson(from: OctetReader): unknown {
  const text = from.text(from.varint())
  // A shorter text cannot be too deep: each level takes two brackets.
  if (text.length > 2 * DEPTH_MAX && !isFlat(text, DEPTH_MAX) && textIsDeep(Buffer.from(text), DEPTH_MAX)) {
    throw from.fault('a value in it is nested too deep')
  }
  const value = parsed(from, text)
  // The key may hide behind escapes.
  if ((text.includes(FORBIDDEN_KEY) || text.includes('\\u00')) && holdsForbiddenKey(value, DEPTH_MAX + 1)) {
    throw from.fault(`a value in it has a key "${FORBIDDEN_KEY}"`)
  }
  return value
}

function parsed(from: OctetReader, text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    throw from.fault('a value in it is not JSON')
  }
}

/** What cannot be stored, and where; undefined when all can. */
function refusal(
  value: unknown,
  path: (string | number)[],
  above: Set<object>,
): { path: Path; why: string } | undefined {
  if (typeof value !== 'object' || value === null) {
    return sizeOf(value) < 0 ? { path, why: `is ${inWords(value)}, which no ledger can hold` } : undefined
  }
  if (above.has(value)) return { path, why: 'holds itself, and bytes have no circles' }
  if (above.size === DEPTH_MAX) return { path: path.slice(0, 8), why: `is nested more than ${DEPTH_MAX} levels deep` }
  const tag = tagOf(value)
  if (tag === undefined) return { path, why: `is ${kindOf(value)}, which no ledger can hold` }
  if (tag === BYTES || tag === BUFFER) return undefined
  above.add(value)
  for (const key of tag === ARRAY ? (value as unknown[]).keys() : Object.keys(value)) {
    path.push(key)
    if (key === FORBIDDEN_KEY) return { path, why: 'is a key that may change prototypes' }
    const found = refusal((value as Record<string | number, unknown>)[key], path, above)
    if (found !== undefined) return found
    path.pop()
  }
  above.delete(value)
  return undefined
}

/** `a Map`, `an instance of Account`. */
function kindOf(value: object): string {
  const words = inWords(value)
  const name: unknown = (value as { constructor?: { name?: unknown } }).constructor?.name
  const ours = (words === 'an object' || words === 'an array') && typeof name === 'string' && name !== ''
  return ours ? `an instance of ${name}` : words
}
