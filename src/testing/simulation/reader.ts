/** Reading over a link: asks the server batch by batch, one ahead of who takes them, and again after a lost link. */
import { pause } from '../../clock.js'
import { IntegrityError } from '../../errors.js'
import type { StreamNodeError } from '../../errors.js'
import type { Batch, BatchReader, ReadOptions, StreamSpec } from '../../log/log.js'
import { LogRecord, START } from '../../log/record.js'
import type { Position } from '../../log/record.js'
import { NoAnswer } from './link.js'
import type { SimLink } from './link.js'
import { recreated } from './stored-stream.js'
import type { StoredStream } from './stored-stream.js'
import { isFor } from './subjects.js'

const RECORDS_MAX = 1000
const BYTES_MAX = 1024 * 1024
const EMPTY = new Uint8Array(0)

type Portion = Batch | 'wait' | 'end'

export class SimReader implements BatchReader {
  readonly #ready: Batch[] = []
  readonly #stops: (() => void)[] = []
  /** What was asked for last; answers to what was asked before it do not count. */
  #asked = 0
  #asking = false
  /** Whether the place must be proven before reading goes on: at the beginning, and after a lost link. */
  #unproven = true
  #position: Position
  /** Until something has come, whoever reads from the start takes whatever is there. */
  #anyStart: boolean
  #until: Position | undefined
  #atEnd = false
  #ended = false
  #failure: StreamNodeError | undefined
  #wake: (() => void) | undefined

  constructor(
    readonly link: SimLink,
    readonly stored: StoredStream,
    readonly spec: StreamSpec,
    readonly options: ReadOptions,
  ) {
    this.#position = options.after
    this.#anyStart = options.after === START
    this.#stops.push(
      link.onUp(() => this.#askAgain()),
      link.onDown(() => {
        // Who waits for an end must not take a closed link for it.
        if (link.ended !== undefined) this.#fail(link.ended)
      }),
    )
  }

  [Symbol.asyncIterator](): this {
    return this
  }

  async next(): Promise<IteratorResult<Batch, undefined>> {
    if (this.link.ended !== undefined && !this.#ended) this.#fail(this.link.ended)
    this.#ask()
    while (this.#ready.length === 0 && this.#failure === undefined && !this.#ended && !this.#atEnd) {
      await new Promise<void>(wake => (this.#wake = wake))
    }
    const batch = this.#ended ? undefined : this.#ready.shift()
    if (batch !== undefined) {
      this.#ask()
      return { done: false, value: batch }
    }
    const failure = this.#ended ? undefined : this.#failure
    this.#stop()
    if (failure !== undefined) throw failure
    return { done: true, value: undefined }
  }

  return(): Promise<IteratorResult<Batch, undefined>> {
    this.#stop()
    return Promise.resolve({ done: true, value: undefined })
  }

  #stop(): void {
    this.#ended = true
    this.#asked++
    this.#ready.length = 0
    for (const stop of this.#stops.splice(0)) stop()
    this.#wakeUp()
  }

  #fail(error: StreamNodeError): void {
    this.#failure ??= error
    this.#asked++
    this.#wakeUp()
  }

  #wakeUp(): void {
    this.#wake?.()
    this.#wake = undefined
  }

  #askAgain(): void {
    this.#asked++
    this.#asking = false
    this.#unproven = true
    this.#ask()
  }

  #ask(): void {
    if (this.#asking || this.#ended || this.#atEnd || this.#failure !== undefined || this.#ready.length > 0) return
    if (!this.link.up || this.link.ended !== undefined) return
    this.#asking = true
    const asked = ++this.#asked
    const current = () => asked === this.#asked
    this.link.send<Portion>({
      site: `read ${this.link.ground.label(this.stored.spec.name)}`,
      about: `after ${this.#position}`,
      arrive: () => {
        const portion = this.#portion(this.#unproven)
        if (portion === 'wait') this.#wait(current)
        return portion
      },
      answered: portion => {
        if (current()) this.#take(portion)
      },
      threw: error => {
        if (current()) this.#fail(error)
      },
      failed: () => {
        if (this.link.up) void pause(this.link.process.clock, 100).then(() => current() && this.#askAgain())
      },
    })
  }

  #take(portion: Portion): void {
    this.#unproven = false
    if (portion === 'wait') return
    this.#asking = false
    if (portion === 'end') this.#atEnd = true
    else {
      this.#position = portion.position
      this.#anyStart = false
      this.#ready.push(portion)
    }
    this.#wakeUp()
  }

