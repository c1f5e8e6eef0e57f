/**
 * Appends, pipelined over one private ack inbox. Each send takes a numbered place in a bounded window; the ack comes
 * back under that number. Whatever has no ack when the link goes down, or in time, ends unknown.
 */
import type { Msg } from '@nats-io/transport-node'
import type { Cancel } from '../../clock.js'
import {
  DefinitionError,
  FencedError,
  IntegrityError,
  InvariantError,
  messageOf,
  UnavailableError,
} from '../../errors.js'
import type { Ending, Refused, Unknown } from '../log.js'
import type { Position } from '../record.js'
import { Lane, Lanes } from './lane.js'
import type { Link } from './link.js'

/** How many appends may be in flight over a link, of all streams together; a power of two. */
const WINDOW_RECORDS = 16_384
/** How many looks for overdue acks go into the time that an ack may take. */
const SWEEPS = 4

/** One append under way. */
interface Flight {
  readonly ticket: number
  readonly lane: Lane
  readonly subject: string
  readonly bytes: number
  /** The sweep that was next when it was sent. */
  readonly sweep: number
  /** What `lane.acked` was at the send: a fresh record must stand above it. */
  readonly floor: Position
  readonly ended: (ending: Ending) => void
}

export class Writer {
  readonly #link: Link
  readonly #inbox: string
  readonly #window = new Array<Flight | undefined>(WINDOW_RECORDS)
  readonly #lanes = new Lanes()
  #ticket = 0
  #flying = 0
  #cancelSweep: Cancel | undefined
  #sweep = 0
  /** What the client is given with each publish; it looks at them at once and keeps neither. */
  readonly #plain: { reply: string } = { reply: '' }
  readonly #headed: { reply: string; headers: never }
  readonly #head = new Head()

