/** Publishing many: values in from any iterable at the pace of the log, with nothing held per record once it is stored. */
import type { Clock, Cancel } from '../clock.js'
import { StreamNodeError } from '../errors.js'
import { badOption, knownOptions } from '../options.js'
import { checkedId, checkedKey, checkedTime } from '../stream/derive.js'
import type { Key } from '../stream/key.js'
import type { OpenStream } from '../stream/open.js'
import type { Answer, HeldBefore, Sender } from '../stream/sender.js'
import { settingsOf, type Target } from '../stream/stream.js'
import type { About, FramedFor } from '../stream/wire.js'
import { withTraceContext } from '../telemetry/otel.js'
import { checkSignal, Interruptible } from './abort.js'
import type { Published } from './client.js'

export interface PublishAllOptions<in T> {
  /** Names each record. Default: the stream's rule. Not for streams of format 'batch'. */
  readonly id?: (value: T, index: number) => string
  /** The key of each record. Default: the stream's rule. */
  readonly key?: (value: T, index: number) => Key
  /** The time of each record. Default: the stream's rule. */
  readonly time?: (value: T, index: number) => number | Date
  readonly headers?: (value: T, index: number) => Readonly<Record<string, string>>
  /** Told of each record that was stored, in order within a partition. What it throws ends the publishing. */
  readonly onStored?: (published: Published, index: number) => void
  /** Told of each record that can not be stored; the others go on. Absent: the first one ends it. */
  readonly onFailed?: (error: StreamNodeError, index: number) => void
  /** Takes no more values when it aborts, and rejects; what was taken by then may still be stored. */
  readonly signal?: AbortSignal
}

/** What came of it. */
export interface PublishedAll {
  /** How many were taken from the iterable. */
  readonly taken: number
  /** How many of them are in the log. */
  readonly stored: number
  /** How many of these were there already, by their ids. */
  readonly repeats: number
}

const FUNCTIONS = ['id', 'key', 'time', 'headers', 'onStored', 'onFailed'] as const
// A batch should be large enough that its message costs little per record, and well below any server's limit.
const BATCH_RECORDS = 1000
const BATCH_BYTES = 128 * 1024
const BATCH_WAIT_MS = 10
// What lengths and a time take at the most, roughly; texts beyond ASCII are made up for by the tenth left free.
const FRAME_BYTES = 16

/** A stream with a sender: what publishing needs. */
export interface Lane<T> {
  readonly open: OpenStream<T>
  readonly sender: Sender
  readonly clock: Clock
  /** A fresh id for a record that nobody named. */
  readonly nextId: () => string
}

/** Publishes all; see `Client.publishAll`. */
export async function publishAll<T>(
  lane: Lane<T>,
  values: Iterable<T> | AsyncIterable<T>,
  options: PublishAllOptions<T>,
): Promise<PublishedAll> {
  const run = new Run(lane, options)
  const abort = new Interruptible(options.signal)
  try {
    try {
      if (Symbol.asyncIterator in values) await takeAsync(run, values, abort)
      else await take(run, values, abort)
    } finally {
      // Also when the iterable threw: what it gave before is stored when the caller hears of it.
      run.flush()
      if (!options.signal?.aborted) await abort.wait(run.settled())
    }
  } finally {
    abort.end()
    run.stop()
  }
  return run.result()
}

/** Refuses what no publishing can be: unknown or wrong options, ids where only batches have them. */
export function checkPublishAll<T>(stream: Target<T>, values: unknown, options: PublishAllOptions<T>): void {
  const where = `publishAll to stream "${stream.name}"`
  knownOptions(where, options, [...FUNCTIONS, 'signal'])
  checkSignal(where, options.signal)
  for (const name of FUNCTIONS) {
    const given: unknown = options[name]
    if (given !== undefined && typeof given !== 'function') throw badOption(`${name} of ${where}`, 'a function', given)
  }
  if (typeof values !== 'object' || values === null || !(Symbol.iterator in values || Symbol.asyncIterator in values)) {
    throw badOption(`the values of ${where}`, 'an iterable, such as an array, a generator or a readable stream', values)
  }
  if (options.id !== undefined && settingsOf(stream).format === 'batch') {
    throw badOption(`id of ${where}`, "left out with format 'batch', where only whole batches have ids", options.id)
  }
}

