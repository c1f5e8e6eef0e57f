/**
 * START HERE. The owner of one partition: it receives records, walks them through the chain in a turn, and commits what
 * comes of it; what is committed is published. Everything a record goes through is called from `#work`, in this order.
 */
import { pause, type Cancel } from '../clock.js'
import type { Batch } from '../log/log.js'
import type { LogRecord, Position } from '../log/record.js'
import { untilAnswered, type Asking } from '../log/until-answered.js'
import type { Fault, Outcome } from '../pipeline/outcome.js'
import type { Turn } from '../pipeline/turn.js'
import type { Ledger } from '../state/ledger.js'
import { UNSUSPECTED } from '../state/notes.js'
import type { Tell } from '../telemetry/events.js'
import { claimPartition, type ClaimParts, type Held } from './claim.js'
import type { Committed } from './commit.js'
import { endOf, stopped, type ActorEnd } from './end.js'
import { sayFarewell } from './farewell.js'
import { Faults } from './faults.js'
import { dueOf, Headway } from './headway.js'
import type { Input } from './input.js'
import { countLetters } from './letter-rows.js'
import { Letters, type LetterAnswer, type LettersAsked } from './letters.js'
import { isEnd, moved, type PartitionState } from './lifecycle.js'
import { LIMITS, type ActorLimits } from './limits.js'
import { Mailbox, type Delivery } from './mailbox.js'
import { Pace } from './pace.js'
import { Solo, type Seat } from './solo.js'
import { statusOf, type PartitionStatus } from './status.js'
import { isSuspect, Trial, verdictOn } from './trial.js'
import { keepVigil } from './vigil.js'
import { Waiters } from './waiters.js'

export interface ActorParts extends ClaimParts {
  readonly limits?: Partial<ActorLimits>
  /** What it shares with the other owners of its process. Absent: there are none. */
  readonly solo?: Solo
  /** Told what is walked, for who watches the process from outside. */
  readonly watch?: Watch
}

/** Hears, once for each turn, what a partition is about to walk; must cost nothing. */
export interface Watch {
  walks(source: number, first: Position, last: Position): void
  rests(): void
}

const TAKEN_LOOK_MS = 20

/** A batch on its way through the chain. */
interface Walk {
  readonly source: number
  readonly batch: Batch
  /** What of it may be processed, in order. */
  readonly records: readonly LogRecord[]
  /** Which of these comes next. */
  readonly from: number
}

export class PartitionActor {
  readonly #parts: ActorParts
  readonly #limits: ActorLimits
  readonly #mailbox: Mailbox
  readonly #ended = new AbortController()
  readonly #pace: Pace
  /** Since it holds the claim. */
  #headway: Headway | undefined
  #held: Held | undefined
  /** Since it has the claim, which is before it can work. */
  #ledger: Ledger | undefined
  #state: PartitionState = 'new'
  #error: unknown
  /** What is left of a batch of which a turn walked only the beginning. */
  #rest: Walk | undefined
  /** How many records were taken out of the mailbox and are not walked. */
  #taken = 0
  readonly #faults: Faults
  readonly #letters: Letters
  readonly #seat: Seat
  /** What is known of how owners before ended. */
  #notes = UNSUSPECTED
  /** While it is suspect. */
  #trial: Trial<Input> | undefined
  /** A record that holds the partition up: nothing after it is walked until it is tried again, or at all. */
  #hold: { readonly why: 'retry' | 'pause' | 'stop'; readonly error: unknown } | undefined
  #wait: Cancel | undefined
  #isAskedToStop = false
  /** All that it took is brought out. */
  #isDone = false
  #isNudged = false
  #waitsFor: string | undefined
  readonly #waiters = new Waiters()
  readonly #asking: Asking

