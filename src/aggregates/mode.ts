/** `mode()`: the most frequent value. */
import { aggregateOf, type Aggregate } from './aggregate.js'
import { mustBeFunction, scalarFrom } from './given.js'
import { countsIn, tallied, talliedBoth, type Tally } from './tally.js'

/**
 * The text or number that `of` gives most often; of several such, the first in order, numbers before texts. It is
 * exact, so memory grows with each different one; `topK(1, ...)` is bounded. Throws where it gives neither.
 */
export function mode<T, R extends string | number>(of: (value: T) => R): Aggregate<T, R> {
  mustBeFunction('the function of mode', of)
  return aggregateOf<T, Tally<R>, R>('mode', where => ({
    zero: () => [],
    add: (acc, value) => tallied(acc, scalarFrom(where, of(value))),
    merge: talliedBoth,
    result: mostFrequent,
  }))
}

function mostFrequent<R extends string | number>(acc: Tally<R>): R | undefined {
  let most: R | undefined
  let times = 0
  for (const [value, count] of countsIn(acc)) {
    if (count <= times) continue
    most = value
    times = count
  }
  return most
}
