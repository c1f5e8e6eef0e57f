/** The states of a partition, and which may follow which. */
import { InvariantError } from '../errors.js'

/**
 * `claiming`: reads the ledger and takes it. `suspect`: owners before died soon, so it tries what they had in
 * hand while nobody else does. `running`: receives, walks, commits. `paused`: waits for a person, before a
 * record or because it ended too often. `draining`: takes nothing new and brings out what it has. `restarting`: its actor
 * has ended, and another one is about to claim. The others are ends: `stopped` as asked, `fenced` by another owner,
 * `halted` because the log or we cannot be trusted, `failed` at a record or a definition.
 */
export type PartitionState =
  'new' | 'claiming' | 'suspect' | 'running' | 'paused' | 'draining' | 'restarting' | EndState
type EndState = 'stopped' | 'fenced' | 'halted' | 'failed'

const ENDS: readonly PartitionState[] = ['stopped', 'fenced', 'halted', 'failed']

const NEXT: Readonly<Record<PartitionState, readonly PartitionState[]>> = {
  new: ['claiming', ...ENDS],
  claiming: ['running', 'suspect', 'restarting', 'paused', ...ENDS],
  suspect: ['running', 'paused', 'draining', 'restarting', ...ENDS],
  running: ['paused', 'draining', 'restarting', ...ENDS],
  paused: ['running', 'suspect', 'paused', 'draining', 'restarting', ...ENDS],
  draining: ['restarting', 'paused', ...ENDS],
  restarting: ['claiming', ...ENDS],
  stopped: [],
  fenced: [],
  halted: [],
  failed: [],
}

/** The next state; throws when it cannot follow. */
export function moved(from: PartitionState, to: PartitionState): PartitionState {
  if (NEXT[from].includes(to)) return to
  throw new InvariantError(`a partition cannot go from ${from} to ${to}`)
}

export function isEnd(state: PartitionState): boolean {
  return ENDS.includes(state)
}
