/**
 * Time and chance behind two small ports. The rooms from `codec` to `actor` never ask the machine for either; they are
 * given these, so that a test or the simulator owns them.
 */
import { randomBytes } from 'node:crypto'

/** Stops a timer; calling it again, or after the timer fired, does nothing. */
export type Cancel = () => void

export interface Clock {
  /** Wall clock in ms since 1970: for people and for event time, never for a decision between nodes. */
  now(): number
  /** Milliseconds that only ever grow, from an arbitrary start. Deadlines go by this. */
  elapsed(): number
  /** Calls `then` once, `ms` from now. */
  after(ms: number, then: () => void): Cancel
  /** Calls `then` after all that waits by now, timers and answers from outside, had its turn. */
  soon(then: () => void): void
}

export interface Chance {
  /** Evenly between 0 (included) and 1 (excluded). */
  fraction(): number
  /** A fresh name of 22 characters that no one else will ever draw: for incarnations, inboxes and ids. */
  name(): string
}

export const systemClock: Clock = {
  now: () => Date.now(),
  elapsed: () => performance.now(),
  after(ms, then) {
    const timer = setTimeout(then, ms)
    return () => clearTimeout(timer)
  },
  soon(then) {
    setImmediate(then)
  },
}

export const systemChance: Chance = {
  fraction: () => Math.random(),
  name: () => randomBytes(17).toString('base64url').replaceAll('-', '0').replaceAll('_', '1').slice(0, 22),
}

/** Resolves `ms` from now, or at once when `signal` is aborted. */
export function pause(clock: Clock, ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise(resolve => {
    if (signal?.aborted) return resolve()
    const done = () => {
      cancel()
      signal?.removeEventListener('abort', done)
      resolve()
    }
    const cancel = clock.after(ms, done)
    signal?.addEventListener('abort', done, { once: true })
  })
}
