/** How a partition stands, for people and programs. */
import { messageOf } from '../errors.js'
import type { Position } from '../log/record.js'
import type { Stage } from '../pipeline/plan.js'
import type { Held } from './claim.js'
import { openLetters } from './letter-rows.js'
import type { PartitionState } from './lifecycle.js'

/** How a partition stands. */
export interface PartitionStatus {
  readonly pipeline: string
  readonly stage: number
  readonly partition: number
  readonly state: PartitionState
  readonly fence: number
  /** The last message of the ledger. */
  readonly number: number
  /** How far each source was read. */
  readonly positions: Readonly<Record<string, Position>>
  /** How many records of its sources the log had ready when it last gave some; undefined before that. */
  readonly lag: number | undefined
  /** Outputs that are committed and not yet acknowledged. */
  readonly outbox: number
  /** Records that wait for others of their writer. */
  readonly held: number
  readonly rows: number
  /** Dead letters that were written and neither retried nor dropped since. */
  readonly letters: number
  readonly liveBytes: number
  readonly ledgerBytes: number
  /** How often it was started again. */
  readonly restarts: number
  /** What it stands still for, or has ended with. */
  readonly error?: string
  /** What it ended with before it was started again. */
  readonly lastError?: string
}

/** What is to be said of an owner; `held`: what it has, once it holds the claim. */
export interface Standing {
  readonly stage: Stage
  readonly partition: number
  readonly state: PartitionState
  readonly held: Held | undefined
  readonly error: unknown
}

export function statusOf({ stage, partition, state, held, error }: Standing): PartitionStatus {
  const { ledger, inputs = [], publisher, tables } = held ?? {}
  const behind = inputs.map(input => input.behind)
  return {
    ...{ pipeline: stage.pipeline, stage: stage.index, partition, state },
    ...{ fence: ledger?.fence ?? 0, number: ledger === undefined ? 0 : ledger.next - 1 },
    positions: Object.fromEntries(inputs.map(input => [input.stream, input.position])),
    lag: behind.includes(undefined) ? undefined : behind.reduce<number>((sum, one) => sum + (one as number), 0),
    outbox: publisher?.backlog.records ?? 0,
    held: inputs.reduce((sum, input) => sum + input.inbox.held.records, 0),
    letters: tables === undefined ? 0 : openLetters(tables),
    ...{ rows: tables?.rows ?? 0, liveBytes: tables?.liveBytes ?? 0, ledgerBytes: ledger?.bytes ?? 0 },
    restarts: 0,
    ...(error !== undefined && { error: messageOf(error) }),
  }
}
