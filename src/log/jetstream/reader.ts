/**
 * Reads a stream by position over an ephemeral pull consumer that is made anew whenever the link, the server or the
 * consumer falters. Pulls are bounded in records and bytes and go out only as batches are taken, so a reader that
 * nobody takes from asks for nothing; what was lost on the way or deleted under us is found by the numbers.
 */
import type { Msg, Subscription } from '@nats-io/transport-node'
import { AckPolicy, DeliverPolicy, ReplayPolicy, type ConsumerConfig } from '@nats-io/jetstream'
import { type Cancel, pause } from '../../clock.js'
import { IntegrityError, InvariantError, StreamNodeError, UnavailableError } from '../../errors.js'
import type { Batch, BatchReader, Extent } from '../log.js'
import { LogRecord, type Position } from '../record.js'
import { parseDelivery, type Delivery } from './delivery.js'
import type { Link } from './link.js'
import { Pulls } from './pulls.js'

/** What is read, and from where. */
export interface Reading {
  readonly stream: string
  /** Tells whether the stream is still the one that was opened. */
  readonly incarnation: string
  /** The subject to read, or undefined for all. */
  readonly filter: string | undefined
  /** The number of the partition of a subject. */
  readonly partition: (subject: string) => number
  /** The one subject, when there is just one. */
  readonly subject?: string
  readonly after: Position
  /** Begin with the last record of each subject instead. Gaps are then no fault: older ones give way to newer ones. */
  readonly lastOfEach?: boolean
  readonly headersOnly: boolean
  readonly recordsMax: number
  readonly bytesMax: number
  readonly untilEnd: boolean
  /** Where the stream begins and ends, asked of the leader. */
  extent(): Promise<Extent>
  /** The position of the last record there is to read, asked of the leader; 0 when there is none. */
  lastToRead(): Promise<Position>
  /** The position below which records of ours may be gone, when the stream begins at `first`; 0 when none are. */
  floor(first: Position): Promise<Position>
  /** True when all records of the stream are ours, so that their positions follow one another. */
  readonly dense: boolean
}

/** How often the server says that it is there while it has nothing for us; two misses in a row and we look after it. */
const HEARTBEAT_MS = 2000
/** How long a pull waits for records. */
const EXPIRES_MS = 30_000
/** When the server forgets a consumer that we left behind. */
const INACTIVE_MS = 30_000
/** After so many silent heartbeats a reader of one partition asks how far the stream has gone on without it. */
const QUIET_HEARTBEATS = 15
const NS_PER_MS = 1_000_000

interface Pull {
  readonly id: number
  records: number
  bytes: number
  untouched: boolean
  /** For one record of any size. */
  readonly large: boolean
}

/** A message as the client really gives it: its type leaves out the weight that the server counts against `max_bytes`. */
type Sized = Msg & { size(): number }

interface Filling {
  readonly records: LogRecord[]
  bytes: number
  position: Position
  behind: number
}

export class Reader implements BatchReader {
  readonly #link: Link
  readonly #reading: Reading
  readonly #ready: Filling[] = []
  #buffered = 0
  #bufferedBytes = 0
  /** Everything of ours up to here has come in. */
  #received: Position
  /** Where to end, once it is known. */
  #until: Position | undefined
  #failure: StreamNodeError | undefined
  #state: 'fresh' | 'attaching' | 'reading' | 'ended' = 'fresh'
  #wake: (() => void) | undefined

  #consumer = ''
  #subscription: Subscription | undefined
  #inbox = ''
  #nextInSequence = 1
  /** How many records were to come after the last one, 0 when unknown. */
  #behind = 0
  #pulls: Pull[] = []
  #pullId = 0
  /** The next record is larger than a share. */
  #large = false
  #leavePulls: (() => void) | undefined
  readonly #askAgain = () => this.#ask()
  #heard = true
  #silent = 0
  #cancelLook: Cancel | undefined
  readonly #stopHooks: (() => void)[] = []

