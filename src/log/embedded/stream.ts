/** One stream of the embedded log, as its handles share it within this process. */
import type { Cancel, Clock } from '../../clock.js'
import { DefinitionError } from '../../errors.js'
import type { Append, BatchReader, Ending, Extent, LogStream, ReadOptions, StreamSpec } from '../log.js'
import type { LogRecord, Position } from '../record.js'
import { closedError } from './feed.js'
import type { Link } from './feed.js'
import { decodeTail } from './layout.js'
import type { Tail } from './layout.js'
import { Mirror } from './mirror.js'
import type { Pulse } from './pulse.js'
import { Reader } from './reader.js'
import { firstAfter, lastOf } from './scan.js'
import type { Store } from './store.js'
import { Trimmer } from './trim.js'
import { goneError, Writer } from './writer.js'

/** What all streams and buckets of one link stand on. */
export interface Ground {
  readonly store: Store
  readonly pulse: Pulse
  readonly clock: Clock
  readonly link: Link
}

export class EmbeddedStream implements LogStream {
  readonly #mirror: Mirror
  readonly #trimmer: Trimmer
  readonly #writer: Writer
  #aging: Cancel | undefined

  constructor(
    readonly ground: Ground,
    readonly id: number,
    readonly spec: StreamSpec,
    readonly incarnation: string,
  ) {
    const { store, pulse, clock, link } = ground
    this.#mirror = new Mirror(store, id, spec, incarnation, clock)
    this.#trimmer = new Trimmer(this.#mirror)
    this.#writer = new Writer(store, pulse, clock, link, this.#mirror, this.#trimmer)
    if (spec.retention.ageMs !== undefined) this.#age(spec.retention.ageMs)
  }

  /** Looks ten times within the age for what has outlived it, but neither all the time nor hardly ever. */
  #age(ageMs: number): void {
    this.#writer.retain()
    const every = Math.min(Math.max(ageMs / 10, 50), 60_000)
    this.#aging = this.ground.clock.after(every, () => this.#age(ageMs))
  }

  append(record: Append): Promise<Ending> {
    return new Promise(ended => this.send(record, ended))
  }

  send(record: Append, ended: (ending: Ending) => void): void {
    this.#writer.send(record, ended)
  }

  room(): Promise<void> | undefined {
    return this.#writer.room()
  }

  read(options: ReadOptions): BatchReader {
    if (options.partition !== undefined) checkPartition(this.spec, options.partition)
    const partitions = Array.from({ length: this.spec.partitions }, (_, partition) => partition)
    return new Reader({ ...this.ground, stream: this.id, name: this.spec.name, partitions }, options)
  }

  async last(partition: number): Promise<LogRecord | undefined> {
    checkPartition(this.spec, partition)
    this.tail()
    return lastOf(this.ground.store, this.id, partition)?.record
  }

  async extent(): Promise<Extent> {
    const { last } = this.tail()
    return { first: this.#first(last), last, incarnation: this.incarnation }
  }

  #first(last: Position): Position {
    let first = last + 1
    for (let partition = 0; partition < this.spec.partitions; partition++) {
      const stored = firstAfter(this.ground.store, this.id, partition, 0)
      if (stored !== undefined) first = Math.min(first, stored.record.position)
    }
    return first
  }

  async positionAt(time: number): Promise<Position> {
    const { last } = this.tail()
    let position = this.#first(last) - 1
    for (let partition = 0; partition < this.spec.partitions; partition++) {
      position = Math.max(position, this.#lastBefore(partition, time, last))
    }
    return position
  }

  /** The last record of a partition that is older, found by halving; 0 when there is none. */
  #lastBefore(partition: number, time: number, last: Position): Position {
    let [below, above] = [0, last + 1]
    while (above - below > 1) {
      const middle = Math.floor((below + above) / 2)
      const record = firstAfter(this.ground.store, this.id, partition, middle - 1)?.record
      if (record === undefined || record.position >= above || record.time >= time) above = middle
      else below = record.position
    }
    return below
  }

  async purge(partition: number, before: Position): Promise<void> {
    checkPartition(this.spec, partition)
    await this.ground.store.takeAway(most => this.#purgeSome(partition, before, most))
  }

  async #purgeSome(partition: number, before: Position, most: number): Promise<boolean> {
    const { store, pulse, clock, link } = this.ground
    if (link.closed) throw closedError()
    const more = await store.write(() => {
      if (!this.#mirror.load()) throw goneError(this.spec.name)
      const now = Math.max(this.#mirror.tail.time, Math.floor(clock.now()))
      return this.#trimmer.purge(partition, before, now, most)
    }, this.#forget)
    pulse.beat(this.id)
    return more
  }

  readonly #forget = () => this.#mirror.forget()

  /** The tail as it is committed now; throws when the link is closed or the stream is gone. */
  tail(): Tail {
    if (this.ground.link.closed) throw closedError()
    this.ground.store.refresh()
    const value = this.ground.store.tails.get(this.id)
    if (value === undefined) throw goneError(this.spec.name)
    return decodeTail(value)
  }

  close(): void {
    this.#aging?.()
    this.#writer.close()
  }
}

export function checkPartition({ name, partitions }: StreamSpec, partition: number): void {
  if (Number.isInteger(partition) && partition >= 0 && partition < partitions) return
  const what = `stream "${name}" has no partition ${partition}`
  throw new DefinitionError('BAD_OPTION', what, `they are numbered from 0 to ${partitions - 1}`)
}
