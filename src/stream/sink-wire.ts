/** Between the values of a sink and the bytes that stand in a ledger until they are written. */
import type { OpenCodec } from '../codec/codec.js'
import type { Key } from './key.js'
import type { Sink, SinkRecord } from './sink.js'
import { checkUnicode, type About, type FramedFor, type Framer } from './wire.js'

/** A record of a sink as it stands in a ledger. */
export interface Kept {
  readonly key: Key | undefined
  readonly time: number | undefined
  readonly payload: Uint8Array
}

/** Writes and reads the records of one sink through an opened codec. */
export class SinkWire<T> implements Framer<T> {
  readonly format = 'message'
  /** An entry is written in as many parts as it takes; the codec has a bound of its own. */
  readonly limits = { recordBytesMax: Infinity }
  #readable = false

  constructor(
    readonly sink: Sink<T>,
    readonly codec: OpenCodec<T>,
  ) {}

  /** A value for the ledger. A sink has no partitions: what a partition of a stage gives is one line. */
  frame(value: T, { key, time }: About): FramedFor {
    if (key !== undefined) checkUnicode(`sink "${this.sink.name}"`, key)
    const payload = this.codec.encode(value)
    // Found out before the first is committed: nobody could write any of them.
    if (!this.#readable) this.codec.decode(payload)
    this.#readable = true
    return { partition: 0, key, time, payload }
  }

  /** Undefined when it can be read at once, else a promise for when its schema is there; it rejects with `UnavailableError`. */
  ready({ payload }: Kept): Promise<void> | undefined {
    return this.codec.ready(payload)
  }

  /** The record for one call of `write`, made anew for each. Throws a `RecordError`. */
  read(id: string, { key, time, payload }: Kept): SinkRecord<T> {
    return Object.freeze({ id, value: this.codec.decode(payload), key, time: time as number })
  }
}
