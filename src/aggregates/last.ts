/** `last()`: the value that came last. */
import { aggregateOf, type Aggregate } from './aggregate.js'
import { kept } from './frozen.js'
import { mustBeFunction } from './given.js'

/** The last value, or what `of` gives for it, in the order in which values are processed. It is kept, and frozen. */
export function last<T>(): Aggregate<T, T>
export function last<T, R>(of: (value: T) => R): Aggregate<T, R>
export function last<T>(of: (value: T) => unknown = value => value): Aggregate<T, unknown> {
  mustBeFunction('the function of last', of)
  return aggregateOf<T, Acc, unknown>('last', where => ({
    zero: () => [],
    add: (_, value) => [kept(where, of(value))],
    merge: (a, b) => (b.length > 0 ? b : a),
    result: acc => acc[0],
  }))
}

/** Empty before the first value, which may be undefined. */
type Acc = readonly [] | readonly [unknown]
