/** The last word of an owner whose process lives on, so that the next one does not take it for dead. */
import { pause, type Clock } from '../clock.js'
import type { Ledger } from '../state/ledger.js'
import type { Notes } from '../state/notes.js'
import type { Commit } from './commit.js'

/** A log that does not answer is not waited for: an owner that ends without a word costs little. */
const PATIENCE_MS = 1000

/**
 * Writes a release, if the log takes it soon. Nothing can be written after it. `commit`: once there is one. Never rejects.
 */
export async function sayFarewell(
  ledger: Ledger,
  commit: Commit | undefined,
  notes: Notes,
  clock: Clock,
): Promise<void> {
  const said = new AbortController()
  const saying = Promise.resolve(commit?.close())
    .then(() => (said.signal.aborted ? undefined : ledger.release(notes)))
    .catch(() => {})
  await Promise.race([saying, pause(clock, PATIENCE_MS, said.signal)])
  said.abort()
}
