/** One stream over a link: what `log/log.ts` promises of appends and reading, with every fault that it allows. */
import { DefinitionError, IntegrityError, UnavailableError } from '../../errors.js'
import { appendFault } from '../../log/fault.js'
import type { Append, BatchReader, Ending, Extent, LogStream, ReadOptions, StreamSpec } from '../../log/log.js'
import { encodeHeaders, LogRecord } from '../../log/record.js'
import type { Position } from '../../log/record.js'
import { disconnected, NoAnswer } from './link.js'
import type { SimLink } from './link.js'
import { SimReader } from './reader.js'
import { recreated, refused } from './stored-stream.js'
import type { StoredStream } from './stored-stream.js'
import { isFor } from './subjects.js'

const RECORDS_IN_FLIGHT = 4096
const BYTES_IN_FLIGHT = 16 * 1024 * 1024

interface Waiting {
  readonly promise: Promise<void>
  readonly resolve: () => void
  readonly reject: (error: Error) => void
}

export class SimStream implements LogStream {
  readonly #label: string
  #records = 0
  #bytes = 0
  #waiting: Waiting | undefined
  /** The highest position that an answer has told. */
  #acked: Position = 0

  constructor(
    readonly link: SimLink,
    readonly stored: StoredStream,
    readonly spec: StreamSpec,
  ) {
    this.#label = link.ground.label(stored.spec.name)
  }

  get incarnation(): string {
    return this.stored.incarnation
  }

  append(record: Append): Promise<Ending> {
    return new Promise(ended => this.send(record, ended))
  }

  send(record: Append, ended: (ending: Ending) => void): void {
    const { partition, id, expect } = record
    const refusal = this.#refusal(record)
    if (refusal !== undefined) return queueMicrotask(() => ended(refusal))
    const head = encodeHeaders(record.headers, id)
    const payload = new Uint8Array(record.payload)
    const size = head.length + payload.length
    const { recordBytesMax } = this.link.ground
    if (size > recordBytesMax) {
      return queueMicrotask(() => ended(refused('denied', tooLarge(this.spec.name, size, recordBytesMax))))
    }
    this.#records++
    this.#bytes += size
    const floor = this.#acked
    const land = (ending: Ending): void => {
      this.#records--
      this.#bytes -= size
      ended(ending)
      this.#wake()
    }
    this.link.send({
      site: `append ${this.#label}`,
      about: `${partition}${id === undefined ? '' : ` ${id}`}${expect === undefined ? '' : ` after ${expect}`}`,
      hasId: id !== undefined,
      run: this.spec.name,
      isRefusal: ending => ending.ending === 'refused',
      arrive: () => {
        if (this.stored.away) throw new NoAnswer()
        return this.stored.append({ partition, id, expect, head, payload })
      },
      answered: ending => land(this.#judged(ending, floor)),
      failed: (error, sent) => land(this.#failed(error, sent)),
    })
  }

  /** An answer whose position was given before is a sign that the log lost what it had acknowledged. */
  #judged(ending: Ending, floor: Position): Ending {
    if (ending.ending !== 'stored') return ending
    if (ending.position > this.#acked) this.#acked = ending.position
    else if (!ending.repeat && ending.position <= floor) {
      const what = `stream "${this.spec.name}" gave position ${ending.position} after it had given ${floor}`
      return { ending: 'unknown', error: new IntegrityError('LOG_REWOUND', what, 'look at the log before going on') }
    }
    return ending
  }

  #failed(error: UnavailableError, sent: boolean): Ending {
    return sent ? { ending: 'unknown', error } : refused('unavailable', error)
  }

  #refusal(record: Append): Ending | undefined {
    const { ended, up } = this.link
    if (ended !== undefined) return refused('unavailable', ended)
    if (this.spec.source !== undefined) return refused('denied', readOnly(this.spec.name))
    const fault = appendFault(record, this.spec.partitions)
    if (fault !== undefined) return refused('denied', fault)
    if (!up) return refused('unavailable', disconnected())
    return this.#crowded() ? refused('unavailable', crowded()) : undefined
  }

