/**
 * Values of users on their way into memory: frozen all the way down, so that nobody changes afterwards what a table
 * keeps, and refused where they cannot be frozen.
 */
import { inWords } from '../codec/guards.js'
import { DefinitionError, messageOf } from '../errors.js'

/** Deeper than this it is a circle, or nothing that can be stored. */
const DEPTH_MAX = 1000

/**
 * A state that a function of the user made, frozen in place. It costs what is new in it: what is frozen already is not
 * looked into. Throws `NOT_STORABLE` for what cannot be frozen, bytes included, and names the place.
 */
export function frozen<S>(where: string, state: S): S {
  if (isPrimitive(state)) return state
  return settled(where, state, 'refuse', '', 0) as S
}

/** A value of the user that we keep, frozen likewise, but with copies of the bytes in it, which cannot be frozen. */
export function kept<V>(where: string, value: V): V {
  if (isPrimitive(value)) return value
  return settled(where, value, 'copy', '', 0) as V
}

function isPrimitive(value: unknown): boolean {
  return typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean' || value == null
}

/** The error for what a function of the user threw: where it tried to change a frozen state, one that says so. */
export function orInPlace(where: string, thrown: unknown): unknown {
  if (!(thrown instanceof TypeError) || !CHANGED_IN_PLACE.test(thrown.message)) return thrown
  const what = `${where}: the function changed its state or its value in place (${messageOf(thrown)})`
  const mend = 'return a new one, such as { ...state, n: state.n + 1 } or [...state, value]'
  return new DefinitionError('BAD_PIPELINE', what, mend, { cause: thrown })
}

const CHANGED_IN_PLACE =
  /read only property|not extensible|^Cannot (add|delete|define|redefine) property|^Cannot assign to|^'defineProperty'/

type Bytes = 'copy' | 'refuse'

/** The value itself, frozen, or what stands for it where bytes inside were copied. */
function settled(where: string, value: unknown, bytes: Bytes, path: string, depth: number): unknown {
  if (isPrimitive(value)) return value
  if (typeof value !== 'object' || value === null) throw notStorable(where, value, path)
  if (Object.isFrozen(value)) return value
  if (depth > DEPTH_MAX) throw tooDeep(where)
  if (value instanceof Uint8Array) {
    if (bytes === 'copy') return new Uint8Array(value)
    throw notStorable(where, value, path)
  }
  if (Array.isArray(value)) return settledArray(where, value, bytes, path, depth)
  if (!isPlain(value)) throw notStorable(where, value, path)
  return settledObject(where, value as Readonly<Record<string, unknown>>, bytes, path, depth)
}

function settledArray(where: string, value: readonly unknown[], bytes: Bytes, path: string, depth: number): unknown {
  let given: unknown[] | undefined
  for (let i = 0; i < value.length; i++) {
    const inner = value[i]
    if (isPrimitive(inner)) continue
    const now = settled(where, inner, bytes, `${path}[${i}]`, depth + 1)
    if (now !== inner) (given ??= value.slice())[i] = now
  }
  return Object.freeze(given ?? value)
}

function settledObject(
  where: string,
  value: Readonly<Record<string, unknown>>,
  bytes: Bytes,
  path: string,
  depth: number,
): unknown {
  let given: Record<string, unknown> | undefined
  for (const name in value) {
    const inner = value[name]
    if (isPrimitive(inner)) continue
    const now = settled(where, inner, bytes, `${path}.${name}`, depth + 1)
    if (now !== inner) (given ??= { ...value })[name] = now
  }
  return Object.freeze(given ?? value)
}

/** No instance of a class: its prototype is that of plain objects, in whichever realm, or none. */
function isPlain(value: object): boolean {
  const prototype: unknown = Object.getPrototypeOf(value)
  return prototype === Object.prototype || prototype === null || Object.getPrototypeOf(prototype) === null
}

function notStorable(where: string, value: unknown, path: string): DefinitionError {
  const mend =
    value instanceof Uint8Array
      ? 'bytes can be changed in place by anyone, so keep them as a text, or as an array of numbers'
      : 'keep plain objects, arrays, texts, numbers and booleans'
  return new DefinitionError('NOT_STORABLE', `${where}: state${path} is ${kindOf(value)}`, mend, {
    facts: { path: `state${path}` },
  })
}

/** The name of its class, where it has one. */
function kindOf(value: unknown): string {
  if (typeof value !== 'object' || value === null) return inWords(value)
  const maker: unknown = (value as { constructor?: unknown }).constructor
  const name = typeof maker === 'function' && maker !== Object ? maker.name : ''
  return name === '' ? inWords(value) : `${/^[AEIO]/.test(name) ? 'an' : 'a'} ${name}`
}

function tooDeep(where: string): DefinitionError {
  const what = `${where}: state is nested more than ${DEPTH_MAX} levels deep, or goes in a circle`
  return new DefinitionError('NOT_STORABLE', what, 'keep plain objects and arrays that end')
}
