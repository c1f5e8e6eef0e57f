/** How a node lets go: every actor ends well, or at once when that takes too long. */
import { pause, type Clock } from '../clock.js'
import type { Hosted } from './hosted.js'

/** Below the 30 seconds that most supervisors of processes give. */
export const PATIENCE_MS = 25_000

/** Asks all to end well and waits for `ended`; after 25 seconds those that are left are killed. True when all ended well. */
export async function shutDown(actors: readonly Hosted[], ended: Promise<unknown>, clock: Clock): Promise<boolean> {
  for (const actor of actors) actor.stop()
  const waited = new AbortController()
  const late = pause(clock, PATIENCE_MS, waited.signal).then(() => !waited.signal.aborted)
  const killed = await Promise.race([ended.then(() => false), late])
  waited.abort()
  if (!killed) return true
  for (const actor of actors) actor.kill()
  await ended
  return false
}
