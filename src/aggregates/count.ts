/** `count()`: how many values, or how many of which something holds. */
import { aggregateOf, type Aggregate } from './aggregate.js'
import { mustBeFunction } from './given.js'

/** How many values there were; with `where`, only those for which it gives true. */
export function count<T>(where?: (value: T) => boolean): Aggregate<T, number> {
  if (where !== undefined) mustBeFunction('the function of count', where)
  const add = where === undefined ? (acc: number) => acc + 1 : (acc: number, value: T) => (where(value) ? acc + 1 : acc)
  return aggregateOf<T, number, number>('count', () => ({
    zero: () => 0,
    add,
    merge: (a, b) => a + b,
    result: acc => acc,
  }))
}