async function take<T>(run: Run<T>, values: Iterable<T>, abort: Interruptible): Promise<void> {
  for (const value of values) {
    for (let room = run.room(); room !== undefined; room = run.room()) await abort.wait(room)
    abort.check()
    if (!run.add(value)) return
  }
}

async function takeAsync<T>(run: Run<T>, values: AsyncIterable<T>, abort: Interruptible): Promise<void> {
  const iterator = values[Symbol.asyncIterator]()
  let ended = false
  try {
    for (;;) {
      for (let room = run.room(); room !== undefined; room = run.room()) await abort.wait(room)
      const next = await abort.wait(nextOf(iterator, run))
      ended = next?.done === true
      if (next === undefined || next.done || !run.add(next.value)) return
    }
  } finally {
    if (!ended) leave(iterator)
  }
}

/** Closes an iterator that nobody reads on. One that hangs in `next()` would never answer, so nobody waits for it. */
export function leave(iterator: AsyncIterator<unknown>): void {
  void Promise.resolve(iterator.return?.()).catch(() => {})
}

/** The next value, or undefined when a record failed while it was awaited: it may be long in coming. */
function nextOf<T>(iterator: AsyncIterator<T>, run: Run<T>): Promise<IteratorResult<T> | undefined> {
  return new Promise((resolve, reject) => {
    run.whenFailed = () => resolve(undefined)
    Promise.resolve(iterator.next()).then(resolve, reject)
  })
}

/** The counts of one `publishAll`, and its batches when the stream has them. */
class Run<T> {
  readonly #lane: Lane<T>
  readonly #options: PublishAllOptions<T>
  readonly #batches: Map<number, Batching> | undefined
  #taken = 0
  #stored = 0
  #repeats = 0
  #failed = 0
  #failure: { readonly error: unknown } | undefined
  #whenSettled: (() => void) | undefined
  #cancelFlush: Cancel | undefined
  /** Called when a failure has ended it. */
  whenFailed: (() => void) | undefined

  constructor(lane: Lane<T>, options: PublishAllOptions<T>) {
    this.#lane = lane
    this.#options = options
    if (settingsOf(lane.open.stream).format === 'batch') this.#batches = new Map()
  }

  room(): Promise<void> | undefined {
    return this.#failure === undefined ? this.#lane.sender.room() : undefined
  }

