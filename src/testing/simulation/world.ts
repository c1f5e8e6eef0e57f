/** One seed: a clock, a server, faults drawn for it, and processes that reach the server through them. */
import type { Ports } from '../../log/ports.js'
import { silent } from '../../telemetry/events.js'
import type { Tell } from '../../telemetry/events.js'
import { SimChance } from './chance.js'
import { SimClock } from './clock.js'
import { Faults, NO_FAULTS } from './faults.js'
import type { Shares, Spans } from './faults.js'
import type { Ground } from './link.js'
import { portsOf } from './ports.js'
import type { SimPorts } from './ports.js'
import { SimProcess } from './process.js'
import { SimServer } from './server.js'
import type { StoredStream } from './stored-stream.js'
import { Trace } from './trace.js'

export interface WorldOptions {
  readonly seed: number
  readonly shares: Shares
  readonly spans: Spans
  /** What a stream is called in the trace and in the names of places: `ledger`, `output`. */
  readonly label: (stream: string) => string
  /** Keeps the lines of the trace, not only its hash. */
  readonly keepLines: boolean
  /** The largest record that the log takes. Default 1 MiB. */
  readonly recordBytesMax?: number
}

/** A process and its way to the log. */
export interface Running {
  readonly process: SimProcess
  readonly ports: SimPorts
}

/** How often a server that starts again has some of what was purged from a stream. */
const REVIVED_SHARE = 0.5

export class World {
  readonly clock = new SimClock()
  readonly trace: Trace
  readonly server: SimServer
  readonly faults: Faults
  /** How often a process died at each place. */
  readonly crashes = new Map<string, number>()
  readonly #ground: Ground
  readonly #running = new Set<Running>()
  readonly #purges: SimChance

  constructor(readonly options: WorldOptions) {
    const { seed, shares, spans, label, keepLines, recordBytesMax = 1024 * 1024 } = options
    this.trace = new Trace(() => this.clock.elapsed(), keepLines)
    this.server = new SimServer(this.clock, this.chance('server'))
    this.faults = new Faults(this.chance('faults'), shares, spans)
    this.#purges = this.chance('purges')
    this.#ground = {
      ...{ clock: this.clock, chance: this.chance('ways'), server: this.server, faults: this.faults },
      ...{ trace: this.trace, crashes: this.crashes, label, recordBytesMax },
    }
    this.trace.add(`seed ${seed}`)
  }

  /** Chance of its own for a part of the simulation. */
  chance(part: string): SimChance {
    return new SimChance(this.options.seed, part)
  }

  /** Starts a process whose requests meet the faults of the seed. */
  start(name: string, tell: Tell, rate = 1): Running {
    const process = new SimProcess(name, this.clock, this.options.seed, rate)
    const running = { process, ports: portsOf(this.#ground, process, tell) }
    this.#running.add(running)
    process.onDeath(() => this.#running.delete(running))
    return running
  }

  /** A link for the simulation itself, which nothing befalls. */
  outside(name: string): Ports {
    const faults = new Faults(this.chance(name), NO_FAULTS, this.faults.spans)
    return portsOf({ ...this.#ground, faults }, new SimProcess(name, this.clock, this.options.seed), silent)
  }

  /** The processes that live. */
  get running(): readonly Running[] {
    return [...this.#running]
  }

  kill({ process }: Running): void {
    this.trace.add(`${process.name} is killed`)
    this.faults.land('killed')
    process.kill()
  }

  freeze({ process }: Running, ms: number): void {
    this.trace.add(`${process.name} is frozen for ${ms.toFixed(0)} ms`)
    this.faults.land('frozen')
    process.freeze(ms)
  }

  /** Cuts a process off for a while. */
  disconnect({ ports }: Running, ms: number): void {
    this.faults.land('disconnected')
    ports.link.disconnect(ms)
  }

  /** The server stops, all links break, and after a while it starts with what it had stored. */
  restart(ms: number): void {
    if (!this.server.on) return
    this.trace.add(`the server stops for ${ms.toFixed(0)} ms`)
    this.faults.land('restarted')
    this.server.stop()
    for (const { ports } of this.#running) ports.link.disconnect(ms + 50 * this.#ground.chance.fraction())
    this.clock.after(ms, () => {
      this.server.start()
      for (const [name, stored] of this.server.streams) this.#revive(name, stored)
    })
  }

  #revive(name: string, stored: StoredStream): void {
    if (!this.#purges.happens(REVIVED_SHARE)) return
    const count = stored.revive(this.#purges)
    if (count === 0) return
    this.trace.add(`${count} purged records of ${name} are there again`)
    this.faults.land('revived')
  }

  /** A stream has no leader for a while: what is asked of it gets no answer. */
  unlead(name: string, ms: number): void {
    const stored = this.server.streams.get(name)
    if (stored === undefined || stored.away) return
    this.trace.add(`${name} has no leader for ${ms.toFixed(0)} ms`)
    this.faults.land('leaderless')
    stored.away = true
    this.clock.after(ms, () => {
      stored.away = false
      stored.changed()
    })
  }

  /** A stream takes nothing for a while. */
  fill(name: string, ms: number): void {
    const stored = this.server.streams.get(name)
    if (stored === undefined || stored.full) return
    this.trace.add(`${name} is full for ${ms.toFixed(0)} ms`)
    this.faults.land('full')
    stored.full = true
    this.clock.after(ms, () => (stored.full = false))
  }

  /** The wall clock of a process jumps. */
  jump({ process }: Running, ms: number): void {
    this.trace.add(`the clock of ${process.name} jumps by ${ms.toFixed(0)} ms`)
    this.faults.land('clockJumped')
    process.jump(ms)
  }

  /** Lets time pass, until `enough` if that is sooner. False when everything stands still before. */
  async pass(ms: number, enough: () => boolean = () => false): Promise<boolean> {
    let over = false
    const cancel = this.clock.after(ms, () => (over = true))
    const done = await this.clock.run(() => over || enough())
    cancel()
    return done
  }
}
