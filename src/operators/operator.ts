/**
 * What an operator of ours is: a value that RxJS takes for one of its own, which a pipeline knows by its brand and starts
 * once for each partition, with its memory in tables. Also the ambient record: what a turn is about while it is on.
 */
import type { OperatorFunction } from 'rxjs'
import { DefinitionError } from '../errors.js'
import type { ScopedTable, Table } from '../state/table.js'
import type { Key } from '../stream/key.js'

/** A step of a pipeline: an operator of RxJS or of ours. */
export type Operator<A, B> = OperatorFunction<A, B>

/** Takes one value. It may throw: then the unit that is on is undone. */
export type Push<A> = (value: A) => void

/** What stands behind an operator of ours. */
export interface OperatorDefinition<A, B> {
  /** As users write it: `scan`. */
  readonly name: string
  /** What it asks the ambient record for. What nobody asks for is never derived. */
  readonly asks: readonly Ask[]
  /** What its rows are made of, in words: a ledger with rows of another make is refused. */
  readonly keeps: string
  /** Makes it in one partition. It keeps nothing that matters but in the tables of its seat. */
  readonly start: (seat: Seat, next: Push<B>) => Push<A>
}

export type Ask = 'key' | 'time'

/** The place of one operator in one partition: what it may use there. */
export interface Seat {
  /** For errors: `step 2 (scan) of pipeline "p"`. */
  readonly where: string
  /** A table of this operator's own; the same name gives the same table. Most need one, and no name. */
  table<V>(name?: string): Table<V>
  /** Likewise, with rows under scopes, of which each can be dropped at once. */
  scopedTable<V>(name?: string): ScopedTable<V>
  /** Calls before the first record of each turn: for what is kept beside the tables, which no undo puts back. */
  atTurnBegin(then: () => void): void
  /**
   * Calls at the end of each turn, in the order of the steps, before anything is committed. May push on. When something
   * fails then, all are called again without the last record, until nothing does.
   */
  atTurnEnd(then: () => void): void
  /** Up to when all is in, in ms since 1970: no earlier record is expected. -Infinity before the first. */
  watermark(): number
}

/**
 * The record that a turn is at. Values stay plain, and what else is known of them stands here while they are walked.
 * `key` and `time` are there when a step asked for them; who pushes on under another key or time puts the former back.
 */
export interface Ambient {
  /** False outside a turn, when no operator may be pushed to. */
  on: boolean
  key: Key
  time: number
}

// Symbol.for, so that the operators of one copy of the package see the turn of another.
const AMBIENT: unique symbol = Symbol.for('stream-node.ambient/1')
const shared = globalThis as { [AMBIENT]?: Ambient | undefined }

/** One for the thread: partitions take turns, and a turn is synchronous. */
export const ambient: Ambient = (shared[AMBIENT] ??= { on: false, key: '', time: 0 })

// Symbol.for, so that operators made by one copy of the package are known to another.
const DEFINITION = Symbol.for('stream-node.operator/1')

/** An operator that pipelines know. Anywhere else it throws when it is applied. */
export function operator<A, B>(definition: OperatorDefinition<A, B>): Operator<A, B> {
  const misused: Operator<A, B> = () => {
    const what = `${definition.name}() of stream-node was applied to an Observable of RxJS`
    throw new DefinitionError('BAD_PIPELINE', what, 'give it to the pipe of a pipeline itself, as a step of its own')
  }
  return Object.defineProperty(misused, DEFINITION, { value: Object.freeze(definition) })
}

/** What stands behind an operator; undefined for those of RxJS. */
export function definitionOf(given: unknown): OperatorDefinition<unknown, unknown> | undefined {
  if (typeof given !== 'function') return undefined
  return (given as { [DEFINITION]?: OperatorDefinition<unknown, unknown> })[DEFINITION]
}
