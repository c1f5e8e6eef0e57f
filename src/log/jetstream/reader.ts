/**
 * Reads a stream by position, through consumers that are made anew whenever the link, the server or the consumer
 * falters. It asks only for what there is room for, so a reader that nobody takes from holds about two batches; and it
 * goes on after a fault only when nothing it was still to read can be gone.
 */
import { DeliverPolicy } from '@nats-io/jetstream'
import { type Cancel, pause } from '../../clock.js'
import { DefinitionError, IntegrityError, InvariantError, StreamNodeError, UnavailableError } from '../../errors.js'
import type { Batch, BatchReader, Extent } from '../log.js'
import { LogRecord, START, type Position } from '../record.js'
import { codeOf } from './api-error.js'
import { HEARTBEAT_MS, PullConsumer, type Consuming } from './consumer.js'
import type { Delivery } from './delivery.js'
import type { Link } from './link.js'

/** What is read, and from where. */
export interface Reading {
  readonly stream: string
  /** Tells whether the stream is still the one that was opened. */
  readonly incarnation: string
  /** The subject to read, or undefined for all. */
  readonly filter: string | undefined
  /** The one subject, when there is just one. */
  readonly subject?: string
  /** The number of the partition of a subject. */
  readonly partition: (subject: string) => number
  readonly after: Position
  /** Begin with the last record of each subject instead. Gaps are then no fault: older ones give way to newer ones. */
  readonly lastOfEach?: boolean
  readonly headersOnly: boolean
  readonly recordsMax: number
  readonly bytesMax: number
  readonly untilEnd: boolean
  /** True when all records of the stream are ours, so that their positions follow one another. */
  readonly dense: boolean
  /** True when retention may drop records, so that a reader which did not ask for a while may be overrun. */
  readonly bounded: boolean
  /** Where the stream begins and ends, asked of the leader. */
  extent(): Promise<Extent>
  /** The position of the last record there is to read, asked of the leader; 0 when there is none. */
  lastToRead(): Promise<Position>
  /** The position below which records of ours may be gone, when the stream begins at `first`; 0 when none are. */
  floor(first: Position): Promise<Position>
}

