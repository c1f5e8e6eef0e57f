/**
 * What an owner does beside the road of records, from time to time: looks whether it is still the owner and gets anywhere,
 * vouches for its ledger, notes that all outputs are out, and lets go of a beginning that holds the log up.
 */
import type { Clock } from '../clock.js'
import type { Ledger } from '../state/ledger.js'
import type { Commit } from './commit.js'
import type { Headway } from './headway.js'

export interface VigilParts {
  readonly ledger: Ledger
  readonly commit: Commit
  readonly headway: Headway
  readonly clock: Clock
  readonly signal: AbortSignal
  /** How many positions the ledger may reach back before it is written anew, so that the log can drop what lies between. */
  readonly ledgerReachMax: number
  readonly failed: (error: unknown) => void
}

const TICK_MS = 250
const LOOK_MS = 1000
const REACH_LOOK_MS = 60_000

/** Begins to keep watch; ends with the signal. */
export function keepVigil({ ledger, commit, headway, clock, signal, ledgerReachMax, failed }: VigilParts): void {
  let lookedMs = clock.elapsed()
  let reachedMs = lookedMs
  let quietSince = ledger.next
  /** One of each kind at a time: while the log is away each waits for its answer. */
  const under = new Set<string>()
  const once = (what: string, work: () => Promise<unknown>) => {
    if (under.has(what)) return
    under.add(what)
    work()
      .catch(failed)
      .finally(() => under.delete(what))
  }
  const tick = () => {
    if (signal.aborted) return
    clock.after(TICK_MS, tick)
    headway.look()
    // Nothing was written for a whole tick.
    if (ledger.next === quietSince && (commit.owesNote || commit.owesUnpinning)) commit.begin(true)
    quietSince = ledger.next
    const now = clock.elapsed()
    if (now - lookedMs < LOOK_MS) return
    lookedMs = now
    if (now - ledger.provenMs >= LOOK_MS) once('look', () => ledger.look())
    if (ledger.owesVouching) once('vouch', () => ledger.vouch())
    if (now - reachedMs < REACH_LOOK_MS) return
    reachedMs = now
    once('reach', async () => {
      if ((await ledger.reach()) <= ledgerReachMax) return
      // An answer may come between a walk and what it gives to the commit: an entry begun then would have half of it.
      clock.soon(() => commit.unpin())
    })
  }
  clock.after(TICK_MS, tick)
}
