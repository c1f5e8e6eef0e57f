/**
 * Wakes those who wait for something to be written: at once when this process wrote it, and within a few milliseconds
 * when another did, by looking now and then while somebody waits.
 */
import type { Cancel, Clock } from '../../clock.js'

/** How often the store is looked at for what other processes wrote; a look costs a few microseconds. */
const LOOK_MS = 10

interface Waiter {
  readonly topic: number
  readonly changed: () => boolean
  readonly wake: () => void
}

export class Pulse {
  readonly #waiters = new Set<Waiter>()
  #looking: Cancel | undefined

  constructor(
    readonly clock: Clock,
    /** Makes the next look see what others wrote; absent where there are no others. */
    readonly refresh: (() => void) | undefined,
  ) {}

  /** Calls `wake` once, when `changed` may have become true; the result takes that back. */
  wait(topic: number, changed: () => boolean, wake: () => void): Cancel {
    const waiter = { topic, changed, wake }
    this.#waiters.add(waiter)
    this.#lookLater()
    return () => void this.#waiters.delete(waiter)
  }

  /** Something was written under this topic, by this process. */
  beat(topic: number): void {
    for (const waiter of this.#waiters) if (waiter.topic === topic) this.#wake(waiter)
  }

  #wake(waiter: Waiter): void {
    this.#waiters.delete(waiter)
    waiter.wake()
  }

  #lookLater(): void {
    if (this.refresh === undefined || this.#looking !== undefined) return
    this.#looking = this.clock.after(LOOK_MS, () => {
      this.#looking = undefined
      if (this.#waiters.size === 0) return
      this.refresh?.()
      for (const waiter of this.#waiters) if (hasChanged(waiter)) this.#wake(waiter)
      if (this.#waiters.size > 0) this.#lookLater()
    })
  }

  /** Wakes everybody: whoever waits finds the end by itself. */
  close(): void {
    this.#looking?.()
    this.#looking = undefined
    for (const waiter of this.#waiters) this.#wake(waiter)
  }
}

/** What cannot be looked at has changed: whoever waits looks too, and there the error is somebody's. */
function hasChanged({ changed }: Waiter): boolean {
  try {
    return changed()
  } catch {
    return true
  }
}
