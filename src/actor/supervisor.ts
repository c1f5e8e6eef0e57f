/**
 * Keeps one partition at work: runs its actor, and when that ends though nobody asked it to, says by the class of the
 * error what comes next. Another actor begins from the ledger, or a person is waited for, or the partition has ended.
 */
import { pause } from '../clock.js'
import { messageOf, StreamNodeError } from '../errors.js'
import type { Event } from '../telemetry/events.js'
import type { Fallen, Family, Sibling } from './family.js'
import { Intensity } from './intensity.js'
import type { LetterAnswer, LettersAsked } from './letters.js'
import { isEnd, moved, type PartitionState } from './lifecycle.js'
import { PartitionActor, type ActorParts, type OfPartition } from './partition-actor.js'
import type { ActorEnd } from './end.js'
import type { PartitionStatus } from './status.js'

/** What is supervised. */
export type Actor = Pick<
  PartitionActor,
  'run' | 'stop' | 'kill' | 'resume' | 'status' | 'caughtUp' | 'pausedBy' | 'resolveLetters'
>

export interface SupervisedParts extends ActorParts {
  /** The partitions of its pipeline, which it joins. */
  readonly family: Family
  /** Makes an actor. Absent: a `PartitionActor`. */
  readonly make?: (parts: ActorParts) => Actor
}

/** Who takes it down, and when all are down that are to begin together. */
interface Downfall {
  readonly by: Fallen
  readonly begun: Promise<void>
}

const STOPPED: ActorEnd = { why: 'stopped' }

export class Supervised implements Sibling {
  readonly stage: number
  readonly partition: number
  readonly #parts: SupervisedParts
  readonly #intensity: Intensity
  readonly #asked = new AbortController()
  #state: PartitionState = 'new'
  /** At work; undefined between two, and in the end. */
  #actor: Actor | undefined
  /** Until the actor has ended. */
  #life: Promise<unknown> = Promise.resolve()
  /** Since when the actor holds the claim. */
  #wellSinceMs: number | undefined
  /** How the last actor stood when it ended. */
  #stood: PartitionStatus
  #restarts = 0
  #last: { readonly error: unknown } | undefined
  #paused: { readonly error: unknown; readonly go: () => void } | undefined
  #downfall: Downfall | undefined
  /** Who waits for another state. */
  #waiting: (() => void)[] = []

  constructor(parts: SupervisedParts) {
    const { stage, partition, family } = parts
    this.stage = stage.index
    this.partition = partition
    this.#parts = parts
    this.#intensity = new Intensity({ ...parts, rules: stage.rules.supervise })
    this.#actor = this.#made()
    this.#stood = this.#actor.status()
    family.join(this)
  }

  /** Works on the partition until it has ended for good. Never rejects. To be called once. */
  async run(): Promise<ActorEnd> {
    let end = await this.#lived()
    while (this.#mayGoOn(end) && (await this.#between(end))) {
      end = this.#isAsked ? STOPPED : await this.#begunAnew()
    }
    this.#move(end.why)
    this.#tell({ type: 'partition.ended', ...end })
    return end
  }

  /** Ends it well: at once where nothing is at work, else as the actor does. */
  stop(): void {
    this.#asked.abort()
    this.#actor?.stop()
  }

  /** Ends it at once. */
  kill(): void {
    this.#asked.abort()
    this.#actor?.kill()
  }

