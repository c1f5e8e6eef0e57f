/**
 * A schema as a user or a store gives it, checked before anything is read or written under it: names that would touch
 * what every object has, types that take no bytes and so let a few bytes stand for a million items.
 */
import { DefinitionError, messageOf } from '../errors.js'
import { typeOf, type Longs, type Type } from './engine.js'
import { fingerprintOf } from './fingerprint.js'
import { badSchema, FORBIDDEN_KEY } from './guards.js'
import { holdsForbiddenKey, textIsDeep } from './json-values.js'

/** An Avro schema: an object or array as in Avro's JSON, the name of a primitive, or either as JSON text. */
export type AvroSchema = string | object

export interface CheckedSchema {
  /** As it was given, in plain JSON: with defaults, aliases and docs. */
  readonly json: AvroSchema
  readonly type: Type
  /** The Parsing Canonical Form, and its CRC-64-AVRO in 16 hex digits. */
  readonly canonical: string
  readonly fingerprint: string
}

const SCHEMA_BYTES_MAX = 1024 * 1024
const SCHEMA_DEPTH_MAX = 256
/** Code is made for each, which takes about as long as reading a thousand of them. */
const RECORDS_MAX = 1000
/** A bomb below this takes no time to speak of. */
const PARSE_FIRST_LETTERS = 16 * 1024

/** Checks a schema and builds its type. A `DefinitionError` (`BAD_SCHEMA`, `NO_SCHEMA`) says what is wrong with it. */
export function checkedSchema(given: unknown, longs: Longs): CheckedSchema {
  const json = plain(given)
  const bad = badName(json, 'the schema')
  if (bad !== undefined) throw badSchema(bad, 'give it another name')
  const records = recordsIn(json)
  if (records > RECORDS_MAX) {
    throw badSchema(`the Avro schema has ${records} records, and ${RECORDS_MAX} are taken`, 'make several of it')
  }
  const type = built(json, longs)
  const bomb = bombIn(type)
  if (bomb !== undefined) throw badSchema(bomb.what, bomb.mend)
  const canonical = JSON.stringify(type.schema())
  return Object.freeze({ json, type, canonical, fingerprint: fingerprintOf(canonical) })
}

function built(json: AvroSchema, longs: Longs): Type {
  try {
    return typeOf(json, longs)
  } catch (cause) {
    const why = messageOf(cause)
    throw badSchema(`the Avro schema is wrong: ${why.length > 300 ? `${why.slice(0, 297)}...` : why}`, 'mend it', cause)
  }
}

/** A copy in plain JSON, so that later changes to what was given change nothing here. */
function plain(given: unknown): AvroSchema {
  if (given === undefined || given === null || given === '') {
    throw new DefinitionError('NO_SCHEMA', 'avro() got no schema', 'give an Avro schema as an object or as JSON text')
  }
  if (typeof given !== 'string' && typeof given !== 'object') {
    throw badSchema(`an Avro schema is an object or text, not a ${typeof given}`, 'give Avro JSON')
  }
  const text = typeof given === 'string' ? given.trim() : written(given)
  if (text.length > SCHEMA_BYTES_MAX) throw badSchema('the Avro schema is larger than 1 MB', 'split it')
  if (/^[A-Za-z_]/.test(text)) return text
  const json = read(text)
  if (typeof json !== 'object' && typeof json !== 'string')
    throw badSchema('an Avro schema is no number', 'give Avro JSON')
  return json as AvroSchema
}

function written(given: object): string {
  try {
    return JSON.stringify(given)
  } catch (cause) {
    throw badSchema(`the Avro schema is no plain JSON (${messageOf(cause)})`, 'give Avro JSON', cause)
  }
}

function read(text: string): unknown {
  if (text.length > PARSE_FIRST_LETTERS && textIsDeep(Buffer.from(text), SCHEMA_DEPTH_MAX)) {
    throw badSchema('the Avro schema is nested too deep', 'make it flatter')
  }
  let json: unknown
  let forbidden: boolean
  try {
    json = JSON.parse(text)
    forbidden = holdsForbiddenKey(json, SCHEMA_DEPTH_MAX)
  } catch (cause) {
    throw badSchema(`the Avro schema cannot be read (${messageOf(cause)})`, 'give Avro JSON', cause)
  }
  if (forbidden) throw badSchema(`the Avro schema has a key "${FORBIDDEN_KEY}"`, 'give it another name')
  return json
}

