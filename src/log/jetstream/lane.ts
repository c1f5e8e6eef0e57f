/**
 * What one stream has on its way, and whether it may send more: a bound of its own, so that a stream whose answers are long
 * in coming takes no room from the others of its link.
 */
import type { Cancel } from '../../clock.js'
import type { Position } from '../record.js'
import type { Link } from './link.js'

/** Below what newer servers queue for one stream (10,000). */
const LANE_RECORDS = 4096
const LANE_BYTES = 16 * 1024 * 1024
/** How long to hold back after the server said that nobody takes the stream's records just now. */
const HOLD_MS = 25

interface Waiting {
  readonly promise: Promise<void>
  readonly resolve: () => void
  readonly reject: (error: Error) => void
}

/** The lanes in which somebody waits for room. */
export class Lanes {
  readonly #waiting = new Set<Lane>()

  add(lane: Lane): void {
    this.#waiting.add(lane)
  }

  delete(lane: Lane): void {
    this.#waiting.delete(lane)
  }

  /** Something has changed for all of them: the link is up, or down for good, or its window has room again. */
  wake(): void {
    for (const lane of [...this.#waiting]) lane.wake()
  }
}

export class Lane {
  /** The highest position that an ack has told. */
  acked: Position = 0
  #records = 0
  #bytes = 0
  /** Set while nothing is sent, since nobody took the stream's records a moment ago. */
  #cancelHold: Cancel | undefined
  #waiting: Waiting | undefined

  constructor(
    readonly name: string,
    readonly lanes: Lanes,
    readonly link: Link,
    /** Whether the link's window takes another one. */
    readonly roomy: () => boolean,
  ) {}

  /** No more is taken, whoever sends. */
  get full(): boolean {
    return this.#records >= LANE_RECORDS
  }

  took(bytes: number): void {
    this.#records++
    this.#bytes += bytes
  }

  gave(bytes: number): void {
    this.#records--
    this.#bytes -= bytes
  }

  /** Undefined when another record may be sent, else a promise for when it may; rejects when the link has ended. */
  room(): Promise<void> | undefined {
    if (this.link.ended === undefined && this.#hasRoom()) return undefined
    this.#waiting ??= this.#wait()
    return this.#waiting.promise
  }

  /** Lets those go on who wait, if there is room now. */
  wake(): void {
    if (this.#waiting === undefined) return
    if (this.link.ended !== undefined) this.#waiting.reject(this.link.ended)
    else if (this.#hasRoom()) this.#waiting.resolve()
    else return
    this.#waiting = undefined
    this.lanes.delete(this)
  }

  /** Holds back for a moment. */
  hold(): void {
    this.#cancelHold ??= this.link.tools.clock.after(HOLD_MS, () => {
      this.#cancelHold = undefined
      this.wake()
    })
  }

  /** Half the window must be free before a full one takes more, so that a waiter wakes to a good many. */
  #hasRoom(): boolean {
    const least = this.#waiting === undefined ? 1 : 2
    const free = this.#records < LANE_RECORDS / least && this.#bytes < LANE_BYTES / least
    return free && this.link.up && this.#cancelHold === undefined && this.roomy()
  }

  #wait(): Waiting {
    let [resolve, reject]: [() => void, (error: Error) => void] = [() => {}, () => {}]
    const promise = new Promise<void>((yes, no) => ([resolve, reject] = [yes, no]))
    // Who only asks whether there is room need not hear that there never will be.
    promise.catch(() => {})
    if (this.link.ended !== undefined) reject(this.link.ended)
    else this.lanes.add(this)
    return { promise, resolve, reject }
  }
}
