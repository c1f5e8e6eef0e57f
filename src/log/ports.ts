/** The three ports together, as one link to one log gives them. */
import type { Bucket, BucketSpec } from './bucket.js'
import type { Examiner } from './examiner.js'
import type { Log } from './log.js'
import type { Signals } from './signals.js'

/** One link to one log: its three ports, opened and closed together. */
export interface Ports {
  readonly log: Log
  readonly signals: Signals
  /** Opens a bucket, making it when it is not there. Different settings than asked for are a `STREAM_DIFFERS` error. */
  bucket(spec: BucketSpec): Promise<Bucket>
  /** Looks whether the log is fit for what is asked of it. Absent where a kind has nothing to say. */
  examiner?(): Promise<Examiner>
  /** Ends everything: appends in flight end `unknown`, readers end, calls after it reject with `CLOSED`. Idempotent. */
  close(): Promise<void>
}
