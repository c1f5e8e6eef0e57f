/**
 * A bucket on JetStream, laid out as the ecosystem's key-value buckets are, so that `nats kv` reads and writes it. Its
 * writes go through our own writer and reader: they end as appends end, and a compare-and-set holds on every server.
 */
import { DiscardPolicy, RetentionPolicy, StorageType, type StreamInfo } from '@nats-io/jetstream'
import { DefinitionError, FencedError, UnavailableError } from '../../errors.js'
import { keyFault, type Bucket, type BucketSpec, type Entry, type Revision, type Watch } from '../bucket.js'
import type { Ending } from '../log.js'
import type { LogRecord } from '../record.js'
import { encodeHeaders, START, type Position } from '../record.js'
import { notMade } from './api-error.js'
import type { Link } from './link.js'
import { Reader, recreated } from './reader.js'
import { infoOf, isMade, lastOf, recordOf, type StoredMessage } from './leader.js'
import type { Lane } from './lane.js'
import { isDoubtful, type Writer } from './writer.js'

const NS_PER_MS = 1_000_000
/** For how long the server remembers ids of writes; the default of key-value buckets. */
const WINDOW_MS = 120_000
const OPERATION = 'KV-Operation'
/** Names a write, so that a writer knows its own when it reads back. */
const WRITER = 'Sn-Writer'
/** How often a list of keys looks whether its end has moved on. */
const END_ASKS_MAX = 3
/** How often a write is tried that lost to a tombstone before it is told that it lost. */
const TOMBSTONE_TRIES = 5

/** Opens a bucket; one that is not there is made, or given as undefined when none is to be made. */
export async function openBucket(
  link: Link,
  writer: Writer,
  spec: BucketSpec,
  make = true,
): Promise<Bucket | undefined> {
  const name = `KV_${spec.name}`
  const info = (await find(link, name)) ?? (make ? await create(link, name, spec) : undefined)
  if (info === undefined) return undefined
  verify(spec, info)
  return new JetStreamBucket(link, writer, spec.name, info.created)
}

class JetStreamBucket implements Bucket {
  readonly #link: Link
  readonly #writer: Writer
  readonly #stream: string
  readonly #root: string
  readonly #incarnation: string
  readonly #lane: Lane

  constructor(link: Link, writer: Writer, name: string, incarnation: string) {
    this.#link = link
    this.#writer = writer
    this.#stream = `KV_${name}`
    this.#root = `$KV.${name}.`
    this.#incarnation = incarnation
    this.#lane = writer.lane(this.#stream)
  }

  async get(key: string): Promise<Entry | undefined> {
    const message = await this.#last(key)
    return message === undefined || isTombstone(message) ? undefined : entryOf(key, message)
  }

  put(key: string, value: Uint8Array, revision?: Revision): Promise<Ending> {
    return this.#write(key, value, {}, revision)
  }

