/**
 * A process of a simulation: what runs in it sees time, chance and the log only through it. So it can be killed, and
 * nothing that runs in it is heard of again, or made to stand still, and finds on waking that the world went on.
 */
import type { Cancel, Chance, Clock } from '../../clock.js'
import type { SimClock } from './clock.js'
import { SimChance } from './chance.js'

export class SimProcess {
  readonly chance: Chance
  readonly clock: Clock
  #alive = true
  #frozen = 0
  /** Its wall clock is off by this. */
  #offMs = 0
  #held: (() => void)[] = []
  readonly #atDeath: (() => void)[] = []

  constructor(
    readonly name: string,
    readonly world: SimClock,
    seed: number,
    /** How fast its clocks run. */
    readonly rate = 1,
  ) {
    this.chance = new SimChance(seed, `process ${name}`)
    this.clock = {
      now: () => world.now() + this.#offMs,
      elapsed: () => world.elapsed() * rate,
      after: (ms, then) => this.#after(ms, then),
      soon: then => void this.#after(0, then),
    }
  }

  get alive(): boolean {
    return this.#alive
  }

  get frozen(): boolean {
    return this.#frozen > 0
  }

  #after(ms: number, then: () => void): Cancel {
    let cancelled = false
    const cancel = this.world.after(ms / this.rate, () =>
      this.deliver(() => {
        if (!cancelled) then()
      }),
    )
    return () => {
      cancelled = true
      cancel()
    }
  }

  /** Lets something from outside reach it: now, on waking, or never. */
  deliver(then: () => void): void {
    if (!this.#alive) return
    if (this.frozen) this.#held.push(then)
    else then()
  }

  /** It is gone, between two instructions. Idempotent. */
  kill(): void {
    if (!this.#alive) return
    this.#alive = false
    this.#held = []
    for (const then of this.#atDeath.splice(0)) then()
  }

  onDeath(then: () => void): void {
    this.#atDeath.push(then)
  }

  /** It stands still for `ms`. What it has sent is on its way; what comes for it waits. */
  freeze(ms: number): void {
    if (!this.#alive) return
    this.#frozen++
    this.world.after(ms, () => {
      if (--this.#frozen > 0) return
      const held = this.#held
      this.#held = []
      // Each is an event of its own, so that what one brings about runs before the next.
      for (const then of held) this.world.after(0, () => this.deliver(then))
    })
  }

  /** Its wall clock jumps. */
  jump(ms: number): void {
    this.#offMs += ms
  }
}
