/**
 * Between records and what the log stores: headers, partition and payload, as `docs/reference/wire.md` has them. Where
 * the stream's own rules give key and time, the wire is silent about them.
 */
import type { OpenCodec } from '../codec/codec.js'
import { validated, type Direction } from '../codec/validate.js'
import { DefinitionError, RecordError, StreamNodeError, messageOf } from '../errors.js'
import type { Append } from '../log/log.js'
import { HeaderSearch } from '../log/header-search.js'
import { headerFault, type LogRecord } from '../log/record.js'
import { badOption } from '../options.js'
import { decodeBatch, encodeBatch, type Framed } from './batch.js'
import type { Key } from './key.js'
import { partitionOf } from './partitioner.js'
import { isReserved, StreamRecord } from './record.js'
import { settingsOf, type Format, type Stream, type StreamSettings } from './stream.js'

export const KEY_HEADER = 'Sn-Key'
export const TIME_HEADER = 'Sn-Time'

/** What may be said about a value that is written; what is absent comes from the stream's rules. */
export interface About {
  readonly key?: Key | undefined
  /** In ms since 1970. */
  readonly time?: number | undefined
  readonly id?: string | undefined
  readonly headers?: Readonly<Record<string, string>> | undefined
}

/** A value on its way into a batch, and where it belongs. */
export interface FramedFor extends Framed {
  readonly partition: number
}

/** Makes values what an entry of a ledger holds of them, each with its target partition. */
export interface Framer<in T> {
  readonly format: Format
  /** How large a record may be. */
  readonly limits: { readonly recordBytesMax: number }
  /** Throws what the rules and the codec of the target throw. */
  frame(value: T, about: About): FramedFor
}

/** Writes and reads the records of one stream through an opened codec. */
export class Wire<T> implements Framer<T> {
  readonly #settings: StreamSettings<T>
  #turn: number
  #readable = false
  /** Of the message that was asked about last, so that `ready` and `read` take it apart once. */
  #frames: { readonly from: LogRecord; readonly framed: readonly Framed[] } | undefined

  /** `turn`: the partition at which records that have neither key nor id begin. */
  constructor(
    readonly stream: Stream<T>,
    readonly codec: OpenCodec<T>,
    /** Asked each time: after a reconnect another server may take more or less. */
    readonly limits: { readonly recordBytesMax: number },
    turn = 0,
  ) {
    this.#settings = settingsOf(stream)
    this.#turn = turn
  }

  get format(): Format {
    return this.#settings.format
  }

  /**
   * The append that stores a value as one message, under `unnamed` when neither caller nor rule names it. Throws what
   * the rules and the codec throw.
   */
  write(given: T, about: About, unnamed: string): Append & { readonly id: string } {
    if (this.#settings.format === 'batch') {
      const framed = this.frame(given, about)
      return this.writeBatch(framed.partition, [framed], about.id ?? unnamed)
    }
    const value = this.#valid(given, 'encode')
    const id = about.id ?? this.#settings.id?.of(value)
    const partition = this.#partition(value, about, id)
    const headers = headersOf(this.stream.name, about)
    const payload = this.#payload(value, about)
    return headers === undefined
      ? { partition, payload, id: id ?? unnamed }
      : { partition, payload, id: id ?? unnamed, headers }
  }

  /** A value as it stands in a batch, and the partition whose batch that is. Throws likewise. */
  frame(given: T, about: About): FramedFor {
    const value = this.#valid(given, 'encode')
    const partition = this.#partition(value, about, about.id)
    if (about.headers !== undefined) checkHeaders(this.stream.name, about.headers)
    if (about.key !== undefined) checkUnicode(`stream "${this.stream.name}"`, about.key)
    const payload = this.#payload(value, about)
    return { partition, key: about.key, time: about.time, headers: about.headers, payload }
  }

  /** The append that stores framed values of one partition as one message. */
  writeBatch(partition: number, records: readonly Framed[], id: string): Append & { readonly id: string } {
    return { partition, payload: encodeBatch(records), id }
  }

