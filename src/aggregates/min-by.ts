/** `minBy()`: the value of which something is smallest. */
import { aggregateOf, type Aggregate } from './aggregate.js'
import { kept } from './frozen.js'
import { mustBeFunction, scalarFrom } from './given.js'
import { compare, type Ordered } from './order.js'

/**
 * The value for which `of` gives the smallest text or number; of several such, the one that came first. Numbers stand
 * before texts. The value is kept, and frozen. Throws at a value for which it gives neither a text nor a finite number.
 */
export function minBy<T>(of: (value: T) => number | string): Aggregate<T, T> {
  mustBeFunction('the function of minBy', of)
  return aggregateOf<T, Acc<T>, T>('minBy', where => ({
    zero: () => undefined,
    add: (acc, value) => {
      const by = scalarFrom(where, of(value))
      return acc === undefined || compare(by, acc[0]) < 0 ? [by, kept(where, value)] : acc
    },
    merge: (a, b) => (a === undefined || (b !== undefined && compare(b[0], a[0]) < 0) ? b : a),
    result: acc => acc?.[1],
  }))
}

type Acc<T> = readonly [by: Ordered, value: T] | undefined
