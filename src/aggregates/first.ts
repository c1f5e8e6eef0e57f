/** `first()`: the value that came first. */
import { aggregateOf, type Aggregate } from './aggregate.js'
import { kept } from './frozen.js'
import { mustBeFunction } from './given.js'

/** The first value, or what `of` gives for it, in the order in which values are processed. It is kept, and frozen. */
export function first<T>(): Aggregate<T, T>
export function first<T, R>(of: (value: T) => R): Aggregate<T, R>
export function first<T>(of: (value: T) => unknown = value => value): Aggregate<T, unknown> {
  mustBeFunction('the function of first', of)
  return aggregateOf<T, Acc, unknown>('first', where => ({
    zero: () => [],
    add: (acc, value) => (acc.length > 0 ? acc : [kept(where, of(value))]),
    merge: (a, b) => (a.length > 0 ? a : b),
    result: acc => acc[0],
  }))
}

/** Empty before the first value, which may be undefined. */
type Acc = readonly [] | readonly [unknown]
