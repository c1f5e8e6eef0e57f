/**
 * Where outputs leave for: a lane for each target of a partition, in it a line for each partition of the target. What the
 * lanes to streams and to sinks have in common; how each brings its outputs out is its own.
 */
import type { Chance } from '../clock.js'
import type { Position } from '../log/record.js'
import type { Asking } from '../log/until-answered.js'
import type { EntryOutput } from '../state/entry.js'
import type { Ledger } from '../state/ledger.js'
import type { Table } from '../state/table.js'
import { outputWriter } from '../stream/output-id.js'
import type { SentBefore } from '../stream/sender.js'
import { targetName, type Writable } from '../stream/sink.js'

/** Whose outputs they are: the beginning of their ids. */
export interface Writer {
  readonly pipeline: string
  readonly incarnation: string
  readonly stage: number
  readonly partition: number
}

/** An output with its number, which the entry that holds it has settled. */
export interface Numbered extends EntryOutput {
  readonly line: Line
  readonly n: number
}

/** An acknowledged entry with outputs that are not all out. */
export interface Pending {
  readonly number: number
  /** The first digits of its hash. */
  readonly entry: string
  left: number
}

/** An output that is not on its way yet. */
export interface Waiting {
  readonly output: Numbered
  readonly of: Pending
  readonly before: SentBefore | undefined
}

export interface LaneParts extends Asking {
  readonly chance: Chance
  readonly writer: Writer
  readonly ledger: Ledger
  /** To be called once for each output: it is out. */
  readonly out: (output: Numbered, of: Pending) => void
  /** To be called with what ends the partition. */
  readonly failed: (error: unknown) => void
}

/** The way to one target. */
export abstract class Lane {
  /** As entries have it. */
  readonly name: string
  /** How many outputs are given and not out. */
  pending = 0
  /** How many are out that nobody was told of yet. */
  acknowledged = 0
  readonly #lines = new Map<number, Line>()

  constructor(
    protected readonly parts: LaneParts,
    readonly to: Pick<Writable, 'kind' | 'name'>,
    /** Which of the publisher's lanes. */
    readonly index: number,
    /** The number of the next output by partition, as text. */
    readonly numbers: Table<number>,
  ) {
    this.name = targetName(to)
  }

  /** What an entry says of the target. */
  abstract readonly incarnation: string
  abstract readonly floor: Position

  /** Brings an output out, after all of its line that were given before. `before`: when an owner before us may have. */
  abstract send(output: Numbered, of: Pending, before: SentBefore | undefined): void

  /** The outputs to one partition. */
  line(partition: number): Line {
    let line = this.#lines.get(partition)
    if (line === undefined) {
      const writer = outputWriter(this.parts.writer, this.to.kind === 'sink' ? this.name : partition)
      line = new Line(this, partition, writer, this.numbers.get(`${partition}`) ?? 1)
      this.#lines.set(partition, line)
    }
    return line
  }

  get lines(): Iterable<[partition: number, line: Line]> {
    return this.#lines
  }
}

/** The outputs to one partition of one target. */
export class Line {
  /** All numbers up to it are out. */
  confirmed: number
  /** To be sent later. */
  readonly waiting: Waiting[] = []
  /** Out, and one before them is not. */
  readonly #ahead = new Set<number>()

  constructor(
    readonly lane: Lane,
    readonly partition: number,
    readonly writer: string,
    /** The number of the next output. */
    public next: number,
  ) {
    this.confirmed = next - 1
  }

  settle(n: number): void {
    if (n !== this.confirmed + 1) {
      this.#ahead.add(n)
      return
    }
    this.confirmed = n
    while (this.#ahead.size > 0 && this.#ahead.delete(this.confirmed + 1)) this.confirmed++
  }
}
