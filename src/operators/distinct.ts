/**
 * `distinct()`: the durable twin of RxJS's, for each key by itself, with memory that ends where `within` does. Which
 * values were seen stands in a table, so that it outlives the process and is undone with a turn that fails.
 */
import { mustBeFunction, scalarFrom } from '../aggregates/given.js'
import { duration, knownOptions, type Duration } from '../options.js'
import type { Key } from '../stream/key.js'
import { mustBeInTurn } from './in-turn.js'
import { ambient, operator, type Operator, type Push, type Seat } from './operator.js'
import { Spans } from './spans.js'

export interface DistinctOptions {
  /**
   * How far from one that passed, in event time, a value is a repeat; `'forever'`: at any time, with memory that grows
   * with each different value.
   */
  readonly within: Duration | 'forever'
}

/**
 * Lets a value pass when `of` gives for it a text or number that did not pass under the same key within the span, and
 * drops it otherwise. Of two the one that is processed first passes, also when its time is the later one. Memory goes
 * back by `within` from the watermark: a record that comes later than that may pass though it is a repeat; it is never
 * dropped wrongly. Throws at a value for which `of` gives neither a text nor a finite number.
 */
export function distinct<T>(of: (value: T) => string | number, options: DistinctOptions): Operator<T, T> {
  mustBeFunction('the function of distinct', of)
  knownOptions('distinct', options, ['within'])
  if (options.within === 'forever') {
    return operator<T, T>({
      name: 'distinct',
      asks: ['key'],
      keeps: 'values',
      start: (seat, push) => forEver(of, seat, push),
    })
  }
  const withinMs = duration('within of distinct', options.within, { min: 1 })
  const start = (seat: Seat, push: Push<T>) => inSpans(of, withinMs, seat, push)
  return operator<T, T>({ name: 'distinct', asks: ['key', 'time'], keeps: `values within ${withinMs} ms`, start })
}

type Of<T> = (value: T) => string | number

function forEver<T>(of: Of<T>, seat: Seat, push: Push<T>): Push<T> {
  const seen = seat.table<true>()
  return value => {
    mustBeInTurn(seat.where)
    const row = rowOf(ambient.key, scalarFrom(seat.where, of(value)))
    if (seen.has(row)) return
    seen.set(row, true)
    push(value)
  }
}

/**
 * Spans are just as wide as `within`. Two that passed are at least so far apart, so a span holds one time at most for
 * each value, and one that makes a new record a repeat stands in its span or in one of the neighbours: three looks,
 * whatever the order of times, and memory of at most twice `within` behind the watermark. Narrower spans would
 * give memory back a little sooner and cost more looks.
 */
function inSpans<T>(of: Of<T>, withinMs: number, seat: Seat, push: Push<T>): Push<T> {
  const seen = seat.scopedTable<number>()
  const spans = new Spans(seat, seen, withinMs, withinMs)
  return value => {
    mustBeInTurn(seat.where)
    const { key, time } = ambient
    const row = rowOf(key, scalarFrom(seat.where, of(value)))
    const span = spans.of(time)
    const [itself, before, after] = spans.names(span)
    const isRepeatOf = (scope: string) => Math.abs(time - (seen.get(scope, row) ?? NaN)) < withinMs
    if (isRepeatOf(itself) || isRepeatOf(before) || (span < spans.newest && isRepeatOf(after))) return
    spans.used(span)
    seen.set(itself, row, time)
    push(value)
  }
}

/** One text for both: no two pairs give the same, for numbers are marked and the length of a text says its end. */
function rowOf(key: Key, value: string | number): string {
  return typeof value === 'number' ? `#${value}:${key}` : `${value.length}:${value}${key}`
}
