/** `median()`: the number in the middle. */
import { aggregateOf, type Aggregate } from './aggregate.js'
import { mustBeFunction } from './given.js'
import type { Tally } from './tally.js'
import { quantileFold } from './quantile.js'

/** The lower median of what `of` gives, within 1 % of the true one: `quantile(0.5, of)`, in all things. */
export function median<T>(of: (value: T) => number): Aggregate<T, number> {
  mustBeFunction('the function of median', of)
  return aggregateOf<T, Tally<number>, number>('median', where => quantileFold(where, 0.5, of))
}
