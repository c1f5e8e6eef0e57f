/** `stddev()`: the standard deviation. */
import { aggregateOf, type Aggregate } from './aggregate.js'
import { mustBeFunction } from './given.js'
import { varianceFold, type Moments } from './variance.js'

/**
 * The standard deviation of what `of` gives, of all these values, not of a sample: the square root of `variance`.
 * Throws at a value for which it gives no finite number.
 */
export function stddev<T>(of: (value: T) => number): Aggregate<T, number> {
  mustBeFunction('the function of stddev', of)
  return aggregateOf<T, Moments, number>('stddev', where => {
    const fold = varianceFold(where, of)
    return { ...fold, result: acc => (acc[0] === 0 ? undefined : Math.sqrt(acc[2] / acc[0])) }
  })
}
