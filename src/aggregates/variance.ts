/** `variance()`: the mean square distance from the mean. */
import { aggregateOf, type Aggregate, type Fold } from './aggregate.js'
import { mustBeFunction, numberFrom } from './given.js'

/**
 * The variance of what `of` gives, of all these values, not of a sample: divided by n. 0 for one value. Numerically
 * sound also where the mean is large (Welford). Throws at a value for which it gives no finite number.
 */
export function variance<T>(of: (value: T) => number): Aggregate<T, number> {
  mustBeFunction('the function of variance', of)
  return aggregateOf<T, Moments, number>('variance', where => varianceFold(where, of))
}

/** How many, their mean, and the sum of the squares of the distances from it. */
export type Moments = readonly [n: number, mean: number, squares: number]

/** The fold behind `variance` and `stddev`. */
export function varianceFold<T>(where: string, of: (value: T) => number): Fold<T, Moments, number> {
  return {
    zero: () => [0, 0, 0],
    add: ([n, mean, squares], value) => {
      const x = numberFrom(where, of(value))
      const next = mean + (x - mean) / (n + 1)
      return [n + 1, next, squares + (x - mean) * (x - next)]
    },
    merge: (a, b) => {
      const n = a[0] + b[0]
      if (n === 0) return a
      const apart = b[1] - a[1]
      return [n, a[1] + (apart * b[0]) / n, a[2] + b[2] + (apart * apart * a[0] * b[0]) / n]
    },
    result: ([n, , squares]) => (n === 0 ? undefined : squares / n),
  }
}
