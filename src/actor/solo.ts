/**
 * What the owners of one process owe each other while records are tried: one of them at a time tries its own, in the
 * order in which they asked, and at the decisive moment none of the others walks anything.
 */
import type { Cancel, Clock } from '../clock.js'

/** A claim that takes longer is not waited for: its log may be away for hours. */
const CLAIM_MS = 10_000

/** One for each process. */
export class Solo {
  readonly #clock: Clock
  readonly #seats = new Set<Seat>()
  readonly #claiming = new Set<Seat>()
  /** Who waits for the slot, the first one first. */
  readonly #asked = new Set<Seat>()
  #holder: Seat | undefined
  #alone: Seat | undefined
  /** Who waits until nobody is alone. */
  #waiting: (() => void)[] = []

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** A place for an owner. `wake` is called whenever it may do what it might not do before. */
  seat(wake: () => void): Seat {
    return new Seat(this, wake)
  }

  /** An owner begins to claim. */
  claims(seat: Seat): Cancel {
    this.#seats.add(seat)
    this.#claiming.add(seat)
    return this.#clock.after(CLAIM_MS, () => this.claimed(seat))
  }

  claimed(seat: Seat): void {
    this.#claiming.delete(seat)
    this.#look()
  }

  ask(seat: Seat): void {
    this.#asked.add(seat)
    this.#look()
  }

  holds(seat: Seat): boolean {
    return this.#holder === seat
  }

  isWanted(): boolean {
    return this.#asked.size > 0
  }

  mayWalk(seat: Seat): boolean {
    return this.#alone === undefined || this.#alone === seat
  }

  setAlone(seat: Seat, isAlone: boolean): void {
    if (isAlone) this.#alone = seat
    else if (this.#alone === seat) {
      this.#alone = undefined
      for (const go of this.#waiting.splice(0)) go()
      for (const other of this.#seats) if (other !== seat) other.wake()
    }
  }

  async freed(seat: Seat): Promise<void> {
    while (!this.mayWalk(seat)) await new Promise<void>(go => this.#waiting.push(go))
  }

  give(seat: Seat): void {
    this.setAlone(seat, false)
    this.#asked.delete(seat)
    if (this.#holder === seat) this.#holder = undefined
    this.#look()
  }

  leave(seat: Seat): void {
    this.#seats.delete(seat)
    this.#claiming.delete(seat)
    this.give(seat)
  }

  /** The slot goes to the next, unless somebody claims: what it reads may be more than the process can hold. */
  #look(): void {
    if (this.#holder !== undefined || this.#claiming.size > 0) return
    const [next] = this.#asked
    if (next === undefined) return
    this.#asked.delete(next)
    this.#holder = next
    next.wake()
  }
}

/** What one owner has of it. */
export class Seat {
  readonly wake: () => void
  readonly #solo: Solo
  #cancel: Cancel = () => {}
  /** What its owner had begun may go on for a while, and must not take what nobody gives back. */
  #hasLeft = false

  constructor(solo: Solo, wake: () => void) {
    this.#solo = solo
    this.wake = wake
  }

  /** Its owner begins, and reads what it has to. */
  claims(): void {
    this.#cancel = this.#solo.claims(this)
  }

  /** Its owner has read it. */
  claimed(): void {
    this.#cancel()
    this.#solo.claimed(this)
  }

  /** Asks for the slot, behind all who did before. */
  ask(): void {
    if (!this.#hasLeft) this.#solo.ask(this)
  }

  get holds(): boolean {
    return this.#solo.holds(this)
  }

  /** Somebody waits for the slot. */
  get isWanted(): boolean {
    return this.#solo.isWanted()
  }

  /** Nobody else is to be alone. */
  get mayWalk(): boolean {
    return this.#solo.mayWalk(this)
  }

  /** Resolves when that is so. */
  freed(): Promise<void> {
    return this.#solo.freed(this)
  }

  /** From now on, or no longer, the others begin no turn. Only for who holds the slot. */
  setAlone(isAlone: boolean): void {
    if (!this.#hasLeft) this.#solo.setAlone(this, isAlone)
  }

  /** Gives the slot back, or asks for it no more. */
  give(): void {
    this.#solo.give(this)
  }

  /** Its owner has ended, whatever way. */
  leave(): void {
    this.#hasLeft = true
    this.#cancel()
    this.#solo.leave(this)
  }
}
