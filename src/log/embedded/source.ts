/** A stream that belongs to somebody else, read unchanged as one partition. */
import { DefinitionError } from '../../errors.js'
import type { Append, BatchReader, Ending, Extent, LogStream, ReadOptions, StreamSpec } from '../log.js'
import { LogRecord } from '../record.js'
import type { Position } from '../record.js'
import { closedError } from './feed.js'
import { Reader } from './reader.js'
import type { EmbeddedStream } from './stream.js'
import { checkPartition } from './stream.js'
import { matches } from './subjects.js'
import { refused } from './writer.js'

export class SourceStream implements LogStream {
  readonly #partitions: readonly number[]

  constructor(
    readonly theirs: EmbeddedStream,
    readonly spec: StreamSpec,
    subject: string,
  ) {
    const { name, partitions } = theirs.spec
    const all = Array.from({ length: partitions }, (_, partition) => partition)
    this.#partitions = all.filter(partition => matches(subject, `${name}.${partition}`))
  }

  get incarnation(): string {
    return this.theirs.incarnation
  }

  append(): Promise<Ending> {
    const { closed } = this.theirs.ground.link
    return Promise.resolve(closed ? refused('unavailable', closedError()) : refused('denied', readOnly(this.spec.name)))
  }

  send(_: Append, ended: (ending: Ending) => void): void {
    void this.append().then(ended)
  }

  room(): Promise<void> | undefined {
    return this.theirs.ground.link.closed ? Promise.reject(closedError()) : undefined
  }

  read(options: ReadOptions): BatchReader {
    if (options.partition !== undefined) checkPartition(this.spec, options.partition)
    const { ground, id } = this.theirs
    return new Reader({ ...ground, stream: id, name: this.spec.name, partitions: this.#partitions, as: 0 }, options)
  }

  async last(partition: number): Promise<LogRecord | undefined> {
    checkPartition(this.spec, partition)
    this.theirs.tail()
    const lasts = await Promise.all(this.#partitions.map(one => this.theirs.last(one)))
    const found = lasts.filter(one => one !== undefined).sort((a, b) => a.position - b.position)
    const last = found.at(-1)
    return last && new LogRecord(0, last.position, last.time, last.head, last.payload)
  }

  extent(): Promise<Extent> {
    return this.theirs.extent()
  }

  positionAt(time: number): Promise<Position> {
    return this.theirs.positionAt(time)
  }

  purge(): Promise<void> {
    return Promise.reject(this.theirs.ground.link.closed ? closedError() : readOnly(this.spec.name))
  }
}

const readOnly = (name: string): DefinitionError =>
  new DefinitionError(
    'READ_ONLY_STREAM',
    `stream "${name}" reads records that belong to somebody else`,
    'write to another stream',
  )
