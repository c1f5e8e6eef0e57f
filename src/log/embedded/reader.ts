/**
 * Reads a stream on from a position: each partition is a lane of its own, and the lanes are merged by position as far
 * as all of them are known.
 */
import type { Cancel } from '../../clock.js'
import { IntegrityError } from '../../errors.js'
import type { Batch, BatchReader, ReadOptions } from '../log.js'
import { LogRecord, START } from '../record.js'
import type { Position } from '../record.js'
import { Feed } from './feed.js'
import type { Link, Step } from './feed.js'
import { decodeTail, Place } from './layout.js'
import type { Tail } from './layout.js'
import type { Pulse } from './pulse.js'
import { floorOf, lastOf, portionAfter } from './scan.js'
import type { Store } from './store.js'
import { goneError } from './writer.js'

/** What is read, and under which partition it is given. */
export interface Reading {
  readonly store: Store
  readonly pulse: Pulse
  readonly link: Link
  readonly stream: number
  readonly name: string
  readonly partitions: readonly number[]
  /** Set when all of them are given as this one. */
  readonly as?: number
}

/** One partition: everything in it up to `after` has been fetched, and what was not handed out yet waits here. */
interface Lane {
  readonly partition: number
  after: Position
  ordinal: number
  waiting: LogRecord[]
}

const RECORDS_MAX = 1000
const BYTES_MAX = 1024 * 1024

export class Reader extends Feed<Batch> implements BatchReader {
  readonly #reading: Reading
  readonly #lanes: Lane[]
  readonly #recordsMax: number
  readonly #bytesMax: number
  readonly #headersOnly: boolean
  /** The end that was there when reading began, for those who stop at it. */
  readonly #until: Position | undefined
  /** Merged and in order, not handed out yet: from `#at` on. */
  #ready: LogRecord[] = []
  #at = 0
  /** Of all that was fetched and not handed out. */
  #bytes = 0
  #begun = false
  #cuts = -1
  #edits = -1
  #position: Position
  /** Until the first batch is given, whoever reads from the start takes whatever is there. */
  #anyStart: boolean

  constructor(reading: Reading, options: ReadOptions) {
    super(reading.link)
    this.#reading = reading
    const { partition, after, recordsMax = RECORDS_MAX, bytesMax = BYTES_MAX, headersOnly = false } = options
    const partitions = partition === undefined || reading.as !== undefined ? reading.partitions : [partition]
    this.#lanes = partitions.map(one => ({ partition: one, after, ordinal: 0, waiting: [] }))
    this.#recordsMax = Math.max(1, recordsMax)
    this.#bytesMax = Math.max(1, bytesMax)
    this.#headersOnly = headersOnly
    this.#position = after
    this.#anyStart = after === START
    this.#until = options.untilEnd && !reading.link.closed ? (this.#tail()?.last ?? 0) : undefined
  }

