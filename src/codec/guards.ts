/**
 * What a record may cost: bounds on its bytes and its depth, the one key that no value may have, and the words for a
 * place inside a value. All codecs that parse keep to these, in both directions, so that no one writes what nobody reads.
 */
import { DefinitionError, RecordError } from '../errors.js'
import { knownOptions, size, whole, type Size } from '../options.js'

export interface GuardOptions {
  /** The largest record, in bytes, that is written or read; default 8 MB. The log has a bound of its own. */
  readonly bytesMax?: Size
  /** How deep objects and arrays may be nested in a value; default 128. */
  readonly depthMax?: number
}

export interface Guards {
  readonly bytesMax: number
  readonly depthMax: number
}

/** At 1000 levels of calls the stack is still far away. */
const DEPTH_LIMIT = 1000
const DEFAULTS: Guards = Object.freeze({ bytesMax: 8 * 1024 * 1024, depthMax: 128 })
const NAMES: readonly string[] = ['bytesMax', 'depthMax']

/** The guards these options ask for. A `DefinitionError` names what does not fit; `more` are names that others read. */
export function guards(where: string, given: GuardOptions = {}, more: readonly string[] = []): Guards {
  knownOptions(where, given, [...NAMES, ...more])
  return Object.freeze({
    bytesMax: size(`bytesMax of ${where}`, given.bytesMax ?? DEFAULTS.bytesMax, { min: 1 }),
    depthMax: whole(`depthMax of ${where}`, given.depthMax ?? DEFAULTS.depthMax, { min: 1, max: DEPTH_LIMIT }),
  })
}

/** The error for a record above `bytesMax`. */
export function tooLarge(bytes: number, { bytesMax }: Guards): RecordError {
  const what = `the record has ${bytes} bytes, more than the ${bytesMax} that the codec allows`
  return new RecordError('TOO_DEEP_OR_LARGE', what, 'make it smaller, or raise bytesMax of the codec', {
    facts: { bytes, bytesMax },
  })
}

/** The error for a value nested deeper than `depthMax`. */
export function tooDeep(depthMax: number, cause?: unknown): RecordError {
  const what = `the value is nested more than ${depthMax} levels deep`
  return new RecordError('TOO_DEEP_OR_LARGE', what, 'make it flatter, or raise depthMax of the codec', {
    cause,
    facts: { depthMax },
  })
}

/** The error for bytes that are not what the codec writes. */
export function badBytes(what: string, cause?: unknown): RecordError {
  return new RecordError('BAD_BYTES', what, 'it was damaged, or written with another codec', { cause })
}

/** The error for a part of a value that the codec does not carry. */
export function badValue(path: Path, why: string, mend: string, cause?: unknown): RecordError {
  const place = placeOf(path)
  return new RecordError('INVALID_VALUE', `${place} ${why}`, mend, { cause, facts: { path: place } })
}

/**
 * The key that no value may have, at any depth. As an own property it does no harm by itself, but the first
 * `Object.assign` or `target[key] = ...` that meets it exchanges a prototype.
 */
export const FORBIDDEN_KEY = '__proto__'

/** The way into a value: property names and indexes. */
export type Path = readonly (string | number)[]

/** `value.items[3].price` */
export function placeOf(path: Path): string {
  let text = 'value'
  for (const step of path) {
    if (typeof step === 'number') text += `[${step}]`
    else text += /^[A-Za-z_$][\w$]*$/.test(step) ? `.${step}` : `[${JSON.stringify(step)}]`
  }
  return text
}

/** A value in a few words: `12 (number)`, `null`, `an array`. */
export function inWords(value: unknown): string {
  if (value === null || value === undefined) return String(value)
  if (Array.isArray(value)) return 'an array'
  if (typeof value === 'function' || typeof value === 'symbol') return `a ${typeof value}`
  if (typeof value === 'object') {
    const name = /^\[object (\w+)\]$/.exec(Object.prototype.toString.call(value))?.[1] ?? 'Object'
    return name === 'Object' ? 'an object' : `${/^[AEIO]/.test(name) ? 'an' : 'a'} ${name}`
  }
  const text = typeof value === 'string' ? JSON.stringify(value) : `${value as number | bigint | boolean}`
  return `${text.length > 40 ? `${text.slice(0, 37)}...` : text} (${typeof value})`
}

/** The error for a schema that is wrong or that we refuse to read with. */
export function badSchema(what: string, mend: string, cause?: unknown): DefinitionError {
  return new DefinitionError('BAD_SCHEMA', what, mend, { cause })
}
