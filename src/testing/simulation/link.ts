/**
 * The way between one process and the simulated server. Requests of one connection arrive in the order in which they
 * were sent, each may meet the faults of the seed, and the process may die or freeze at each: before it is sent, after
 * that, or when the answer comes.
 */
import { UnavailableError } from '../../errors.js'
import type { StreamNodeError } from '../../errors.js'
import type { Tell } from '../../telemetry/events.js'
import type { SimChance } from './chance.js'
import type { SimClock } from './clock.js'
import type { Faults } from './faults.js'
import type { SimProcess } from './process.js'
import type { SimServer } from './server.js'
import type { Trace } from './trace.js'

/** What a link stands on. */
export interface Ground {
  readonly clock: SimClock
  readonly chance: SimChance
  readonly server: SimServer
  readonly faults: Faults
  readonly trace: Trace
  /** Counts how often a process died at each place: `append ledger, sent`. */
  readonly crashes: Map<string, number>
  /** What a stream is to the simulation, for the names of places: `ledger`, `output`. */
  readonly label: (stream: string) => string
  /** The largest record, headers included, that the log takes. */
  readonly recordBytesMax: number
}

/** Thrown at the server where it gives no answer. */
export class NoAnswer extends Error {}

/** One request. */
export interface Request<T> {
  /** What it is, for the trace: `append ledger`. */
  readonly site: string
  /** Runs at the server when it arrives. */
  readonly arrive: () => T
  readonly answered: (answer: T) => void
  /** The answer is what the server threw. */
  readonly threw?: (error: StreamNodeError) => void
  /** There is no answer. `sent`: it may have arrived. */
  readonly failed: (error: UnavailableError, sent: boolean) => void
  /** Whether it may arrive twice or late: true of what the log knows again by its id. */
  readonly hasId?: boolean
  /** The stream that it is for, when many of its kind may be on the way at once. */
  readonly run?: string
  /** Whether it is settled by this answer, so that another copy of it must not arrive any more. */
  readonly isRefusal?: (answer: T) => boolean
  /** For the trace. */
  readonly about?: string
}

interface Flight {
  readonly failed: (error: UnavailableError, sent: boolean) => void
  readonly run: string | undefined
  landed: boolean
  /** The connection it went over is gone. */
  cut: boolean
}

export class SimLink {
  up = true
  /** Why there will be no more of it. */
  ended: UnavailableError | undefined
  readonly #flights = new Set<Flight>()
  readonly #onUp = new Set<() => void>()
  readonly #onDown = new Set<() => void>()
  /** When the last request of this connection arrives, and the last answer. */
  #arrival = 0
  #answer = 0
  /** What a change of leader takes from amid the requests that are on their way to a stream. */
  #middle: { readonly run: string; readonly first: Flight; left: number } | undefined
  #connection = 0

  constructor(
    readonly ground: Ground,
    readonly process: SimProcess,
    readonly tell: Tell,
  ) {
    process.onDeath(() => this.#cut())
  }

  /** Sends a request now. One of `answered` and `failed` is called, later, if the process lives to see it. */
  send<T>(request: Request<T>): void {
    const { process, ground } = this
    const { clock, faults, trace } = ground
    if (!process.alive) return
    if (!this.up) return this.#refuse(request)
    const crash = faults.strikes('crashed') ? ground.chance.pick(['before', 'sent', 'answered'] as const) : undefined
    if (crash === 'before') return this.#die(request.site, crash)
    const name = `${process.name} ${request.site}${request.about === undefined ? '' : ` ${request.about}`}`
    trace.add(name)
    const flight: Flight = { failed: request.failed, run: request.run, landed: false, cut: false }
    this.#flights.add(flight)
    const sentAt = clock.elapsed()
    const deadline = sentAt + faults.spans.timeoutMs
    let answerAt = Infinity

    if (this.#isInMiddle(flight) || faults.strikes('requestLost')) trace.add(`${name}: request lost`)
    else {
      answerAt = this.#onTheWay(request, flight, name, crash === 'answered')
    }
    if (answerAt > deadline) this.#timeOut(flight, request.site, deadline - sentAt)
    if (crash === 'sent') return this.#die(request.site, crash)
    if (faults.strikes('frozen')) this.#freeze()
    if (faults.strikes('disconnected')) this.disconnect(ground.chance.between(...faults.spans.awayMs))
  }

  /** Whether a change of leader loses it: some that are on their way, amid others which are stored. */
  #isInMiddle(flight: Flight): boolean {
    const { faults, chance } = this.ground
    const { run } = flight
    if (run === undefined) return false
    if (this.#middle?.run === run) {
      if (this.#middle.left-- > 0) return true
      if (!this.#middle.first.landed) faults.land('middleLost')
      this.#middle = undefined
      return false
    }
    const isUnderWay = (other: Flight) => other !== flight && other.run === run && !other.landed
    if (!faults.due('middleLost') || ![...this.#flights].some(isUnderWay)) return false
    this.#middle = { run, first: flight, left: chance.whole(8) }
    return true
  }

  /** When it will be answered, as far as can be said now. */
  #onTheWay<T>(request: Request<T>, flight: Flight, name: string, dies: boolean): number {
    const { clock, faults, chance } = this.ground
    const { latency, lateMs } = faults.spans
    const now = clock.elapsed()
    const late = () => chance.fraction() ** 3 * lateMs
    const soon = now + chance.between(...latency)
    // However often it stalls: nothing is on its way for longer than what is late at the most.
    const after = (before: number) => Math.min(Math.max(before, soon) + late(), Math.max(before, soon + lateMs))
    let arrival = Math.max(this.#arrival, soon)
    if (request.hasId === true && faults.strikes('overtaken')) arrival = after(soon)
    else {
      if (faults.strikes('stalled')) arrival = after(this.#arrival)
      this.#arrival = arrival
    }
    const replyLost = faults.strikes('replyLost')
    let back = chance.between(...latency)
    if (faults.strikes('replyLate')) back += late()
    const again = request.hasId === true && faults.strikes('repeated') ? late() : undefined
    const connection = this.#connection
    clock.after(arrival - now, () => {
      // What a broken connection still carried has arrived, or has not.
      if (flight.cut && chance.happens(0.5)) return
      const answer = this.#arrive(request, name)
      const isRefused = answer !== undefined && 'value' in answer && request.isRefusal?.(answer.value) === true
      if (again !== undefined && !isRefused) clock.after(again, () => void this.#arrive(request, `${name}, again`))
      if (answer === undefined || replyLost || flight.cut || connection !== this.#connection) {
        if (!flight.landed && !flight.cut)
          this.#timeOut(flight, request.site, now + faults.spans.timeoutMs - clock.elapsed())
        return
      }
      const at = (this.#answer = Math.max(this.#answer, clock.elapsed() + back))
      clock.after(at - clock.elapsed(), () => {
        if (flight.cut) return
        if (dies) return this.#die(request.site, 'answered')
        if (this.process.alive && faults.strikes('frozen')) this.#freeze()
        this.#land(flight, () => {
          if ('value' in answer) request.answered(answer.value)
          else request.threw?.(answer.error)
        })
      })
      if (at > now + faults.spans.timeoutMs)
        this.#timeOut(flight, request.site, now + faults.spans.timeoutMs - clock.elapsed())
    })
    return arrival
  }

  /** Undefined: no answer. */
  #arrive<T>(request: Request<T>, name: string): { value: T } | { error: StreamNodeError } | undefined {
    const { server, trace } = this.ground
    if (!server.on) return undefined
    trace.add(`-> ${name}`)
    try {
      return { value: request.arrive() }
    } catch (error) {
      return error instanceof NoAnswer ? undefined : { error: error as StreamNodeError }
    }
  }

  #land(flight: Flight, then: () => void): void {
    this.process.deliver(() => {
      if (flight.landed) return
      flight.landed = true
      this.#flights.delete(flight)
      then()
    })
  }

  #timeOut(flight: Flight, site: string, ms: number): void {
    this.ground.clock.after(ms, () =>
      this.#land(flight, () => {
        const what = `no answer to "${site}" in ${this.ground.faults.spans.timeoutMs} ms`
        flight.failed(new UnavailableError('TIMED_OUT', what, 'it may have happened; look, or try again'), true)
      }),
    )
  }

  #refuse<T>(request: Request<T>): void {
    const error = this.ended ?? disconnected()
    queueMicrotask(() => request.failed(error, false))
  }