  constructor(link: Link, reading: Reading) {
    this.#link = link
    this.#reading = reading
    this.#received = reading.after
  }

  [Symbol.asyncIterator](): this {
    return this
  }

  async next(): Promise<IteratorResult<Batch, undefined>> {
    if (this.#state === 'fresh') this.#begin()
    while (this.#ready.length === 0 && this.#failure === undefined && this.#state !== 'ended') {
      await new Promise<void>(wake => (this.#wake = wake))
    }
    const batch = this.#ready.shift()
    if (batch === undefined) {
      if (this.#failure !== undefined && this.#state !== 'ended') {
        this.#stop()
        throw this.#failure
      }
      return { done: true, value: undefined }
    }
    this.#buffered -= batch.records.length
    this.#bufferedBytes -= batch.bytes
    this.#ask()
    return { done: false, value: batch }
  }

  return(): Promise<IteratorResult<Batch, undefined>> {
    this.#stop()
    this.#ready.length = 0
    return Promise.resolve({ done: true, value: undefined })
  }

  #stop(): void {
    if (this.#state === 'ended') return
    this.#state = 'ended'
    this.#detach()
    this.#cancelLook?.()
    for (const stop of this.#stopHooks) stop()
    this.#wakeUp()
  }

  #begin(): void {
    this.#stopHooks.push(
      this.#link.onUp(() => void this.#attach('the link was lost')),
      this.#link.onDown(() => {
        // Who waits for an end must not take a closed link for it.
        if (this.#link.ended?.code === 'CLOSED' && !this.#reading.untilEnd) void this.return()
        else if (this.#link.ended !== undefined) this.#fail(this.#link.ended)
      }),
      this.#link.onDenied(subject => this.#denied(subject)),
    )
    if (this.#link.ended === undefined) void this.#attach()
    else this.#fail(this.#link.ended)
  }

  /** Makes a consumer after what has come in, trying until it stands or the stream is no longer what it was. */
  async #attach(why?: string): Promise<void> {
    if (this.#state === 'ended' || this.#state === 'attaching') return
    this.#state = 'attaching'
    this.#detach()
    while (this.#attaching()) {
      try {
        await this.#tryToAttach()
        if (why !== undefined && this.#attaching()) {
          const { stream } = this.#reading
          this.#link.tools.tell({ type: 'log.reader-resumed', stream, after: this.#received, why })
        }
        break
      } catch (error) {
        this.#detach()
        const ours = this.#link.ours(`read stream "${this.#reading.stream}"`, error)
        if (ours instanceof UnavailableError && this.#link.ended === undefined) {
          await pause(this.#link.tools.clock, 50 + 100 * this.#link.tools.chance.fraction())
        } else {
          const what = `could not read stream "${this.#reading.stream}": ${ours.message}`
          this.#fail(ours instanceof StreamNodeError ? ours : new InvariantError(what, { cause: ours }))
          return
        }
      }
    }
    if (!this.#attaching()) {
      this.#detach()
      return
    }
    this.#state = 'reading'
    this.#heard = true
    this.#leavePulls = this.#link.pulls.join()
    if (this.#cancelLook === undefined) this.#lookLater()
    this.#ask()
  }

  #attaching(): boolean {
    return this.#state === 'attaching'
  }

  async #tryToAttach(): Promise<void> {
    const { stream, filter, headersOnly, untilEnd, lastOfEach } = this.#reading
    const extent = await this.#reading.extent()
    await this.#check(extent)
    if (untilEnd && this.#until === undefined) this.#until = await this.#reading.lastToRead()
    if (this.#until !== undefined && this.#received >= this.#until) {
      this.#finish(extent.last)
      return
    }
    this.#consumer = `sn_${this.#link.tools.chance.name()}`
    this.#inbox = this.#link.inbox()
    this.#nextInSequence = 1
    this.#behind = 0
    const callback = (error: Error | null, message: Msg) => void (error ?? this.#take(message))
    this.#subscription = this.#link.nc.subscribe(`${this.#inbox}.*`, { callback })
    const start: Partial<ConsumerConfig> =
      lastOfEach === true && this.#received === 0
        ? { deliver_policy: DeliverPolicy.LastPerSubject }
        : this.#received === 0
          ? { deliver_policy: DeliverPolicy.All }
          : { deliver_policy: DeliverPolicy.StartSequence, opt_start_seq: this.#received + 1 }
    const config: Partial<ConsumerConfig> = {
      name: this.#consumer,
      ack_policy: AckPolicy.None,
      replay_policy: ReplayPolicy.Instant,
      mem_storage: true,
      num_replicas: 1,
      inactive_threshold: INACTIVE_MS * NS_PER_MS,
      ...start,
      ...(filter === undefined ? {} : { filter_subject: filter }),
      ...(headersOnly ? { headers_only: true } : {}),
    }
    const made = await this.#link.call(`read stream "${stream}"`, jsm => jsm.consumers.add(stream, config))
    if (lastOfEach === true && this.#received === 0 && made.num_pending === 0) this.#advance(extent.last)
    if (this.#until !== undefined && made.num_pending === 0) {
      // What was to be the end has been deleted since.
      await this.#check(await this.#reading.extent())
      this.#finish(extent.last)
    }
  }

  /** Refuses to go on when what we were to read next may be gone. */
  async #check(extent: Extent): Promise<void> {
    const { stream, incarnation, lastOfEach } = this.#reading
    const facts = { stream, after: this.#received, first: extent.first, last: extent.last }
    if (extent.incarnation !== incarnation) throw recreated(stream, facts)
    if (this.#received > extent.last) {
      const what = `stream "${stream}" ends at ${extent.last}, but ${this.#received} had been read from it`
      throw new IntegrityError('LOG_REWOUND', what, 'the log lost records, or the position is of another stream', {
        facts,
      })
    }
    if (this.#received === 0 || lastOfEach === true) return
    const floor = await this.#reading.floor(extent.first)
    if (floor <= this.#received + 1) return
    const what = `records of stream "${stream}" between ${this.#received} and ${floor} were deleted before they were read`
    throw new IntegrityError(
      'OVERRUN',
      what,
      'keep records longer than the longest outage, or start anew from what is left',
      {
        facts,
      },
    )
  }

  #detach(): void {
    this.#subscription?.unsubscribe()
    this.#subscription = undefined
    this.#leavePulls?.()
    this.#leavePulls = undefined
    this.#link.pulls.leave(this.#askAgain)
    for (const pull of this.#pulls.splice(0)) this.#over(pull)
    const consumer = this.#consumer
    this.#consumer = ''
    if (consumer === '' || !this.#link.up) return
    // The server forgets it anyhow after a while; telling it is a courtesy.
    this.#link.jsm.consumers.delete(this.#reading.stream, consumer).catch(() => {})
  }

  /** Sends pulls while there is room for what they may bring: one batch in hand, one on the way. */
  #ask(): void {
    if (this.#state !== 'reading' || !this.#link.up) return
    const { recordsMax, bytesMax } = this.#reading
    let records = this.#buffered
    let bytes = this.#bufferedBytes
    for (const pull of this.#pulls) {
      records += pull.records
      bytes += Math.min(pull.bytes, bytesMax)
    }
    while (this.#pulls.length < 2 && records <= recordsMax && bytes <= bytesMax) {
      const pull = this.#nextPull()
      if (pull === undefined) return
      this.#pulls.push(pull)
      const request = `{"batch":${pull.records},"max_bytes":${pull.bytes},"expires":${EXPIRES_MS * NS_PER_MS},"idle_heartbeat":${HEARTBEAT_MS * NS_PER_MS}}`
      const reply = `${this.#inbox}.${pull.id}`
      this.#link.nc.publish(this.#pullSubject(), request, { reply })
      records += pull.records
      bytes += Math.min(pull.bytes, bytesMax)
      if (pull.large) return
    }
  }

  #pullSubject(): string {
    return `${this.#link.api}.CONSUMER.MSG.NEXT.${this.#reading.stream}.${this.#consumer}`
  }

  #nextPull(): Pull | undefined {
    const { pulls, payloadMax } = this.#link
    const { recordsMax, bytesMax } = this.#reading
    const id = ++this.#pullId
    if (!this.#large) {
      return { id, records: recordsMax, bytes: Math.min(bytesMax, pulls.share()), untouched: true, large: false }
    }
    if (!pulls.takeLarge(payloadMax, this.#askAgain)) return undefined
    return { id, records: 1, bytes: Pulls.bytesOfLargest(payloadMax), untouched: true, large: true }
  }

  /** One message: a record of the oldest pull, or what the server says about a pull. The hot path. */
  #take(message: Msg): void {
    this.#heard = true
    const reply = message.reply ?? ''
    if (reply === '') {
      this.#status(message)
      return
    }
    const delivery = parseDelivery(reply)
    if (delivery.consumerSequence !== this.#nextInSequence) {
      return void this.#attach(`record ${this.#nextInSequence} of the consumer did not arrive`)
    }
    if (this.#nextInSequence > 1 && this.#skipped(delivery)) {
      return void this.#attach('records to come were deleted')
    }
    this.#behind = delivery.behind
    this.#nextInSequence++
    const weight = (message as Sized).size()
    const pull = this.#pulls[0]
    if (pull !== undefined) {
      pull.untouched = false
      pull.records--
      pull.bytes -= weight
      if (pull.records <= 0 || pull.bytes <= 0) {
        this.#pulls.shift()
        // Where there was one large record there may be more.
        if (pull.large) this.#large = weight > this.#link.pulls.share()
        this.#over(pull)
        this.#ask()
      }
    }
    const subject = this.#reading.subject ?? message.subject
    const data = message.data
    const head = headBefore(data, weight - subject.length - reply.length - data.length)
    const record = new LogRecord(this.#reading.partition(subject), delivery.position, delivery.time, head, data)
    this.#keep(record, delivery.behind)
    if (this.#until !== undefined && delivery.position >= this.#until) this.#finish(delivery.position)
  }

  #keep(record: LogRecord, behind: number): void {
    const bytes = record.bytes
    const { recordsMax, bytesMax } = this.#reading
    let batch = this.#ready[this.#ready.length - 1]
    if (batch === undefined || batch.records.length >= recordsMax || batch.bytes + bytes > bytesMax) {
      batch = { records: [], bytes: 0, position: 0, behind: 0 }
      this.#ready.push(batch)
    }
    batch.records.push(record)
    batch.bytes += bytes
    batch.position = record.position
    batch.behind = behind
    this.#buffered++
    this.#bufferedBytes += bytes
    this.#received = record.position
    this.#silent = 0
    this.#wakeUp()
  }

  #status(message: Msg): void {
    const code = message.headers?.code ?? 0
    const id = Number(message.subject.slice(this.#inbox.length + 1))
    const at = this.#pulls.findIndex(pull => pull.id === id)
    const pull = this.#pulls[at]
    if (code === 100) {
      const delivered = Number(message.headers?.get('Nats-Last-Consumer') ?? 0)
      if (delivered >= this.#nextInSequence)
        void this.#attach(`record ${this.#nextInSequence} of the consumer did not arrive`)
    } else if (code === 404 || code === 408) {
      this.#endPull(at)
    } else if (code === 409 && /maxbytes/i.test(message.headers?.description ?? '')) {
      // One record must always fit: a pull that brought nothing for want of bytes is asked again for one of any size.
      if (pull?.untouched === true) this.#large = true
      this.#endPull(at)
    } else if (pull !== undefined) {
      void this.#attach(`the server ended a pull: ${code} ${message.headers?.description ?? ''}`.trimEnd())
    }
  }

  #endPull(at: number): void {
    for (const pull of at < 0 ? [] : this.#pulls.splice(at, 1)) this.#over(pull)
    this.#ask()
  }

  #over(pull: Pull): void {
    if (pull.large) this.#link.pulls.giveLarge()
  }

  /**
   * True when records may have been deleted between the last one and this: the positions of a dense stream leave no
   * gap, and each delivery leaves one record fewer to come, while new ones only add.
   */
  #skipped({ position, behind }: Delivery): boolean {
    if (this.#reading.lastOfEach === true) return false
    return behind < this.#behind - 1 || (this.#reading.dense && position !== this.#received + 1)
  }

  /** Nothing of ours stands up to this position but what has come in. */
  #advance(position: Position): void {
    if (position <= this.#received && !(position === 0 && this.#reading.lastOfEach === true)) return
    this.#received = position
    this.#ready.push({ records: [], bytes: 0, position, behind: 0 })
    this.#wakeUp()
  }

  #denied(subject: string): boolean {
    const { stream } = this.#reading
    if (subject !== this.#pullSubject()) return false
    this.#fail(this.#link.denied(`read stream "${stream}"`, `publish "${subject}"`))
    return true
  }

  #finish(position: Position): void {
    this.#advance(position)
    this.#stop()
  }

  #fail(error: StreamNodeError): void {
    this.#failure ??= error
    this.#detach()
    this.#wakeUp()
  }

  #wakeUp(): void {
    const wake = this.#wake
    this.#wake = undefined
    wake?.()
  }

  /** Two heartbeats' time without a word while a pull is out: the consumer is looked after. */
  #lookLater(): void {
    this.#cancelLook = this.#link.tools.clock.after(HEARTBEAT_MS * 2, () => {
      this.#lookLater()
      if (this.#state !== 'reading' || !this.#link.up || this.#pulls.length === 0) return
      if (!this.#heard) return void this.#attach('the server was silent')
      this.#heard = false
      const awaited = this.#behind > 0 || this.#until !== undefined
      if (++this.#silent > 1 && awaited) return void this.#attach('records to come did not come')
      if (this.#silent % QUIET_HEARTBEATS === 0) void this.#goOnQuietly()
    })
  }

  /**
   * A quiet partition in a busy stream would fall ever further behind the stream's beginning. So a reader that has heard
   * nothing for long asks, in this order, where the stream ends and what the last record of its own is: when it has that
   * one, everything of its own up to that end is read.
   */
  async #goOnQuietly(): Promise<void> {
    if (this.#reading.filter === undefined || this.#reading.lastOfEach === true) return
    const before = this.#received
    try {
      const { last, incarnation } = await this.#reading.extent()
      const mine = await this.#reading.lastToRead()
      const same = incarnation === this.#reading.incarnation && this.#received === before && this.#state === 'reading'
      if (same && mine <= before) this.#advance(last)
    } catch {
      // It is asked again after the next long silence, and a lost stream is found by the heartbeats.
    }
  }
}

/** The error for a stream that is no longer the one that was opened. */
export function recreated(stream: string, facts: Readonly<Record<string, unknown>>, gone = false): IntegrityError {
  const what = `stream "${stream}" was deleted ${gone ? '' : 'and made anew '}under us`
  return new IntegrityError(
    'STREAM_RECREATED',
    what,
    'positions in it mean nothing any more; start anew when that was meant',
    {
      facts,
    },
  )
}

const NO_HEAD = new Uint8Array(0)
const FIRST_OF_HEAD = 'N'.charCodeAt(0)

/**
 * The raw header block of a message. It stands right before the payload in what was received; its length is what the
 * size of the message leaves over. The client would decode all headers of every message instead.
 */
function headBefore(data: Uint8Array, length: number): Uint8Array {
  if (length === 0) return NO_HEAD
  const head = new Uint8Array(data.buffer, data.byteOffset - length, length)
  return head[0] === FIRST_OF_HEAD ? head : NO_HEAD
}
