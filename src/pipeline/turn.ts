/** One batch through the chain: what a stage's steps make of the records of one partition, as an outcome. */
import { InvariantError } from '../errors.js'
import type { LogRecord } from '../log/record.js'
import type { Tables } from '../state/tables.js'
import type { Key } from '../stream/key.js'
import type { Stream } from '../stream/stream.js'
import type { Wire } from '../stream/wire.js'
import type { Stage } from './plan.js'

/** A stream that is open for outputs. */
export interface TurnTarget {
  readonly index: number
  readonly stream: Stream<unknown>
  readonly wire: Wire<unknown>
}

/** A value that the steps gave, encoded. */
export interface Output {
  readonly target: TurnTarget
  readonly partition: number
  /** Only where a reader could not derive it; the time likewise. */
  readonly key?: Key | undefined
  readonly time?: number | undefined
  readonly payload: Uint8Array
}

/** What a turn gives back. */
export interface Outcome {
  /** How many records it covers, counted from `from`: all, or those before the fault. */
  readonly walked: number
  readonly outputs: readonly Output[]
  /** Of the payloads of the outputs. */
  readonly bytes: number
  /** What failed at the record after those walked; the tables are as after the record before it. */
  readonly fault?: Fault
  /** A stream that `choose` gave and that is not open. Everything was undone: open it, add it and walk again. */
  readonly opens?: Stream<unknown>
}

export interface Fault {
  readonly record: LogRecord
  readonly error: unknown
  /** `step 2 (map) of pipeline "p"`. */
  readonly where: string
}

/** What a turn works with in one partition. */
export interface TurnParts {
  readonly partition: number
  readonly tables: Tables
  /** One for each source of the stage, in that order. */
  readonly sources: readonly Wire<unknown>[]
  readonly targets: readonly TurnTarget[]
}

/** The chain of one stage in one partition. */
export class Turn {
  /** The highest event time per source, -Infinity before the first. Undone with the turn. */
  times: number[]

  constructor(
    readonly stage: Stage,
    readonly parts: TurnParts,
  ) {
    this.times = parts.sources.map(() => -Infinity)
  }

  /** Opens one more stream for outputs. */
  addTarget(target: TurnTarget): void {
    throw new InvariantError(`no room for target ${target.index} yet`)
  }

  /** Undefined when the records can be walked at once; else when what their codec lacks is there. */
  ready(source: number, records: readonly LogRecord[]): Promise<void> | undefined {
    const wire = this.parts.sources[source] as Wire<unknown>
    const waits = records.map(record => wire.ready(record)).filter(wait => wait !== undefined)
    return waits.length === 0 ? undefined : Promise.all(waits).then(() => {})
  }

  /**
   * Walks `records[from]` and all after it. `taken` is called before each record, and what it changes in the tables is
   * undone with the record. Throws a `DefinitionError` for a step that no turn can run, after undoing everything.
   */
  walk(
    source: number,
    records: readonly LogRecord[],
    from: number,
    taken: ((record: LogRecord) => void) | undefined,
  ): Outcome {
    throw new InvariantError(`cannot walk ${records.length - from} of source ${source} yet, ${typeof taken}`)
  }

  /** Lets the chain go. */
  stop(): void {}
}
