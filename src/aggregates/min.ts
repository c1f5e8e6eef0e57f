/** `min()`: the smallest number. */
import { aggregateOf, type Aggregate } from './aggregate.js'
import { mustBeFunction, numberFrom } from './given.js'

/** The smallest of what `of` gives. Throws at a value for which it gives no finite number. */
export function min<T>(of: (value: T) => number): Aggregate<T, number> {
  mustBeFunction('the function of min', of)
  return aggregateOf<T, Acc, number>('min', where => ({
    zero: () => undefined,
    add: (acc, value) => smaller(acc, numberFrom(where, of(value))),
    merge: (a, b) => (b === undefined ? a : smaller(a, b)),
    result: acc => acc,
  }))
}

type Acc = number | undefined

function smaller(acc: Acc, next: number): number {
  return acc === undefined || next < acc ? next : acc
}
