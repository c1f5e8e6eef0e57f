/**
 * What an aggregate is: a value that says how many values become one result. The protocol behind it is a fold whose
 * accumulators are plain data and are never changed in place, so that tables can keep, undo, merge and store them.
 */
import { DefinitionError } from '../errors.js'
import { badOption } from '../options.js'
import { inWords } from '../codec/guards.js'

// Symbol.for, so that aggregates made by one copy of the package are known to another.
const FOLD: unique symbol = Symbol.for('stream-node.aggregate/1')

/** Takes values of type T one by one, gives a result of type R: what `count()` and `sum(...)` make. */
export interface Aggregate<in T, out R> {
  /** As users write it: `mean`. */
  readonly name: string
  readonly [FOLD]: FoldOf<T, R>
}

/** Makes the fold; `where` names it in errors: `sum "total"`. */
export type FoldOf<in T, out R> = (where: string) => Fold<T, unknown, R>

/**
 * How values become a result. An accumulator is plain data that a table can hold, is never changed after it was given,
 * and is cheap to derive the next one from.
 */
export interface Fold<T, S, R> {
  /** Of nothing. The same one may be given each time. */
  zero(): S
  /** May throw: a `RecordError` where the value does not fit, or what a function of the user threw. */
  add(acc: S, value: T): S
  /** Of all values of both, where those of `a` came first. Absent where the user has not said how. */
  merge?(a: S, b: S): S
  /** Undefined where nothing can be said, as of the least of nothing. Shares nothing with `acc` that can be changed. */
  result(acc: S): R | undefined
}

/** An aggregate from what stands behind it. */
export function aggregateOf<T, S, R>(name: string, fold: (where: string) => Fold<T, S, R>): Aggregate<T, R> {
  const value: Aggregate<T, R> = { name, [FOLD]: fold }
  return Object.freeze(Object.defineProperty(value, FOLD, { enumerable: false }))
}

/** Aggregates by the names that their results get. */
export type Aggregates<T> = Readonly<Record<string, Aggregate<T, unknown>>>

/** Names that results have already. */
export type Reserved = {
  readonly [N in 'key' | 'window' | 'final']?: 'the result has this name already; choose another'
}

const RESERVED: readonly string[] = ['key', 'window', 'final', '__proto__']

/** What the aggregates give, by the same names. */
export type ResultsOf<A> = { -readonly [N in keyof A]: A[N] extends Aggregate<never, infer R> ? R : never }

/** One of several aggregates that work on the same values. */
export interface NamedFold<T> {
  readonly name: string
  /** Which aggregate: `mean`. */
  readonly kind: string
  readonly fold: Fold<T, unknown, unknown>
}

/** The aggregates that a user gave to `where`, checked, in their order. Throws a `DefinitionError`. */
export function foldsOf<T>(where: string, given: Aggregates<T>): readonly NamedFold<T>[] {
  const all: unknown = given
  if (typeof all !== 'object' || all === null || Array.isArray(all)) {
    throw badOption(`the aggregates of ${where}`, 'an object such as { clicks: count() }', all)
  }
  const named = Object.entries(all).map(([name, one]: [string, unknown]) => {
    if (RESERVED.includes(name)) {
      const what = `an aggregate of ${where} is named "${name}", which the result has already`
      throw new DefinitionError('BAD_OPTION', what, 'choose another name')
    }
    if (isAggregate<T>(one)) return { name, kind: one.name, fold: one[FOLD](`${one.name} "${name}"`) }
    const what = `"${name}" of ${where} must be an aggregate, but is ${inWords(one)}`
    const mend =
      typeof one === 'function' ? `call it: ${one.name || 'count'}(...)` : 'give count(), sum(...) or the like'
    throw new DefinitionError('BAD_OPTION', what, mend)
  })
  if (named.length > 0) return named
  throw badOption(`the aggregates of ${where}`, 'at least one, such as { clicks: count() }', given)
}

/** Whether one of our functions, of this copy of the package or another, made it. */
function isAggregate<T>(given: unknown): given is Aggregate<T, unknown> {
  return typeof given === 'object' && given !== null && FOLD in given
}