  #die(site: string, when: string): void {
    const place = `${site}, ${when}`
    this.ground.crashes.set(place, (this.ground.crashes.get(place) ?? 0) + 1)
    this.ground.trace.add(`${this.process.name} dies at ${place}`)
    this.process.kill()
  }

  #freeze(): void {
    const ms = this.ground.chance.between(...this.ground.faults.spans.frozenMs)
    this.ground.trace.add(`${this.process.name} freezes for ${ms.toFixed(0)} ms`)
    this.process.freeze(ms)
  }

  /** A request as a promise. Rejects with what the server threw, or with an UnavailableError. */
  call<T>(site: string, arrive: () => T, about?: string): Promise<T> {
    if (this.ended !== undefined) return Promise.reject(this.ended)
    return new Promise((answered, failed) => {
      this.send({ site, arrive, answered, threw: failed, failed, ...(about !== undefined && { about }) })
    })
  }

  /** The connection breaks; a new one stands after `ms`. */
  disconnect(ms: number): void {
    // Nobody hears of it within the call that it follows.
    this.ground.clock.after(0, () => {
      if (!this.up || this.ended !== undefined || !this.process.alive) return
      this.ground.trace.add(`${this.process.name} is cut off for ${ms.toFixed(0)} ms`)
      this.#cut()
      const connection = this.#connection
      this.process.deliver(() => this.#down(disconnected()))
      this.ground.clock.after(ms, () => this.process.deliver(() => this.#reconnect(connection)))
    })
  }

  #reconnect(connection: number): void {
    if (connection !== this.#connection || this.ended !== undefined) return
    this.up = true
    this.tell({ type: 'log.reconnected', server: 'simulated' })
    for (const then of [...this.#onUp]) then()
  }

  #cut(): void {
    this.#connection++
    this.#arrival = this.#answer = this.ground.clock.elapsed()
    this.#middle = undefined
    for (const flight of this.#flights) flight.cut = true
  }

  #down(error: UnavailableError): void {
    this.up = false
    this.tell({ type: 'log.disconnected', server: 'simulated' })
    for (const flight of [...this.#flights]) {
      if (!flight.cut || flight.landed) continue
      flight.landed = true
      this.#flights.delete(flight)
      flight.failed(error, true)
    }
    for (const then of [...this.#onDown]) then()
  }

  onUp(then: () => void): () => void {
    this.#onUp.add(then)
    return () => this.#onUp.delete(then)
  }

  onDown(then: () => void): () => void {
    this.#onDown.add(then)
    return () => this.#onDown.delete(then)
  }

  /** Ends it for good. What is in flight ends now. */
  close(): void {
    if (this.ended !== undefined) return
    this.ended = new UnavailableError('CLOSED', 'the link was closed', 'open another')
    this.#cut()
    this.#down(this.ended)
  }
}

export function disconnected(): UnavailableError {
  return new UnavailableError('DISCONNECTED', 'the link to the simulated server is down', 'it comes back by itself')
}
