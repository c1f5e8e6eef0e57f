/** Reading a stream from outside: from anywhere in it, record by record or in batches, at the reader's own pace. */
import { DefinitionError, type RecordError } from '../errors.js'
import { badOption, knownOptions, whole } from '../options.js'
import type { BatchReader, LogStream } from '../log/log.js'
import { START, type LogRecord, type Position } from '../log/record.js'
import type { OpenStream } from '../stream/open.js'
import type { StreamRecord } from '../stream/record.js'
import type { Tell } from '../telemetry/events.js'
import { checkSignal, Interruptible } from './abort.js'
import { OutputOrder } from './output-order.js'

export interface ReadingOptions {
  /**
   * Where to begin: at the first record there is, behind the last one, at a position, or at the first record that the
   * log took at a time or later. Default `'start'`.
   */
  readonly from?: 'start' | 'end' | Position | Date
  /** Instead of `from`: behind this position, that of the last record handled. */
  readonly after?: Position
  /** One partition only. Default: all, in the order of the log. */
  readonly partition?: number
  /** Goes on with new records as they come. Default: ends with what was there at the beginning; true with `'end'`. */
  readonly follow?: boolean
  /** Told of a record that can not be read, which is then left out. Absent: it ends the reading. Must not throw. */
  readonly onBadRecord?: (error: RecordError) => void
  /** Ends the reading: a waiting `next()` rejects with its reason. */
  readonly signal?: AbortSignal
}

/** Some records in order, and how far they bring the reader. */
export interface ReadBatch<T> {
  /** May be empty: then only the position has moved. */
  readonly records: readonly StreamRecord<T>[]
  /**
   * Everything up to here has been given; read on with `after` it. Stays below an output of a pipeline that waits for
   * one before it.
   */
  readonly position: Position
  /** How many messages the log had ready after these; 0 means caught up at that moment. */
  readonly behind: number
}

const OPTIONS = ['from', 'after', 'partition', 'follow', 'onBadRecord', 'signal']

/** Records on demand. Leaving a `for await` early ends it; whoever calls `next()` by hand calls `return()` as well. */
export class Reading<out T> implements AsyncIterableIterator<StreamRecord<T>, undefined> {
  readonly #batches: AsyncIterableIterator<ReadBatch<T>, undefined>
  #records: readonly StreamRecord<T>[] = []
  #at = 0
  #pulling: Promise<IteratorResult<StreamRecord<T>, undefined>> | undefined

  constructor(open: () => Promise<OpenStream<T>>, options: ReadingOptions, tell: Tell) {
    checkReading(options)
    this.#batches = endable(open, options, tell)
  }

  /** The same reading in batches as the log hands them over, which is several times as fast. Use either, not both. */
  batches(): AsyncIterableIterator<ReadBatch<T>, undefined> {
    return this.#batches
  }

