/** Walks over values and texts for the JSON codec: what JSON carries, what is wrong with a value, and how deep it goes. */
import type { RecordError } from '../errors.js'
import { badValue, FORBIDDEN_KEY, inWords, tooDeep, type Path } from './guards.js'

/**
 * True when JSON certainly carries the value; the quick look that every encode takes. False means "look closely":
 * `faultOf` has the last word.
 */
export function carries(value: unknown, levels: number): boolean {
  return isPlain(value) || (typeof value === 'object' && value !== null && levels > 0 && parts(value, levels - 1))
}

/** Asked before each call deeper, since most parts of a value are such. */
function isPlain(value: unknown): boolean {
  if (typeof value === 'number') return Number.isFinite(value)
  return typeof value === 'string' || typeof value === 'boolean' || value === null
}

function parts(value: object, levels: number): boolean {
  if (Array.isArray(value)) {
    for (let i = 0; i < value.length; i++) {
      const part: unknown = value[i]
      if (!isPlain(part) && !carries(part, levels)) return false
    }
    return true
  }
  const prototype: unknown = Object.getPrototypeOf(value)
  if (prototype !== Object.prototype && prototype !== null) return false
  for (const key in value) {
    if (key === FORBIDDEN_KEY) return false
    const part = (value as Record<string, unknown>)[key]
    if (!isPlain(part) && part !== undefined && !carries(part, levels)) return false
  }
  return true
}

/** What is wrong with a value, and where; undefined when JSON carries it. */
export function faultOf(value: unknown, depthMax: number): RecordError | undefined {
  return look(value, [], new Set(), depthMax)
}

/** What `JSON.stringify` would write as an object without its content. */
const HOLLOW = [Map, Set, WeakMap, WeakSet, Promise, RegExp, Error, ArrayBuffer] as const

function look(
  value: unknown,
  path: (string | number)[],
  above: Set<object>,
  depthMax: number,
): RecordError | undefined {
  switch (typeof value) {
    case 'string':
    case 'boolean':
      return undefined
    case 'number':
      return Number.isFinite(value) ? undefined : refused(path, value, 'write null or a text instead')
    case 'bigint':
      return refused(path, value, 'write it as text, or use avro() with a long')
    case 'object':
      break
    default:
      return refused(path, value, 'leave it out')
  }
  if (value === null) return undefined
  if (above.has(value)) return badValue(path, 'holds itself, and JSON has no circles', 'write an id in its place')
  if (above.size >= depthMax) return tooDeep(depthMax)
  if ('toJSON' in value && typeof value.toJSON === 'function') return lookAtJson(value, path, above, depthMax)
  if (ArrayBuffer.isView(value) || HOLLOW.some(kind => value instanceof kind)) {
    return refused(path, value, 'turn it into an array, an object or text first')
  }
  above.add(value)
  const fault = lookInside(value, path, above, depthMax)
  above.delete(value)
  return fault
}

function lookInside(value: object, path: (string | number)[], above: Set<object>, depthMax: number) {
  // Not Object.entries for arrays: it skips holes, and JSON makes nulls of them.
  const keys = Array.isArray(value) ? value.keys() : Object.keys(value)
  for (const key of keys) {
    const part = (value as Record<string | number, unknown>)[key]
    if (part === undefined && typeof key === 'string' && key !== FORBIDDEN_KEY) continue
    path.push(key)
    if (key === FORBIDDEN_KEY) return badValue(path, 'is a key that may change prototypes', 'give it another name')
    const fault = look(part, path, above, depthMax)
    if (fault !== undefined) return fault
    path.pop()
  }
  return undefined
}

function lookAtJson(value: object, path: (string | number)[], above: Set<object>, depthMax: number) {
  if (value instanceof Date && Number.isNaN(value.getTime()))
    return badValue(path, 'is an invalid date', 'leave it out')
  let written: unknown
  try {
    written = (value as { toJSON: (key: string) => unknown }).toJSON(String(path.at(-1) ?? ''))
  } catch (cause) {
    return badValue(path, 'throws in its toJSON', 'mend toJSON', cause)
  }
  above.add(value)
  // An object that answers toJSON with itself is written by its properties.
  const fault = written === value ? lookInside(value, path, above, depthMax) : look(written, path, above, depthMax)
  above.delete(value)
  return fault
}

function refused(path: Path, value: unknown, mend: string): RecordError {
  return badValue(path, `is ${inWords(value)}, which JSON does not carry`, mend)
}

/** True when a parsed value has the forbidden key somewhere; throws when it is nested too deep. */
export function holdsForbiddenKey(value: unknown, depthMax: number): boolean {
  return typeof value === 'object' && value !== null && search(value, depthMax, depthMax)
}

function search(value: object, levels: number, depthMax: number): boolean {
  if (levels === 0) throw tooDeep(depthMax)
  if (Array.isArray(value)) {
    for (let i = 0; i < value.length; i++) {
      const part: unknown = value[i]
      if (typeof part === 'object' && part !== null && search(part, levels - 1, depthMax)) return true
    }
    return false
  }
  for (const key in value) {
    if (key === FORBIDDEN_KEY) return true
    const part = (value as Record<string, unknown>)[key]
    if (typeof part === 'object' && part !== null && search(part, levels - 1, depthMax)) return true
  }
  return false
}

/** True when a text has so few opening brackets that it cannot nest deeper; cheap, since the search for one is native. */
export function isFlat(text: string, depthMax: number): boolean {
  let count = 0
  for (const bracket of ['{', '[']) {
    for (let at = text.indexOf(bracket); at >= 0; at = text.indexOf(bracket, at + 1))
      if (++count > depthMax) return false
  }
  return true
}

const QUOTE = 0x22
const BACKSLASH = 0x5c

/** True when a JSON text has more than `depthMax` brackets open at once. The text need not be valid. */
export function textIsDeep(text: Uint8Array, depthMax: number): boolean {
  let depth = 0
  for (let i = 0; i < text.length; i++) {
    const byte = text[i] as number
    if (byte === QUOTE) {
      for (i++; i < text.length && text[i] !== QUOTE; i++) if (text[i] === BACKSLASH) i++
      continue
    }
    // With this bit set, both opening brackets are 0x7b and both closing ones 0x7d.
    const bracket = byte | 0x20
    if (bracket === 0x7b) {
      if (++depth > depthMax) return true
    } else if (bracket === 0x7d) depth--
  }
  return false
}
