/**
 * `scan()`: the durable twin of RxJS's, with one state for each key. The states are rows of a table, so that they
 * outlive the process and are undone with a turn that fails.
 */
import { frozen, orInPlace } from '../aggregates/frozen.js'
import { mustBeFunction } from '../aggregates/given.js'
import { badOption, duration, knownOptions, type Duration } from '../options.js'
import type { ScopedTable } from '../state/table.js'
import type { Key } from '../stream/key.js'
import { mustBeInTurn } from './in-turn.js'
import { ambient, operator, type Operator, type Push, type Seat } from './operator.js'
import { Spans } from './spans.js'

export interface ScanOptions {
  /** A key that is not touched for longer than this, in event time, starts anew. Default: never. */
  readonly within?: Duration
}

/** With a shorter `within`, states stay a little longer than they must, and spans stay few. */
const SPAN_MIN_MS = 1000

/**
 * For each value, what `f` makes of the state of its key and of the value; the state of a new key is `seed`. What `f`
 * gives is the new state, and goes on to the next step. States are plain data and are frozen, so `f` returns a new one:
 * changing its own in place is a `DefinitionError`. Without `within`, memory grows with the number of keys. With it, a
 * record that comes behind the watermark by more than `within` may find the state of its key gone, and starts anew.
 */
export function scan<T, S>(f: (state: S, value: T) => S, seed: S, options: ScanOptions = {}): Operator<T, S> {
  mustBeFunction('the function of scan', f)
  // RxJS's takes the first value then, which would be lost on whoever comes from there.
  if (arguments.length < 2) throw badOption('the seed of scan', 'given, as in scan(f, 0)', seed)
  knownOptions('scan', options, ['within'])
  const withinMs = options.within === undefined ? undefined : duration('within of scan', options.within, { min: 1 })
  const folding: Folding<T, S> = { f, seed: frozen('scan', seed) }
  if (withinMs === undefined) {
    return operator<T, S>({
      name: 'scan',
      asks: ['key'],
      keeps: 'states',
      start: (seat, push) => forEver(folding, seat, push),
    })
  }
  const start = (seat: Seat, push: Push<S>) => whileTouched(folding, withinMs, seat, push)
  return operator<T, S>({ name: 'scan', asks: ['key', 'time'], keeps: `states within ${withinMs} ms`, start })
}

interface Folding<T, S> {
  readonly f: (state: S, value: T) => S
  readonly seed: S
}

function next<T, S>({ f }: Folding<T, S>, where: string, state: S, value: T): S {
  try {
    return frozen(where, f(state, value))
  } catch (thrown) {
    throw orInPlace(where, thrown)
  }
}

function forEver<T, S>(folding: Folding<T, S>, seat: Seat, push: Push<S>): Push<T> {
  const states = seat.table<S>()
  return value => {
    mustBeInTurn(seat.where)
    const key = ambient.key
    const held = states.get(key)
    // A state may be undefined, too.
    const state = held === undefined && !states.has(key) ? folding.seed : (held as S)
    const now = next(folding, seat.where, state, value)
    states.set(key, now)
    push(now)
  }
}

/**
 * States stand under the span of time in which their key was last touched, so that all that was not touched since is
 * dropped at once. A state moves on when its key is touched in a later span. The width of a span is at least `within`:
 * a state that is still good for a record stands in the record's span, in the one before, or, when the record comes out
 * of order, in a later one. What was left further behind is overtaken and goes with its span.
 */
function whileTouched<T, S>(folding: Folding<T, S>, withinMs: number, seat: Seat, push: Push<S>): Push<T> {
  const rows = seat.scopedTable<Row<S>>()
  const spans = new Spans(seat, rows, Math.max(withinMs, SPAN_MIN_MS), withinMs)
  return value => {
    mustBeInTurn(seat.where)
    const { key, time } = ambient
    const span = spans.of(time)
    const found = (span < spans.newest ? later(rows, span, key) : undefined) ?? here(rows, spans.names(span), key)
    const held = found !== undefined && time - found.row[0] <= withinMs ? found.row : undefined
    const state = next(folding, seat.where, held === undefined ? folding.seed : held[1], value)
    const touched = held === undefined ? time : Math.max(held[0], time)
    const into = spans.of(touched)
    const [scope] = spans.names(into)
    if (found !== undefined && found.scope !== scope) rows.delete(found.scope, key)
    spans.used(into)
    rows.set(scope, key, [touched, state])
    push(state)
  }
}

type Row<S> = readonly [touched: number, state: S]

interface Found<S> {
  readonly scope: string
  readonly row: Row<S>
}

function here<S>(rows: ScopedTable<Row<S>>, names: readonly string[], key: Key): Found<S> | undefined {
  const [itself = '', before = ''] = names
  const row = rows.get(itself, key)
  if (row !== undefined) return { scope: itself, row }
  const former = rows.get(before, key)
  return former === undefined ? undefined : { scope: before, row: former }
}

/** The latest state of a key after a span. */
function later<S>(rows: ScopedTable<Row<S>>, span: number, key: Key): Found<S> | undefined {
  let latest = span
  let found: Found<S> | undefined
  for (const scope of rows.scopes()) {
    const at = Number(scope)
    if (at <= latest) continue
    const row = rows.get(scope, key)
    if (row === undefined) continue
    latest = at
    found = { scope, row }
  }
  return found
}