  /** Lets it go on when it is paused, whether before a record or because it ended too often. */
  resume(): void {
    if (this.#actor !== undefined) return this.#actor.resume()
    const paused = this.#paused
    // Whoever asks right after this finds it on its way.
    this.#paused = undefined
    paused?.go()
  }

  /** Why it waits for a person; undefined when it does not. */
  get pausedBy(): { readonly error: unknown } | undefined {
    return this.#actor === undefined ? this.#paused : this.#actor.pausedBy
  }

  /** As the actor does; undefined when none is at work. */
  resolveLetters(asked: LettersAsked): Promise<readonly LetterAnswer[]> | undefined {
    return this.#actor?.resolveLetters(asked)
  }

  status(): PartitionStatus {
    return {
      ...(this.#actor?.status() ?? this.#stood),
      ...{ state: this.#state, restarts: this.#restarts },
      ...(this.#last !== undefined && { lastError: messageOf(this.#last.error) }),
    }
  }

  /**
   * True when all that its sources held at the time of the call is processed and published, however often it was started
   * again meanwhile; false when it ended or was paused before.
   */
  async caughtUp(): Promise<boolean> {
    for (;;) {
      const actor = this.#actor
      if (actor !== undefined) {
        if (await actor.caughtUp()) return true
        if (actor.pausedBy !== undefined) return false
        // Else it has ended, or is about to.
        if (this.#actor === actor) await this.#life
      } else {
        if (this.#paused !== undefined || isEnd(this.#state)) return false
        await new Promise<void>(resolve => this.#waiting.push(resolve))
      }
    }
  }

  async takeDown(by: Fallen, begun: Promise<void>): Promise<void> {
    if (this.#actor === undefined || this.#downfall !== undefined || this.#isAsked) return
    // It has just begun anew, and a claim of its own on the way would shut out the one after it.
    if (this.#wellSinceMs === undefined) return
    this.#downfall = { by, begun }
    this.#actor.kill()
    await this.#life
  }

  get #isAsked(): boolean {
    return this.#asked.signal.aborted
  }

  #made(): Actor {
    const { make = actorOf } = this.#parts
    return make({ ...this.#parts, isRestart: this.#restarts > 0, tell: event => this.#heard(event) })
  }

  #begunAnew(): Promise<ActorEnd> {
    this.#restarts++
    this.#actor = this.#made()
    return this.#lived()
  }

  /** One actor, to its end. */
  #lived(): Promise<ActorEnd> {
    const actor = this.#actor as Actor
    this.#wellSinceMs = undefined
    const life = actor
      .run()
      .catch((error: unknown): ActorEnd => ({ why: 'failed', error }))
      .then(end => {
        this.#stood = { ...actor.status(), ...('error' in end && { error: messageOf(end.error) }) }
        this.#actor = undefined
        return end
      })
    this.#life = life
    return life
  }

  #mayGoOn(end: ActorEnd): boolean {
    if (this.#isAsked) return false
    return mayPass(end) || (end.why === 'stopped' && this.#downfall !== undefined)
  }

  /** From the end of one actor to the start of the next, or until it is asked to end. False when it is given up on. */
  async #between(end: ActorEnd): Promise<boolean> {
    const downfall = this.#downfall
    this.#downfall = undefined
    // One that fell before it was killed ends with its own error, and that is a fall like any.
    if (downfall !== undefined && end.why === 'stopped') {
      this.#tellRestart(downfall.by.error, 0, downfall.by)
      await this.#unlessAsked(downfall.begun)
      return true
    }
    const { error } = end as Extract<ActorEnd, { readonly error: unknown }>
    this.#last = { error }
    const waitMs = this.#intensity.ended(this.#wellMs(error))
    if (waitMs !== undefined) {
      this.#tellRestart(error, waitMs)
      await pause(this.#parts.clock, waitMs, this.#asked.signal)
    } else if (this.#parts.stage.rules.supervise.then === 'stop') return false
    else await this.#untilResumed(error)
    if (!this.#isAsked) await this.#unlessAsked(this.#parts.family.restart(this, error))
    return true
  }

  async #untilResumed(error: unknown): Promise<void> {
    const resumed = new Promise<void>(go => (this.#paused = { error, go }))
    this.#move('paused')
    this.#tell({ type: 'partition.paused', error, restarts: this.#restarts })
    await this.#unlessAsked(resumed)
    this.#paused = undefined
    if (this.#isAsked) return
    this.#intensity.resume()
    this.#move('restarting')
  }

  /** How long the actor that ended was in health. One that got nowhere was not. */
  #wellMs(error: unknown): number {
    if (this.#wellSinceMs === undefined || (error instanceof StreamNodeError && error.code === 'STUCK')) return 0
    return this.#parts.clock.elapsed() - this.#wellSinceMs
  }

  #unlessAsked(work: Promise<unknown>): Promise<void> {
    // Whoever is told what happens may ask it in that moment.
    if (this.#isAsked) return Promise.resolve()
    const { signal } = this.#asked
    return new Promise(resolve => {
      const done = () => {
        signal.removeEventListener('abort', done)
        resolve()
      }
      signal.addEventListener('abort', done)
      void work.then(done)
    })
  }

  /** What the actor tells. Whether its end is that of the partition is said here. */
  #heard(event: Event): void {
    if (event.type === 'partition.ended') return
    if (event.type !== 'partition.state') return this.#parts.tell(event)
    const to = event.to as PartitionState
    if (isEnd(to)) return
    if (to === 'running' || to === 'suspect') this.#wellSinceMs ??= this.#parts.clock.elapsed()
    this.#move(to, event.fence)
  }

  #tellRestart(error: unknown, waitMs: number, by?: Fallen): void {
    this.#move('restarting')
    const along = by && { with: { stage: by.stage, partition: by.partition } }
    this.#tell({ type: 'partition.restarting', error, waitMs, restarts: this.#restarts + 1, ...along })
  }

  #move(to: PartitionState, fence = this.#stood.fence): void {
    const from = this.#state
    this.#state = moved(from, to)
    this.#tell({ type: 'partition.state', from, to, fence })
    for (const go of this.#waiting.splice(0)) go()
  }

  #tell(event: OfPartition): void {
    const { stage, partition, tell } = this.#parts
    tell({ ...event, pipeline: stage.pipeline, stage: stage.index, partition })
  }
}

const actorOf = (parts: ActorParts): Actor => new PartitionActor(parts)

/** By name too: a program may have another copy of the package than the command that runs it. */
const LASTING: ReadonlySet<string> = new Set(['DefinitionError', 'RecordError'])

/**
 * Whether another actor may do better. None does at a definition, or at a record that its pipeline is to stop at. What is
 * halted waits for a person who has looked at the log, and what was fenced has another owner.
 */
export function mayPass(end: ActorEnd): boolean {
  return end.why === 'failed' && !(end.error instanceof Error && LASTING.has(end.error.name))
}