  constructor(parts: ActorParts) {
    this.#parts = parts
    this.#limits = { ...LIMITS, ...parts.limits }
    this.#pace = new Pace(parts.clock)
    this.#mailbox = new Mailbox(this.#limits, () => this.#pace.recordsFor(this.#limits.groupOutputsMax))
    this.#faults = new Faults({ ...parts, rules: parts.stage.rules.onError })
    this.#asking = { clock: parts.clock, signal: this.#ended.signal, waits: error => this.#waits(error) }
    const nudge = () => this.#mailbox.nudge()
    this.#seat = (parts.solo ?? new Solo(parts.clock)).seat(nudge)
    this.#letters = new Letters({ ...parts, asking: this.#asking, seat: this.#seat, nudge })
  }

  /** Claims the partition and works on it until it has ended and reads no more. Never rejects. To be called once. */
  async run(): Promise<ActorEnd> {
    let end: ActorEnd
    try {
      const killed = new Promise<never>((_, reject) => {
        this.#ended.signal.addEventListener('abort', () => reject(this.#ended.signal.reason as Error))
      })
      await Promise.race([this.#live(), killed])
      end = this.#hold?.why === 'stop' ? { why: 'failed', error: this.#hold.error } : { why: 'stopped' }
    } catch (error) {
      end = endOf(error)
    }
    await this.#sayFarewell(end)
    this.#ended.abort(stopped())
    this.#wait?.()
    this.#letters.close()
    await this.#letGo()
    this.#move(end)
    this.#waiters.end()
    return end
  }

  /** Ends it well: nothing new is taken, the turn is finished, committed and published. */
  stop(): void {
    this.#isAskedToStop = true
    // Before it holds the claim there is nothing to bring out.
    if (this.#held === undefined) this.#ended.abort(stopped())
    else this.#mailbox.nudge()
  }

  /** Lets it go on with the record before which it is paused. */
  resume(): void {
    if (this.#hold?.why !== 'pause') return
    this.#faults.resume()
    this.#release('pause')
  }

  /**
   * Retries or drops dead letters of this partition, also while it is paused: then before the record that holds it up.
   * Undefined when it does not hold the partition. Rejects when it ends before all is done; asking again tells how far it came.
   */
  resolveLetters(asked: LettersAsked): Promise<readonly LetterAnswer[]> | undefined {
    if (this.#held === undefined || this.#ended.signal.aborted) return undefined
    return this.#letters.resolve(asked, this.#held)
  }

  /** Why it waits for a person; undefined when it does not. */
  get pausedBy(): { readonly error: unknown } | undefined {
    return this.#hold?.why === 'pause' ? this.#hold : undefined
  }

  /** Ends it at once; what was not committed is done again by the next owner. */
  kill(): void {
    this.#fail(stopped())
  }

  status(): PartitionStatus {
    const { stage, partition } = this.#parts
    const error = this.#error ?? this.#hold?.error
    return statusOf({ stage, partition, state: this.#state, held: this.#held, error })
  }

  /**
   * True when all that its sources held at the time of the call, as the leader has it, is processed and published; false
   * when it ended or was paused before. What waits for others of its writer is not waited for.
   */
  async caughtUp(): Promise<boolean> {
    while (this.#held === undefined && !this.#ended.signal.aborted) {
      await pause(this.#parts.clock, TAKEN_LOOK_MS, this.#ended.signal)
    }
    const { inputs = [] } = this.#held ?? {}
    const asked = inputs.map(input => untilAnswered(() => input.end(), this.#asking))
    const ends = await Promise.all(asked).catch((error: unknown) => {
      // What may not be asked for now may not be asked for later: nobody would ever know that it has caught up.
      if (!this.#ended.signal.aborted) this.#fail(error)
      return undefined
    })
    if (ends === undefined || this.#ended.signal.aborted) return false
    const caughtUp = this.#waiters.add(ends)
    this.#mailbox.nudge()
    return caughtUp
  }

  async #live(): Promise<void> {
    this.#move({ why: 'claiming' })
    this.#seat.claims()
    const held = await claimPartition(this.#parts, {
      ...this.#asking,
      limits: this.#limits,
      judge: (fault, passed) => this.#letters.judge(fault) ?? this.#faults.judge(fault, passed),
      claimed: (ledger, notes) => {
        this.#ledger = ledger
        this.#notes = notes
      },
      committed: committed => this.#committed(committed),
      progressed: () => this.#progressed(),
      failed: error => this.#fail(error),
    })
    // It ended meanwhile, and nobody would let go of this any more.
    if (this.#ended.signal.aborted) {
      held.turn.stop()
      return
    }
    this.#held = held
    if (isSuspect(this.#notes)) this.#trial = this.#trialOf(held)
    this.#move({ why: this.#trial === undefined ? 'running' : 'suspect' })
    this.#seat.claimed()
    const { ledgerReachMax } = this.#limits
    const failed = (error: unknown) => this.#fail(error)
    const headway = (this.#headway = this.#headwayOf(held, failed))
    keepVigil({ ...held, ...this.#asking, ledgerReachMax, headway, failed })
    for (const input of held.inputs) input.feed(this.#mailbox).catch((error: unknown) => this.#fail(error))
    await this.#work(held)
  }

  /** The road of a record: receive, turn, commit. Returns when it was asked to stop and all is brought out. */
  async #work(held: Held): Promise<void> {
    const { commit, publisher } = held
    for (;;) {
      this.#waiters.look(held, this.#hold?.why === 'pause')
      this.#letters.wake()
      const isDraining = this.#isAskedToStop || this.#hold?.why === 'stop'
      if (isDraining && this.#state !== 'draining') this.#drain(held)
      if (isDraining && commit.isIdle && publisher.backlog.records === 0) {
        if (!commit.owesNote) {
          this.#isDone = true
          return
        }
        commit.begin(true)
      }
      if (this.#trial !== undefined && !isDraining) await this.#try(this.#trial)
      // While an entry is on its way, batches come together for one large turn: the entry after it holds them all the same.
      const mayWalk = () =>
        !isDraining &&
        this.#hold === undefined &&
        this.#seat.mayWalk &&
        this.#trial?.mayWalk !== false &&
        commit.hasRoom &&
        (!commit.isWriting || this.#mailbox.isFull)
      const rest = this.#rest
      if (this.#mayResolve && !isDraining && commit.hasRoom) await this.#letters.work(held)
      else if (rest !== undefined && mayWalk()) await this.#walk(rest, held)
      else {
        const message = await this.#mailbox.receive(() => rest === undefined && mayWalk(), this.#pace.recordsMax)
        if (message.kind === 'batch') await this.#turn(message, held)
      }
      commit.begin()
      await this.#pace.breath()
    }
  }

  /** Walks one batch: what of it may be processed now, in order. */
  async #turn({ source, batch }: Delivery, held: Held): Promise<void> {
    const { inputs, turn } = held
    this.#headway?.moves()
    const records = (inputs[source] as Input).take(batch)
    this.#taken = records.length
    const waits = turn.ready(source, records)
    if (waits !== undefined)
      await untilAnswered(
        firstThen(waits, () => turn.ready(source, records)),
        this.#asking,
      )
    await this.#walk({ source, batch, records, from: 0 }, held)
  }

  /**
   * Walks on in a batch, to its end unless a turn has given enough before. Nothing is awaited between that and the commit: an
   * entry begun meanwhile would hold what the records changed, and not their outputs.
   */
  async #walk(walk: Walk, { inputs, turn, tables, commit, addTarget }: Held): Promise<void> {
    const { source, batch, records, from } = walk
    const input = inputs[source] as Input
    const pass = await this.#passOf(walk, turn, input)
    if (!this.#seat.mayWalk) await this.#seat.freed()
    let outcome = pass()
    while (outcome.opens !== undefined) {
      await addTarget(outcome.opens)
      if (!this.#seat.mayWalk) await this.#seat.freed()
      outcome = pass()
    }
    const { fault, walked, passed } = outcome
    this.#pace.ends(walked, outcome.outputs.length)
    this.#trial?.walked(input.stream, walked)
    const next = from + walked
    const left = records[next]
    input.walked(batch, records[next - 1], left?.position)
    this.#rest = left === undefined ? undefined : { ...walk, from: next }
    this.#taken = records.length - next
    this.#headway?.moves()
    for (const { fault, then } of passed) this.#tell({ type: 'partition.fault', error: fault.error, then })
    this.#faults.passed(passed.length)
    countLetters(tables, passed)
    if (fault !== undefined) this.#holdAt(fault, input)
    commit.add(outcome)
  }

  /** How a batch is walked on: to its end, or in a trial a few records or one, or past that record. */
  async #passOf({ source, records, from }: Walk, turn: Turn, input: Input): Promise<() => Outcome> {
    const record = records[from]
    const most = (record && (await this.#trial?.next(input.stream, record))) ?? Infinity
    const { watch } = this.#parts
    return () => {
      this.#pace.begins()
      if (record === undefined) return turn.walk(source, records, from, input.passed)
      if (most === 0)
        return turn.giveUp(source, record, input.passed, verdictOn(input.stream, record, this.#limits.guiltyDeaths))
      const those = from + most < records.length ? records.slice(0, from + most) : records
      watch?.walks(source, record.position, (those.at(-1) as LogRecord).position)
      try {
        return turn.walk(source, those, from, input.passed)
      } finally {
        watch?.rests()
      }
    }
  }

  /** The next record could not be processed, and is not passed over. */
  #holdAt(fault: Fault, input: Input): void {
    const { error } = fault
    const hold = this.#faults.holdOf(fault)
    this.#tell({ type: 'partition.fault', error, then: hold.why })
    this.#hold = hold.why === 'budget' ? { why: 'pause', error: hold.error } : { why: hold.why, error }
    if (this.#hold.why === 'pause') this.#move({ why: 'paused' })
    if (hold.why === 'pause') this.#trial?.excuse(input.stream, fault.record)
    if (hold.why === 'retry') this.#wait = this.#parts.clock.after(hold.waitMs, () => this.#release('retry'))
  }

  #release(why: 'retry' | 'pause'): void {
    if (this.#hold?.why !== why) return
    this.#hold = undefined
    if (this.#state === 'paused') this.#move({ why: this.#trial === undefined ? 'running' : 'suspect' })
    this.#mailbox.nudge()
  }

  /** Goes on with the trial, as far as it is our turn. */
  async #try(trial: Trial<Input>): Promise<void> {
    if (!(await trial.proceed(this.#hold?.why === 'pause'))) return
    this.#trial = undefined
    this.#notes = UNSUSPECTED
    if (this.#state === 'suspect') this.#move({ why: 'running' })
  }

  #trialOf({ ledger, commit, inputs, publisher }: Held): Trial<Input> {
    const { groupRecordsMax, mailboxRecordsMax, batchRecordsMax } = this.#limits
    return new Trial({
      ...{ notes: this.#notes, seat: this.#seat, ...this.#asking },
      // Two entries, one of them on its way, each ended by a turn over all that the mailbox had.
      recordsMax: 2 * (groupRecordsMax + mailboxRecordsMax + batchRecordsMax),
      sources: inputs,
      end: input => untilAnswered(() => input.end(), this.#asking),
      guiltyDeaths: this.#limits.guiltyDeaths,
      isIdle: () => commit.isIdle,
      isOut: () => publisher.backlogTo('sink') === 0,
      mark: notes => commit.aside(() => ledger.mark(notes)),
    })
  }

  /** Letters are walked again, but not while something else is tried, here or by another owner of the process. */
  get #mayResolve(): boolean {
    return this.#letters.waits && this.#seat.mayWalk && (this.#trial === undefined || this.#hold?.why === 'pause')
  }

  /** Tells the next owner that the process did not die, unless another one has the ledger, or nobody can trust it. */
  async #sayFarewell(end: ActorEnd): Promise<void> {
    const ledger = this.#ledger
    if (ledger !== undefined && end.why !== 'fenced' && end.why !== 'halted') {
      const notes = this.#isDone ? UNSUSPECTED : (this.#trial?.notes ?? this.#notes)
      await sayFarewell(ledger, this.#held?.commit, notes, this.#parts.clock)
    }
    this.#trial?.end()
    this.#seat.leave()
  }

  #committed(committed: Committed): void {
    this.#waitsFor = undefined
    this.#headway?.moves()
    this.#tell({ type: 'partition.committed', ...committed })
    this.#mailbox.nudge()
  }

  #drain({ inputs }: Held): void {
    this.#move({ why: 'draining' })
    for (const input of inputs) void input.stop()
  }

  /** Outputs were acknowledged: a turn may have waited for that. */
  #progressed(): void {
    this.#headway?.moves()
    if (this.#isNudged) return
    this.#isNudged = true
    queueMicrotask(() => {
      this.#isNudged = false
      this.#mailbox.nudge()
      for (const lane of this.#held?.publisher.lanes ?? []) {
        if (lane.acknowledged === 0) continue
        const { to, acknowledged: outputs } = lane
        if (to.kind === 'sink') this.#tell({ type: 'partition.written', outputs, sink: to.name })
        else this.#tell({ type: 'partition.published', outputs, stream: to.name })
        lane.acknowledged = 0
      }
    })
  }

  /** Whatever it does or waits for, it ends with this. */
  #fail(error: unknown): void {
    this.#mailbox.kill(error)
    this.#ended.abort(error)
  }

  #waits(error: Error): void {
    this.#headway?.moves()
    if (this.#waitsFor === error.message) return
    this.#waitsFor = error.message
    this.#tell({ type: 'partition.waits', on: error.message, error })
  }

  #headwayOf({ ledger, commit, publisher }: Held, failed: (error: unknown) => void): Headway {
    const { stage, partition, clock } = this.#parts
    const due = () => {
      if (this.#hold?.why === 'retry' || this.#hold?.why === 'pause') return undefined
      // A sink that is away is waited for, and so may be all that would come behind; likewise our turn in trials.
      const isBehindSink = publisher.backlogTo('sink') > 0 && !commit.hasRoom
      const isHeldUp = isBehindSink || this.#trial?.waits === true || !this.#seat.mayWalk
      const [taken, waiting] = isHeldUp ? [0, 0] : [this.#taken, this.#mailbox.records]
      const entries = commit.isWriting ? 1 : 0
      return dueOf({ taken, waiting, entries, outputs: publisher.backlogTo('stream') })
    }
    const where = `partition ${partition} of pipeline "${stage.pipeline}"`
    return new Headway({ clock, where, due, answeredMs: () => ledger.provenMs, failed })
  }

  async #letGo(): Promise<void> {
    const { inputs = [], turn } = this.#held ?? {}
    turn?.stop()
    await Promise.allSettled(inputs.map(input => input.stop()))
  }

  #move(to: ActorEnd | { readonly why: 'claiming' | 'suspect' | 'running' | 'paused' | 'draining' }): void {
    const from = this.#state
    this.#state = moved(from, to.why)
    if ('error' in to) this.#error = to.error
    const fence = this.#held?.ledger.fence ?? 0
    this.#tell({ type: 'partition.state', from, to: this.#state, fence })
    if (isEnd(this.#state)) this.#tell({ type: 'partition.ended', ...(to as ActorEnd) })
  }

  #tell(event: OfPartition): void {
    const { stage, partition, tell } = this.#parts
    tell({ ...event, pipeline: stage.pipeline, stage: stage.index, partition })
  }
}

type PartitionEvent = Extract<Parameters<Tell>[0], { readonly partition: number; readonly pipeline: string }>
/** What is told of a partition, but for which it is. */
export type OfPartition = PartitionEvent extends infer E
  ? E extends unknown
    ? Omit<E, 'pipeline' | 'stage' | 'partition'>
    : never
  : never

/** Asks by what is asked already, then anew. */
function firstThen(waits: Promise<void>, ask: () => Promise<void> | undefined): () => Promise<void> {
  // Who is stopped before does not wait for it.
  waits.catch(() => {})
  let first: Promise<void> | undefined = waits
  return async () => {
    const asked = first ?? ask()
    first = undefined
    await asked
  }
}