  #crowded(): boolean {
    return this.#records >= RECORDS_IN_FLIGHT || this.#bytes >= BYTES_IN_FLIGHT
  }

  room(): Promise<void> | undefined {
    const { ended, up } = this.link
    if (ended === undefined && up && !this.#crowded()) return undefined
    if (this.#waiting !== undefined) return this.#waiting.promise
    const waiting = promised()
    if (ended !== undefined) {
      waiting.reject(ended)
      return waiting.promise
    }
    this.#waiting = waiting
    const stop = [this.link.onUp(() => this.#wake()), this.link.onDown(() => this.#wake())]
    waiting.promise.catch(() => {}).finally(() => stop.forEach(one => one()))
    return waiting.promise
  }

  #wake(): void {
    const waiting = this.#waiting
    if (waiting === undefined) return
    if (this.link.ended !== undefined) waiting.reject(this.link.ended)
    else if (this.link.up && !this.#crowded()) waiting.resolve()
    else return
    this.#waiting = undefined
  }

  read(options: ReadOptions): BatchReader {
    if (options.partition !== undefined) this.#check(options.partition)
    return new SimReader(this.link, this.stored, this.spec, options)
  }

  async last(partition: number): Promise<LogRecord | undefined> {
    this.#check(partition)
    const { source } = this.spec
    return this.#call('last', stored => {
      if (source === undefined) return stored.end(partition)
      const last = stored.records.findLast(one => isFor(this.spec, stored.spec.name, one))
      return last && new LogRecord(0, last.position, last.time, last.head, last.payload)
    })
  }

  extent(): Promise<Extent> {
    return this.#call('extent', ({ first, last, incarnation }) => ({ first, last, incarnation }))
  }

  positionAt(time: number): Promise<Position> {
    return this.#call('positionAt', stored => {
      const older = stored.records.findLast(one => one.time < time)
      return older?.position ?? stored.first - 1
    })
  }

  async purge(partition: number, before: Position): Promise<void> {
    if (this.link.ended !== undefined) throw this.link.ended
    if (this.spec.source !== undefined) throw readOnly(this.spec.name)
    this.#check(partition)
    await this.#call('purge', stored => stored.purge(partition, before))
  }

  #call<T>(what: string, arrive: (stored: StoredStream) => T): Promise<T> {
    return this.link.call(`${what} ${this.#label}`, () => {
      // Whoever asks by name is told of the stream that bears it now.
      const stored = this.link.ground.server.streams.get(this.stored.spec.name)
      if (stored?.away) throw new NoAnswer()
      if (stored === undefined || (stored !== this.stored && what !== 'extent')) throw recreated(this.spec.name)
      return arrive(stored)
    })
  }

  #check(partition: number): void {
    const { name, partitions } = this.spec
    if (Number.isInteger(partition) && partition >= 0 && partition < partitions) return
    const what = `stream "${name}" has no partition ${partition}`
    throw new DefinitionError('BAD_OPTION', what, `they are numbered from 0 to ${partitions - 1}`)
  }
}

const readOnly = (name: string): DefinitionError =>
  new DefinitionError('READ_ONLY_STREAM', `stream "${name}" belongs to somebody else`, 'write to another stream')

function tooLarge(stream: string, size: number, most: number): DefinitionError {
  const what = `a record of ${size} bytes for stream "${stream}" is above the limit of ${most}`
  return new DefinitionError('RECORD_TOO_LARGE', what, 'make it smaller')
}

function crowded(): UnavailableError {
  return new UnavailableError('DISCONNECTED', 'not sent: too much is in flight', 'wait for room() before each append')
}

function promised(): Waiting {
  let [resolve, reject]: [() => void, (error: Error) => void] = [() => {}, () => {}]
  const promise = new Promise<void>((yes, no) => ([resolve, reject] = [yes, no]))
  promise.catch(() => {})
  return { promise, resolve, reject }
}
