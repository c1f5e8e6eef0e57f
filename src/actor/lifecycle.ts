/** The states of a partition's owner, and which may follow which. */
import { InvariantError } from '../errors.js'

/**
 * `claiming`: reads the ledger and takes it. `running`: receives, walks, commits. `paused`: stands before a record until a
 * person says that it may go on. `draining`: takes nothing new and brings out what it has. The others are ends: `stopped` as asked, `fenced` by another owner, `halted` because the log or
 * we cannot be trusted, `failed` at a record or a definition.
 */
export type PartitionState = 'new' | 'claiming' | 'running' | 'paused' | 'draining' | EndState
type EndState = 'stopped' | 'fenced' | 'halted' | 'failed'

const ENDS: readonly PartitionState[] = ['stopped', 'fenced', 'halted', 'failed']

const NEXT: Readonly<Record<PartitionState, readonly PartitionState[]>> = {
  new: ['claiming', ...ENDS],
  claiming: ['running', ...ENDS],
  running: ['paused', 'draining', ...ENDS],
  paused: ['running', 'draining', ...ENDS],
  draining: ENDS,
  stopped: [],
  fenced: [],
  halted: [],
  failed: [],
}

/** The next state; throws when it cannot follow. */
export function moved(from: PartitionState, to: PartitionState): PartitionState {
  if (NEXT[from].includes(to)) return to
  throw new InvariantError(`the owner of a partition cannot go from ${from} to ${to}`)
}

export function isEnd(state: PartitionState): boolean {
  return ENDS.includes(state)
}
