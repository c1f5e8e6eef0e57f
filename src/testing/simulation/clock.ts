/**
 * Virtual time: a queue of events, by time and then by the order in which they were asked for. Between two events
 * everything that is ready runs to its end, so one seed is one order of everything.
 */
import type { Cancel, Clock } from '../../clock.js'

interface Event {
  readonly at: number
  readonly order: number
  /** Undefined once it is cancelled. */
  run: (() => void) | undefined
}

/** Where `now()` begins: 2025-01-01, so that times look like times. */
const EPOCH = Date.UTC(2025, 0, 1)

/** After so many events the machine's own loop has a turn. */
const TICKS = 64

/** Asks for a microtask at less cost than `queueMicrotask`. */
const settled = Promise.resolve()

export class SimClock implements Clock {
  #elapsed = 0
  #order = 0
  #events = 0
  readonly #queue: Event[] = []

  now(): number {
    return EPOCH + this.#elapsed
  }

  elapsed(): number {
    return this.#elapsed
  }

  after(ms: number, then: () => void): Cancel {
    const event: Event = { at: this.#elapsed + Math.max(0, ms), order: this.#order++, run: then }
    this.#push(event)
    return () => (event.run = undefined)
  }

  soon(then: () => void): void {
    this.after(0, then)
  }

  /** How many events have run. */
  get events(): number {
    return this.#events
  }

  /**
   * Runs event after event until `done` holds; rejects with what an event throws. Without a next event it ends, or
   * waits for one from outside when told to. True when `done` held.
   */
  run(done: () => boolean, without: 'end' | 'wait' = 'end'): Promise<boolean> {
    return new Promise((resolve, reject) => {
      // What runs between two events may itself have asked for an immediate: without an event it looks again.
      let idle = 0
      const step = (): void => {
        try {
          if (done()) return resolve(true)
          const event = this.#pop()
          if (event !== undefined) {
            idle = 0
            this.#elapsed = event.at
            this.#events++
            event.run?.()
          } else if (without === 'end' && idle++ > 2) return resolve(false)
        } catch (error) {
          return reject(error)
        }
        // The next tick comes when all promises have run; a whole turn of the loop would cost twice as much.
        if (idle > 0 || this.#events % TICKS === 0) setImmediate(step)
        else void settled.then(() => process.nextTick(step))
      }
      setImmediate(step)
    })
  }

  #push(event: Event): void {
    const queue = this.#queue
    let at = queue.length
    queue.push(event)
    while (at > 0) {
      const parent = (at - 1) >> 1
      if (!before(event, queue[parent]!)) break
      queue[at] = queue[parent]!
      at = parent
    }
    queue[at] = event
  }

  /** The next event that was not cancelled. */
  #pop(): Event | undefined {
    for (;;) {
      const first = this.#queue[0]
      if (first === undefined) return undefined
      const last = this.#queue.pop()!
      if (last !== first) this.#sink(last)
      if (first.run !== undefined) return first
    }
  }

  #sink(event: Event): void {
    const queue = this.#queue
    let at = 0
    for (;;) {
      let child = 2 * at + 1
      if (child >= queue.length) break
      if (child + 1 < queue.length && before(queue[child + 1]!, queue[child]!)) child++
      if (!before(queue[child]!, event)) break
      queue[at] = queue[child]!
      at = child
    }
    queue[at] = event
  }
}

function before(a: Event, b: Event): boolean {
  return a.at === b.at ? a.order < b.order : a.at < b.at
}
