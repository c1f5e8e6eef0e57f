/**
 * One source of a partition: read from where the ledger says, checked to be the stream that it was, put in order by the
 * inbox, and delivered as fast as the mailbox takes it.
 */
import { createHash, hash } from 'node:crypto'
import { IntegrityError } from '../errors.js'
import type { Batch, BatchReader, ReadOptions } from '../log/log.js'
import { START, type LogRecord, type Position } from '../log/record.js'
import type { InputState } from '../state/entry.js'
import { broken } from '../state/recovery.js'
import type { Table } from '../state/table.js'
import { Inbox, type Cursor } from '../stream/inbox.js'
import type { OpenStream } from '../stream/open.js'
import type { Tell } from '../telemetry/events.js'
import type { Mailbox } from './mailbox.js'

/** Up to so many bytes a record is copied to be hashed. */
const JOINED_BYTES_MAX = 4096

export interface InputLimits {
  /** How many records the log gives at once, and how many bytes they have, about. */
  readonly batchRecordsMax: number
  readonly batchBytesMax: number
}

export interface InputParts {
  /** Which source of the stage. */
  readonly index: number
  readonly open: OpenStream<unknown>
  readonly partition: number
  /** As the ledger has it; undefined for a source that is read for the first time. */
  readonly known: InputState | undefined
  /** Where it begins for the first time: at what the log took at this time or later, in ms since 1970. Undefined: at its start. */
  readonly from: number | undefined
  /** How far each writer's outputs were read. */
  readonly cursors: Table<Cursor>
  readonly limits: InputLimits
  readonly tell: Tell
}

export class Input {
  readonly stream: string
  readonly inbox: Inbox
  /** How many records the log had ready after the last batch; undefined before the first. */
  behind: number | undefined
  readonly #parts: InputParts
  readonly #fromStart: boolean
  /** How far the batches walked bring us. */
  #read: Position
  /** The first record that is given and could not be processed. */
  #unprocessed: Position | undefined
  /** Up to here, all records that are no outputs of ours are processed. */
  #foreignAfter: Position
  #last: LogRecord | undefined
  #mark: InputState['mark']
  #reader: BatchReader | undefined
  #isStopped = false

  private constructor(parts: InputParts, fromStart: boolean, begin = START) {
    const { open, known, cursors, tell } = parts
    this.stream = open.stream.name
    this.#parts = parts
    this.#fromStart = fromStart
    this.#read = known?.position ?? begin
    this.#mark = known?.mark
    const foreignAfter = known?.foreignAfter ?? begin
    this.#foreignAfter = foreignAfter
    this.inbox = new Inbox(cursors, { fromStart, foreignAfter, tell, stream: this.stream })
  }

  /** Opens it. Rejects with an `IntegrityError` when it is not the stream that was read before. */
  static async open(parts: InputParts): Promise<Input> {
    const { open, known, from } = parts
    if (known === undefined) {
      const begin = from === undefined ? START : await open.log.positionAt(from)
      const { first } = await open.log.extent()
      return new Input(parts, begin === START && first <= 1, begin)
    }
    if (known.incarnation !== open.log.incarnation) {
      const what = `stream "${open.stream.name}" was made anew since it was read up to position ${known.position}`
      const mend = 'the partition halts: begin with the new one by "stream-node reset"'
      throw new IntegrityError('STREAM_RECREATED', what, mend)
    }
    const { last } = await open.log.extent()
    if (last < known.position) {
      throw broken(`stream "${open.stream.name}" ends at ${last}, and was read up to ${known.position}`)
    }
    return new Input(parts, known.fromStart)
  }

  /** The latest event time that the ledger knows of. */
  get time(): number {
    return this.#parts.known?.time ?? -Infinity
  }