/** A look now and then; two in vain and the consumer is looked after. */
const LOOK_MS = 2 * HEARTBEAT_MS
/** After so many looks in silence a reader of one partition asks how far the stream has gone on without it. */
const QUIET_LOOKS = 15
const RETRY_MIN_MS = 50
const RETRY_MAX_MS = 150

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
  #heldRecords = 0
  #heldBytes = 0
  /** Everything of ours up to here has come in. */
  #received: Position
  /** How many records were to come after the last one, 0 when unknown. */
  #behind = 0
  /** Where to end, once it is known. */
  #until: Position | undefined
  #state: 'fresh' | 'attaching' | 'reading' | 'ended' = 'fresh'
  #failure: StreamNodeError | undefined
  #consumer: PullConsumer | undefined
  #wake: (() => void) | undefined
  #silentLooks = 0
  #cancelLook: Cancel | undefined
  /** There was no room to ask for anything. */
  #stalled = false
  /** What came after this position is not given out before it is known that nothing of it was dropped. */
  #proving: Position | undefined
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
    while (!this.#hasBatch() && this.#failure === undefined && this.#state !== 'ended') {
      await new Promise<void>(wake => (this.#wake = wake))
    }
    const batch = this.#hasBatch() ? this.#ready.shift() : undefined
    if (batch !== undefined) {
      this.#heldRecords -= batch.records.length
      this.#heldBytes -= batch.bytes
      this.#ask()
      return { done: false, value: batch }
    }
    if (this.#failure !== undefined && this.#state !== 'ended') {
      this.#stop()
      throw this.#failure
    }
    return { done: true, value: undefined }
  }

  return(): Promise<IteratorResult<Batch, undefined>> {
    this.#stop()
    this.#ready.length = 0
    return Promise.resolve({ done: true, value: undefined })
  }

  #begin(): void {
    this.#stopHooks.push(
      this.#link.onUp(() => void this.#attach('the link was lost')),
      this.#link.onDown(() => {
        // Who waits for an end must not take a closed link for it.
        if (this.#link.ended?.code === 'CLOSED' && !this.#reading.untilEnd) void this.return()
        else if (this.#link.ended !== undefined) this.#fail(this.#link.ended)
      }),
    )
    this.#lookLater()
    if (this.#link.ended === undefined) void this.#attach()
    else this.#fail(this.#link.ended)
  }

  /** Makes a consumer after what has come in, trying until it stands or the stream is no longer what it was. */
  async #attach(why?: string): Promise<void> {
    if (this.#state === 'ended' || this.#state === 'attaching' || this.#failure !== undefined) return
    this.#state = 'attaching'
    this.#detach()
    while (this.#isAttaching()) {
      try {
        await this.#tryToAttach()
        if (!this.#isAttaching()) return
        this.#state = 'reading'
        const { stream } = this.#reading
        if (why !== undefined) this.#link.tools.tell({ type: 'log.reader-resumed', stream, after: this.#received, why })
        this.#ask()
      } catch (error) {
        this.#detach()
        const ours = this.#ours(error)
        if (!(ours instanceof UnavailableError) || this.#link.ended !== undefined) {
          this.#fail(ours)
          return
        }
        await this.#retryLater()
      }
    }
  }

  #retryLater(): Promise<void> {
    const { clock, chance } = this.#link.tools
    return pause(clock, RETRY_MIN_MS + (RETRY_MAX_MS - RETRY_MIN_MS) * chance.fraction())
  }

  #isAttaching(): boolean {
    return this.#state === 'attaching'
  }

  async #tryToAttach(): Promise<void> {
    const { untilEnd, lastOfEach = false } = this.#reading
    const extent = await this.#reading.extent()
    await this.#check(extent)
    if (untilEnd) this.#until ??= await this.#reading.lastToRead()
    if (this.#until !== undefined && this.#received >= this.#until) {
      this.#finish(extent.last)
      return
    }
    const awaited = this.#behind > 0
    this.#behind = 0
    this.#stalled = false
    const { consumer, pending } = await PullConsumer.open(this.#link, this.#consuming())
    if (this.#state !== 'attaching') {
      consumer.close()
      return
    }
    this.#consumer = consumer
    if (pending > 0) return
    // Whoever lists waits for the end of the list, also when what was to come last has given way since.
    if (lastOfEach && (awaited || this.#received === START)) this.#give(extent.last)
    if (this.#until === undefined) return
    // What was to be the end has been deleted since.
    await this.#check(await this.#reading.extent())
    this.#finish(extent.last)
  }

  #consuming(): Consuming {
    const { stream, filter, subject, headersOnly, recordsMax, bytesMax, lastOfEach = false } = this.#reading
    const start =
      this.#received > START
        ? { deliver_policy: DeliverPolicy.StartSequence, opt_start_seq: this.#received + 1 }
        : { deliver_policy: lastOfEach ? DeliverPolicy.LastPerSubject : DeliverPolicy.All }
    return {
      ...{ stream, filter, subject, start, headersOnly, recordsMax, bytesMax },
      take: (delivery, subject, head, payload) => this.#take(delivery, subject, head, payload),
      ready: () => this.#ask(),
      lost: why => void this.#attach(why),
      failed: error => this.#fail(this.#ours(error)),
    }
  }

  /** Refuses to go on when what we were to read next may be gone. */
  async #check(extent: Extent): Promise<void> {
    const { stream, incarnation, lastOfEach = false } = this.#reading
    const facts = { stream, after: this.#received, first: extent.first, last: extent.last }
    if (extent.incarnation !== incarnation) throw recreated(stream, facts)
    if (this.#received > extent.last) {
      const what = `stream "${stream}" ends at ${extent.last}, but ${this.#received} had been read from it`
      throw new IntegrityError('LOG_REWOUND', what, 'the log lost records, or the position is of another stream', {
        facts,
      })
    }
    if (this.#received === START || lastOfEach) return
    const floor = await this.#reading.floor(extent.first)
    if (floor > this.#received + 1) throw overrun(floor, facts)
  }

  #hasBatch(): boolean {
    const [first] = this.#ready
    return first !== undefined && (this.#proving === undefined || first.position <= this.#proving)
  }

  #ask(): void {
    const consumer = this.#consumer
    if (consumer === undefined || this.#state !== 'reading' || !this.#link.up) return
    consumer.ask(this.#heldRecords, this.#heldBytes)
    const stalled = this.#stalled
    this.#stalled = !consumer.waits
    if (stalled && consumer.waits && this.#proving === undefined) void this.#prove()
  }

  /**
   * While nothing was asked for, retention may have dropped what was to come next, and the consumer would go on behind
   * the gap. So what comes now waits until the leader has said that the stream still begins before it.
   */
  async #prove(): Promise<void> {
    const { bounded, lastOfEach = false } = this.#reading
    if (!bounded || lastOfEach || this.#received === START) return
    const after = (this.#proving = this.#received)
    while (this.#proving !== undefined && this.#failure === undefined && this.#state !== 'ended') {
      try {
        const { stream, incarnation } = this.#reading
        const extent = await this.#reading.extent()
        const facts = { stream, after, first: extent.first, last: extent.last }
        if (extent.incarnation !== incarnation) throw recreated(stream, facts)
        if (extent.first > after + 1) throw overrun(extent.first, facts)
        this.#proving = undefined
        if (this.#until !== undefined && this.#received >= this.#until) this.#stop()
        this.#wakeUp()
      } catch (error) {
        const ours = this.#ours(error)
        if (!(ours instanceof UnavailableError) || this.#link.ended !== undefined) this.#fail(ours)
        else await this.#retryLater()
      }
    }
  }

  /** One record, on the hot path. */
  #take(delivery: Delivery, subject: string, head: Uint8Array, payload: Uint8Array): void {
    if (this.#skipped(delivery)) {
      void this.#attach('records to come were deleted')
      return
    }
    const { position, time, behind } = delivery
    this.#keep(new LogRecord(this.#reading.partition(subject), position, time, head, payload), behind)
    if (this.#until !== undefined && position >= this.#until) this.#finish(position)
  }

  /**
   * True when records may have been deleted between the last one and this: the positions of a dense stream leave no
   * gap, and each delivery leaves one record fewer to come, while new ones only add. The first one of a consumer says
   * nothing, since what was deleted before it was looked for when the consumer was made.
   */
  #skipped({ position, behind, consumerSequence }: Delivery): boolean {
    if (consumerSequence === 1 || this.#reading.lastOfEach === true) return false
    return behind < this.#behind - 1 || (this.#reading.dense && position !== this.#received + 1)
  }

  #keep(record: LogRecord, behind: number): void {
    const bytes = record.bytes
    const { recordsMax, bytesMax } = this.#reading
    let batch = this.#ready[this.#ready.length - 1]
    const proven = this.#proving === undefined || batch === undefined || batch.position > this.#proving
    if (batch === undefined || !proven || batch.records.length >= recordsMax || batch.bytes + bytes > bytesMax) {
      batch = { records: [], bytes: 0, position: START, behind: 0 }
      this.#ready.push(batch)
    }
    batch.records.push(record)
    batch.bytes += bytes
    batch.position = record.position
    batch.behind = behind
    this.#heldRecords++
    this.#heldBytes += bytes
    this.#received = record.position
    this.#behind = behind
    this.#silentLooks = 0
    this.#wakeUp()
  }

  /** Gives word that nothing of ours stands up to this position but what has come in. */
  #give(position: Position): void {
    this.#received = position
    this.#ready.push({ records: [], bytes: 0, position, behind: 0 })
    this.#wakeUp()
  }

  #finish(position: Position): void {
    if (position > this.#received) this.#give(position)
    if (this.#proving === undefined) this.#stop()
    else this.#detach()
  }

  #fail(error: StreamNodeError): void {
    this.#failure ??= error
    this.#cancelLook?.()
    this.#detach()
    this.#wakeUp()
  }

  #stop(): void {
    if (this.#state === 'ended') return
    this.#state = 'ended'
    this.#detach()
    this.#cancelLook?.()
    for (const stop of this.#stopHooks) stop()
    this.#wakeUp()
  }

  #detach(): void {
    this.#consumer?.close()
    this.#consumer = undefined
  }

  #wakeUp(): void {
    const wake = this.#wake
    this.#wake = undefined
    wake?.()
  }

  #ours(error: unknown): StreamNodeError {
    const { stream } = this.#reading
    const ours = this.#link.ours(`read stream "${stream}"`, error)
    if (ours instanceof StreamNodeError) return ours
    const what = `stream "${stream}" cannot be read: ${ours.message}`
    if (codeOf(ours) === undefined) return new InvariantError(what, { cause: ours })
    const mend = 'look at the limits on consumers and at the retention of the stream and the account'
    return new DefinitionError('STREAM_DIFFERS', what, mend, { cause: ours })
  }

  #lookLater(): void {
    this.#cancelLook = this.#link.tools.clock.after(LOOK_MS, () => {
      this.#lookLater()
      if (this.#state === 'reading' && this.#link.up && this.#consumer?.waits === true) this.#look(this.#consumer)
    })
  }

  #look(consumer: PullConsumer): void {
    if (!consumer.wasHeard()) {
      void this.#attach('the server was silent')
      return
    }
    const awaited = this.#behind > 0 || this.#until !== undefined
    // What gave way to newer records does not come any more.
    const patience = this.#reading.lastOfEach === true ? 0 : 1
    if (++this.#silentLooks > patience && awaited) void this.#attach('records to come did not come')
    else if (this.#silentLooks % QUIET_LOOKS === 0) void this.#goOnQuietly()
  }

  /**
   * A quiet partition in a busy stream would fall ever further behind the stream's beginning. So a reader that has heard
   * nothing for long asks, in this order, where the stream ends and what the last record of its own is: when it has that
   * one, everything of its own up to that end is read.
   */
  async #goOnQuietly(): Promise<void> {
    const { filter, lastOfEach = false, incarnation } = this.#reading
    if (filter === undefined || lastOfEach) return
    const before = this.#received
    try {
      const extent = await this.#reading.extent()
      const mine = await this.#reading.lastToRead()
      const undisturbed = this.#received === before && this.#state === 'reading'
      if (undisturbed && extent.incarnation === incarnation && mine <= before && extent.last > before) {
        this.#give(extent.last)
      }
    } catch {
      // It is asked again after the next long silence, and a lost stream is found by the heartbeats.
    }
  }
}

function overrun(floor: Position, facts: { readonly stream: string; readonly after: Position }): IntegrityError {
  const what = `records of stream "${facts.stream}" between ${facts.after} and ${floor} were deleted before they were read`
  const mend = 'keep records longer than the longest outage, or start anew from what is left'
  return new IntegrityError('OVERRUN', what, mend, { facts })
}

/** The error for a stream that is no longer the one that was opened. */
export function recreated(stream: string, facts: Readonly<Record<string, unknown>>, gone = false): IntegrityError {
  const what = `stream "${stream}" was deleted ${gone ? '' : 'and made anew '}under us`
  const mend = 'positions in it mean nothing any more; read it from its start, a pipeline under another name'
  return new IntegrityError('STREAM_RECREATED', what, mend, { facts })
}
