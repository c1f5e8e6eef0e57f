/**
 * What the engine tells while it works. Rooms emit these plain values and know no logger; `telemetry/` turns them into
 * log lines, spans and counters.
 */

export type LogEvent =
  /** The link to the log is gone; writes in flight have ended unknown. */
  | { readonly type: 'log.disconnected'; readonly server: string }
  /** The link is back. */
  | { readonly type: 'log.reconnected'; readonly server: string }
  /** The server said something went wrong that no caller waits for. */
  | { readonly type: 'log.error'; readonly error: Error }
  /** A reader lost its place on the server and has taken it up again, without a gap. */
  | { readonly type: 'log.reader-resumed'; readonly stream: string; readonly after: number; readonly why: string }
  /** The server is weaker than it should be for what is asked of it. */
  | { readonly type: 'log.warning'; readonly what: string; readonly mend: string }

/** Which partition of which stage of which pipeline an event is about. */
interface OfPartition {
  readonly pipeline: string
  readonly stage: number
  readonly partition: number
}

export type PartitionEvent =
  /** A partition went from one state to another; `fence` is the one its owner holds, 0 before it has one. */
  | (OfPartition & {
      readonly type: 'partition.state'
      readonly from: string
      readonly to: string
      readonly fence: number
    })
  /** An entry of the ledger is acknowledged: its records are processed for ever. `ms` from its sending to its answer. */
  | (OfPartition & {
      readonly type: 'partition.committed'
      readonly number: number
      readonly records: number
      readonly outputs: number
      readonly bytes: number
      readonly ms: number
    })
  /** So many outputs are now in that stream. */
  | (OfPartition & { readonly type: 'partition.published'; readonly outputs: number; readonly stream: string })
  /** So many outputs were written to that sink. */
  | (OfPartition & { readonly type: 'partition.written'; readonly outputs: number; readonly sink: string })
  /**
   * A record could not be processed. It went to the dead letters, or was skipped; or it holds its partition up, which
   * tries it `again`, waits for a person (`pause`, or `budget` when too many were passed over), or ends (`stop`).
   */
  | (OfPartition & {
      readonly type: 'partition.fault'
      readonly error: unknown
      readonly then: 'deadLetter' | 'skip' | 'retry' | 'pause' | 'budget' | 'stop'
    })
  /**
   * It ended with an error, and begins anew from its ledger in `waitMs`, for the `restarts`-th time. `with`: not its own
   * error but that of a partition that takes it along.
   */
  | (OfPartition & {
      readonly type: 'partition.restarting'
      readonly error: unknown
      readonly waitMs: number
      readonly restarts: number
      readonly with?: { readonly stage: number; readonly partition: number }
    })
  /** It ended too often with an error, the last is this one, and waits until it is resumed. */
  | (OfPartition & { readonly type: 'partition.paused'; readonly error: unknown; readonly restarts: number })
  /** It has ended for good on this node; another may take it over. */
  | (OfPartition & {
      readonly type: 'partition.ended'
      readonly why: 'stopped' | 'fenced' | 'halted' | 'failed'
      readonly error?: unknown
    })
  /** It can do nothing until something else changes: the log is away or full, or a sink fails. Told once until it changes. */
  | (OfPartition & { readonly type: 'partition.waits'; readonly on: string; readonly error?: unknown })

export type StreamEvent =
  /** There was no stream of this name, and now there is an empty one. */
  | { readonly type: 'stream.made'; readonly stream: string }
  /**
   * A writer's outputs from one number to another were stored and acknowledged, and are not there any more: dropped by
   * retention, deleted or lost. The reader goes on behind them.
   */
  | {
      readonly type: 'stream.outputs-missing'
      readonly stream: string
      readonly partition: number
      readonly writer: string
      readonly from: number
      readonly to: number
    }

export type NodeEvent =
  /** A node has begun to run these pipelines. */
  | {
      readonly type: 'node.started'
      readonly node: string
      readonly log: string
      readonly pipelines: readonly string[]
      readonly partitions: number
    }
  /** It ends all its partitions and takes nothing new. */
  | { readonly type: 'node.stopping'; readonly node: string }
  /** All its partitions have ended; `late`: some had to be killed; `fenced`: others own all; `paused`: one still was. */
  | {
      readonly type: 'node.ended'
      readonly node: string
      readonly why: 'stopped' | 'late' | 'fenced' | 'halted' | 'failed' | 'paused'
    }

export type Event = LogEvent | PartitionEvent | StreamEvent | NodeEvent

/** Takes an event. Must not throw and must not wait. */
export type Tell = (event: Event) => void

/** Tells nobody. */
export const silent: Tell = () => {}
