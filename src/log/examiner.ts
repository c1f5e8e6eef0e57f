/**
 * The port for whoever asks whether a log is fit for what is asked of it. A kind answers in words: what was found, what
 * it means, what to do. A kind may do without.
 */
import type { Bucket } from './bucket.js'
import type { StreamSpec } from './log.js'

export interface Examiner {
  /**
   * Looks at the log as a whole and at these streams, and changes nothing that stays. `signals`: what a node publishes and
   * hears beside. What cannot be looked at is a finding too; it rejects only when the log is away.
   */
  examine(uses: readonly StreamUse[], signals: readonly SignalUse[]): Promise<readonly Finding[]>
  /** A bucket as it stands; undefined when there is none. Never makes it. */
  bucket(name: string): Promise<Bucket | undefined>
}

/** What was found at one place. */
export interface Finding {
  readonly level: Level
  /** What was looked at, by a name for ever: `replicas`, `retention`. */
  readonly check: string
  /** The stream that it is about; absent where it is the log as a whole. */
  readonly stream?: string
  readonly what: string
  /** What it means, and for which promise of `docs/guarantees.md`. */
  readonly means?: string
  readonly mend?: string
}

/**
 * `weak`: it works, and some promise is worth less than it could be; `wrong`: a promise does not hold, or work ends;
 * `unknown`: it cannot be seen from here, and `mend` says where.
 */
export type Level = 'ok' | 'weak' | 'wrong' | 'unknown'

/** What a stream is there for: its settings mean something else for each. */
export type StreamRole = 'source' | 'target' | 'ledger' | 'dead letters'

/** A stream, and what is asked of it. */
export interface StreamUse {
  readonly name: string
  readonly roles: readonly StreamRole[]
  /** What its definition says; what it leaves to the log is absent. A stream with another setting cannot be opened. */
  readonly asked: Partial<Pick<StreamSpec, 'partitions' | 'retention' | 'replicas' | 'dedupWindowMs' | 'source'>>
}

/** A subject of signals, and what is done with it. */
export interface SignalUse {
  readonly may: 'publish' | 'subscribe'
  readonly subject: string
}
