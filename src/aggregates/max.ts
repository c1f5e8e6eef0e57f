/** `max()`: the largest number. */
import { aggregateOf, type Aggregate } from './aggregate.js'
import { mustBeFunction, numberFrom } from './given.js'

/** The largest of what `of` gives. Throws at a value for which it gives no finite number. */
export function max<T>(of: (value: T) => number): Aggregate<T, number> {
  mustBeFunction('the function of max', of)
  return aggregateOf<T, Acc, number>('max', where => ({
    zero: () => undefined,
    add: (acc, value) => larger(acc, numberFrom(where, of(value))),
    merge: (a, b) => (b === undefined ? a : larger(a, b)),
    result: acc => acc,
  }))
}

type Acc = number | undefined

function larger(acc: Acc, next: number): number {
  return acc === undefined || next > acc ? next : acc
}