  async delete(key: string, revision?: Revision): Promise<Ending> {
    if (this.#link.ended !== undefined) return this.#unsent()
    const message = await this.#last(key)
    if (message === undefined || isTombstone(message)) {
      if (revision !== undefined && revision !== 0) return lost(key, revision)
      return { ending: 'stored', position: message?.seq ?? 0, repeat: false }
    }
    return this.#write(key, new Uint8Array(0), { [OPERATION]: 'DEL' }, revision)
  }

  async keys(prefix?: string): Promise<readonly string[]> {
    const found = new Set<string>()
    const { reader, keyOf } = this.#read(prefix, true)
    let end = await this.#end(prefix)
    let asks = 0
    // How many are still to come servers miscount while entries are written, so the end is asked for; again, for an entry
    // may have given way to one behind it.
    for await (const { records, position } of end === START ? [] : reader) {
      for (const record of records) {
        // A key that is written meanwhile comes again.
        if (record.header(OPERATION) === undefined) found.add(keyOf(record))
        else found.delete(keyOf(record))
      }
      if (position >= end && asks++ < END_ASKS_MAX) end = await this.#end(prefix)
      if (position >= end) break
    }
    return [...found].sort()
  }

  watch(prefix?: string): Watch {
    const { reader, keyOf } = this.#read(prefix, false)
    return new BucketWatch(reader, keyOf)
  }

  async #write(key: string, value: Uint8Array, headers: Record<string, string>, revision?: Revision): Promise<Ending> {
    const fault = keyFault(key)
    if (fault !== undefined) throw fault
    const subject = this.#root + key
    if (revision === undefined) return this.#send(subject, encodeHeaders(headers), value)
    let expect = revision
    for (let tries = 0; ; tries++) {
      const writer = this.#link.tools.chance.name()
      const all = { ...headers, [WRITER]: writer, 'Nats-Expected-Last-Subject-Sequence': `${expect}` }
      // An entry's revision never comes again, so it names the write that may follow it; the id shuts out a second
      // winner on servers whose check alone lets one through. Where nothing is expected, that check is sound.
      const head = encodeHeaders(all, expect === 0 ? undefined : `${key}/${expect}`)
      const ending = await this.#send(subject, head, value)
      if (!isDoubtful(ending)) return ending
      const there = await this.#last(key)
      if (there !== undefined && writerOf(there) === writer)
        return { ending: 'stored', position: there.seq, repeat: false }
      if (ending.ending === 'unknown') return ending
      if ((there?.seq ?? 0) === expect) {
        const what = `nobody can say yet who wrote entry "${key}"`
        return { ending: 'unknown', error: new UnavailableError('TIMED_OUT', what, 'read it back') }
      }
      // To a writer who expects no entry, a deleted one is none.
      const buried = revision === 0 && there !== undefined && isTombstone(there)
      if (!buried || tries === TOMBSTONE_TRIES) return lost(key, revision)
      expect = there.seq
    }
  }

