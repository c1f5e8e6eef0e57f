/** The three ports together, as one link to one log gives them. */
import type { Bucket, BucketSpec } from './bucket.js'
import type { Log } from './log.js'
import type { Signals } from './signals.js'

/** One link to one log: its three ports, opened and closed together. */
export interface Ports {
  readonly log: Log
  readonly signals: Signals
  /** Opens a bucket, making it when it is not there. Different settings than asked for are a `STREAM_DIFFERS` error. */
  bucket(spec: BucketSpec): Promise<Bucket>
  /** Ends everything: appends in flight end `unknown`, readers end, calls after it reject with `CLOSED`. Idempotent. */
  close(): Promise<void>
}
