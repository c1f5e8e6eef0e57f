/**
 * `topK()`: the most frequent values, in bounded memory. Counters as of Misra and Gries, which are space saving turned
 * round and merge just as well (Agarwal and others, "Mergeable Summaries", 2012): when there are too many, all give up
 * as much as the largest that must go.
 */
import { whole } from '../options.js'
import { aggregateOf, type Aggregate } from './aggregate.js'
import { mustBeFunction, scalarFrom } from './given.js'
import { countsIn, differentIn, tallied, talliedBoth, tallyOf, type Tally } from './tally.js'

const K_MAX = 1000
/** How many counters are left after a clearing; there are at most twice as many. */
const COUNTERS_MIN = 100
const COUNTERS_PER_K = 10

export interface TopKEntry<R> {
  value: R
  /** Never too high. */
  count: number
}

/**
 * The k most frequent texts or numbers that `of` gives, the most frequent first, equals in their own order. Exact while
 * there are at most 20 k different ones (at least 200); beyond that a count may be too low, of n values by at most
 * n / (10 k), at most n / 100, and each value that came more often than that is counted. Throws at a value for which
 * `of` gives neither a text nor a finite number.
 */
export function topK<T, R extends string | number>(k: number, of: (value: T) => R): Aggregate<T, TopKEntry<R>[]> {
  const want = whole('k of topK', k, { min: 1, max: K_MAX })
  mustBeFunction('the function of topK', of)
  const counters = Math.max(COUNTERS_MIN, COUNTERS_PER_K * want)
  return aggregateOf<T, Tally<R>, TopKEntry<R>[]>('topK', where => ({
    zero: () => [],
    add: (acc, value) => bounded(tallied(acc, scalarFrom(where, of(value))), counters),
    merge: (a, b) => bounded(talliedBoth(a, b), counters),
    result: acc => mostFrequent(acc).slice(0, want),
  }))
}

/** With at most twice as many counters. A clearing is rare: at least `counters` values come before the next. */
function bounded<R extends string | number>(acc: Tally<R>, counters: number): Tally<R> {
  if (differentIn(acc) <= 2 * counters) return acc
  const all = [...countsIn(acc)]
  const lowered = all.map(([, count]) => count).sort((a, b) => b - a)[counters] as number
  const left = all.filter(([, count]) => count > lowered)
  return tallyOf(left.map(([value, count]) => [value, count - lowered] as const))
}

function mostFrequent<R extends string | number>(acc: Tally<R>): TopKEntry<R>[] {
  return [...countsIn(acc)].map(([value, count]) => ({ value, count })).sort((a, b) => b.count - a.count)
}