  async #send(subject: string, head: Uint8Array, value: Uint8Array): Promise<Ending> {
    if (this.#link.ended !== undefined) return this.#unsent()
    for (let room = this.#lane.room(); room !== undefined; room = this.#lane.room()) await room
    return this.#writer.append(this.#lane, subject, head, value)
  }

  #unsent(): Ending {
    return { ending: 'refused', why: 'unavailable', error: this.#link.disconnected() }
  }

  #last(key: string): Promise<StoredMessage | undefined> {
    const fault = keyFault(key)
    return fault === undefined ? lastOf(this.#link, this.#stream, this.#root + key) : Promise.reject(fault)
  }

  /** Where the last write to an entry under a prefix stands. */
  async #end(prefix: string | undefined): Promise<Position> {
    return (await lastOf(this.#link, this.#stream, this.#filter(prefix)))?.seq ?? START
  }

  #filter(prefix: string | undefined): string {
    return prefix === undefined ? `${this.#root}>` : `${this.#root}${prefix}.>`
  }

  /** A reader of the last entry of each key and all that follow. A record's partition numbers its key. */
  #read(prefix: string | undefined, headersOnly: boolean): { reader: Reader; keyOf: (record: LogRecord) => string } {
    const fault = prefix === undefined ? undefined : keyFault(prefix)
    if (fault !== undefined) throw fault
    const keys: string[] = []
    const numbers = new Map<string, number>()
    const numberOf = (subject: string) => {
      const known = numbers.get(subject)
      if (known !== undefined) return known
      numbers.set(subject, keys.length)
      return keys.push(subject.slice(this.#root.length)) - 1
    }
    const reader = new Reader(this.#link, {
      stream: this.#stream,
      incarnation: this.#incarnation,
      filter: this.#filter(prefix),
      partition: numberOf,
      after: START,
      lastOfEach: true,
      headersOnly,
      recordsMax: 1000,
      bytesMax: 1024 * 1024,
      untilEnd: false,
      extent: () => this.#extent(),
      lastToRead: () => Promise.resolve(0),
      floor: () => Promise.resolve(0),
      dense: false,
      bounded: false,
    })
    return { reader, keyOf: record => keys[record.partition] as string }
  }

  async #extent() {
    const info = await find(this.#link, this.#stream)
    if (info === undefined) throw recreated(this.#stream, { stream: this.#stream }, true)
    const { created, state } = info
    return { first: Math.max(1, state.first_seq), last: state.last_seq, incarnation: created }
  }
}

class BucketWatch implements Watch {
  readonly #reader: Reader
  readonly #keyOf: (record: LogRecord) => string
  /** What there is at the beginning, until it is told. */
  #first: Map<string, Entry> | undefined = new Map()

  constructor(reader: Reader, keyOf: (record: LogRecord) => string) {
    this.#reader = reader
    this.#keyOf = keyOf
  }

  [Symbol.asyncIterator](): this {
    return this
  }

  async next(): Promise<IteratorResult<readonly Entry[], undefined>> {
    for (;;) {
      const { done, value: batch } = await this.#reader.next()
      if (done === true) return { done, value: undefined }
      const changes = batch.records.map(record => changeOf(this.#keyOf(record), record))
      const told = this.#first === undefined ? changes : this.#gather(this.#first, changes, batch.behind)
      if (told !== undefined && (told.length > 0 || this.#first !== undefined)) {
        this.#first = undefined
        return { done: false, value: told }
      }
    }
  }

  async return(): Promise<IteratorResult<readonly Entry[], undefined>> {
    await this.#reader.return()
    return { done: true, value: undefined }
  }

  /** The first list, once all that was there has come. */
  #gather(first: Map<string, Entry>, changes: readonly Entry[], behind: number): readonly Entry[] | undefined {
    for (const entry of changes) {
      if (entry.value === undefined) first.delete(entry.key)
      else first.set(entry.key, entry)
    }
    return behind > 0 ? undefined : [...first.values()]
  }
}

function find(link: Link, name: string): Promise<StreamInfo | undefined> {
  return infoOf(link, name, `open bucket "${name}"`)
}

async function create(link: Link, name: string, spec: BucketSpec): Promise<StreamInfo> {
  const ageMs = spec.ageMs ?? 0
  const config = {
    name,
    subjects: [`$KV.${spec.name}.>`],
    retention: RetentionPolicy.Limits,
    storage: StorageType.File,
    discard: DiscardPolicy.New,
    max_msgs_per_subject: 1,
    num_replicas: spec.replicas ?? 1,
    max_age: ageMs * NS_PER_MS,
    duplicate_window: (ageMs === 0 ? WINDOW_MS : Math.min(ageMs, WINDOW_MS)) * NS_PER_MS,
    allow_rollup_hdrs: true,
    allow_direct: true,
    deny_delete: true,
  }
  let failure: unknown
  const made = await link
    .call(`make bucket "${spec.name}"`, jsm => jsm.streams.add(config))
    .catch((error: unknown) => {
      failure = error
      return undefined
    })
  if (made !== undefined && isMade(made)) return made
  const info = await find(link, name).catch(() => undefined)
  if (info !== undefined) return info
  throw notMade(`bucket "${spec.name}"`, failure ?? new Error('it was deleted at once'))
}

function verify(spec: BucketSpec, { config }: StreamInfo): void {
  const ageMs = config.max_age / NS_PER_MS
  const differences: string[] = []
  if (spec.replicas !== undefined && config.num_replicas !== spec.replicas) {
    differences.push(`replicas ${config.num_replicas} where ${spec.replicas} is asked for`)
  }
  if (ageMs !== (spec.ageMs ?? 0)) {
    differences.push(`age ${ageMs || 'without bound'} where ${spec.ageMs ?? 'without bound'} is asked for`)
  }
  if (differences.length === 0) return
  const what = `bucket "${spec.name}" is there with ${differences.join(', and ')}`
  throw new DefinitionError('STREAM_DIFFERS', what, 'ask for what it has, or choose another name')
}

function lost(key: string, revision: Revision): Ending {
  const what = `entry "${key}" no longer stands at revision ${revision}`
  return { ending: 'refused', why: 'expected', error: new FencedError(what) }
}

function isTombstone(message: StoredMessage): boolean {
  return message.hdrs !== undefined && recordOf(message, 0).header(OPERATION) !== undefined
}

function writerOf(message: StoredMessage): string | undefined {
  return recordOf(message, 0).header(WRITER)
}

function entryOf(key: string, message: StoredMessage): Entry {
  const value = Buffer.from(message.data ?? '', 'base64')
  return { key, value, revision: message.seq, time: Date.parse(message.time) }
}

function changeOf(key: string, record: LogRecord): Entry {
  const value = record.header(OPERATION) === undefined ? record.payload : undefined
  return { key, value, revision: record.position, time: record.time }
}
