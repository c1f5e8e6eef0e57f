/**
 * Opens streams on one log: the definition is held against the kept one, the stream in the log is made or verified, and
 * its codec made ready.
 */
import type { Chance } from '../clock.js'
import type { SchemaStore, Use } from '../codec/codec.js'
import { DefinitionError } from '../errors.js'
import type { LogStream, StreamSpec } from '../log/log.js'
import type { Ports } from '../log/ports.js'
import type { Tell } from '../telemetry/events.js'
import { BUCKET, bucketOf, KeptStreams, streamFrom, type BucketOf, type KeptStream } from './kept.js'
import { goodName } from './name.js'
import { sinkSettingsOf, type Sink } from './sink.js'
import { SinkWire } from './sink-wire.js'
import { settingsOf, type Stream } from './stream.js'
import { Wire } from './wire.js'

const DEDUP_WINDOW_DEFAULT_MS = 20_000

/** A stream of the log with all that is needed to write and read its records. */
export interface OpenStream<T> {
  readonly stream: Stream<T>
  readonly log: LogStream
  readonly wire: Wire<T>
}

/** The streams of one log. */
export class Streams {
  readonly kept: KeptStreams
  readonly #ports: Ports
  readonly #schemas: SchemaStore
  readonly #chance: Chance
  readonly #tell: Tell
  readonly #replicas: number

  constructor(ports: Ports, { chance, tell, replicas }: StreamsParts) {
    const bucket = bucketOf(ports, replicas)
    this.kept = new KeptStreams(bucket)
    this.#ports = ports
    this.#schemas = schemasIn(bucket)
    this.#chance = chance
    this.#tell = tell
    this.#replicas = replicas
  }

  /**
   * Opens a stream and makes it when it is not there. What its definition leaves to the log (retention, window,
   * replicas) is taken as it stands; what it says must be so, else `STREAM_DIFFERS` or `CODEC_DIFFERS`. One that is
   * known by its name only is not made: `NO_SUCH_STREAM`. Idempotent.
   */
  async open<T>(stream: Stream<T>, use: Use): Promise<OpenStream<T>> {
    const byName = settingsOf(stream).byName !== undefined
    // A definition that differs must not make a stream, and a stream that differs must not leave a definition behind.
    const isKept = byName || (await this.kept.verify(stream, use))
    const log = await this.#log(stream, byName)
    const denied = isKept ? undefined : await this.kept.settle(stream, use)
    if (denied !== undefined) {
      const what = `the definition of stream "${stream.name}" could not be kept: ${denied.message}`
      this.#tell({ type: 'log.warning', what, mend: `until then tail and publish need the program's code` })
    }
    const codec = await settingsOf(stream).codec.open(this.#schemas, use)
    const turn = Math.floor(this.#chance.fraction() * stream.partitions)
    return { stream, log, wire: new Wire(stream, codec, this.#ports.log, turn) }
  }

  /** Makes a sink's codec ready. Of the sink itself the log knows nothing. Rejects as the codec does. */
  async openSink<T>(sink: Sink<T>): Promise<SinkWire<T>> {
    return new SinkWire(sink, await sinkSettingsOf(sink).codec.open(this.#schemas, 'write'))
  }

  /**
   * The stream of this name as it is kept. Rejects with `NO_SUCH_STREAM`, with `BAD_NAME` for a name that none can have,
   * with `CODEC_DIFFERS` when only code knows its codec.
   */
  async named(name: string): Promise<Stream<unknown>> {
    return streamFrom(name, await this.#definition(name))
  }

  /** What is known of a stream that is to be neither written nor read. Rejects with `NO_SUCH_STREAM` or `BAD_NAME`. */
  async look(name: string): Promise<{ readonly kept: KeptStream; readonly log: LogStream }> {
    const kept = await this.#definition(name)
    // Any codec will do: its own may be one that only code knows.
    const stream = streamFrom(name, { ...kept, codec: { name: 'bytes' } })
    return { kept, log: await this.#log(stream, true) }
  }

  async #definition(name: string): Promise<KeptStream> {
    const kept = await this.kept.find(goodName(name))
    if (kept === undefined) throw await this.kept.missing(name)
    return kept
  }

  async #log<T>(stream: Stream<T>, byName: boolean): Promise<LogStream> {
    const { source } = settingsOf(stream)
    // What stands in the log under its own name is no matter, and looking there may not be permitted.
    if (source !== undefined) return this.#ports.log.open(this.#spec(stream, undefined))
    const there = await this.#ports.log.find(stream.name)
    if (byName) {
      if (there === undefined) throw await this.kept.missing(stream.name)
      // Opening it by what is asked for would make it anew if it is deleted meanwhile.
      if (there.spec.partitions === stream.partitions) return there
    }
    const log = await this.#ports.log.open(this.#spec(stream, there?.spec))
    if (there === undefined) this.#tell({ type: 'stream.made', stream: stream.name })
    return log
  }

  #spec<T>(stream: Stream<T>, there: StreamSpec | undefined): StreamSpec {
    const { retention, replicas, dedupWindowMs, source } = settingsOf(stream)
    const asked = { name: stream.name, partitions: stream.partitions, ...(source !== undefined && { source }) }
    return {
      ...asked,
      retention: retention ?? there?.retention ?? {},
      replicas: replicas ?? there?.replicas ?? this.#replicas,
      dedupWindowMs: dedupWindowMs ?? there?.dedupWindowMs ?? DEDUP_WINDOW_DEFAULT_MS,
    }
  }
}

/** What opening streams needs beside the log. */
export interface StreamsParts {
  readonly chance: Chance
  readonly tell: Tell
  /** How many copies of a stream that does not say, when it is made, and of the bucket. */
  readonly replicas: number
}

/** The schemas that records were written under: the entries `schemas.<fingerprint>` of a bucket. */
export function schemasIn(bucket: BucketOf): SchemaStore {
  const keyOf = (fingerprint: string) => `schemas.${fingerprint}`
  return {
    async get(fingerprint) {
      const value = (await (await bucket()).get(keyOf(fingerprint)))?.value
      return value === undefined ? undefined : Buffer.from(value).toString('utf8')
    },
    async put(fingerprint, schema) {
      if ((await this.get(fingerprint)) !== undefined) return
      const ending = await (await bucket()).put(keyOf(fingerprint), Buffer.from(schema), 0)
      if (ending.ending === 'stored') return
      // The same fingerprint comes with the same text, so whoever was first wrote what we would have.
      if ((await this.get(fingerprint)) !== undefined) return
      if (ending.ending === 'refused' && ending.why === 'denied') {
        const what = `schema ${fingerprint} could not be kept in the bucket ${BUCKET}: ${ending.error.message}`
        const mend = 'without its schema nobody could read the records'
        throw new DefinitionError('PERMISSION_DENIED', what, mend, { cause: ending.error })
      }
      throw ending.error
    },
  }
}
