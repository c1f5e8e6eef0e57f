/** What this process holds in memory, for tests that say it stays flat. */
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { setTimeout as sleep } from 'node:timers/promises'

setFlagsFromString('--expose-gc')
const collect = runInNewContext('gc') as () => void

export interface Memory {
  /** What is reachable after a collection: objects and buffers, in bytes. */
  readonly held: number
  /** What the system has given us, in bytes. */
  readonly resident: number
}

/** Collects garbage and measures what is left. */
export async function memory(): Promise<Memory> {
  // Buffers are freed in a later turn than the objects that own them.
  for (let i = 0; i < 3; i++) {
    collect()
    await sleep(1)
  }
  const { heapUsed, external, rss } = process.memoryUsage()
  return { held: heapUsed + external, resident: rss }
}

export const MB = 1024 * 1024
export const inMB = (bytes: number): string => `${(bytes / MB).toFixed(1)} MB`
