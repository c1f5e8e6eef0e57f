/** How much a partition has in hand at the most, in records and in bytes, at each place of the road. */
import type { CommitLimits } from './commit.js'
import type { InputLimits } from './input.js'
import type { MailboxLimits } from './mailbox.js'
import { GUILTY_DEATHS } from './trial.js'

export interface ActorLimits extends MailboxLimits, CommitLimits, InputLimits {
  /** How many positions a ledger may reach back before it is written anew. */
  readonly ledgerReachMax: number
  /** How many owners must have died at a record before it counts as the one that kills. */
  readonly guiltyDeaths: number
}

export const LIMITS: ActorLimits = {
  mailboxRecordsMax: 1024,
  mailboxBytesMax: 1024 * 1024,
  batchRecordsMax: 512,
  batchBytesMax: 512 * 1024,
  groupRecordsMax: 1024,
  groupOutputsMax: 384,
  groupBytesMax: 512 * 1024,
  backlogRecordsMax: 512,
  backlogBytesMax: 4 * 1024 * 1024,
  ledgerReachMax: 500_000,
  guiltyDeaths: GUILTY_DEATHS,
  ledgerSpareBytes: 1024 * 1024,
  purgeBytes: 1024 * 1024,
}
