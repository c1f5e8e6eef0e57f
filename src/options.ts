/**
 * Options from people, checked once at the edge: unknown names and wrong values out, with the nearest name that exists;
 * durations and sizes as people write them ('1 minute', '64 MB') in. Inside, everything is set and read-only.
 */
import { DefinitionError } from './errors.js'

type Unit = 'ms' | 'millisecond' | 'milliseconds' | 's' | 'second' | 'seconds' | 'm' | 'minute' | 'minutes'
type LongUnit = 'h' | 'hour' | 'hours' | 'd' | 'day' | 'days' | 'w' | 'week' | 'weeks'
/** A span of time: a number of ms, or a number and its unit. */
export type Duration = number | `${number} ${Unit | LongUnit}`
/** An amount of memory: a number of bytes, or a number and its unit. 1 KB is 1024 bytes. */
export type Size = number | `${number} ${'B' | 'KB' | 'MB' | 'GB' | 'TB'}`

const SECOND = 1000
const MINUTE = 60 * SECOND
const HOUR = 60 * MINUTE
const DAY = 24 * HOUR
const DURATIONS: Readonly<Record<string, number>> = {
  ...{ ms: 1, millisecond: 1, milliseconds: 1, s: SECOND, second: SECOND, seconds: SECOND },
  ...{ m: MINUTE, minute: MINUTE, minutes: MINUTE, h: HOUR, hour: HOUR, hours: HOUR },
  ...{ d: DAY, day: DAY, days: DAY, w: 7 * DAY, week: 7 * DAY, weeks: 7 * DAY },
}
const SIZES: Readonly<Record<string, number>> = { B: 1, KB: 1024, MB: 1024 ** 2, GB: 1024 ** 3, TB: 1024 ** 4 }

/** A duration in ms. `where` names the option in the error. */
export function duration(where: string, given: unknown, bounds?: Bounds): number {
  return amount(where, given, DURATIONS, "a number of ms or a text like '10 seconds'", bounds)
}

/** A size in bytes, likewise. */
export function size(where: string, given: unknown, bounds?: Bounds): number {
  return amount(where, given, SIZES, "a number of bytes or a text like '64 MB'", bounds)
}

/** A whole number within bounds. */
export function whole(where: string, given: unknown, bounds: Bounds = {}): number {
  if (!Number.isSafeInteger(given)) throw badOption(where, 'a whole number', given)
  return within(where, given as number, bounds)
}

/** What an amount may be at least and at most. */
export interface Bounds {
  readonly min?: number
  readonly max?: number
}

function amount(
  where: string,
  given: unknown,
  units: Readonly<Record<string, number>>,
  want: string,
  bounds: Bounds = {},
) {
  if (typeof given === 'number' && Number.isFinite(given)) return within(where, given, bounds)
  const parts = typeof given === 'string' ? /^\s*(\d+(?:\.\d+)?)\s*([A-Za-z]+)\s*$/.exec(given) : null
  const unit =
    parts === null ? undefined : Object.hasOwn(units, parts[2] as string) ? units[parts[2] as string] : undefined
  if (parts === null || unit === undefined) throw badOption(where, want, given)
  return within(where, Math.round(Number(parts[1]) * unit), bounds)
}

function within(where: string, value: number, { min = 0, max = Number.MAX_SAFE_INTEGER }: Bounds): number {
  if (value < min) throw badOption(where, `at least ${min}`, value)
  if (value > max) throw badOption(where, `at most ${max}`, value)
  return value
}

/** The error for a value that does not fit: what was wanted, what came, and its type. */
export function badOption(where: string, want: string, given: unknown): DefinitionError {
  const type = given === null ? 'null' : Array.isArray(given) ? 'array' : typeof given
  return new DefinitionError(
    'BAD_OPTION',
    `${where} must be ${want}, but is ${show(given)} (${type})`,
    `change ${where}`,
  )
}

/**
 * Refuses anything but an object with these names. `where` names the thing the options belong to, as in
 * `stream "clicks"`.
 */
export function knownOptions(where: string, given: unknown, known: readonly string[]): void {
  if (typeof given !== 'object' || given === null || Array.isArray(given)) {
    throw badOption(`the options of ${where}`, 'an object', given)
  }
  for (const name of Object.keys(given)) {
    if (known.includes(name)) continue
    const shown = name.length > NAME_MAX ? `${name.slice(0, NAME_MAX - 3)}...` : name
    throw new DefinitionError('UNKNOWN_OPTION', `unknown option "${shown}" of ${where}`, didYouMean(name, known))
  }
}

/** `did you mean "batchSize"?`, or the list of what there is when nothing is near. */
export function didYouMean(name: string, known: readonly string[]): string {
  const nearest = [...known].sort((a, b) => distance(name, a) - distance(name, b))[0]
  if (nearest !== undefined && name.length <= NAME_MAX && distance(name, nearest) <= Math.max(2, name.length / 3))
    return `did you mean "${nearest}"?`
  return known.length === 0 ? 'it takes none' : `it takes ${known.join(', ')}`
}

function show(given: unknown): string {
  const text = typeof given === 'function' ? 'a function' : typeof given === 'symbol' ? 'a symbol' : written(given)
  return text.length > 60 ? `${text.slice(0, 57)}...` : text
}

/** Its declared type says that there always is a text. */
const stringify: (given: unknown) => string | undefined = JSON.stringify

/** As JSON; as JavaScript says it where JSON has no form, as for a bigint, a circle or undefined. */
function written(given: unknown): string {
  try {
    return stringify(given) ?? String(given)
  } catch {
    return String(given)
  }
}

/** Longer than any name of ours by far. */
const NAME_MAX = 100

/** How many letters must be changed, added or taken away, upper and lower case alike. */
function distance(a: string, b: string): number {
  if (a.length > NAME_MAX) return a.length
  const from = a.toLowerCase()
  const to = b.toLowerCase()
  let row = Array.from({ length: to.length + 1 }, (_, i) => i)
  for (let i = 1; i <= from.length; i++) {
    const next = [i]
    for (let j = 1; j <= to.length; j++) {
      const change = from[i - 1] === to[j - 1] ? 0 : 1
      next.push(Math.min((row[j] as number) + 1, (next[j - 1] as number) + 1, (row[j - 1] as number) + change))
    }
    row = next
  }
  return row[to.length] as number
}
