/**
 * `aggregate()`: several aggregates at once over all values of a key, without a window. A key has one row, a list of
 * accumulators in the order of the names.
 */
import { foldsOf, type Aggregates, type NamedFold, type Reserved, type ResultsOf } from '../aggregates/aggregate.js'
import { badOption, knownOptions } from '../options.js'
import type { Key } from '../stream/key.js'
import { mustBeInTurn } from './in-turn.js'
import { ambient, operator, type Operator, type Push, type Seat } from './operator.js'

export interface AggregateOptions {
  /**
   * `'update'` (default): a result for each record. `'turn'`: at the end of each turn the latest result of each key
   * that changed: the last result is always right, and which ones come before depends on how records are batched.
   */
  readonly emit?: 'update' | 'turn'
}

/** A key and what the aggregates give for it, flat. */
export type AggregateResult<A> = { [N in keyof (ResultsOf<A> & { key: Key })]: (ResultsOf<A> & { key: Key })[N] }

/**
 * Aggregates the values of each key from the first on: `aggregate({ clicks: count(), meanMs: mean(c => c.ms) })`. The
 * memory grows with the number of keys. Throws a `DefinitionError` for what is no aggregate, and for one that is named
 * `key`, `window` or `final`.
 */
export function aggregate<T, A extends Aggregates<T> & Reserved>(
  aggregates: A & Aggregates<T>,
  options: AggregateOptions = {},
): Operator<T, AggregateResult<A>> {
  knownOptions('aggregate', options, ['emit'])
  const { emit = 'update' } = options
  if (!['update', 'turn'].includes(emit)) throw badOption('emit of aggregate', "'update' or 'turn'", emit)
  const folds = foldsOf<T>('aggregate()', aggregates)
  const keeps = folds.map(({ name, kind }) => `${name}: ${kind}`).join(', ')
  if (emit === 'update') {
    const start = (seat: Seat, push: Push<AggregateResult<A>>) => byRecord<T, AggregateResult<A>>(folds, seat, push)
    return operator({ name: 'aggregate', asks: ['key'], keeps, start })
  }
  const start = (seat: Seat, push: Push<AggregateResult<A>>) => byTurn<T, AggregateResult<A>>(folds, seat, push)
  return operator({ name: 'aggregate', asks: ['key', 'time'], keeps, start })
}

/** Accumulators in the order of the names; with `emit: 'turn'` the time of the last record after them. */
type Row = readonly unknown[]

function byRecord<T, R>(folds: readonly NamedFold<T>[], seat: Seat, push: Push<R>): Push<T> {
  const rows = seat.table<Row>()
  const zero = zeroOf(folds)
  return value => {
    mustBeInTurn(seat.where)
    const key = ambient.key
    const row = withOne(folds, rows.get(key) ?? zero, value)
    rows.set(key, row)
    push(resultOf(folds, key, row) as R)
  }
}

/**
 * Which keys changed is kept beside the tables, and so is not undone with them. Hence each stands there with the row it
 * had before: one that has this row again at the end did not change after all.
 */
function byTurn<T, R>(folds: readonly NamedFold<T>[], seat: Seat, push: Push<R>): Push<T> {
  const rows = seat.table<Row>()
  const zero = [...zeroOf(folds), 0]
  const before = new Map<Key, Row | undefined>()
  seat.atTurnBegin(() => before.clear())
  seat.atTurnEnd(() => {
    const { key, time } = ambient
    try {
      for (const [changed, former] of before) {
        const row = rows.get(changed)
        if (row === undefined || row === former) continue
        ambient.key = changed
        ambient.time = row[folds.length] as number
        push(resultOf(folds, changed, row) as R)
      }
    } finally {
      ambient.key = key
      ambient.time = time
    }
  })
  return value => {
    mustBeInTurn(seat.where)
    const { key, time } = ambient
    const former = rows.get(key)
    if (!before.has(key)) before.set(key, former)
    const row = withOne(folds, former ?? zero, value)
    row[folds.length] = time
    rows.set(key, row)
  }
}

function zeroOf<T>(folds: readonly NamedFold<T>[]): Row {
  return folds.map(({ fold }) => fold.zero())
}

/** A new row with one more value. */
function withOne<T>(folds: readonly NamedFold<T>[], row: Row, value: T): unknown[] {
  const next = row.slice()
  for (let i = 0; i < folds.length; i++) {
    next[i] = (folds[i] as NamedFold<T>).fold.add(row[i], value)
  }
  return next
}

function resultOf<T>(folds: readonly NamedFold<T>[], key: Key, row: Row): Record<string, unknown> {
  const result: Record<string, unknown> = { key }
  for (let i = 0; i < folds.length; i++) {
    const { name, fold } = folds[i] as NamedFold<T>
    result[name] = fold.result(row[i])
  }
  return result
}