/** A name that every JavaScript object has already, by its prototype: a field or branch of that name cannot be told. */
function taken(name: unknown): name is string {
  return typeof name === 'string' && name.split('.').some(part => part === 'prototype' || part in Object.prototype)
}

function badName(node: unknown, where: string): string | undefined {
  if (typeof node !== 'object' || node === null) return undefined
  if (Array.isArray(node)) {
    for (const branch of node) {
      const bad = badName(branch, where)
      if (bad !== undefined) return bad
    }
    return undefined
  }
  const { name, namespace, aliases, symbols, fields, type, items, values } = node as Record<string, unknown>
  for (const each of [name, namespace, ...list(aliases), ...list(symbols)]) {
    if (taken(each)) return `${where} has the name "${each}", which every JavaScript object has already`
  }
  const inside = typeof name === 'string' ? `"${name}"` : where
  for (const part of [type, items, values, ...list(fields)]) {
    const bad = badName(part, inside)
    if (bad !== undefined) return bad
  }
  return undefined
}

function recordsIn(node: unknown): number {
  if (typeof node !== 'object' || node === null) return 0
  if (Array.isArray(node)) return node.reduce((sum: number, branch) => sum + recordsIn(branch), 0)
  const { fields, type, items, values } = node as Record<string, unknown>
  return recordsIn([type, items, values]) + (Array.isArray(fields) ? 1 + recordsIn(fields) : 0)
}

function list(value: unknown): unknown[] {
  return Array.isArray(value) ? value : []
}

interface Bomb {
  readonly what: string
  readonly mend: string
}

/** How many parts a record may have for each byte that it takes at the least; a small one may have some more. */
const PARTS_PER_BYTE = 8
const SMALL_BYTES = 2

/** An array or map of something that takes no bytes, a record that can never end, or one that is nearly all hollow. */
function bombIn(root: Type): Bomb | undefined {
  const weights = new Map<Type, Weight>()
  const seen = new Set<Type>()
  const waiting = [root]
  for (let type = waiting.pop(); type !== undefined; type = waiting.pop()) {
    if (seen.has(type)) continue
    seen.add(type)
    const weight = weightOf(type, weights)
    if (weight === undefined) {
      return { what: `the record "${type.name}" holds itself in every value`, mend: 'put it into a union with "null"' }
    }
    if (weight.parts > PARTS_PER_BYTE * Math.max(weight.bytes, SMALL_BYTES)) {
      const what = `the record "${type.name}" has more than ${PARTS_PER_BYTE} parts for each byte that it takes`
      return {
        what: `${what}, so a few bytes could stand for millions of them`,
        mend: 'leave out what is always empty',
      }
    }
    for (const inner of [type.itemsType, type.valuesType]) {
      if (inner === undefined) continue
      if (weightOf(inner, weights)?.bytes === 0) {
        const what = `the schema has ${type.typeName === 'map' ? 'a map' : 'an array'} of ${inner.name ?? inner.typeName}, which takes no bytes`
        return {
          what: `${what}, so a few bytes could stand for millions of items`,
          mend: 'give the items some content',
        }
      }
      waiting.push(inner)
    }
    waiting.push(...(type.types ?? []), ...(type.fields ?? []).map(field => field.type))
  }
  return undefined
}

/** What one value of a type costs at the least, up to where an array, a map or a union begins. */
interface Weight {
  readonly parts: number
  readonly bytes: number
}

const FIXED_BYTES: Readonly<Record<string, number>> = { null: 0, float: 4, double: 8 }

/**
 * Undefined for a record that meets itself on the way. Each type is weighed once: of records that hold each other twice,
 * level by level, a walk through all would never end.
 */
function weightOf(type: Type, weights: Map<Type, Weight>, above = new Set<Type>()): Weight | undefined {
  const known = weights.get(type)
  if (known !== undefined) return known
  if (above.has(type)) return undefined
  let [parts, bytes] = [1, type.typeName === 'fixed' ? (type.size ?? 0) : (FIXED_BYTES[type.typeName] ?? 1)]
  if (type.fields !== undefined) {
    bytes = 0
    above.add(type)
    for (const field of type.fields) {
      const weight = weightOf(field.type, weights, above)
      if (weight === undefined) return undefined
      parts += weight.parts
      bytes += weight.bytes
    }
    above.delete(type)
  }
  const weight = { parts, bytes }
  weights.set(type, weight)
  return weight
}