  /** How far it is read: for an entry that holds everything walked so far. `time`: the latest event time seen. */
  state(time: number): InputState {
    const position = this.inbox.lowWater(this.#read, this.#unprocessed)
    // The last record is known by its bytes, unless something before it is still held.
    if (this.#last !== undefined && this.#last.position <= position) {
      this.#mark = { position: this.#last.position, hash: fingerprint(this.#last) }
      this.#last = undefined
    }
    const foreignAfter = Math.max(this.#foreignAfter, this.inbox.foreignAfter)
    const { incarnation } = this.#parts.open.log
    return {
      stream: this.stream,
      incarnation,
      position,
      foreignAfter,
      fromStart: this.#fromStart,
      time,
      mark: this.#mark,
    }
  }

  /** Puts what was read next in order: what may be processed now. */
  take({ records }: Batch): readonly LogRecord[] {
    const given = this.inbox.take(records)
    this.passed = this.inbox.hasOutputs ? record => this.inbox.passed(record) : undefined
    return given
  }

  /** To be called before each record is walked, where somebody must know. */
  passed: ((record: LogRecord) => void) | undefined

  /** Of what `take` gave of a batch, all were walked, or all before the one at `unprocessed`. */
  walked(batch: Batch, last: LogRecord | undefined, unprocessed: Position | undefined): void {
    this.behind = batch.behind
    this.#read = batch.position
    this.#unprocessed = unprocessed
    if (unprocessed === undefined) this.#foreignAfter = batch.position
    // Where outputs are among them, what was given need not stand in order of position, and the inbox knows.
    else if (!this.inbox.hasOutputs) this.#foreignAfter = unprocessed - 1
    if (last !== undefined) this.#last = last
  }

  /** How far it is read. */
  get position(): Position {
    return this.#unprocessed === undefined ? this.#read : this.#unprocessed - 1
  }

  /** The position of the last record there is, as the leader has it; START without. */
  async end(): Promise<Position> {
    return (await this.#parts.open.log.last(this.#parts.partition))?.position ?? START
  }

  /** Reads on and on into the mailbox, until `stop`. Rejects with what ends the reading. */
  async feed(mailbox: Mailbox): Promise<void> {
    const { index } = this.#parts
    const from = this.#read
    let mark = this.#mark
    this.#reader = this.#open(mark === undefined ? from : mark.position - 1)
    while (!this.#isStopped) {
      const room = mailbox.room()
      if (room !== undefined) {
        await room
        continue
      }
      let next
      try {
        next = await this.#reader.next()
      } catch (error) {
        if (mark === undefined || !(error instanceof IntegrityError) || error.code !== 'OVERRUN') throw error
        // The record that it was known by is gone, which is no harm if all after it is there.
        mark = undefined
        this.#reader = this.#open(from)
        continue
      }
      if (next.done === true) return
      const batch = next.value
      const [first] = batch.records
      if (mark !== undefined && first !== undefined) {
        const isThere = first.position === mark.position
        if (isThere) this.#check(first, mark)
        mark = undefined
        if (!isThere) {
          // Read from where it stood: from `from` on the log says whether more is gone than this one.
          await this.#reader.return()
          this.#reader = this.#open(from)
          continue
        }
      }
      const isNew = batch.position > from && (first === undefined || first.position > from)
      mailbox.deliver({ kind: 'batch', source: index, batch: isNew ? batch : beyond(batch, from) })
    }
    // It was stopped between two readers, or while there was no room.
    await this.#reader.return()
  }

  async stop(): Promise<void> {
    this.#isStopped = true
    await this.#reader?.return()
  }

  #open(after: Position): BatchReader {
    const { open, partition, limits } = this.#parts
    const options: ReadOptions = {
      ...{ partition, after },
      ...{ recordsMax: limits.batchRecordsMax, bytesMax: limits.batchBytesMax },
    }
    return open.log.read(options)
  }

  #check(first: LogRecord, mark: NonNullable<InputState['mark']>): void {
    if (fingerprint(first) === mark.hash) return
    const what = `position ${mark.position} of stream "${this.stream}" holds another record than the one that was read`
    throw broken(`${what}: the log took it back`)
  }
}

/** What of a batch comes after a position. */
function beyond(batch: Batch, from: Position): Batch {
  const records = batch.records.filter(record => record.position > from)
  return { ...batch, records, position: Math.max(batch.position, from) }
}

/** Enough of a record to tell it from another one at its position: 16 hex digits. */
function fingerprint({ head, payload }: LogRecord): string {
  // At once is much faster for what is small; what is large is not copied for it.
  const digest =
    head.length + payload.length <= JOINED_BYTES_MAX
      ? hash('sha256', Buffer.concat([head, payload]))
      : createHash('sha256').update(head).update(payload).digest('hex')
  return digest.slice(0, 16)
}
