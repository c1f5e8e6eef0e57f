/**
 * Who owns the partitions of a pipeline in a simulation: owners in processes of their own, started beside others that
 * still work, stand still or are dead, as happens when a cluster is in doubt about who lives.
 */
import { Family } from '../../actor/family.js'
import type { ActorEnd } from '../../actor/end.js'
import type { ActorLimits } from '../../actor/limits.js'
import { Solo } from '../../actor/solo.js'
import { Supervised } from '../../actor/supervisor.js'
import { messageOf } from '../../errors.js'
import type { Stage } from '../../pipeline/plan.js'
import { Streams } from '../../stream/open.js'
import type { Event } from '../../telemetry/events.js'
import type { SimChance } from './chance.js'
import type { Running, World } from './world.js'

export interface Owner {
  readonly running: Running
  readonly stage: Stage
  readonly partition: number
  readonly actor: Supervised
  end: ActorEnd | undefined
}

export interface OwnersParts {
  readonly world: World
  readonly limits: Partial<ActorLimits>
  /** How fast the clocks of a new process run. */
  readonly rate: () => number
  /** Told what no fault of a simulation excuses. */
  readonly found: (what: string) => void
}

/** Some are started again within their process, as with a partition that fell and takes them along. */
const FALLS_SHARE = 0.3
const FALLS_MS = 10_000

export class Owners {
  readonly all: Owner[] = []
  /** How often the log accepted a claim. */
  claims = 0
  /** In which process a turn is being walked right now. */
  walker: Running | undefined
  readonly #parts: OwnersParts
  readonly #chance: SimChance
  /** What the owners of one process share. */
  readonly #solos = new Map<Running, Solo>()
  #launched = 0

  constructor(parts: OwnersParts) {
    this.#parts = parts
    this.#chance = parts.world.chance('owners')
  }

  /** Starts a process that owns nothing yet. */
  launch(): Running {
    const { world, rate } = this.#parts
    return world.start(`p${++this.#launched}`, event => this.#heard(event), rate())
  }

  /** Makes a process own a partition, whoever else does. */
  own(running: Running, stage: Stage, partition: number): Owner {
    const { world, limits } = this.#parts
    const { clock, chance, name } = running.process
    const tell = (event: Event) => this.#heard(event, running)
    const streams = new Streams(running.ports, { chance, tell, replicas: 1 })
    const family = new Family('one-for-one')
    const actor = new Supervised({
      ...{ stage, partition, ports: running.ports, streams, clock, chance, tell, replicas: 1, limits, family },
      solo: this.#soloOf(running),
      watch: { walks: () => (this.walker = running), rests: () => (this.walker = undefined) },
    })
    const owner: Owner = { running, stage, partition, actor, end: undefined }
    this.all.push(owner)
    world.trace.add(`${name} is to own partition ${partition} of ${stage.pipeline}`)
    if (this.#chance.happens(FALLS_SHARE)) {
      const by = { stage: stage.index, partition, error: new Error('another one fell') }
      clock.after(FALLS_MS * this.#chance.fraction(), () => void actor.takeDown(by, Promise.resolve()))
    }
    void actor.run().then(end => {
      if (!running.process.alive) return
      owner.end = end
      const why = 'error' in end ? `${end.why}: ${messageOf(end.error)}` : end.why
      world.trace.add(`${name} no longer owns partition ${partition} of ${stage.pipeline}: ${why}`)
    })
    return owner
  }

  #soloOf(running: Running): Solo {
    const solo = this.#solos.get(running) ?? new Solo(running.process.clock)
    this.#solos.set(running, solo)
    return solo
  }

  /** Those that work on a partition, as far as anybody can see. */
  of(stage: Stage, partition: number): Owner[] {
    return this.all.filter(
      one => one.stage === stage && one.partition === partition && one.end === undefined && one.running.process.alive,
    )
  }

  /** Those that ended because the log, the definition or we cannot be trusted. */
  get broken(): Owner[] {
    return this.all.filter(({ end }) => end?.why === 'halted' || end?.why === 'failed')
  }

  #heard(event: Event, running?: Running): void {
    const { trace } = this.#parts.world
    const who = running?.process.name ?? 'somebody'
    if (event.type === 'partition.state') {
      if (event.from === 'claiming' && (event.to === 'running' || event.to === 'suspect')) this.claims++
      trace.add(`${who}/${event.partition}: ${event.from} to ${event.to}, fence ${event.fence}`)
    } else if (event.type === 'partition.committed') {
      const { partition, number, records, outputs } = event
      trace.add(`${who}/${partition}: committed ${number}, ${records} records, ${outputs} outputs`)
    } else if (event.type === 'partition.restarting' && event.with === undefined) {
      this.#parts.found(`${who} had to start partition ${event.partition} again: ${messageOf(event.error)}`)
    } else trace.add(`${who}: ${event.type}`)
  }
}
