/**
 * Ends a process whose main loop does not move, as in a step that never returns: no partition of it works, and nobody in it
 * could say so. A thread of its own looks on, tells what was at work, and ends the process with code 5.
 */
import { Worker } from 'node:worker_threads'
import type { Watch } from '../actor/partition-actor.js'

/** The place of what is told in the memory that both threads see. */
export const SLOTS = { beats: 0, seat: 1, source: 2, first: 3, last: 4, count: 5 } as const

/** Nobody walks anything. */
export const NOBODY = -1

/** What the thread begins with. */
export interface WatchdogData {
  readonly memory: SharedArrayBuffer
  readonly limitMs: number
  readonly tickMs: number
}

/** Says who has this number in the memory. */
export interface SeatNamed {
  readonly seat: number
  /** `partition 3 of pipeline "clicks"` */
  readonly name: string
  /** The names of its sources. */
  readonly sources: readonly string[]
}

/** Looks that a limit is divided into. */
const TICKS = 20
const TICK_MIN_MS = 10
const TICK_MAX_MS = 1000

export interface Watchdog {
  /** What a partition tells of its turns. */
  watch(name: string, sources: readonly string[]): Watch
  close(): void
}

/** Looks on from now until closed; keeps no process alive. */
export function startWatchdog(limitMs: number): Watchdog {
  const memory = new SharedArrayBuffer(SLOTS.count * Float64Array.BYTES_PER_ELEMENT)
  const slots = new Float64Array(memory)
  slots[SLOTS.seat] = NOBODY
  const tickMs = Math.min(Math.max(limitMs / TICKS, TICK_MIN_MS), TICK_MAX_MS)
  const workerData: WatchdogData = { memory, limitMs, tickMs }
  const thread = new Worker(new URL('./watchdog-thread.js', import.meta.url), {
    ...{ workerData, name: 'watchdog' },
    // What the program is started with, as modules to load before all others, is not for this one.
    execArgv: [],
  })
  // Without it there is no watchdog, and all else goes on.
  thread.on('error', () => {})
  thread.unref()
  let beats = 0
  const beat = setInterval(() => (slots[SLOTS.beats] = ++beats), tickMs)
  beat.unref()
  let seats = 0
  return {
    watch(name, sources) {
      const seat = seats++
      thread.postMessage({ seat, name, sources } satisfies SeatNamed)
      return {
        walks(source, first, last) {
          slots[SLOTS.seat] = seat
          slots[SLOTS.source] = source
          slots[SLOTS.first] = first
          slots[SLOTS.last] = last
        },
        rests() {
          slots[SLOTS.seat] = NOBODY
        },
      }
    },
    close() {
      clearInterval(beat)
      void thread.terminate()
    },
  }
}