  constructor(link: Link) {
    this.#link = link
    this.#inbox = `${link.inbox()}.`
    this.#headed = { reply: '', headers: this.#head as never }
    link.listen(`${this.#inbox}*`, message => this.#acked(message))
    link.onDown(() => this.#landAll())
    link.onUp(() => this.#lanes.wake())
    link.onDenied(subject => this.#denied(subject))
  }

  /** The way of one stream's appends: each handle of a stream has its own. */
  lane(name: string): Lane {
    return new Lane(name, this.#lanes, this.#link, () => this.#flying < WINDOW_RECORDS)
  }

  /** `send`, with a promise for the ending. */
  append(lane: Lane, subject: string, head: Uint8Array, payload: Uint8Array): Promise<Ending> {
    return new Promise(ended => this.send(lane, subject, head, payload, ended))
  }

  /** Sends now and tells later, by a call, how it ended. The place in the log is decided by the order of calls. */
  send(lane: Lane, subject: string, head: Uint8Array, payload: Uint8Array, ended: Flight['ended']): void {
    const refusal = this.#refusal(lane) ?? this.#publish(subject, head, payload)
    if (refusal !== undefined) {
      queueMicrotask(() => ended(refusal))
      return
    }
    const bytes = head.length + payload.length
    const ticket = this.#ticket++
    const flight: Flight = { ticket, lane, subject, bytes, sweep: this.#sweep, floor: lane.acked, ended }
    this.#window[ticket % WINDOW_RECORDS] = flight
    this.#flying++
    lane.took(bytes)
    if (this.#cancelSweep === undefined) this.#sweepLater()
  }

  #refusal(lane: Lane): Refused | undefined {
    if (!this.#link.up) return refuse('unavailable', this.#link.disconnected())
    return lane.full || this.#flying === WINDOW_RECORDS ? noRoom(lane.name) : undefined
  }

  /** Publishes under the next ticket whose place is free: an answer that is long in coming holds up nobody else. */
  #publish(subject: string, head: Uint8Array, payload: Uint8Array): Refused | undefined {
    while (this.#window[this.#ticket % WINDOW_RECORDS] !== undefined) this.#ticket++
    const options = head.length === 0 ? this.#plain : this.#headed
    options.reply = `${this.#inbox}${this.#ticket}`
    this.#head.bytes = head
    try {
      this.#link.nc.publish(subject, payload, options)
      return undefined
    } catch (error) {
      return refused(this.#link, subject, head.length + payload.length, error)
    }
  }

  #acked(message: Msg): void {
    const ticket = digits(message.subject, this.#inbox.length)
    const flight = this.#window[ticket % WINDOW_RECORDS]
    if (flight?.ticket !== ticket) return // it had ended unknown before its ack came
    const ending = this.#read(flight, message)
    if (ending !== undefined) this.#land(flight, ending)
  }

  /**
   * What an ack says; undefined when it is none, since others may listen to the subject, and answer. The common one is
   * read from its bytes: `{"stream":"s","seq":12}`, `"duplicate": true` at times.
   */
  #read(flight: Flight, message: Msg): Ending | undefined {
    const ack = message.data
    const position = ack.length > 2 && ack[2] === LETTER_S ? trailingNumber(ack) : 0
    if (position > 0) return this.#stored(flight, position, false)
    if (ack.length === 0) {
      if (message.headers?.code !== NO_RESPONDERS) return undefined
      flight.lane.hold()
      return nobodyTakes(flight.lane.name)
    }
    const said = message.json<{ seq?: number; duplicate?: boolean; error?: ApiError }>()
    if (said.error !== undefined) return refusedBy(flight, said.error)
    if (typeof said.seq !== 'number') return undefined
    const repeat = said.duplicate === true
    // A cluster that knows the id, but has not stored its record yet, has no position for it.
    return repeat && said.seq === 0 ? underWay(flight) : this.#stored(flight, said.seq, repeat)
  }

  #stored(flight: Flight, position: Position, repeat: boolean): Ending {
    const { lane, floor } = flight
    if (position > lane.acked) lane.acked = position
    else if (!repeat && position <= floor) {
      const what = `stream "${lane.name}" gave position ${position} after it had given ${floor}`
      const mend =
        'the log lost what it had acknowledged, or the stream was made anew; look at the server before going on'
      return { ending: 'unknown', error: new IntegrityError('LOG_REWOUND', what, mend) }
    }
    return { ending: 'stored', position, repeat }
  }

  #land(flight: Flight, ending: Ending): void {
    this.#window[flight.ticket % WINDOW_RECORDS] = undefined
    const wasFull = this.#flying-- === WINDOW_RECORDS
    flight.lane.gave(flight.bytes)
    try {
      flight.ended(ending)
    } catch (error) {
      this.#link.tools.tell({ type: 'log.error', error: new InvariantError(messageOf(error), { cause: error }) })
    }
    flight.lane.wake()
    if (wasFull) this.#lanes.wake()
  }

  #landAll(): void {
    const error =
      this.#link.ended instanceof UnavailableError
        ? this.#link.ended
        : new UnavailableError(
            'DISCONNECTED',
            `the link to ${this.#link.server} broke before the answer came`,
            'send the same id and bytes again, or read the tail',
          )
    for (const flight of this.#under(() => true)) this.#land(flight, { ending: 'unknown', error })
    this.#cancelSweep?.()
    this.#cancelSweep = undefined
    this.#lanes.wake()
  }

  #denied(subject: string): boolean {
    const denied = this.#under(flight => flight.subject === subject)
    for (const flight of denied) {
      const error = this.#link.denied(`write to stream "${flight.lane.name}"`, `publish "${subject}"`)
      this.#land(flight, { ending: 'refused', why: 'denied', error })
    }
    return denied.length > 0
  }

  /** Looks now and then for appends whose ack is overdue: one timer for all, and none while nothing flies. */
  #sweepLater(): void {
    const { clock } = this.#link.tools
    this.#cancelSweep = clock.after(this.#link.timeoutMs / SWEEPS, () => {
      this.#cancelSweep = undefined
      this.#sweep++
      for (const flight of this.#under(flight => flight.sweep < this.#sweep - SWEEPS)) {
        const what = `no answer to an append to stream "${flight.lane.name}" in ${this.#link.timeoutMs} ms`
        const error = new UnavailableError('TIMED_OUT', what, 'send the same id and bytes again, or read the tail')
        this.#land(flight, { ending: 'unknown', error })
      }
      if (this.#flying > 0) this.#sweepLater()
    })
  }

  /** The flights that a test holds for, oldest first. */
  #under(test: (flight: Flight) => boolean): Flight[] {
    const found = this.#window.filter(flight => flight !== undefined && test(flight)) as Flight[]
    return found.sort((a, b) => a.ticket - b.ticket)
  }
}

/** A header block that is bytes already. Of the headers it is given to publish, the client asks only for these. */
export class Head {
  bytes: Uint8Array = new Uint8Array(0)
  encode(): Uint8Array {
    return this.bytes
  }
}

const LETTER_S = 's'.charCodeAt(0)
const ZERO = '0'.charCodeAt(0)
const NINE = '9'.charCodeAt(0)

function digits(text: string, from: number): number {
  let value = 0
  for (let i = from; i < text.length; i++) value = value * 10 + text.charCodeAt(i) - ZERO
  return value
}

/** The number before the last brace, or 0 when something else stands there. */
function trailingNumber(ack: Uint8Array): number {
  let value = 0
  let scale = 1
  for (let i = ack.length - 2; i > 0; i--) {
    const digit = ack[i] as number
    if (digit < ZERO || digit > NINE) return digit === COLON || digit === SPACE ? value : 0
    value += (digit - ZERO) * scale
    scale *= 10
  }
  return 0
}

const COLON = ':'.charCodeAt(0)
const SPACE = ' '.charCodeAt(0)

interface ApiError {
  readonly code: number
  readonly err_code?: number
  readonly description?: string
}

const NO_RESPONDERS = 503
/** The server's codes that mean "the subject ends elsewhere", or that another write to it is just under way. */
const WRONG_LAST = [10071, 10164]
/** Its code for an id whose record is just under way. */
const ID_UNDER_WAY = 10158
const TOO_LARGE = [10054, 10097]
const FULL = [10023, 10047, 10077, 10122, 10167, 10002, 10028, 10074]

/**
 * An earlier send of the id is on its way to the other servers of a cluster. It may still be stored, or get lost with
 * the server that leads.
 */
function underWay({ lane }: Flight): Unknown {
  const what = `stream "${lane.name}" has not yet stored what was sent under this id before`
  const error = new UnavailableError('TIMED_OUT', what, 'send the same id and bytes again, or read the tail')
  return { ending: 'unknown', error }
}

/**
 * True when what stands in the log tells more of a compare-and-set than its answer does. Not when the link broke: nobody
 * can look then, and who waits is to know at once.
 */
export function isDoubtful(ending: Ending): boolean {
  if (ending.ending === 'stored') return ending.repeat
  return ending.ending === 'refused' ? ending.why === 'expected' : ending.error.code === 'TIMED_OUT'
}

function refusedBy(flight: Flight, error: ApiError): Ending {
  const { name } = flight.lane
  const code = error.err_code ?? 0
  if (code === ID_UNDER_WAY) return underWay(flight)
  const said = error.description ?? `error ${error.code}`
  if (WRONG_LAST.includes(code)) {
    const what = `stream "${name}" refused a compare-and-set: ${said}`
    return refuse('expected', new FencedError(what))
  }
  if (TOO_LARGE.includes(code)) {
    const what = `stream "${name}" refused a record: ${said}`
    return refuse('denied', new DefinitionError('RECORD_TOO_LARGE', what, 'make it smaller, or raise the limit'))
  }
  if (FULL.includes(code) || /no space|insufficient|maximum|exceeded/i.test(said)) {
    const mend = 'free space or raise the limit of the stream or account; nothing was stored'
    return refuse('full', new UnavailableError('LOG_FULL', `stream "${name}" is full: ${said}`, mend))
  }
  // Anything else, such as a server that is shutting down: it says no, so the record is not stored.
  return refuse('unavailable', new UnavailableError('DISCONNECTED', `stream "${name}" said: ${said}`, 'try again'))
}

function refused(link: Link, subject: string, bytes: number, error: unknown): Refused {
  const ours = link.ours(`publish to "${subject}"`, error)
  if (ours instanceof UnavailableError) return refuse('unavailable', ours)
  if (ours instanceof DefinitionError) return refuse('denied', ours)
  const what =
    bytes > link.payloadMax
      ? `a record of ${bytes} bytes for "${subject}" is above the server's limit of ${link.payloadMax}`
      : `the client refused a record for "${subject}": ${ours.message}`
  return refuse(
    'denied',
    new DefinitionError('RECORD_TOO_LARGE', what, 'make it smaller, or raise max_payload', { cause: error }),
  )
}

function nobodyTakes(stream: string): Refused {
  const what = `stream "${stream}" takes no records just now: it has no leader, or is gone`
  return refuse('unavailable', new UnavailableError('DISCONNECTED', what, 'it is tried again'))
}

function noRoom(stream: string): Refused {
  const what = `not sent: too much is in flight to stream "${stream}"`
  return refuse('unavailable', new UnavailableError('DISCONNECTED', what, 'wait for room() before each append'))
}

function refuse(why: Refused['why'], error: Refused['error']): Refused {
  return { ending: 'refused', why, error }
}