  next(): Promise<IteratorResult<StreamRecord<T>, undefined>> {
    if (this.#pulling !== undefined) return this.#pulling.then(() => this.next())
    const record = this.#records[this.#at]
    if (record === undefined) return (this.#pulling = this.#pull())
    this.#at++
    return Promise.resolve({ value: record, done: false })
  }

  async return(): Promise<IteratorResult<StreamRecord<T>, undefined>> {
    this.#records = []
    await this.#batches.return?.()
    return { value: undefined, done: true }
  }

  [Symbol.asyncIterator](): this {
    return this
  }

  async #pull(): Promise<IteratorResult<StreamRecord<T>, undefined>> {
    try {
      for (;;) {
        const next = await this.#batches.next()
        if (next.done) return { value: undefined, done: true }
        this.#records = next.value.records
        this.#at = 1
        const first = this.#records[0]
        if (first !== undefined) return { value: first, done: false }
      }
    } finally {
      this.#pulling = undefined
    }
  }
}

/** The batches of a reading. A generator answers `return()` only after a waiting `next()`; this one ends the wait. */
function endable<T>(
  open: () => Promise<OpenStream<T>>,
  options: ReadingOptions,
  tell: Tell,
): AsyncIterableIterator<ReadBatch<T>, undefined> {
  const place: Place = { reader: undefined, ended: false }
  const batches = readBatches(open, options, place, tell)
  return {
    next: () => batches.next(),
    async return() {
      place.ended = true
      await place.reader?.return()
      return batches.return(undefined)
    },
    [Symbol.asyncIterator]() {
      return this
    },
  }
}

/** What a reading holds of the log, and whether it was told to end. */
interface Place {
  reader: BatchReader | undefined
  ended: boolean
}

async function* readBatches<T>(
  open: () => Promise<OpenStream<T>>,
  options: ReadingOptions,
  place: Place,
  tell: Tell,
): AsyncGenerator<ReadBatch<T>, undefined> {
  const abort = new Interruptible(options.signal, () => void place.reader?.return())
  try {
    const { log, wire } = await abort.wait(open())
    const follow = options.follow ?? options.from === 'end'
    const after = await abort.wait(beginning(log, options))
    if (wasLeft(place)) return
    const reader = log.read({
      after,
      ...(options.partition !== undefined && { partition: partitionIn(log, options.partition) }),
      ...(!follow && { untilEnd: true }),
    })
    place.reader = reader
    const order = new OutputOrder(log, reader, { after, partition: options.partition }, tell)
    for (;;) {
      const batch = await abort.wait(order.next())
      if (batch === undefined || wasLeft(place)) return
      const records: StreamRecord<T>[] = []
      const take = (record: StreamRecord<T>) => void records.push(record)
      let fatal: RecordError | undefined
      const bad = (error: RecordError) => {
        if (options.onBadRecord !== undefined) options.onBadRecord(error)
        else fatal ??= error
      }
      const show = async (all: readonly LogRecord[]) => {
        for (const from of all) {
          // Whoever reads on behind a bad record must have got all that stands before it, and nothing behind it.
          if (fatal !== undefined && from.position > positionOf(fatal)) continue
          const ready = wire.ready(from)
          if (ready !== undefined) await abort.wait(ready)
          wire.read(from, take, bad)
        }
      }
      await show(batch.records)
      if (fatal === undefined) {
        yield { records, position: batch.position, behind: batch.behind }
        continue
      }
      await show(order.drain())
      if (records.length > 0) yield { records, position: positionOf(fatal) - 1, behind: batch.behind }
      throw fatal
    }
  } finally {
    abort.end()
    await place.reader?.return()
  }
}

/** It may change while anything is awaited, which the compiler does not see. */
function wasLeft(place: Place): boolean {
  return place.ended
}

function positionOf(error: RecordError): Position {
  return error.facts['position'] as Position
}

async function beginning(log: LogStream, { from, after }: ReadingOptions): Promise<Position> {
  if (from instanceof Date) return log.positionAt(from.getTime())
  if (from === 'end') return (await log.extent()).last
  const start = after ?? (typeof from === 'number' ? from - 1 : START)
  if (start === START) return START
  const { last } = await log.extent()
  if (start <= last) return start
  const what = `position ${start + (after === undefined ? 1 : 0)} is beyond the end of stream "${log.spec.name}", ${last}`
  throw new DefinitionError('NO_SUCH_POSITION', what, `begin at ${last} or before, or at 'end'`)
}

function partitionIn(log: LogStream, partition: number): number {
  return whole(`partition of reading stream "${log.spec.name}"`, partition, { max: log.spec.partitions - 1 })
}

function checkReading(options: ReadingOptions): void {
  knownOptions('read', options, OPTIONS)
  const { from, after, follow, onBadRecord } = options
  checkSignal('read', options.signal)
  if (from !== undefined && after !== undefined) throw badOption('after of read', 'left out where from is given', after)
  if (after !== undefined) whole('after of read', after)
  // The first position of a stream is 1; behind nothing, `after`, is 0.
  if (typeof from === 'number') whole('from of read', from, { min: 1 })
  else if (from instanceof Date ? Number.isNaN(from.getTime()) : ![undefined, 'start', 'end'].includes(from)) {
    throw badOption('from of read', "'start', 'end', a position or a Date", from)
  }
  if (follow !== undefined && typeof follow !== 'boolean') throw badOption('follow of read', 'true or false', follow)
  if (onBadRecord !== undefined && typeof onBadRecord !== 'function') {
    throw badOption('onBadRecord of read', 'a function', onBadRecord)
  }
}
