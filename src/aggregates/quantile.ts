/**
 * `quantile()`: the number below which a given share lies. Numbers are counted in buckets whose bounds grow by a fixed
 * factor (as DDSketch: Masson and others, 2019), so the error is relative to the number itself, and sketches merge
 * without losing anything.
 */
import { badOption } from '../options.js'
import { aggregateOf, type Aggregate, type Fold } from './aggregate.js'
import { mustBeFunction, numberFrom } from './given.js'
import { countsIn, tallied, talliedBoth, type Tally } from './tally.js'

/** How far the answer may be from the true number, relative to it. */
export const RELATIVE_ERROR = 0.01
const FACTOR = (1 + RELATIVE_ERROR) / (1 - RELATIVE_ERROR)
const LOG_FACTOR = Math.log(FACTOR)
/** What is nearer to 0 counts as 0: near the smallest numbers there are, logarithms have no digits left. */
const SMALLEST = 1e-300
/** Makes the index of each positive number positive, so that those of negative ones can be its mirror. */
const SHIFT = 40_000

/**
 * The number below which the share `q` (0 to 1) of what `of` gives lies: of n numbers in order, the one at place
 * floor(q (n - 1)), counted from 0. Within 1 % of the true one, whatever the numbers are. Memory: one counter for each
 * step of 2 % that occurs, so at most 700 for numbers within a factor of a million. Throws at a value for which it
 * gives no finite number.
 */
export function quantile<T>(q: number, of: (value: T) => number): Aggregate<T, number> {
  if (!(typeof q === 'number' && q >= 0 && q <= 1)) throw badOption('the share of quantile', 'a number from 0 to 1', q)
  mustBeFunction('the function of quantile', of)
  return aggregateOf<T, Tally<number>, number>('quantile', where => quantileFold(where, q, of))
}

/** The fold behind `quantile` and `median`. */
export function quantileFold<T>(where: string, q: number, of: (value: T) => number): Fold<T, Tally<number>, number> {
  return {
    zero: () => [],
    add: (acc, value) => tallied(acc, bucketOf(numberFrom(where, of(value)))),
    merge: talliedBoth,
    result: acc => at(acc, q),
  }
}

/** In the order of the numbers: below 0 for negative ones, 0 for zero. */
function bucketOf(number: number): number {
  const size = Math.abs(number)
  if (size < SMALLEST) return 0
  const index = Math.ceil(Math.log(size) / LOG_FACTOR) + SHIFT
  return number < 0 ? -index : index
}

/** The number in the middle of a bucket: as far, relative to them, from its least as from its greatest. */
function middleOf(bucket: number): number {
  if (bucket === 0) return 0
  const upper = Math.exp((Math.abs(bucket) - SHIFT) * LOG_FACTOR)
  const middle = Math.min((1 - RELATIVE_ERROR) * upper, Number.MAX_VALUE)
  return bucket < 0 ? -middle : middle
}

function at(acc: Tally<number>, q: number): number | undefined {
  let n = 0
  for (const [, counts] of acc) for (const count of counts) n += count
  const place = Math.floor(q * (n - 1))
  let before = 0
  for (const [bucket, count] of countsIn(acc)) {
    before += count
    if (before > place) return middleOf(bucket)
  }
  return undefined
}
