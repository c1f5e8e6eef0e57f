/** `reduce()`: what a function of one's own makes of a state and each value. */
import { aggregateOf, type Aggregate } from './aggregate.js'
import { frozen, orInPlace } from './frozen.js'
import { mustBeFunction } from './given.js'

/**
 * The last of what `add` gives for the state before and each value, beginning with `zero`. States are plain data and
 * are frozen, so `add` returns a new one: changing its own in place is a `DefinitionError`. It cannot be merged, as
 * sessions need: `custom` can.
 */
export function reduce<T, R>(add: (acc: R, value: T) => R, zero: R): Aggregate<T, R> {
  mustBeFunction('the function of reduce', add)
  const seed = frozen('reduce', zero)
  return aggregateOf<T, R, R>('reduce', where => ({
    zero: () => seed,
    add: (acc, value) => {
      try {
        return frozen(where, add(acc, value))
      } catch (thrown) {
        throw orInPlace(where, thrown)
      }
    },
    result: acc => acc,
  }))
}
