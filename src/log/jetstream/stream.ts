/** One JetStream stream as a `LogStream`: records appended over the shared writer, read by pull consumers. */
import type { JetStreamManager, StreamInfo } from '@nats-io/jetstream'
import { AckPolicy, DeliverPolicy } from '@nats-io/jetstream'
import { DefinitionError, FencedError, InvariantError, UnavailableError } from '../../errors.js'
import { appendFault } from '../fault.js'
import type { Append, BatchReader, Ending, Extent, LogStream, ReadOptions, Refused, StreamSpec } from '../log.js'
import type { LogRecord } from '../record.js'
import { encodeHeaders, type Position } from '../record.js'
import { codeOf, NO_STREAM } from './api-error.js'
import type { Floors } from './floors.js'
import { lastOf, recordOf } from './leader.js'
import type { Link } from './link.js'
import { Reader, recreated } from './reader.js'
import { AskedTogether } from './asked-together.js'
import type { Lane } from './lane.js'
import { isDoubtful, type Writer } from './writer.js'

const RECORDS_MAX = 1000
const BYTES_MAX = 1024 * 1024
const NS_PER_MS = 1_000_000

export class JetStreamStream implements LogStream {
  readonly spec: StreamSpec
  readonly incarnation: string
  readonly #link: Link
  readonly #writer: Writer
  readonly #lane: Lane
  readonly #floors: Floors
  /** The name of the JetStream stream, which for a `source` is not that of ours. */
  readonly #name: string
  /** The subjects of the partitions, by number; of a `source` the one that is read. */
  readonly #subjects: readonly string[]
  /** The stream as the leader has it now. */
  readonly #info = new AskedTogether<StreamInfo>(() =>
    this.#call('read the state', jsm => jsm.streams.info(this.#name)),
  )
  /** Up to where any partition was purged. */
  readonly #purged = new AskedTogether<Position>(() => this.#floors.get(this.#name, this.incarnation, undefined))

  constructor(link: Link, writer: Writer, floors: Floors, spec: StreamSpec, info: StreamInfo) {
    this.#link = link
    this.#writer = writer
    this.#floors = floors
    this.spec = spec
    this.incarnation = info.created
    this.#name = info.config.name
    this.#lane = writer.lane(this.#name)
    this.#subjects = spec.source === undefined ? subjectsOf(spec) : [spec.source.subject]
  }

  append(record: Append): Promise<Ending> {
    return new Promise(ended => this.send(record, ended))
  }

  send(record: Append, ended: (ending: Ending) => void): void {
    // Each part is asked for once: those of outputs are made when they are.
    const { partition, payload, id, headers, expect } = record
    const refusal = this.#refusal({ partition, payload, id, headers, expect } as Append)
    if (refusal !== undefined) {
      queueMicrotask(() => ended(refusal))
      return
    }
    const subject = this.#subject(partition)
    if (id === undefined || expect === undefined) {
      this.#writer.send(this.#lane, subject, encodeHeaders(headers, id), payload, ended)
      return
    }
    const fenced = { ...headers, 'Nats-Expected-Last-Subject-Sequence': `${expect}` }
    this.#writer.send(this.#lane, subject, encodeHeaders(fenced, id), payload, ending => {
      void this.#settled(ending, partition, id, expect).then(ended)
    })
  }

  room(): Promise<void> | undefined {
    return this.#lane.room()
  }

  read(options: ReadOptions): BatchReader {
    const { partition, after, untilEnd = false, headersOnly = false } = options
    const single = partition ?? (this.spec.partitions === 1 ? 0 : undefined)
    const prefix = this.#name.length + 1
    return new Reader(this.#link, {
      stream: this.#name,
      incarnation: this.incarnation,
      filter: single === undefined ? undefined : this.#filter(single),
      ...(single === undefined
        ? { partition: (subject: string) => Number(subject.slice(prefix)) }
        : { partition: () => single, ...this.#onlySubject(single) }),
      after,
      headersOnly,
      untilEnd,
      recordsMax: options.recordsMax ?? RECORDS_MAX,
      bytesMax: options.bytesMax ?? BYTES_MAX,
      extent: () => this.extent(),
      lastToRead: () => this.#lastToRead(single),
      floor: first => this.#floor(single, first),
      dense: this.spec.partitions === 1 && this.spec.source === undefined,
      bounded: this.#isBounded(),
    })
  }

  last(partition: number): Promise<LogRecord | undefined> {
    const subject = this.#subject(partition)
    return lastOf(this.#link, this.#name, subject).then(found => found && recordOf(found, partition))
  }

  async extent(): Promise<Extent> {
    const { created, state } = await this.#info.get()
    return { first: Math.max(1, state.first_seq), last: state.last_seq, incarnation: created }
  }

  async positionAt(time: number): Promise<Position> {
    const config = {
      name: `sn_${this.#link.tools.chance.name()}`,
      ack_policy: AckPolicy.None,
      deliver_policy: DeliverPolicy.StartTime,
      opt_start_time: new Date(Math.ceil(time)).toISOString(),
      mem_storage: true,
      num_replicas: 1,
      inactive_threshold: 1000 * NS_PER_MS,
    }
    // A consumer tells at birth what it will begin with, and is not needed for more.
    const made = await this.#call('find a time', jsm => jsm.consumers.add(this.#name, config))
    this.#link.jsm.consumers.delete(this.#name, config.name).catch(() => {})
    return made.delivered.stream_seq
  }

  async purge(partition: number, before: Position): Promise<void> {
    if (this.spec.source !== undefined) throw this.#readOnly().error
    const { first, last } = await this.extent()
    const end = Math.min(before, last + 1)
    // The server takes "before 0" for "all".
    if (end <= first) return
    const note = () => this.#floors.raise(this.#name, this.incarnation, partition, end)
    const noted = await note().then(
      () => true,
      (error: unknown) => {
        // A full log has no room for the note either, and would stay full for ever: it gets the note right after.
        if (error instanceof UnavailableError && error.code === 'LOG_FULL') return false
        throw error
      },
    )
    // Servers before 2.10 give an account its room back only for purges without a filter, or when they start again.
    const filter = this.#filter(partition)
    const what = filter === undefined ? { seq: end } : { seq: end, filter }
    await this.#call('purge', jsm => jsm.streams.purge(this.#name, what))
    if (!noted) await note()
  }

  /** The last record that is there, which the end of the stream need not be: it may have been purged. */
  async #lastToRead(partition: number | undefined): Promise<Position> {
    const subject = partition === undefined ? `${this.#name}.*` : this.#subject(partition)
    return (await lastOf(this.#link, this.#name, subject))?.seq ?? 0
  }

  /**
   * Up to where records of a partition may be gone. What retention dropped shows in where the stream begins; but where
   * nothing bounds the stream, only purges move its beginning, and they are noted for each partition.
   */
  async #floor(partition: number | undefined, first: Position): Promise<Position> {
    // Whoever owns it keeps no notes for us, and its partitions, if it has any, are not ours.
    if (this.spec.source !== undefined) return first
    const own = await this.#floors.get(this.#name, this.incarnation, partition)
    if (this.#isBounded()) return Math.max(own, first)
    return first <= own || first <= (await this.#purged.get()) ? own : first
  }

  /** True when the log may drop records by itself. Others' streams may be bounded without our word. */
  #isBounded(): boolean {
    return Object.keys(this.spec.retention).length > 0 || this.spec.source !== undefined
  }

  /**
   * Who won a compare-and-set is decided by the partition's last record alone: servers differ in what they answer to a
   * repeat (`duplicate`, or "wrong last sequence"), and a refusal may speak of a race that is still under way.
   */
  async #settled(ending: Ending, partition: number, id: string, expect: Position): Promise<Ending> {
    if (!isDoubtful(ending)) return ending
    try {
      const last = await this.last(partition)
      if (last?.id === id) return { ending: 'stored', position: last.position, repeat: true }
      if (ending.ending === 'unknown') return ending
      if ((last?.position ?? 0) !== expect) {
        if (ending.ending === 'refused') return ending
        return this.#lost(partition, expect, last?.position ?? 0)
      }
      // The id is known, but its record is gone or further back: what expects this place is another record.
      if (ending.ending === 'stored') return this.#lost(partition, expect, last?.position ?? 0)
      // Nobody has won yet: this send is not stored, but one that it raced with may still be.
      return { ending: 'unknown', error: this.#unsettled(partition) }
    } catch {
      return { ending: 'unknown', error: this.#unsettled(partition) }
    }
  }

  #lost(partition: number, expect: Position, last: Position): Ending {
    const what = `partition ${partition} of stream "${this.#name}" ends at ${last}, not at ${expect}`
    return { ending: 'refused', why: 'expected', error: new FencedError(what) }
  }

  #unsettled(partition: number): UnavailableError {
    const what = `nobody can say yet who wrote to partition ${partition} of stream "${this.#name}"`
    return new UnavailableError('TIMED_OUT', what, 'send the same id and bytes again, or read the tail')
  }

  #call<T>(what: string, ask: (jsm: JetStreamManager) => Promise<T>): Promise<T> {
    return this.#link.call(`${what} of stream "${this.#name}"`, ask).catch((error: unknown) => {
      throw codeOf(error) === NO_STREAM ? recreated(this.#name, { stream: this.#name }, true) : error
    })
  }

  #subject(partition: number): string {
    const subject = this.#subjects[partition]
    if (subject !== undefined) return subject
    throw new InvariantError(`stream "${this.#name}" has no partition ${partition}`)
  }

  /** A stream of one subject needs no filter, and the server reads it faster without. */
  #filter(partition: number): string | undefined {
    return this.spec.partitions === 1 && this.spec.source === undefined ? undefined : this.#subject(partition)
  }

  #onlySubject(partition: number): { subject?: string } {
    const subject = this.#subject(partition)
    return /[*>]/.test(subject) ? {} : { subject }
  }

  #refusal(record: Append): Refused | undefined {
    if (this.spec.source !== undefined) return this.#readOnly()
    const fault = appendFault(record, this.spec.partitions)
    return fault && { ending: 'refused', why: 'denied', error: fault }
  }

  #readOnly() {
    const what = `stream "${this.spec.name}" reads the JetStream stream "${this.#name}" of others`
    const error = new DefinitionError('READ_ONLY_STREAM', what, 'write to a stream of your own')
    return { ending: 'refused', why: 'denied', error } as const
  }
}

/** The subjects of a stream of ours, one for each partition. */
export function subjectsOf({ name, partitions }: StreamSpec): string[] {
  return Array.from({ length: partitions }, (_, partition) => `${name}.${partition}`)
}
