/** `sum()`: the sum of numbers. */
import { aggregateOf, type Aggregate } from './aggregate.js'
import { plus, plusSum, total, type Sum } from './compensated.js'
import { mustBeFunction, numberFrom } from './given.js'

/**
 * The sum of what `of` gives for each value: exact for whole numbers up to 2^53, and with fractions as good as if only
 * the end had been rounded. Throws at a value for which it gives no finite number.
 */
export function sum<T>(of: (value: T) => number): Aggregate<T, number> {
  mustBeFunction('the function of sum', of)
  return aggregateOf<T, Sum, number>('sum', where => ({
    zero: () => 0,
    add: (acc, value) => plus(acc, numberFrom(where, of(value))),
    merge: plusSum,
    result: total,
  }))
}