  #tail(): Tail | undefined {
    const { store, stream } = this.#reading
    store.refresh()
    const value = store.tails.get(stream)
    return value && decodeTail(value)
  }

  protected step(): Step<Batch> {
    if (this.#begun && this.#done()) return 'end'
    this.#begun = true
    const tail = this.#tail()
    if (!this.#enough()) {
      this.#check(tail)
      this.#fill(tail)
    }
    if (this.#at < this.#ready.length) return { value: this.#batch(tail) }
    this.#position = this.#known()
    return this.#done() ? 'end' : 'wait'
  }

  #done(): boolean {
    return this.#at === this.#ready.length && this.#until !== undefined && this.#position >= this.#until
  }

  #enough(): boolean {
    const ready = this.#ready.length - this.#at
    return ready >= this.#recordsMax || (ready > 0 && this.#bytes >= this.#bytesMax)
  }

  /** Throws when something that was still to be read is gone. */
  #check(tail: Tail | undefined): asserts tail is Tail {
    const { store, stream, name } = this.#reading
    if (tail === undefined) throw goneError(name)
    for (const lane of this.#lanes) {
      if (lane.after > tail.last) throw rewound(name, lane.after, tail.last)
    }
    if (tail.cuts === this.#cuts) return
    for (const lane of this.#lanes) {
      const { position } = floorOf(store, stream, lane.partition)
      if (position <= lane.after) continue
      if (!this.#anyStart) throw overrun(name, lane, position)
      lane.after = position
    }
    this.#cuts = tail.cuts
  }

  /** Fetches until there is a batch, or until all that is committed has been fetched. */
  #fill(tail: Tail): void {
    if (tail.edits === this.#edits && this.#lanes.every(lane => lane.after >= tail.last && lane.waiting.length === 0))
      return
    this.#edits = tail.edits
    this.#ready = this.#ready.slice(this.#at)
    this.#at = 0
    for (;;) {
      const hungry = this.#lanes.filter(lane => lane.waiting.length === 0 && lane.after < tail.last)
      for (const lane of hungry) this.#fetch(lane, tail, hungry.length)
      this.#merge()
      if (hungry.length === 0 || this.#enough()) return
    }
  }

  #fetch(lane: Lane, tail: Tail, among: number): void {
    const { store, stream, as } = this.#reading
    const records = Math.ceil(this.#recordsMax / among)
    const portion = { records, bytes: this.#bytesMax / among, headersOnly: this.#headersOnly }
    const found = portionAfter(store, new Place(stream, lane.partition, lane.after + 1), portion)
    let bytes = 0
    for (const { record } of found) {
      bytes += record.bytes
      lane.waiting.push(as === undefined ? record : given(record, as))
    }
    const last = found.at(-1)
    const more = last !== undefined && (found.length === records || bytes >= portion.bytes)
    lane.after = more ? last.record.position : tail.last
    lane.ordinal = last?.ordinal ?? lane.ordinal
    this.#bytes += bytes
  }

  /** Moves what is below the least known lane over into `ready`, in order. */
  #merge(): void {
    const [only] = this.#lanes
    if (this.#lanes.length === 1 && only !== undefined) {
      this.#ready = this.#ready.length === 0 ? only.waiting : this.#ready.concat(only.waiting)
      only.waiting = []
      return
    }
    const known = this.#known()
    const ripe: LogRecord[] = []
    for (const lane of this.#lanes) {
      const rest = lane.waiting.findIndex(record => record.position > known)
      ripe.push(...lane.waiting.splice(0, rest < 0 ? lane.waiting.length : rest))
    }
    ripe.sort((a, b) => a.position - b.position)
    this.#ready = this.#ready.concat(ripe)
  }

  /** Everything of ours up to here has been fetched. */
  #known(): Position {
    return this.#lanes.reduce((least, lane) => Math.min(least, lane.after), Infinity)
  }

  #batch(tail: Tail | undefined): Batch {
    const from = this.#at
    let bytes = 0
    while (this.#at < this.#ready.length && this.#at - from < this.#recordsMax) {
      const weight = (this.#ready[this.#at] as LogRecord).bytes
      if (bytes + weight > this.#bytesMax && this.#at > from) break
      bytes += weight
      this.#at++
    }
    this.#bytes -= bytes
    const whole = from === 0 && this.#at === this.#ready.length
    const records = whole ? this.#ready : this.#ready.slice(from, this.#at)
    if (this.#at === this.#ready.length) {
      this.#ready = []
      this.#at = 0
      this.#position = this.#known()
    } else {
      this.#position = (records.at(-1) as LogRecord).position
    }
    this.#anyStart = false
    return { records, position: this.#position, behind: this.#behind(tail) }
  }

  #behind(tail: Tail | undefined): number {
    const { store, stream } = this.#reading
    let behind = this.#ready.length - this.#at
    for (const lane of this.#lanes) {
      behind += lane.waiting.length
      if (tail === undefined || lane.after >= tail.last) continue
      const last = lastOf(store, stream, lane.partition)
      if (last !== undefined) behind += Math.max(0, last.ordinal - lane.ordinal)
    }
    return behind
  }

  protected override await(wake: () => void): Cancel {
    const { pulse, stream } = this.#reading
    return pulse.wait(stream, () => this.#tail()?.edits !== this.#edits, wake)
  }

  protected override release(): void {
    this.#ready = []
    this.#at = 0
    for (const lane of this.#lanes) lane.waiting = []
  }
}

const given = ({ position, time, head, payload }: LogRecord, as: number): LogRecord =>
  new LogRecord(as, position, time, head, payload)

function overrun(name: string, lane: Lane, gone: Position): IntegrityError {
  return new IntegrityError(
    'OVERRUN',
    `records of stream "${name}", partition ${lane.partition}, up to ${gone} are gone, but were to be read from ${lane.after} on`,
    'keep records for longer than readers need, then begin again from what is there',
    { facts: { stream: name, partition: lane.partition, after: lane.after, gone } },
  )
}

function rewound(name: string, after: Position, last: Position): IntegrityError {
  return new IntegrityError(
    'LOG_REWOUND',
    `stream "${name}" ends at ${last}, but was to be read after ${after}`,
    'check whether the data folder was put back to an older state, and begin again from a position that is there',
    { facts: { stream: name, after, last } },
  )
}
