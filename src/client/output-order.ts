/**
 * What a reader outside is shown of a stream: each output of a pipeline once and in order, as far as one reading can
 * know, and records of others as they stand.
 */
import type { Batch, BatchReader, LogStream } from '../log/log.js'
import { START, type LogRecord, type Position } from '../log/record.js'
import { Inbox, type Cursor } from '../stream/inbox.js'
import { outOf } from '../stream/output-id.js'
import type { Tell } from '../telemetry/events.js'

/** Where a reading begins. */
interface Beginning {
  readonly after: Position
  readonly partition: number | undefined
}

/** Makes an inbox when the first output comes; until then a batch costs one look at each record. */
export class OutputOrder {
  readonly #log: LogStream
  readonly #reader: BatchReader
  readonly #beginning: Beginning
  readonly #tell: Tell
  #first: Position | undefined
  #read: Position
  #inbox: Inbox | undefined

  constructor(log: LogStream, reader: BatchReader, beginning: Beginning, tell: Tell) {
    this.#log = log
    this.#reader = reader
    this.#beginning = beginning
    this.#tell = tell
    this.#read = beginning.after
  }

  /**
   * The next records to show. Their `position` is the one behind which to read on without leaving anything out: it
   * stays below what is held. At the end of the log what is still held comes last; undefined behind that.
   */
  async next(): Promise<Batch | undefined> {
    const next = await this.#reader.next()
    if (next.done) {
      const records = this.drain()
      return records.length === 0 ? undefined : { records, position: this.#read, behind: 0 }
    }
    const { records, position, behind } = next.value
    this.#read = position
    this.#first ??= records[0]?.position
    const inbox = (this.#inbox ??= records.some(record => this.#isOutput(record)) ? await this.#open() : undefined)
    if (inbox === undefined) return next.value
    const given = inbox.take(records)
    // The inbox asks cursors only about what it had held, which only a batch out of order can give.
    if (given !== records) for (const record of given) inbox.passed(record)
    return { records: given, position: inbox.lowWater(position, undefined), behind }
  }

  /** What is held, in order. */
  drain(): readonly LogRecord[] {
    return this.#inbox?.drain() ?? []
  }

  #isOutput(record: LogRecord): boolean {
    return outOf(record, this.#log.spec.name) !== undefined
  }

  async #open(): Promise<Inbox> {
    const fromStart = await this.#isFromStart()
    const stream = this.#log.spec.name
    return new Inbox(new Map<string, Cursor>(), { fromStart, foreignAfter: START, tell: this.#tell, stream })
  }

  async #isFromStart(): Promise<boolean> {
    const { after, partition } = this.#beginning
    if (after !== START) return false
    return this.#first === 1 || (partition !== undefined && (await this.#log.extent()).first === 1)
  }
}
