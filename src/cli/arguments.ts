/** Values that people type: counts, times and durations, refused with the name of their flag. */
import { duration } from '../options.js'
import { UsageError } from './failure.js'

/** A whole number within bounds. */
export function countOf(flag: string, text: string, { min = 0, max = Number.MAX_SAFE_INTEGER } = {}): number {
  const count = Number(text)
  if (/^\d+$/.test(text) && count >= min && count <= max) return count
  const bounds = max === Number.MAX_SAFE_INTEGER ? `of at least ${min}` : `from ${min} to ${max}`
  throw new UsageError(`${flag} must be a whole number ${bounds}, but is ${JSON.stringify(text)}`, `change ${flag}`)
}

/** A time: ms since 1970, or an ISO time. */
export function timeOf(flag: string, text: string): Date {
  const time = new Date(/^-?\d+$/.test(text) ? Number(text) : isoTime(text))
  if (!Number.isNaN(time.getTime())) return time
  throw new UsageError(`${flag} must be a time, but is ${JSON.stringify(text)}`, "write it like '2026-11-20T10:00:00Z'")
}

/** A duration in ms, which must have a unit. */
export function durationOf(flag: string, text: string, { min = 1 } = {}): number {
  try {
    return duration(flag, text, { min })
  } catch {
    const what = `${flag} must be a duration of at least ${min} ms, but is ${JSON.stringify(text)}`
    throw new UsageError(what, "write it like '10s' or '500ms'")
  }
}

/** Where to begin: `start`, `end`, a position, or an ISO time. */
export function placeOf(flag: string, text: string): 'start' | 'end' | number | Date {
  if (text === 'start' || text === 'end') return text
  if (/^\d+$/.test(text) && Number.isSafeInteger(Number(text)) && Number(text) > 0) return Number(text)
  const time = new Date(isoTime(text))
  if (!Number.isNaN(time.getTime())) return time
  const mend = "write 'start', 'end', a position from 1 on, or a time like '2026-11-20T10:00:00Z'"
  throw new UsageError(`${flag} must be a place in the stream, but is ${JSON.stringify(text)}`, mend)
}

/** NaN for what is not written as ISO 8601: `Date.parse` takes nearly anything. */
function isoTime(text: string): number {
  return /^\d{4}-\d{2}-\d{2}(?:[T ]\d{2}:\d{2}(?::\d{2}(?:\.\d+)?)?(?:Z|[+-]\d{2}:?\d{2})?)?$/.test(text)
    ? Date.parse(text)
    : NaN
}
