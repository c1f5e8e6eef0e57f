/** What befalls the processes and the server as a whole, at moments drawn from the seed. */
import type { SimChance } from './chance.js'
import type { Owners } from './owners.js'
import type { Stage } from '../../pipeline/plan.js'
import type { Swarm } from './swarm.js'
import type { Running, World } from './world.js'

export interface NemesisParts {
  readonly world: World
  readonly owners: Owners
  readonly stages: readonly Stage[]
  readonly swarm: Swarm
  readonly chance: SimChance
}

const HOUR_MS = 3_600_000

type Weights = readonly (readonly [blow: () => void, weight: number])[]

export class Nemesis {
  readonly #parts: NemesisParts
  /** How often each blow falls, in comparison: some seeds have much of one and none of another. */
  readonly #weights: Weights

  constructor(parts: NemesisParts) {
    this.#parts = parts
    const weight = (most: number) => (parts.chance.happens(0.7) ? most * parts.chance.fraction() : 0)
    this.#weights = [
      [() => this.claim(), 6],
      [() => this.#kill(), weight(3)],
      [() => this.#freeze(), weight(4)],
      [() => this.#stop(), weight(2)],
      [() => this.#cut(), weight(3)],
      [() => this.#restart(), weight(1.5)],
      [() => this.#unlead(), weight(2)],
      [() => this.#fill(), weight(1)],
      [() => this.#jump(), weight(1)],
    ]
  }

  strike(): void {
    this.#drawn(this.#weights)()
  }

  /** Likewise, but no mere claim. */
  harm(): void {
    const [, ...harms] = this.#weights
    this.#drawn(harms)()
  }

  #drawn(weights: Weights): () => void {
    const { chance } = this.#parts
    let at = chance.fraction() * weights.reduce((sum, [, weight]) => sum + weight, 0)
    for (const [blow, weight] of weights) {
      if (at < weight) return blow
      at -= weight
    }
    return () => this.#kill()
  }

  /** Some process is to own some partition, whoever does now. */
  claim(): void {
    const { owners, stages, chance, world } = this.#parts
    const stage = chance.pick(stages)
    const partition = chance.whole(stage.partitions)
    const busy = new Set(owners.of(stage, partition).map(one => one.running))
    const free = world.running.filter(one => !busy.has(one) && !one.process.frozen)
    owners.own(free.length > 0 && chance.happens(0.7) ? chance.pick(free) : owners.launch(), stage, partition)
  }

  #any(): Running | undefined {
    const { world, chance } = this.#parts
    return world.running.length === 0 ? undefined : chance.pick(world.running)
  }

  #kill(): void {
    const running = this.#any()
    if (running !== undefined) this.#parts.world.kill(running)
  }

  #freeze(): void {
    const { chance, swarm, world } = this.#parts
    const running = this.#any()
    if (running !== undefined) world.freeze(running, chance.between(...swarm.spans.frozenMs))
  }

  #stop(): void {
    const { owners, chance } = this.#parts
    const working = owners.all.filter(one => one.end === undefined && one.running.process.alive)
    if (working.length === 0) return
    const owner = chance.pick(working)
    owner.running.process.deliver(() => owner.actor.stop())
  }

  #cut(): void {
    const { chance, swarm, world } = this.#parts
    const running = this.#any()
    if (running !== undefined) world.disconnect(running, chance.between(...swarm.spans.awayMs))
  }

  #restart(): void {
    const { chance, world, swarm } = this.#parts
    // Now and then for longer than ids are known.
    world.restart(chance.happens(0.15) ? swarm.windowMs * chance.between(1, 1.5) : chance.between(50, 2000))
  }

  #unlead(): void {
    const { chance, world } = this.#parts
    world.unlead(chance.pick([...world.server.streams.keys()]), chance.between(200, 7000))
  }

  #fill(): void {
    const { chance, world } = this.#parts
    world.fill(chance.pick([...world.server.streams.keys()]), chance.between(100, 3000))
  }

  #jump(): void {
    const { chance, world } = this.#parts
    const running = this.#any()
    if (running !== undefined) world.jump(running, chance.between(-HOUR_MS, HOUR_MS))
  }
}
