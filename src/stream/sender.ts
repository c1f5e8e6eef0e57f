/**
 * Sends records to one stream so that each is stored once and in order, whatever the link does: an append that ends
 * without an answer is made again with the same id and bytes, or looked for in the log when its id may be forgotten.
 */
import type { Clock } from '../clock.js'
import { pause } from '../clock.js'
import { IntegrityError, UnavailableError, type StreamNodeError } from '../errors.js'
import type { Append, Ending, LogStream } from '../log/log.js'
import { START, type Position } from '../log/record.js'

/**
 * Whether the log held a record of this id before this sender sent it: `maybe` when it was there, and an earlier send of
 * ours, whose answer never came, may have brought it.
 */
export type HeldBefore = 'no' | 'maybe' | 'yes'

/** Hears how one record ended: exactly one of the two is called, once. */
export interface Answer {
  /** `floor`: an end of the stream that was known when the record was not in it. */
  stored(position: Position, before: HeldBefore, floor: Position): void
  failed(error: StreamNodeError): void
  /** Aborted before the first send: it is never sent, and neither is called. */
  readonly signal?: AbortSignal | undefined
}

/** An append with a name to send it again under. */
export type Named = Append & { readonly id: string }

/** Sends of a record by somebody before this sender: when the first may have been, by `elapsed()`, and after which end. */
export interface SentBefore {
  readonly ms: number
  readonly floor: Position
}

/** What a sender is bound to beside. */
export interface SenderRules {
  /** Asked before each send: a promise when nothing may be sent until it resolves. When it rejects, all fails with that. */
  readonly guard?: () => Promise<void> | undefined
  /** Told that the log is full, which is then waited out. Without it such a record fails. */
  readonly full?: (error: Error) => void
  /** Told what else holds the sending up: the log is away, or an answer did not come. */
  readonly waits?: (error: Error) => void
}

interface Sending {
  readonly append: Named
  readonly answer: Answer
  /** `elapsed()` of the first send, or of the last look that did not find it; undefined until then. The log forgets ids by age. */
  sinceMs: number | undefined
  /** The end of the stream known then: wherever it was stored, it was after this. */
  floor: Position | undefined
  /** An earlier send ended without an answer: it may be stored, and its bytes may still arrive. */
  doubtful: boolean
  refusal: StreamNodeError | undefined
  settled: boolean
}

const RETRY_MIN_MS = 20
const RETRY_MAX_MS = 250

/**
 * An ordered, idempotent sender. Order per partition is that of the calls, as far as the log keeps it: of several on
 * the way it may lose the first and store later ones, and then the first comes after them.
 */
export class Sender {
  readonly #stream: LogStream
  readonly #clock: Clock
  readonly #rules: SenderRules
  /** All that is unsettled, oldest first, from `#head` on; up to `#next` it has been sent. */
  #line: Sending[] = []
  #head = 0
  #next = 0
  #inFlight = 0
  #end: Position
  #interrupted = false
  #recovering = false
  #retryMs = RETRY_MIN_MS
  #waitsForRoom = false
  #isGuarded = false
  #closed: UnavailableError | undefined
  #gone = false
  #roomy: Gate | undefined
  #drained: Gate | undefined

  /** `end`: the last position of the stream, as `extent()` gave it before the first send. */
  constructor(stream: LogStream, end: Position, clock: Clock, rules: SenderRules = {}) {
    this.#stream = stream
    this.#end = end
    this.#clock = clock
    this.#rules = rules
  }

  /** What is not settled stands above this position, if it is stored at all. */
  get floor(): Position {
    return this.#line[this.#head]?.floor ?? this.#end
  }

