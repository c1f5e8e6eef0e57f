/** The client at work on an open log. */
import { pause, type Chance, type Clock } from '../clock.js'
import { UnavailableError } from '../errors.js'
import { badOption, knownOptions } from '../options.js'
import type { Ports } from '../log/ports.js'
import { checkedId, checkedKey, checkedTime } from '../stream/derive.js'
import { Streams, type OpenStream, type StreamsParts } from '../stream/open.js'
import { Sender, type HeldBefore } from '../stream/sender.js'
import { isStream, settingsOf, type Source, type Stream, type Target } from '../stream/stream.js'
import type { About } from '../stream/wire.js'
import type { Tell } from '../telemetry/events.js'
import { withTraceContext } from '../telemetry/otel.js'
import { checkSignal, Interruptible } from './abort.js'
import type { Client, Published, PublishOptions } from './client.js'
import { describe, type StreamDescription } from './describe.js'
import {
  checkPublishAll,
  leave,
  publishAll,
  type Lane,
  type PublishAllOptions,
  type PublishedAll,
} from './publishing.js'
import { Reading, type ReadingOptions } from './reading.js'

/** What a client needs beside the log. */
export interface LinkedParts extends StreamsParts {
  readonly clock: Clock
  readonly chance: Chance
}

/** A client on these ports, which it closes when it is closed itself. */
export function linked(ports: Ports, parts: LinkedParts): Client {
  return new Linked(ports, new Streams(ports, parts), parts)
}

const CLOSE_WAIT_MS = 5000
const PUBLISH_OPTIONS = ['id', 'key', 'time', 'headers', 'signal']

/** A stream that is being opened, and how many wait for it. */
interface Opening<T> {
  readonly lane: Promise<Lane<T>>
  ready: Lane<T> | undefined
  waiting: number
}

class Linked implements Client {
  readonly log: string
  readonly #ports: Ports
  readonly #streams: Streams
  readonly #clock: Clock
  readonly #name: string
  readonly #tell: Tell
  /** Kept no longer than the streams themselves: a program may define or name one for each record. */
  readonly #openings = new WeakMap<object, Opening<never>>()
  /** Of those that are not open yet. */
  readonly #lanes = new Set<Promise<unknown>>()
  /** One that nobody holds has nothing on its way: the log holds it as long as it has. */
  readonly #senders = new Set<WeakRef<Sender>>()
  readonly #unused = new FinalizationRegistry<WeakRef<Sender>>(sender => this.#senders.delete(sender))
  #ids = 0
  #closing: Promise<void> | undefined
  #ended = false

  constructor(ports: Ports, streams: Streams, { clock, chance, tell }: LinkedParts) {
    this.log = ports.log.description
    this.#ports = ports
    this.#streams = streams
    this.#clock = clock
    this.#name = chance.name()
    this.#tell = tell
  }

  async publish<T>(stream: Target<T>, value: T, options: PublishOptions = {}): Promise<Published> {
    settingsOf(stream)
    const about = checkedAbout(stream.name, options)
    const abort = new Interruptible(options.signal)
    try {
      const opening = this.#opening(stream)
      const turn = turnOf(opening, abort)
      if (turn !== undefined) await turn
      const { open, sender, nextId } = opening.ready as Lane<T>
      const append = open.wire.write(value, about, nextId())
      const { partition } = append
      return await abort.wait(
        new Promise<Published>((resolve, reject) => {
          const stored = (position: number, before: HeldBefore) =>
            resolve({ partition, position, repeat: before === 'yes' })
          sender.send(append, { stored, failed: reject, signal: options.signal })
        }),
      )
    } finally {
      abort.end()
    }
  }

  async publishAll<T>(
    stream: Target<T>,
    values: Iterable<T> | AsyncIterable<T>,
    options: PublishAllOptions<T> = {},
  ): Promise<PublishedAll> {
    settingsOf(stream)
    checkPublishAll(stream, values, options)
    const abort = new Interruptible(options.signal)
    const opening = this.#opening(stream)
    const begun = begin(values)
    try {
      await turnOf(opening, abort)
    } catch (error) {
      if (Symbol.asyncIterator in begun) leave(begun[Symbol.asyncIterator]())
      throw error
    } finally {
      abort.end()
    }
    return publishAll(opening.ready as Lane<T>, begun, options)
  }

