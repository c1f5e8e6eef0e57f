/** `mean()`: the arithmetic mean. */
import { aggregateOf, type Aggregate } from './aggregate.js'
import { plus, plusSum, total, type Sum } from './compensated.js'
import { mustBeFunction, numberFrom } from './given.js'

/** The mean of what `of` gives for each value. Throws at a value for which it gives no finite number. */
export function mean<T>(of: (value: T) => number): Aggregate<T, number> {
  mustBeFunction('the function of mean', of)
  return aggregateOf<T, Acc, number>('mean', where => ({
    zero: () => [0, 0],
    add: ([n, sum], value) => [n + 1, plus(sum, numberFrom(where, of(value)))],
    merge: (a, b) => [a[0] + b[0], plusSum(a[1], b[1])],
    result: ([n, sum]) => (n === 0 ? undefined : total(sum) / n),
  }))
}

type Acc = readonly [n: number, sum: Sum]
