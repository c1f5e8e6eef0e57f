/** `histogram()`: how many numbers are between given bounds. */
import { aggregateOf, type Aggregate } from './aggregate.js'
import { mustBeFunction, numberFrom } from './given.js'
import { badOption, knownOptions } from '../options.js'

/** How many numbers are at or below `le` and above the bound before; `le` is null for those above all bounds. */
export interface HistogramBucket {
  le: number | null
  count: number
}

export interface HistogramOptions {
  /** The upper bounds, rising; 1 to 1000 of them. Beyond the last there is one more bucket. */
  readonly buckets: readonly number[]
}

const BUCKETS_MAX = 1000

/** Counts what `of` gives by buckets. Throws at a value for which it gives no finite number. */
export function histogram<T>(of: (value: T) => number, options: HistogramOptions): Aggregate<T, HistogramBucket[]> {
  mustBeFunction('the function of histogram', of)
  knownOptions('histogram', options, ['buckets'])
  const bounds = boundsFrom(options.buckets)
  const zero: Counts = new Array<number>(bounds.length + 1).fill(0)
  return aggregateOf<T, Counts, HistogramBucket[]>('histogram', where => ({
    zero: () => zero,
    add: (acc, value) => {
      const at = bucketOf(bounds, numberFrom(where, of(value)))
      const counts = acc.slice()
      counts[at] = (counts[at] as number) + 1
      return counts
    },
    merge: (a, b) => a.map((count, i) => count + (b[i] as number)),
    result: acc => acc.map((count, i) => ({ le: bounds[i] ?? null, count })),
  }))
}

/** One for each bound, and one for what is above all. */
type Counts = readonly number[]

/** The first bound that is not below it. */
function bucketOf(bounds: readonly number[], number: number): number {
  let low = 0
  let high = bounds.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if ((bounds[middle] as number) < number) low = middle + 1
    else high = middle
  }
  return low
}

function boundsFrom(given: unknown): readonly number[] {
  const rising =
    Array.isArray(given) &&
    given.length > 0 &&
    given.length <= BUCKETS_MAX &&
    given.every((bound, i) => Number.isFinite(bound) && (i === 0 || (bound as number) > (given[i - 1] as number)))
  if (!rising) throw badOption('buckets of histogram', `1 to ${BUCKETS_MAX} rising finite numbers`, given)
  return [...(given as readonly number[])]
}