  /** The server sends on what comes, after the time that it takes on the way. */
  #wait(current: () => boolean): void {
    const { ground, process } = this.link
    const { clock, faults, chance } = ground
    const forget = this.stored.onChange(() => {
      const late = faults.strikes('replyLate') ? faults.spans.lateMs : 0
      clock.after(chance.between(...faults.spans.latency) + late, () => process.deliver(() => this.#arrived(current)))
    })
    this.#stops.push(forget)
  }

  #arrived(current: () => boolean): void {
    if (!current()) return
    try {
      const portion = this.stored.away ? 'wait' : this.#portion(false)
      if (portion === 'wait') this.#wait(current)
      this.#take(portion)
    } catch (error) {
      this.#fail(error as StreamNodeError)
    }
  }

  /** What the server has for it. */
  #portion(prove: boolean): Portion {
    const { stored, link } = this
    const { name } = stored.spec
    if (stored.away) throw new NoAnswer()
    if (link.ground.server.streams.get(name) !== stored) throw recreated(name)
    stored.retain()
    if (prove) this.#prove()
    const { partition, untilEnd = false } = this.options
    if (untilEnd) this.#until ??= stored.last
    const batch = this.#gather(partition)
    if (batch.records.length > 0) return batch
    if (this.#until !== undefined && (batch.position >= this.#until || stored.last < this.#until)) return 'end'
    this.#position = batch.position
    return 'wait'
  }

  #gather(partition: number | undefined): Batch {
    const { recordsMax = RECORDS_MAX, bytesMax = BYTES_MAX, headersOnly = false } = this.options
    const { stored, spec } = this
    const most = Math.max(1, Math.min(recordsMax, this.link.ground.faults.spans.portion ?? Infinity))
    const records: LogRecord[] = []
    let bytes = 0
    let behind = 0
    for (let at = stored.indexAfter(this.#position); at < stored.records.length; at++) {
      const record = stored.records[at]!
      if (record.position > (this.#until ?? Infinity)) break
      if (
        spec.source === undefined
          ? partition !== undefined && record.partition !== partition
          : !isFor(spec, stored.spec.name, record)
      )
        continue
      const weight = headersOnly ? record.head.length : record.bytes
      if (behind > 0 || records.length === most || (records.length > 0 && bytes + weight > bytesMax)) {
        behind++
        continue
      }
      bytes += weight
      records.push(spec.source === undefined && !headersOnly ? record : this.#given(record))
    }
    const position =
      behind > 0 ? records.at(-1)!.position : Math.max(this.#position, Math.min(stored.last, this.#until ?? Infinity))
    return { records, position, behind }
  }

  #given({ partition, position, time, head, payload }: LogRecord): LogRecord {
    const { headersOnly = false } = this.options
    return new LogRecord(
      this.spec.source === undefined ? partition : 0,
      position,
      time,
      head,
      headersOnly ? EMPTY : payload,
    )
  }

  /** Throws when something that was still to be read is gone. */
  #prove(): void {
    const { stored, options } = this
    const { name } = stored.spec
    const after = this.#position
    if (after > stored.last) {
      const what = `stream "${name}" ends at ${stored.last}, but was to be read after ${after}`
      throw new IntegrityError('LOG_REWOUND', what, 'the log lost records, or the position is of another stream')
    }
    if (this.#anyStart) return
    const gone =
      options.partition === undefined || this.spec.source !== undefined
        ? Math.max(...stored.gone)
        : stored.gone[options.partition]!
    if (gone <= after) return
    const what = `records of stream "${name}" up to ${gone} are gone, but were to be read from ${after} on`
    throw new IntegrityError('OVERRUN', what, 'keep records for longer than readers need')
  }
}