  /**
   * Undefined when a message can be read at once, else a promise for when what its codec lacks was fetched. It rejects
   * with `UnavailableError` only; what is wrong with the record comes out in `read`.
   */
  ready(from: LogRecord): Promise<void> | undefined {
    if (this.#settings.format === 'message') return this.codec.ready(from.payload)
    let framed: readonly Framed[]
    try {
      framed = this.#framesOf(from)
    } catch {
      return undefined
    }
    const waits = framed.map(one => this.codec.ready(one.payload)).filter(wait => wait !== undefined)
    return waits.length === 0 ? undefined : Promise.all(waits).then(() => {})
  }

  /**
   * Hands over the records of one message, in order, each to `take` or, where it cannot be read, as an error that
   * carries stream, partition and position to `bad`.
   */
  read(from: LogRecord, take: (record: StreamRecord<T>) => void, bad: (error: RecordError) => void): void {
    if (this.#settings.format === 'batch') return this.#readBatch(from, take, bad)
    let record
    try {
      const value = this.codec.decode(from.payload)
      record = saysNothing(from)
        ? this.#record(from, value, undefined, undefined, undefined)
        : this.#record(from, value, keyIn(from), timeIn(from), undefined)
    } catch (thrown) {
      return bad(this.#bad(from, thrown))
    }
    take(record)
  }

  #readBatch(from: LogRecord, take: (record: StreamRecord<T>) => void, bad: (error: RecordError) => void): void {
    let framed: readonly Framed[]
    try {
      framed = this.#framesOf(from)
    } catch (thrown) {
      return bad(this.#bad(from, thrown))
    }
    for (const [index, one] of framed.entries()) {
      let record
      try {
        record = this.#record(from, this.codec.decode(one.payload), one.key, one.time, one.headers ?? {})
      } catch (thrown) {
        bad(this.#bad(from, thrown, index))
        continue
      }
      take(record)
    }
  }

  /**
   * What `read` gives, part by part, for whoever does without some of them and needs no `StreamRecord`: the records in a
   * message of format 'batch', undefined where the message itself is one; then of each its value, and of the value its
   * key and time. All throw the `RecordError` that `read` hands over.
   */
  framesIn(from: LogRecord): readonly Framed[] | undefined {
    if (this.#settings.format === 'message') return undefined
    try {
      return this.#framesOf(from)
    } catch (thrown) {
      throw this.#bad(from, thrown)
    }
  }

  valueIn(from: LogRecord, one?: Framed): T {
    try {
      const value = this.codec.decode(one === undefined ? from.payload : one.payload)
      return this.#settings.validate === undefined ? value : this.#valid(value, 'decode')
    } catch (thrown) {
      throw this.#bad(from, thrown, this.#indexOf(from, one))
    }
  }

  keyIn(from: LogRecord, value: T, one?: Framed): Key | undefined {
    try {
      const own = one === undefined ? (saysNothing(from) ? undefined : keyIn(from)) : one.key
      return own ?? this.#settings.key?.of(value)
    } catch (thrown) {
      throw this.#bad(from, thrown, this.#indexOf(from, one))
    }
  }

  timeIn(from: LogRecord, value: T, one?: Framed): number {
    try {
      const own = one === undefined ? (saysNothing(from) ? undefined : timeIn(from)) : one.time
      return own ?? this.#settings.time?.of(value) ?? from.time
    } catch (thrown) {
      throw this.#bad(from, thrown, this.#indexOf(from, one))
    }
  }

  #indexOf(from: LogRecord, one: Framed | undefined): number | undefined {
    return one === undefined ? undefined : this.#framesOf(from).indexOf(one)
  }

  #payload(value: T, about: About): Uint8Array {
    const payload = this.#sized(this.codec.encode(value))
    if (!this.#readable) this.#checkReadable(payload, about)
    return payload
  }

  /**
   * Every reader derives key and time from what it decodes, and JSON makes a text of a Date. So the first record is
   * looked at as its readers will, before all of them are stored and none can be read.
   */
  #checkReadable(payload: Uint8Array, about: About): void {
    const { key, time } = this.#settings
    const read = this.#valid(this.codec.decode(payload), 'decode')
    if (about.key === undefined) key?.of(read)
    if (about.time === undefined) time?.of(read)
    this.#readable = true
  }

  #sized(payload: Uint8Array): Uint8Array {
    const { recordBytesMax } = this.limits
    if (payload.length <= recordBytesMax) return payload
    const what = `a record for stream "${this.stream.name}" has ${payload.length} bytes, and the log takes ${recordBytesMax}`
    const mend = "make it smaller, or raise the server's max_payload"
    const facts = { bytes: payload.length, bytesMax: recordBytesMax }
    throw new DefinitionError('RECORD_TOO_LARGE', what, mend, { facts })
  }

  #valid(value: T, direction: Direction): T {
    const { validate } = this.#settings
    return validate === undefined ? value : validated(validate, value, direction)
  }

  #framesOf(from: LogRecord): readonly Framed[] {
    if (this.#frames?.from !== from) this.#frames = { from, framed: decodeBatch(from.payload) }
    return this.#frames.framed
  }

  #record(
    from: LogRecord,
    decoded: T,
    ownKey: Key | undefined,
    ownTime: number | undefined,
    headers: Readonly<Record<string, string>> | undefined,
  ): StreamRecord<T> {
    const value = this.#valid(decoded, 'decode')
    const key = ownKey ?? this.#settings.key?.of(value)
    const time = ownTime ?? this.#settings.time?.of(value) ?? from.time
    return new StreamRecord(value, key, time, from.partition, from.position, from, headers)
  }