  read<T>(stream: Source<T>, options: ReadingOptions = {}): Reading<T> {
    settingsOf(stream)
    const open = async () => {
      this.#check()
      return this.#streams.open(stream as Stream<T>, 'read')
    }
    return new Reading(open, options, this.#tell)
  }

  async stream(name: string): Promise<Stream<unknown>> {
    this.#check()
    return this.#streams.named(nameFrom(name))
  }

  async streams(): Promise<readonly string[]> {
    this.#check()
    return this.#streams.kept.names()
  }

  async describe(stream: string | Source<unknown>): Promise<StreamDescription> {
    this.#check()
    return describe(this.#streams, isStream(stream) ? stream.name : nameFrom(stream))
  }

  close(): Promise<void> {
    return (this.#closing ??= this.#close())
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  async #close(): Promise<void> {
    const waited = new AbortController()
    await Promise.race([this.#settled(), pause(this.#clock, CLOSE_WAIT_MS, waited.signal)])
    waited.abort()
    this.#ended = true
    for (const sender of this.#senders) sender.deref()?.close()
    await this.#ports.close()
  }

  /** Resolves when all that was published by now has its answer, even to a stream that is still being opened. */
  async #settled(): Promise<void> {
    await Promise.allSettled(this.#lanes)
    // Who waited for a lane sends before the next turn of the event loop.
    await pause(this.#clock, 0)
    for (const sender of [...this.#senders]) await sender.deref()?.drained()
  }

  #check(): void {
    if (this.#closing !== undefined) throw closedError()
  }

  #opening<T>(stream: Target<T>): Opening<T> {
    this.#check()
    settingsOf(stream)
    const known = this.#openings.get(stream) as Opening<T> | undefined
    if (known !== undefined && known.ready?.sender.gone !== true) return known
    const lane = this.#lane(stream as Stream<T>)
    const opening: Opening<T> = { lane, ready: undefined, waiting: 0 }
    this.#openings.set(stream, opening as unknown as Opening<never>)
    this.#lanes.add(lane)
    lane
      .then(
        ready => (opening.ready = ready),
        // The next try begins anew: what was missing may be there by then.
        () => this.#openings.delete(stream),
      )
      .finally(() => this.#lanes.delete(lane))
    return opening
  }

  async #lane<T>(stream: Stream<T>): Promise<Lane<T>> {
    const open: OpenStream<T> = await this.#streams.open(stream, 'write')
    const { last } = await open.log.extent()
    if (this.#ended) throw closedError()
    const sender = new Sender(open.log, last, this.#clock)
    const held = new WeakRef(sender)
    this.#senders.add(held)
    this.#unused.register(sender, held)
    return { open, sender, clock: this.#clock, nextId: () => `${this.#name}/${++this.#ids}` }
  }
}

/** The values, with an asynchronous iterator made at once: a `readline` interface loses the lines that come before it. */
function begin<T>(values: Iterable<T> | AsyncIterable<T>): Iterable<T> | AsyncIterable<T> {
  if (!(Symbol.asyncIterator in values)) return values
  const iterator = values[Symbol.asyncIterator]()
  return { [Symbol.asyncIterator]: () => iterator }
}

/** Resolves when the stream is open. Undefined when it is; but who need not wait must not overtake those that do. */
function turnOf<T>(opening: Opening<T>, abort: Interruptible): Promise<unknown> | undefined {
  if (opening.ready !== undefined && opening.waiting === 0) return undefined
  opening.waiting++
  return abort.wait(opening.lane).finally(() => opening.waiting--)
}

function closedError(): UnavailableError {
  return new UnavailableError('CLOSED', 'the client is closed', 'connect again')
}

function nameFrom(given: unknown): string {
  if (typeof given === 'string') return given
  throw badOption('the stream', "a name, or a value that stream('name') made", given)
}

function checkedAbout(name: string, options: PublishOptions): About {
  const where = `publish to stream "${name}"`
  knownOptions(where, options, PUBLISH_OPTIONS)
  checkSignal(where, options.signal)
  const { id, key, time, headers } = options
  return {
    id: id === undefined ? undefined : checkedId(where, 'the option id', id),
    key: key === undefined ? undefined : checkedKey(where, 'the option key', key),
    time: time === undefined ? undefined : checkedTime(where, 'the option time', time),
    headers: withTraceContext(headers),
  }
}