  /**
   * Sends a record after all that were given before, now when there is room. Ask `room()` first to keep memory bound. Its
   * headers are asked for at each send. One that was sent before is looked for first when its id may be forgotten.
   */
  send(append: Named, answer: Answer, before?: SentBefore): void {
    if (this.#closed !== undefined) return answer.failed(this.#closed)
    const sending: Sending = {
      append,
      answer,
      sinceMs: before?.ms,
      floor: before?.floor,
      doubtful: before !== undefined,
      refusal: undefined,
      settled: false,
    }
    this.#line.push(sending)
    if (this.#next === this.#line.length - 1) this.#pump()
  }

  /** Undefined when a record would be sent at once, else a promise for when to ask again; it never rejects. */
  room(): Promise<void> | undefined {
    if (this.#closed !== undefined) return undefined
    if (this.#next === this.#line.length && !this.#interrupted && this.#stream.room() === undefined) return undefined
    const roomy = (this.#roomy ??= new Gate())
    // With nothing in line, nobody but this call would notice the room.
    this.#pump()
    return roomy.promise
  }

  /** The stream was deleted since it was opened: nothing more can be sent this way. */
  get gone(): boolean {
    return this.#gone
  }

  /** Resolves when everything given so far has been settled. */
  async drained(): Promise<void> {
    if (this.#head === this.#line.length) return
    this.#drained ??= new Gate()
    await this.#drained.promise
  }

  /** Ends it: what was not settled fails with `CLOSED`, and so do later sends. */
  close(): void {
    this.#closed ??= new UnavailableError(
      'CLOSED',
      'the client is closed',
      'keep it open until everything is published',
    )
    for (let i = this.#head; i < this.#line.length; i++) {
      const sending = this.#line[i] as Sending
      if (!sending.settled) this.#fail(sending, this.#closed)
    }
    this.#tidy()
    this.#wake()
  }

  #pump(): void {
    while (!this.#interrupted && this.#closed === undefined) {
      if (this.#next === this.#line.length && this.#roomy === undefined) return
      const room = this.#stream.room()
      if (room !== undefined) return this.#whenRoom(room)
      if (this.#next === this.#line.length) return this.#wake()
      const sending = this.#line[this.#next] as Sending
      // It may have grown old while it waited for room.
      if (this.#mustBeLookedFor(sending)) return this.#interrupt()
      if (this.#isGuarded) return
      const guard = this.#rules.guard?.()
      if (guard !== undefined) return this.#whenGuarded(guard)
      this.#next++
      this.#transmit(sending)
    }
  }

  #whenRoom(room: Promise<void>): void {
    if (this.#waitsForRoom) return
    this.#waitsForRoom = true
    const go = () => {
      this.#waitsForRoom = false
      this.#pump()
    }
    // It rejects only when the link was closed for good.
    room.then(go, () => this.close())
  }

  #whenGuarded(guard: Promise<void>): void {
    this.#isGuarded = true
    const done = () => (this.#isGuarded = false)
    guard.then(
      () => {
        done()
        this.#pump()
      },
      (error: unknown) => {
        done()
        this.#next = this.#line.length
        this.#failAll(error as StreamNodeError)
      },
    )
  }

  #transmit(sending: Sending): void {
    if (sending.settled) return
    if (sending.sinceMs === undefined) {
      if (sending.answer.signal?.aborted) {
        sending.settled = true
        return this.#tidy()
      }
      sending.sinceMs = this.#clock.elapsed()
      sending.floor = this.#end
    }
    this.#inFlight++
    this.#stream.send(sending.append, ending => this.#ended(sending, ending))
  }

  #ended(sending: Sending, ending: Ending): void {
    this.#inFlight--
    if (ending.ending === 'stored') {
      if (ending.position > this.#end) this.#end = ending.position
      this.#retryMs = RETRY_MIN_MS
      const isOurs = sending.doubtful && ending.position > (sending.floor as Position)
      this.#store(sending, ending.position, !ending.repeat ? 'no' : isOurs ? 'maybe' : 'yes')
    } else if (ending.ending === 'unknown') {
      if (ending.error instanceof IntegrityError) this.#fail(sending, ending.error)
      else if (ending.error.code === 'CLOSED') this.close()
      sending.doubtful = true
      this.#interrupted = true
      this.#rules.waits?.(ending.error)
    } else if (ending.why === 'unavailable') {
      if (ending.error.code === 'CLOSED') this.close()
      this.#interrupted = true
      this.#rules.waits?.(ending.error)
    } else if (ending.why === 'full' && this.#rules.full !== undefined) {
      this.#rules.full(ending.error)
      this.#interrupted = true
    } else if (sending.doubtful) {
      sending.refusal = ending.error
      this.#interrupted = true
    } else {
      this.#fail(sending, ending.error)
    }
    this.#tidy()
    if (this.#interrupted) this.#interrupt()
  }

  /** Sends nothing more until all that is on the way has ended, and then recovers. */
  #interrupt(): void {
    this.#interrupted = true
    if (this.#inFlight === 0 && this.#closed === undefined) void this.#recover()
  }

  /** Waits for the log, settles what can not be sent again, and lets `#pump` send all the rest from the oldest on. */
  async #recover(): Promise<void> {
    if (this.#recovering) return
    this.#recovering = true
    await pause(this.#clock, this.#retryMs)
    this.#retryMs = Math.min(this.#retryMs * 2, RETRY_MAX_MS)
    try {
      for (let room = this.#stream.room(); room !== undefined; room = this.#stream.room()) await room
      await this.#settleOld()
      this.#tidy()
      this.#next = this.#head
      this.#interrupted = false
    } catch (error) {
      if (isPassing(error)) {
        if ((error as StreamNodeError).code === 'CLOSED') this.close()
      } else this.#failAll(error as StreamNodeError)
    }
    this.#recovering = false
    if (this.#closed !== undefined) return
    if (this.#interrupted) void this.#recover()
    else this.#pump()
  }

  /** An id is trusted for half the window: the server's clock and ours need not agree, and bytes may be on the way. */
  #mustBeLookedFor({ settled, doubtful, refusal, sinceMs }: Sending): boolean {
    if (settled || !doubtful) return false
    return refusal !== undefined || (sinceMs as number) <= this.#clock.elapsed() - this.#stream.spec.dedupWindowMs / 2
  }

  /**
   * Looks for what may be stored and can not be sent again. What is not found may be sent now: of what arrives after the
   * look the log knows the id for long enough.
   */
  async #settleOld(): Promise<void> {
    const old = new Map<string, Sending>()
    const partitions = new Set<number>()
    let floor: Position = Number.MAX_SAFE_INTEGER
    for (let i = this.#head; i < this.#line.length; i++) {
      const sending = this.#line[i] as Sending
      if (!this.#mustBeLookedFor(sending)) continue
      old.set(sending.append.id, sending)
      partitions.add(sending.append.partition)
      floor = Math.min(floor, sending.floor as Position)
    }
    if (old.size === 0) return
    const lookedMs = this.#clock.elapsed()
    // What retention has dropped from below the floor on can not be looked for.
    const { first, last } = await this.#stream.extent()
    const after = floor < first - 1 ? START : floor
    const one = partitions.size === 1 ? { partition: [...partitions][0] as number } : {}
    for await (const batch of this.#stream.read({ ...one, after, untilEnd: true, headersOnly: true })) {
      for (const record of batch.records) {
        const id = record.id
        const found = id === undefined ? undefined : old.get(id)
        if (found !== undefined) this.#store(found, record.position, 'maybe')
      }
    }
    for (const sending of old.values()) {
      if (sending.refusal !== undefined) this.#fail(sending, sending.refusal)
      sending.sinceMs = lookedMs
      sending.floor = Math.max(sending.floor as Position, last)
    }
  }

  #store(sending: Sending, position: Position, before: HeldBefore): void {
    if (sending.settled) return
    sending.settled = true
    sending.answer.stored(position, before, sending.floor as Position)
  }

  #fail(sending: Sending, error: StreamNodeError): void {
    if (sending.settled) return
    sending.settled = true
    if (error.code === 'NO_SUCH_STREAM' || error.code === 'STREAM_RECREATED') this.#gone = true
    sending.answer.failed(error)
  }

  #failAll(error: StreamNodeError): void {
    for (let i = this.#head; i < this.#line.length; i++) {
      const sending = this.#line[i] as Sending
      // What a former owner may have sent has not been sent yet, and never is while it cannot be looked for.
      if (i < this.#next || this.#mustBeLookedFor(sending)) this.#fail(sending, error)
    }
    this.#tidy()
    this.#next = this.#head
    this.#interrupted = false
  }

  #tidy(): void {
    while (this.#head < this.#line.length && (this.#line[this.#head] as Sending).settled) this.#head++
    if (this.#next < this.#head) this.#next = this.#head
    if (this.#head === this.#line.length) {
      this.#drained?.open()
      this.#drained = undefined
    }
    // Shifting each time would be quadratic; this way each entry is moved once on average.
    if (this.#head < 1024 || this.#head * 2 < this.#line.length) return
    this.#line = this.#line.slice(this.#head)
    this.#next -= this.#head
    this.#head = 0
  }

  #wake(): void {
    this.#roomy?.open()
    this.#roomy = undefined
  }
}

/** Worth another try: the log is away, or retention was faster than the look for old records. */
function isPassing(error: unknown): boolean {
  return error instanceof UnavailableError || (error instanceof IntegrityError && error.code === 'OVERRUN')
}

/** A promise that is kept from outside. */
class Gate {
  open!: () => void
  readonly promise = new Promise<void>(resolve => (this.open = resolve))
}
