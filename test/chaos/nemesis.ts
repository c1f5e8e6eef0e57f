/**
 * What befalls nodes, links and the server, one blow after the other. A blow counts as landed only when it struck what
 * it was meant for: a node at work that died of it or stood still, a link that carried something, a server that was up
 * and came back.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import type { SimChance } from '../../src/testing/simulation/chance.js'
import type { BadLink } from '../link.js'
import type { TestServer } from '../nats-server/server.js'
import type { Crew } from './crew.js'
import type { Judge } from './judge.js'
import type { ChaosNode } from './node.js'

export type Blow = 'kill' | 'freeze' | 'cut' | 'server'

/** What a log server has that a folder has not. */
export interface Ways {
  readonly server: TestServer
  /** Between the nodes and the server. */
  readonly nodes: BadLink
  /** Between the publisher and the server. */
  readonly publisher: BadLink
}

export interface NemesisParts {
  readonly chance: SimChance
  readonly crew: Crew
  readonly judge: Judge
  readonly ways?: Ways
}

/** How a link is harmed, for how long at the most, and whether it has to be cut to be well again. */
interface Harm {
  readonly name: string
  readonly ms: number
  begin(link: BadLink, chance: SimChance): void
  end(link: BadLink): void
}

const cutOff = (link: BadLink) => link.heal()

const HARMS: readonly Harm[] = [
  { name: 'late', ms: 800, begin: (link, chance) => link.delay(chance.between(20, 300)), end: link => link.delay(0) },
  { name: 'in slices of a byte', ms: 600, begin: link => link.slice(1), end: link => link.slice(0) },
  { name: 'slow', ms: 1000, begin: (link, chance) => link.slow(chance.between(5e3, 1e5)), end: link => link.slow(0) },
  { name: 'reset', ms: 300, begin: link => link.cut(), end: link => link.cut() },
  { name: 'half open', ms: 1500, begin: link => link.swallow('both'), end: cutOff },
  { name: 'silent to the server', ms: 1500, begin: link => link.swallow('to server'), end: cutOff },
  { name: 'silent to the client', ms: 1500, begin: link => link.swallow('to client'), end: cutOff },
]
/** Now and then a link is silent for longer than it takes to notice. */
const NOTICED_MS = 4500

export class Nemesis {
  readonly landed: Record<Blow, number> = { kill: 0, freeze: 0, cut: 0, server: 0 }
  /** Of the kills, how many fell while two nodes fought for the partitions. */
  fights = 0
  /** Of the freezes, how many woke to find another in their place. */
  zombies = 0
  /** How links were harmed, and how often. */
  readonly harms = new Map<string, number>()
  /** From the server's accepting connections to the first record that was processed after it, in ms. */
  readonly backMs: number[] = []
  readonly #parts: NemesisParts
  #freezes = 0

  constructor(parts: NemesisParts) {
    this.#parts = parts
  }

  /** One blow, and then a moment in which the pipelines prove that they live. */
  async strike(blow: Blow): Promise<void> {
    const { crew, judge } = this.#parts
    const node = await crew.atWork()
    if (await this.#blow(blow, node)) this.landed[blow]++
    await crew.atWork()
    if (blow !== 'kill') await judge.firstSince(Date.now())
  }

  #blow(blow: Blow, node: ChaosNode): Promise<boolean> {
    const { chance, ways } = this.#parts
    if (ways === undefined) return this.#kill(node)
    switch (blow) {
      case 'kill':
        return chance.happens(0.3) ? this.#killInFight(node) : this.#kill(node)
      case 'freeze':
        return this.#freeze(node)
      case 'cut':
        return this.#cut(ways)
      case 'server':
        return this.#killServer(ways)
    }
  }

  async #kill(node: ChaosNode): Promise<boolean> {
    const { chance } = this.#parts
    await sleep(chance.between(0, 300))
    return this.#killed(node)
  }

  /** Another node takes the partitions over, and one of the two is killed amid that. */
  async #killInFight(node: ChaosNode): Promise<boolean> {
    const { chance, crew } = this.#parts
    const rival = crew.start()
    await sleep(chance.between(200, 1300))
    const owners = [node, rival].filter(one => crew.owns(one) && one.isAlive)
    const isKilled = await this.#killed(owners[0] ?? (await crew.atWork()))
    // It may have taken some partitions and not others.
    if (!rival.isAlive) crew.start()
    if (isKilled) this.fights++
    return isKilled
  }

  async #killed(node: ChaosNode): Promise<boolean> {
    const { chance, crew } = this.#parts
    const owned = crew.owns(node)
    const isKilled = await node.kill()
    if (chance.happens(0.5)) await sleep(chance.between(0, 200))
    if (chance.happens(0.1)) await this.#killAtStart()
    return isKilled && owned
  }

  /** One dies while it starts, which is not counted. */
  async #killAtStart(): Promise<void> {
    const { chance, crew } = this.#parts
    const node = crew.start()
    await sleep(chance.between(100, 900))
    await node.kill()
  }

  /** It stands still, for a moment or until another has taken over; then it wakes amid what it was doing. */
  async #freeze(node: ChaosNode): Promise<boolean> {
    const { chance, crew } = this.#parts
    await sleep(chance.between(0, 300))
    const isFrozen = await node.freeze()
    const isTakenOver = ++this.#freezes % 2 === 1
    if (isTakenOver) {
      crew.start()
      await crew.atWork()
      await sleep(chance.between(0, 500))
    } else await sleep(200 + 2800 * chance.fraction() ** 3)
    const stoodStill = isFrozen && node.isAlive
    node.thaw()
    if (isTakenOver) {
      await crew.mustEnd(node)
      if (stoodStill) this.zombies++
    }
    return stoodStill
  }

  async #cut({ nodes, publisher }: Ways): Promise<boolean> {
    const { chance } = this.#parts
    const links = chance.pick([[nodes], [nodes], [nodes], [publisher], [nodes, publisher]])
    const harm = chance.pick(HARMS)
    const isLong = harm.end === cutOff && chance.happens(0.15)
    const before = links.map(link => link.harmed)
    await sleep(chance.between(0, 200))
    for (const link of links) harm.begin(link, chance)
    await sleep(isLong ? NOTICED_MS : harm.ms * chance.between(0.3, 1))
    const isHarmed = links.every((link, i) => link.harmed > before[i]!)
    for (const link of links) harm.end(link)
    if (isHarmed) this.harms.set(harm.name, (this.harms.get(harm.name) ?? 0) + 1)
    return isHarmed
  }

  async #killServer({ server }: Ways): Promise<boolean> {
    const { chance, judge } = this.#parts
    await sleep(chance.between(0, 200))
    const before = server.pid
    await server.kill()
    const isGone = before !== undefined && server.pid === undefined
    await sleep(chance.between(0, 600))
    await server.restart()
    const accepts = Date.now()
    const first = await judge.firstSince(accepts)
    if (first !== undefined) this.backMs.push(first - accepts)
    const after: number | undefined = server.pid
    return isGone && after !== undefined && after !== before
  }
}