  /** Takes a value; false when a failure has ended it. */
  add(value: T): boolean {
    if (!this.#going()) return false
    const index = this.#taken++
    const { wire } = this.#lane.open
    try {
      const about = this.#about(value, index)
      if (this.#batches !== undefined) this.#addTo(this.#batches, wire.frame(value, about), index)
      else {
        const append = wire.write(value, about, this.#lane.nextId())
        this.#lane.sender.send(append, new One(this, index, append.partition))
      }
    } catch (error) {
      this.fail(error, index)
    }
    return this.#going()
  }

  /** Sends the batches that wait for more. */
  flush(): void {
    this.#cancelFlush?.()
    this.#cancelFlush = undefined
    if (this.#batches === undefined) return
    for (const [partition, batch] of this.#batches) this.#sendBatch(partition, batch)
    this.#batches.clear()
  }

  /** Resolves when every value taken has been stored or has failed; rejects with the failure that ended it. */
  async settled(): Promise<void> {
    if (this.#stored + this.#failed < this.#taken) await new Promise<void>(resolve => (this.#whenSettled = resolve))
    if (this.#failure !== undefined) throw this.#failure.error
  }

  stop(): void {
    this.#cancelFlush?.()
  }

  result(): PublishedAll {
    return { taken: this.#taken, stored: this.#stored, repeats: this.#repeats }
  }

  store(published: Published, index: number): void {
    this.#stored++
    if (published.repeat) this.#repeats++
    const { onStored } = this.#options
    if (onStored !== undefined) this.#tell(() => onStored(published, index))
    this.#check()
  }

  fail(error: unknown, index: number): void {
    this.#failed++
    const { onFailed } = this.#options
    if (onFailed !== undefined && error instanceof StreamNodeError) this.#tell(() => onFailed(error, index))
    else if (this.#failure === undefined) {
      if (error instanceof StreamNodeError) Object.assign(error, { facts: { ...error.facts, index } })
      this.#end(error)
    }
    this.#check()
  }

  /** What a callback throws ends this run, and not the sender, which others share. */
  #tell(told: () => void): void {
    try {
      told()
    } catch (error) {
      this.#end(error)
    }
  }

  #end(error: unknown): void {
    this.#failure ??= { error }
    this.whenFailed?.()
  }

  #going(): boolean {
    return this.#failure === undefined
  }

  #check(): void {
    if (this.#stored + this.#failed === this.#taken) this.#whenSettled?.()
  }

  #about(value: T, index: number): About {
    const { id, key, time, headers } = this.#options
    const where = `publishAll to stream "${this.#lane.open.stream.name}"`
    return {
      id: id && checkedId(where, 'the id function', id(value, index)),
      key: key && checkedKey(where, 'the key function', key(value, index)),
      time: time && checkedTime(where, 'the time function', time(value, index)),
      headers: withTraceContext(headers?.(value, index)),
    }
  }

  #addTo(batches: Map<number, Batching>, framed: FramedFor, index: number): void {
    const bytes = framed.payload.length + (framed.key?.length ?? 0) + sizeOf(framed.headers) + FRAME_BYTES
    const bytesMax = Math.min(BATCH_BYTES, Math.floor(this.#lane.open.wire.limits.recordBytesMax * 0.9))
    let batch = batches.get(framed.partition)
    if (batch !== undefined && batch.bytes + bytes > bytesMax) {
      this.#sendBatch(framed.partition, batch)
      batch = undefined
    }
    if (batch === undefined) batches.set(framed.partition, (batch = { records: [], indexes: [], bytes: 0 }))
    batch.records.push(framed)
    batch.indexes.push(index)
    batch.bytes += bytes
    if (batch.records.length < BATCH_RECORDS && batch.bytes < bytesMax) {
      this.#cancelFlush ??= this.#lane.clock.after(BATCH_WAIT_MS, () => this.flush())
      return
    }
    batches.delete(framed.partition)
    this.#sendBatch(framed.partition, batch)
  }

  #sendBatch(partition: number, { records, indexes }: Batching): void {
    const append = this.#lane.open.wire.writeBatch(partition, records, this.#lane.nextId())
    this.#lane.sender.send(append, {
      stored: (position, before) => {
        const published = { partition, position, repeat: before === 'yes' }
        for (const index of indexes) this.store(published, index)
      },
      failed: error => indexes.forEach(index => this.fail(error, index)),
    })
  }
}

function sizeOf(headers: Readonly<Record<string, string>> | undefined): number {
  let bytes = 0
  for (const name in headers) bytes += name.length + (headers[name] as string).length + FRAME_BYTES
  return bytes
}

interface Batching {
  readonly records: FramedFor[]
  readonly indexes: number[]
  bytes: number
}

/** The answer for one record. */
class One<T> implements Answer {
  constructor(
    readonly run: Run<T>,
    readonly index: number,
    readonly partition: number,
  ) {}

  stored(position: number, before: HeldBefore): void {
    this.run.store({ partition: this.partition, position, repeat: before === 'yes' }, this.index)
  }

  failed(error: StreamNodeError): void {
    this.run.fail(error, this.index)
  }
}
