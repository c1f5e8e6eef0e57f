/**
 * The way in and out for programs that run no pipelines: publish records, read them, ask what streams there are. One
 * client is one link to one log.
 */
import type { Position } from '../log/record.js'
import type { Key } from '../stream/key.js'
import type { Source, Stream, Target } from '../stream/stream.js'
import type { StreamDescription } from './describe.js'
import type { PublishAllOptions, PublishedAll } from './publishing.js'
import type { Reading, ReadingOptions } from './reading.js'

export interface Client extends AsyncDisposable {
  /** What it is linked to, for people: `JetStream 2.10.27 at 127.0.0.1:4222`, `embedded log in .stream-node`. */
  readonly log: string

  /**
   * Stores one record and tells where it stands. Calls for one partition are stored in the order of the calls. While
   * the log is away it waits; a send whose fate is unknown is made again under the same id, so it is stored once.
   *
   * Rejects with a `DefinitionError` for what can not be stored, a `RecordError` for a value that the codec or the
   * schema refuses, `LOG_FULL` when the log is full. When `signal` aborts it waits no longer; a record that was sent by
   * then may still be stored.
   */
  publish<T>(
    stream: Target<T> & { readonly kind: 'stream' },
    value: NoInfer<T>,
    options?: PublishOptions,
  ): Promise<Published>

  /**
   * Stores many, in order, with as many on the way as the log takes, and takes no more from `values` than that: memory
   * stays the same for ten records and ten million. Resolves when all are stored.
   *
   * The first that fails ends it: the error's `facts` say which (`index`), after all before it have been settled. With
   * `onFailed` that one is told, left out, and the others go on.
   */
  publishAll<T>(
    stream: Target<T> & { readonly kind: 'stream' },
    values: Iterable<NoInfer<T>> | AsyncIterable<NoInfer<T>>,
    options?: PublishAllOptions<NoInfer<T>>,
  ): Promise<PublishedAll>

  /**
   * Reads a stream, record by record or, with `batches()`, many at once. Order per partition is kept, nothing is left
   * out, and no more is fetched than is taken. What the log has dropped under the reader ends it with `OVERRUN`.
   *
   * An output of a pipeline is shown once and in its pipeline's order, though it may stand late or twice in the log:
   * then only outputs of the same partition of that pipeline wait. At the end of the reading none do.
   *
   * A record that can not be read is a `RecordError` whose `facts` say where it stands (`partition`, `position`). It
   * ends the reading, after all records before it; read on with `after: position`. With `onBadRecord` it is told, left
   * out, and reading goes on.
   */
  read<T>(stream: Source<T>, options?: ReadingOptions): Reading<T>

  /**
   * A stream by its name alone, as its definition is kept in the log. Rejects with `NO_SUCH_STREAM`, saying which names
   * are near, and with `CODEC_DIFFERS` when only its program's code knows its codec. Where the key rule is a function, only
   * code knows it too: publish with `key` then.
   */
  stream(name: string): Promise<Stream<unknown>>

  /** The names of the streams in this log, sorted. */
  streams(): Promise<readonly string[]>

  /** What is known about a stream. Rejects with `NO_SUCH_STREAM`. */
  describe(stream: string | Source<unknown>): Promise<StreamDescription>

  /** Waits up to 5 seconds for what is on its way, then ends everything; later calls reject with `CLOSED`. Idempotent. */
  close(): Promise<void>
}

export interface PublishOptions {
  /** Names the record: a second one with this id within the stream's `dedupWindow` is not stored. */
  readonly id?: string
  /** Instead of the key that the stream's rule gives. */
  readonly key?: Key
  /** Instead of the time that the stream's rule gives. */
  readonly time?: number | Date
  readonly headers?: Readonly<Record<string, string>>
  readonly signal?: AbortSignal
}

/** Where a record stands. */
export interface Published {
  readonly partition: number
  readonly position: Position
  /** True when it was there already, by its id. */
  readonly repeat: boolean
}
