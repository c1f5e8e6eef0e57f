/** `collectSet()`: the different values. */
import { aggregateOf, type Aggregate } from './aggregate.js'
import { mustBeFunction, scalarFrom } from './given.js'
import { hasTallied, tallied, talliedBoth, type Tally } from './tally.js'

/**
 * Each text or number that `of` gives, once, sorted: numbers first. Memory grows with each different one. Throws at a
 * value for which it gives neither a text nor a finite number.
 */
export function collectSet<T, R extends string | number>(of: (value: T) => R): Aggregate<T, R[]> {
  mustBeFunction('the function of collectSet', of)
  return aggregateOf<T, Tally<R>, R[]>('collectSet', where => ({
    zero: () => [],
    add: (acc, value) => {
      const one = scalarFrom(where, of(value))
      return hasTallied(acc, one) ? acc : tallied(acc, one)
    },
    merge: talliedBoth,
    result: acc => acc.flatMap(([values]) => values),
  }))
}
