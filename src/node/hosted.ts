/** What a node needs of the actors it hosts, and what they tell of themselves. */
import type { Chance, Clock } from '../clock.js'
import type { Ports } from '../log/ports.js'
import type { Position } from '../log/record.js'
import type { Stage } from '../pipeline/plan.js'
import type { Streams } from '../stream/open.js'
import type { Tell } from '../telemetry/events.js'

/** The owner of one partition of one stage. */
export interface Hosted {
  /** Works until it is stopped or cannot go on. Never rejects. */
  run(): Promise<ActorEnd>
  /** Ends it well: the turn is finished, committed and published. */
  stop(): void
  /** Ends it at once. */
  kill(): void
  status(): PartitionStatus
  /** True when all that was readable at the time of the call is processed and published; false when it ended before. */
  caughtUp(): Promise<boolean>
}

/** How an actor ended. */
export type ActorEnd =
  | { readonly why: 'stopped' | 'fenced' }
  | {
      /** `halted`: the log lost or changed what it had acknowledged; `failed`: the user's code, or a definition. */
      readonly why: 'halted' | 'failed'
      readonly error: unknown
    }

/** How one partition stands. */
export interface PartitionStatus {
  readonly pipeline: string
  readonly stage: number
  readonly partition: number
  readonly state: string
  readonly fence: number
  /** Of the last commit. */
  readonly number: number
  /** Up to where each source is processed, by its name. */
  readonly positions: Readonly<Record<string, Position>>
  /** How many records are still to be read, where that is known. */
  readonly lag?: number
  /** Outputs that are committed and not yet published. */
  readonly outbox: number
  /** Records that wait for others before them. */
  readonly held: number
  readonly rows: number
  readonly liveBytes: number
  readonly ledgerBytes: number
  readonly error?: unknown
}

export interface HostedParts {
  readonly stage: Stage
  readonly partition: number
  readonly streams: Streams
  readonly ports: Ports
  readonly clock: Clock
  readonly chance: Chance
  readonly tell: Tell
}
