/**
 * The course of one seed, whatever the pipelines are: owners claim, die, freeze and are fenced while the log misbehaves;
 * then all heals, and everything must come out in time.
 */
import type { Stage } from '../../pipeline/plan.js'
import { SimChance } from './chance.js'
import { Nemesis } from './nemesis.js'
import { Owners } from './owners.js'
import type { Owner } from './owners.js'
import type { Swarm } from './swarm.js'
import { World } from './world.js'

export interface CourseParts {
  readonly seed: number
  readonly swarm: Swarm
  /** What runs; may draw from a chance of its own. */
  readonly stages: (world: World) => readonly Stage[]
  readonly keepLines: boolean
  /** What a stream is called in the trace and in the names of places. */
  readonly label: (stream: string) => string
  /** How much must befall it, or it proves nothing. */
  readonly least: { readonly claims: number; readonly faults: number }
}

interface Seat {
  readonly stage: Stage
  readonly partition: number
}

/** How long everything may take when all is well again. */
const LIVENESS_MS = 600_000
/** How long the others work on when one has halted. */
const HALTED_MS = 20_000
/** At the least. */
const BLOWS = 14
/** After the log has broken its promises. */
const BLOWS_AFTER = 5

export class Course {
  readonly chance: SimChance
  readonly world: World
  readonly stages: readonly Stage[]
  readonly owners: Owners
  /** What went wrong on the way. */
  readonly findings: string[] = []
  readonly #parts: CourseParts
  readonly #nemesis: Nemesis
  readonly #caughtUp = new Map<Owner, boolean>()

  constructor(parts: CourseParts) {
    const { seed, swarm, keepLines, label } = parts
    const { shares, spans } = swarm
    this.#parts = parts
    this.chance = new SimChance(seed, 'course')
    const recordBytesMax = this.chance.happens(0.3) ? 1500 : 1024 * 1024
    this.world = new World({ seed, shares, spans, label, keepLines, recordBytesMax })
    if (swarm.mode === 'blind') this.world.server.quirks.blindMs = 15
    this.stages = parts.stages(this.world)
    const clockRate = this.chance.pick([0, 0.01])
    const [bytesMin, bytesMore] = [500, 2000]
    const { world, stages } = this
    this.owners = new Owners({
      world,
      limits: {
        // Owners are overtaken so often here, and amid a record, that their ends say nothing about it.
        guiltyDeaths: Infinity,
        batchRecordsMax: this.chance.pick([3, 8, 512]),
        mailboxRecordsMax: this.chance.pick([4, 512]),
        backlogRecordsMax: this.chance.pick([8, 2048]),
        ...this.chance.pick([
          {},
          { ledgerSpareBytes: bytesMin, purgeBytes: bytesMin },
          { ledgerSpareBytes: bytesMore, purgeBytes: bytesMore },
        ]),
      },
      rate: () => 1 + clockRate * (2 * this.chance.fraction() - 1),
      found: what => this.findings.push(what),
    })
    this.#nemesis = new Nemesis({ world, stages, swarm, owners: this.owners, chance: world.chance('nemesis') })
  }

  /** Waits in simulated time. */
  async within<T>(promise: Promise<T>): Promise<T> {
    let done = false
    const settled = () => void (done = true)
    promise.then(settled, settled)
    await this.world.clock.run(() => done)
    return promise
  }