  #bad(from: LogRecord, thrown: unknown, index?: number): RecordError {
    const { name } = this.stream
    const { partition, position } = from
    const code = thrown instanceof RecordError ? (thrown.code as 'BAD_BYTES') : 'INVALID_VALUE'
    const part = index === undefined ? '' : `, record ${index} of its batch`
    const what = `stream "${name}", partition ${partition}, position ${position}${part}: ${messageOf(thrown)}`
    const facts = { ...(thrown instanceof StreamNodeError && thrown.facts), stream: name, partition, position }
    return new RecordError(code, what, '', { cause: thrown, facts: index === undefined ? facts : { ...facts, index } })
  }

  #partition(value: T, about: About, id: string | undefined): number {
    const { key, time, byName } = this.#settings
    if (byName?.keyInCode && about.key === undefined) throw keyMissing(this.stream.name)
    // A time that the wire leaves out is derived by every reader, so it must be there to derive.
    if (about.time === undefined) time?.of(value)
    const own = about.key ?? key?.of(value) ?? id
    if (own !== undefined) return partitionOf(own, this.stream.partitions)
    this.#turn = (this.#turn + 1) % this.stream.partitions
    return this.#turn
  }
}

/** What stands in the headers of a message beside its id; undefined when that is nothing. */
export function headersOf(name: string, { key, time, headers }: About): Record<string, string> | undefined {
  if (key === undefined && time === undefined && headers === undefined) return undefined
  const all: Record<string, string> = {}
  if (headers !== undefined) Object.assign(all, checkHeaders(name, headers))
  if (key !== undefined) all[KEY_HEADER] = encodeKey(name, key)
  if (time !== undefined) all[TIME_HEADER] = String(time)
  return all
}

function keyMissing(name: string): DefinitionError {
  const what = `the key of stream "${name}" is a function in the program that defined it`
  return new DefinitionError('BAD_KEY', what, 'give the key of each record, or let the program name a field as key')
}

function checkHeaders(name: string, headers: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
  if (typeof headers !== 'object' || Array.isArray(headers)) {
    throw badOption(`the headers of a record for stream "${name}"`, 'an object of texts', headers)
  }
  for (const header in headers) {
    const value: unknown = headers[header]
    const fault = isReserved(header)
      ? `header ${header} is reserved: names with Nats- and Sn- are for the log`
      : typeof value === 'string'
        ? headerFault(header, value)
        : `header ${header} is no text`
    if (fault === undefined) continue
    throw new DefinitionError('BAD_OPTION', `a record for stream "${name}": ${fault}`, 'change the header')
  }
  return headers
}

function encodeKey(name: string, key: Key): string {
  checkUnicode(`stream "${name}"`, key)
  return encodeURIComponent(key)
}

/** Throws `BAD_KEY` for a key that no UTF-8 text can carry. `where`: `stream "clicks"`. */
export function checkUnicode(where: string, key: Key): void {
  if (!/\p{Surrogate}/u.test(key)) return
  const what = `a key for ${where} holds half of a surrogate pair, which no UTF-8 text can`
  throw new DefinitionError('BAD_KEY', what, 'cut texts between whole characters')
}

const KEY = new HeaderSearch(KEY_HEADER)
const TIME = new HeaderSearch(TIME_HEADER)

/** True when neither key nor time is in the block: most often so, and found without making a text of it. */
function saysNothing({ head }: LogRecord): boolean {
  return head.length === 0 || (KEY.in(head) < 0 && TIME.in(head) < 0)
}

function keyIn(from: LogRecord): Key | undefined {
  const encoded = from.header(KEY_HEADER)
  if (encoded === undefined) return undefined
  try {
    return decodeURIComponent(encoded)
  } catch (cause) {
    throw new RecordError('BAD_BYTES', `its ${KEY_HEADER} is not percent-encoded text`, 'see who writes to it', {
      cause,
    })
  }
}

function timeIn(from: LogRecord): number | undefined {
  const text = from.header(TIME_HEADER)
  if (text === undefined) return undefined
  const time = Number(text)
  if (/^-?\d+$/.test(text) && Number.isSafeInteger(time)) return time
  throw new RecordError('BAD_BYTES', `its ${TIME_HEADER} is no whole number of ms`, 'see who writes to it')
}
