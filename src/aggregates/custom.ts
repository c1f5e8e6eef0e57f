/** `custom()`: an aggregate of one's own, with all that ours have. */
import { knownOptions } from '../options.js'
import type { Storable } from '../state/plain.js'
import { aggregateOf, type Aggregate } from './aggregate.js'
import { frozen, orInPlace } from './frozen.js'
import { mustBeFunction } from './given.js'

/** The four functions of an aggregate. None of them changes what it is given: states are frozen. */
export interface CustomAggregate<T, S, R> {
  /** The state of nothing: plain data, no `Set` and no `Date`. It is called once. */
  readonly zero: () => S & Storable<S>
  /** A new state with one more value. */
  readonly add: (acc: S, value: T) => NoInfer<S>
  /** A new state of all values of both; those of `a` came first. */
  readonly merge: (a: S, b: S) => NoInfer<S>
  readonly result: (acc: S) => R
}

const PARTS = ['zero', 'add', 'merge', 'result'] as const

/**
 * An aggregate of four functions. States are plain data (`NOT_STORABLE` otherwise, for `zero` at once) and are frozen:
 * a function that changes one in place gets a `DefinitionError`.
 */
export function custom<T, S, R>(parts: CustomAggregate<T, S, R>): Aggregate<T, R> {
  knownOptions('custom', parts, PARTS)
  for (const part of PARTS) mustBeFunction(`${part} of custom`, parts[part])
  const { add, merge, result } = parts
  const zero: S = frozen('custom', parts.zero())
  return aggregateOf<T, S, R>('custom', where => {
    const guarded = <V>(make: () => V): V => {
      try {
        return make()
      } catch (thrown) {
        throw orInPlace(where, thrown)
      }
    }
    return {
      zero: () => zero,
      add: (acc, value) => guarded(() => frozen<S>(where, add(acc, value))),
      merge: (a, b) => guarded(() => frozen<S>(where, merge(a, b))),
      result: acc => guarded(() => result(acc)),
    }
  })
}