  /** Blow after blow, until enough has happened. `breach` is called once, when it has, and some blows follow. */
  async befall(breach?: () => void): Promise<void> {
    const { world, chance, owners } = this
    const { everyMs } = this.#parts.swarm
    for (let i = 0; i < 3; i++) owners.launch()
    const blows = BLOWS + chance.whole(8)
    const strike = async () => {
      await world.pass(everyMs * 2 * chance.fraction())
      this.#nemesis.strike()
    }
    this.#nemesis.claim()
    for (let blow = 0; blow < blows || (this.#isCalm && blow < 50 * blows); blow++) {
      if (blow < blows) await strike()
      else {
        await world.pass(everyMs * 2 * chance.fraction())
        // Whom nothing befalls any more proves nothing, nor who is never there.
        if (owners.claims < this.#parts.least.claims || blow % 2 === 0) this.#nemesis.claim()
        else this.#nemesis.harm()
      }
    }
    if (breach !== undefined) {
      breach()
      for (let blow = 0; blow < BLOWS_AFTER; blow++) await strike()
    }
    world.faults.heal()
  }

  /** Too little has happened to prove anything. */
  get #isCalm(): boolean {
    const { claims, faults } = this.#parts.least
    // What has halted proves something by that.
    if (this.owners.broken.length > 0) return false
    return this.owners.claims < claims || this.world.faults.total < faults
  }

  /**
   * Whoever is needed is started, and everything must come out: `isOut` says whether all outputs are there that must
   * come. Then the owners are stopped, and all who stand still wake up.
   */
  async settle(isOut: () => boolean): Promise<void> {
    const { world, owners } = this
    const healed = world.clock.elapsed()
    const seats = this.stages.flatMap(stage =>
      Array.from({ length: stage.partitions }, (_, partition): Seat => ({ stage, partition })),
    )
    for (;;) {
      const needed = seats.filter(seat => !this.#isHalted(seat))
      for (const { stage, partition } of needed) {
        if (owners.of(stage, partition).every(one => one.running.process.frozen)) {
          owners.own(owners.launch(), stage, partition)
        }
      }
      await world.pass(500)
      const passed = world.clock.elapsed() - healed
      if (needed.length < seats.length) {
        // What halted is waited for by the others in vain.
        if (needed.length === 0 || passed > HALTED_MS) return
      } else if (isOut() && (await this.#areCaughtUp(seats))) break
      if (passed > LIVENESS_MS) {
        this.#tellNotLive()
        return
      }
    }
    // Whoever stands still wakes up, and what is on its way arrives.
    await world.pass(LIVENESS_MS, () => world.running.every(({ process }) => !process.frozen))
    const { lateMs, timeoutMs } = this.#parts.swarm.spans
    await world.pass(2 * lateMs + timeoutMs + 2000)
    await this.#stop(seats)
  }

  #isHalted({ stage, partition }: Seat): boolean {
    return this.owners.broken.some(one => one.stage === stage && one.partition === partition)
  }

  #tellNotLive(): void {
    this.findings.push(`not live: not all is out after ${LIVENESS_MS / 60_000} minutes without faults`)
    for (const { actor, running, end } of this.owners.all) {
      if (end === undefined) this.world.trace.add(`${running.process.name}: ${JSON.stringify(actor.status())}`)
    }
  }

  /** Asks each owner once, and again when it says no. */
  async #areCaughtUp(seats: readonly Seat[]): Promise<boolean> {
    for (const { stage, partition } of seats) {
      for (const owner of this.owners.of(stage, partition)) {
        if (owner.running.process.frozen || this.#caughtUp.has(owner)) continue
        this.#caughtUp.set(owner, false)
        void owner.actor.caughtUp().then(is => (is ? this.#caughtUp.set(owner, true) : this.#caughtUp.delete(owner)))
      }
    }
    const areCaughtUp = () =>
      seats.every(({ stage, partition }) =>
        this.owners.of(stage, partition).some(owner => this.#caughtUp.get(owner) === true),
      )
    await this.world.pass(1000, areCaughtUp)
    return areCaughtUp()
  }

  async #stop(seats: readonly Seat[]): Promise<void> {
    const working = seats.flatMap(({ stage, partition }) => this.owners.of(stage, partition))
    for (const { actor } of working) actor.stop()
    await this.world.pass(30_000, () =>
      working.every(({ end, running }) => end !== undefined || !running.process.alive),
    )
    for (const { end, running, partition } of working) {
      if (end === undefined && running.process.alive)
        this.findings.push(`${running.process.name} did not stop partition ${partition} in 30 s`)
    }
  }
}
