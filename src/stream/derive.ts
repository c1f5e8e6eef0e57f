/**
 * Rules that derive a key, a time or an id from a value: a function of the user's or the name of a field, and what they
 * give is checked each time, for a key that is no text would put a record where nobody looks for it.
 */
import { DefinitionError, messageOf } from '../errors.js'
import { badOption } from '../options.js'
import type { Key } from './key.js'

/** How something is derived from a value. */
export interface Rule<in T, out V> {
  /** The field it stands in; absent when only a function of the user's knows. */
  readonly field?: string
  /** Derives and checks it. */
  readonly of: (value: T) => V
}

type Given<T, V> = ((value: T) => V) | string

/** The rule for keys; `of` throws `BAD_KEY`. */
export function keyRule<T>(where: string, given: Given<T, Key> | undefined): Rule<T, Key> | undefined {
  return ruleOf(`key of ${where}`, given, (from, value) => checkedKey(where, from, value))
}

/** The rule for times, in ms since 1970; `of` throws `BAD_TIME`. */
export function timeRule<T>(where: string, given: Given<T, number | Date> | undefined): Rule<T, number> | undefined {
  return ruleOf(`time of ${where}`, given, (from, value) => checkedTime(where, from, value))
}

/** The rule for ids; `of` throws `BAD_ID`. */
export function idRule<T>(where: string, given: Given<T, string> | undefined): Rule<T, string> | undefined {
  return ruleOf(`id of ${where}`, given, (from, value) => checkedId(where, from, value))
}

/** The key, if it is text; else `BAD_KEY`, saying where it came `from`. */
export function checkedKey(where: string, from: string, value: unknown): Key {
  if (typeof value === 'string') return value
  throw new DefinitionError(
    'BAD_KEY',
    `${from} of ${where} must give a text as key, but gave ${shown(value)}`,
    'give a text, as with key(a, b) or String(id)',
  )
}

/** The time in whole ms since 1970, if it is one; else `BAD_TIME`. */
export function checkedTime(where: string, from: string, value: unknown): number {
  const ms = value instanceof Date ? value.getTime() : value
  // The bound is that of Date itself.
  if (typeof ms === 'number' && Math.abs(ms) <= 8.64e15) return Math.floor(ms)
  const mend = 'give a number of ms since 1970 or a Date (JSON makes a text of a Date: use Date.parse)'
  throw new DefinitionError('BAD_TIME', `${from} of ${where} must give a time, but gave ${shown(value)}`, mend)
}

const ID_MAX = 500

/** The id, if the log can carry it; else `BAD_ID`. */
export function checkedId(where: string, from: string, value: unknown): string {
  if (typeof value === 'string' && value.length <= ID_MAX && /^[!-~]+$/.test(value)) return value
  const mend = `give a text of 1 to ${ID_MAX} visible ASCII characters, as with encodeURIComponent(id)`
  throw new DefinitionError('BAD_ID', `${from} of ${where} must give an id, but gave ${shown(value)}`, mend)
}

type Checked<V> = (from: string, value: unknown) => V

function ruleOf<T, V>(
  option: string,
  given: Given<T, unknown> | undefined,
  checked: Checked<V>,
): Rule<T, V> | undefined {
  if (given === undefined) return undefined
  const kind = option.slice(0, option.indexOf(' '))
  if (typeof given === 'function') {
    const from = `the ${kind} function`
    const of = (value: T) => {
      let derived: unknown
      try {
        derived = given(value)
      } catch (thrown) {
        throw failed(kind, `${from}${option.slice(kind.length)} threw: ${messageOf(thrown)}`, thrown)
      }
      return checked(from, derived)
    }
    return Object.freeze({ of })
  }
  if (typeof given !== 'string' || given === '') throw badOption(option, 'a function or the name of a field', given)
  const from = `the field "${given}"`
  return Object.freeze({ field: given, of: (value: T) => checked(from, fieldOf(value, given)) })
}

function fieldOf(value: unknown, field: string): unknown {
  if (typeof value !== 'object' || value === null) return undefined
  return (value as Record<string, unknown>)[field]
}

function failed(kind: string, what: string, cause: unknown): DefinitionError {
  const code = kind === 'key' ? 'BAD_KEY' : kind === 'time' ? 'BAD_TIME' : 'BAD_ID'
  return new DefinitionError(code, what, 'make it hold for every value that is published', { cause })
}

function shown(value: unknown): string {
  switch (typeof value) {
    case 'undefined':
      return 'undefined'
    case 'object':
      return value === null
        ? 'null'
        : value instanceof Date
          ? 'a Date that is no time'
          : value instanceof Promise
            ? 'a promise'
            : Array.isArray(value)
              ? 'an array'
              : 'an object'
    case 'function':
      return 'a function'
    case 'string':
      return value.length > 60
        ? `${JSON.stringify(value.slice(0, 57))}... (string)`
        : `${JSON.stringify(value)} (string)`
    default:
      return `${String(value)} (${typeof value})`
  }
}
