/**
 * START HERE. The owner of one partition: it receives records, walks them through the chain in a turn, and commits what
 * comes of it; what is committed is published. Everything a record goes through is called from `#work`, in this order.
 */
import { pause } from '../clock.js'
import { FencedError, IntegrityError, InvariantError, messageOf, UnavailableError } from '../errors.js'
import type { Batch } from '../log/log.js'
import type { LogRecord, Position } from '../log/record.js'
import { untilAnswered, type Asking } from '../log/until-answered.js'
import type { Fault, Outcome } from '../pipeline/turn.js'
import type { Tell } from '../telemetry/events.js'
import { claimPartition, type ClaimParts, type Held } from './claim.js'
import type { CommitLimits, Committed } from './commit.js'
import { Faults } from './faults.js'
import type { Input, InputLimits } from './input.js'
import { isEnd, moved, type PartitionState } from './lifecycle.js'
import { Mailbox, type Delivery, type MailboxLimits } from './mailbox.js'
import { Pace } from './pace.js'
import { keepVigil } from './vigil.js'

export interface ActorParts extends ClaimParts {
  readonly limits?: Partial<ActorLimits>
}

export interface ActorLimits extends MailboxLimits, CommitLimits, InputLimits {
  /** How many positions a ledger may reach back before it is written anew. */
  readonly ledgerReachMax: number
}

/** How it ended: as asked, by another owner, because the log or we cannot be trusted, or at a record or definition. */
export type ActorEnd =
  { readonly why: 'stopped' | 'fenced' } | { readonly why: 'halted' | 'failed'; readonly error: unknown }

/** How a partition stands. */
export interface PartitionStatus {
  readonly pipeline: string
  readonly stage: number
  readonly partition: number
  readonly state: PartitionState
  readonly fence: number
  /** The last message of the ledger. */
  readonly number: number
  /** How far each source was read. */
  readonly positions: Readonly<Record<string, Position>>
  /** How many records of its sources the log had ready when it last gave some; undefined before that. */
  readonly lag: number | undefined
  /** Outputs that are committed and not yet acknowledged. */
  readonly outbox: number
  /** Records that wait for others of their writer. */
  readonly held: number
  readonly rows: number
  readonly liveBytes: number
  readonly ledgerBytes: number
  readonly error?: string
}

const LIMITS: ActorLimits = {
  mailboxRecordsMax: 640,
  mailboxBytesMax: 1024 * 1024,
  batchRecordsMax: 320,
  batchBytesMax: 512 * 1024,
  groupRecordsMax: 1024,
  groupBytesMax: 512 * 1024,
  backlogRecordsMax: 512,
  backlogBytesMax: 4 * 1024 * 1024,
  ledgerReachMax: 500_000,
  ledgerSpareBytes: 1024 * 1024,
  purgeBytes: 1024 * 1024,
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

/** Somebody who waits until the sources are read to these ends, then until that is committed, then until it is out. */
interface Waiter {
  readonly ends: readonly Position[]
  step: 'read' | 'commit' | 'publish'
  /** The entry, or the message of the ledger, that is waited for. */
  until: number
  readonly resolve: (caughtUp: boolean) => void
}

export class PartitionActor {
  readonly #parts: ActorParts
  readonly #limits: ActorLimits
  readonly #mailbox: Mailbox
  readonly #ended = new AbortController()
  readonly #pace: Pace
  #held: Held | undefined
  #state: PartitionState = 'new'
  #error: unknown
  /** What is left of a batch of which a turn walked only the beginning. */
  #rest: Walk | undefined
  readonly #faults: Faults
  /** A record that holds the partition up: nothing after it is walked until it is tried again, or at all. */
  #hold: { readonly why: 'retry' | 'pause' | 'stop'; readonly error: unknown } | undefined
  #isAskedToStop = false
  #isNudged = false
  #waitsFor: string | undefined
  /** Who waits until all is processed that was there when they asked. */
  #waiters: Waiter[] = []
  readonly #asking: Asking

  constructor(parts: ActorParts) {
    this.#parts = parts
    this.#limits = { ...LIMITS, ...parts.limits }
    this.#mailbox = new Mailbox(this.#limits)
    this.#pace = new Pace(parts.clock)
    this.#faults = new Faults({ ...parts, rules: parts.stage.rules.onError })
    this.#asking = { clock: parts.clock, signal: this.#ended.signal, waits: error => this.#waits(error) }
  }

  /** Claims the partition and works on it until it ends. Never rejects. To be called once. */
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
    this.#ended.abort(stopped())
    this.#letGo()
    this.#move(end)
    for (const { resolve } of this.#waiters) resolve(false)
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

  /** Ends it at once; what was not committed is done again by the next owner. */
  kill(): void {
    this.#fail(stopped())
  }

  status(): PartitionStatus {
    const { stage, partition } = this.#parts
    const { ledger, inputs = [], publisher, tables } = this.#held ?? {}
    const behind = inputs.map(input => input.behind)
    const error = this.#error ?? this.#hold?.error
    return {
      ...{ pipeline: stage.pipeline, stage: stage.index, partition, state: this.#state },
      ...{ fence: ledger?.fence ?? 0, number: ledger === undefined ? 0 : ledger.next - 1 },
      positions: Object.fromEntries(inputs.map(input => [input.stream, input.position])),
      lag: behind.includes(undefined) ? undefined : behind.reduce<number>((sum, one) => sum + (one as number), 0),
      outbox: publisher?.backlog.records ?? 0,
      held: inputs.reduce((sum, input) => sum + input.inbox.held.records, 0),
      ...{ rows: tables?.rows ?? 0, liveBytes: tables?.liveBytes ?? 0, ledgerBytes: ledger?.bytes ?? 0 },
      ...(error !== undefined && { error: messageOf(error) }),
    }
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
    const ends = await Promise.all(asked).catch(() => undefined)
    if (ends === undefined || this.#ended.signal.aborted) return false
    return new Promise(resolve => {
      this.#waiters.push({ ends, step: 'read', until: 0, resolve })
      this.#mailbox.nudge()
    })
  }

  async #live(): Promise<void> {
    this.#move({ why: 'claiming' })
    const held = await claimPartition(this.#parts, {
      ...this.#asking,
      limits: this.#limits,
      judge: this.#faults.judge,
      committed: committed => this.#committed(committed),
      progressed: () => this.#progressed(),
      failed: error => this.#fail(error),
    })
    this.#held = held
    this.#move({ why: 'running' })
    const { ledgerReachMax } = this.#limits
    keepVigil({ ...held, ...this.#asking, ledgerReachMax, failed: error => this.#fail(error) })
    for (const input of held.inputs) input.feed(this.#mailbox).catch((error: unknown) => this.#fail(error))
    await this.#work(held)
  }

  /** The road of a record: receive, turn, commit. Returns when it was asked to stop and all is brought out. */
  async #work(held: Held): Promise<void> {
    const { commit, publisher } = held
    for (;;) {
      this.#tellWaiters(held)
      const isDraining = this.#isAskedToStop || this.#hold?.why === 'stop'
      if (isDraining && this.#state !== 'draining') this.#drain(held)
      if (isDraining && commit.isIdle && publisher.backlog.records === 0) {
        if (!commit.owesNote) return
        commit.begin(true)
      }
      // While an entry is on its way, batches come together for one large turn: the entry after it holds them all the same.
      const mayWalk = () =>
        !isDraining && this.#hold === undefined && commit.hasRoom && (!commit.isWriting || this.#mailbox.isFull)
      const rest = this.#rest
      if (rest !== undefined && mayWalk()) commit.add(await this.#walk(rest, held))
      else {
        const message = await this.#mailbox.receive(() => rest === undefined && mayWalk(), this.#pace.recordsMax)
        if (message.kind === 'batch') commit.add(await this.#turn(message, held))
      }
      commit.begin()
      await this.#pace.breath()
    }
  }

  /** Walks one batch: what of it may be processed now, in order. */
  async #turn({ source, batch }: Delivery, held: Held): Promise<Outcome> {
    const { inputs, turn } = held
    const records = (inputs[source] as Input).take(batch)
    if (turn.ready(source, records) !== undefined) {
      await untilAnswered(async () => turn.ready(source, records), this.#asking)
    }
    return this.#walk({ source, batch, records, from: 0 }, held)
  }

  /** Walks on in a batch, to its end unless a turn has given enough before. */
  async #walk(walk: Walk, { inputs, turn, addTarget }: Held): Promise<Outcome> {
    const { source, batch, records, from } = walk
    const input = inputs[source] as Input
    this.#pace.begins()
    let outcome = turn.walk(source, records, from, input.passed)
    while (outcome.opens !== undefined) {
      await addTarget(outcome.opens)
      outcome = turn.walk(source, records, from, input.passed)
    }
    const { fault, walked, passed } = outcome
    this.#pace.ends(walked)
    const next = from + walked
    const left = records[next]
    input.walked(batch, records[next - 1], left?.position)
    this.#rest = left === undefined ? undefined : { ...walk, from: next }
    for (const {
      fault: { error },
      then,
    } of passed)
      this.#tell({ type: 'partition.fault', error, then })
    this.#faults.passed(passed)
    if (fault !== undefined) this.#holdAt(fault)
    return outcome
  }

  /** The next record could not be processed, and is not passed over. */
  #holdAt(fault: Fault): void {
    const { error } = fault
    const hold = this.#faults.holdOf(fault)
    this.#tell({ type: 'partition.fault', error, then: hold.why })
    this.#hold = { why: hold.why === 'budget' ? 'pause' : hold.why, error }
    if (this.#hold.why === 'pause') this.#move({ why: 'paused' })
    if (hold.why === 'retry') this.#parts.clock.after(hold.waitMs, () => this.#release('retry'))
  }

  #release(why: 'retry' | 'pause'): void {
    if (this.#hold?.why !== why) return
    this.#hold = undefined
    if (this.#state === 'paused') this.#move({ why: 'running' })
    this.#mailbox.nudge()
  }

  #committed(committed: Committed): void {
    this.#waitsFor = undefined
    this.#tell({ type: 'partition.committed', ...committed })
    this.#mailbox.nudge()
  }

  #drain({ inputs }: Held): void {
    this.#move({ why: 'draining' })
    for (const input of inputs) void input.stop()
  }

  #tellWaiters({ inputs, commit, publisher, ledger }: Held): void {
    if (this.#waiters.length === 0) return
    this.#waiters = this.#waiters.filter(waiter => {
      if (this.#hold?.why === 'pause') {
        waiter.resolve(false)
        return false
      }
      if (waiter.step === 'read' && inputs.every(({ position }, i) => position >= (waiter.ends[i] as Position))) {
        waiter.step = 'commit'
        waiter.until = commit.holdsAll
      }
      if (waiter.step === 'commit' && commit.acknowledged >= waiter.until) {
        waiter.step = 'publish'
        waiter.until = ledger.tail.number
      }
      if (waiter.step !== 'publish' || publisher.oldest <= waiter.until) return true
      waiter.resolve(true)
      return false
    })
  }

  /** Outputs were acknowledged: a turn may have waited for that. */
  #progressed(): void {
    if (this.#isNudged) return
    this.#isNudged = true
    queueMicrotask(() => {
      this.#isNudged = false
      this.#mailbox.nudge()
      for (const lane of this.#held?.publisher.lanes ?? []) {
        if (lane.acknowledged === 0) continue
        this.#tell({ type: 'partition.published', outputs: lane.acknowledged, stream: lane.name })
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
    if (this.#waitsFor === error.message) return
    this.#waitsFor = error.message
    this.#tell({ type: 'partition.waits', on: error.message, error })
  }

  #letGo(): void {
    for (const input of this.#held?.inputs ?? []) void input.stop()
    this.#held?.turn.stop()
  }

  #move(to: ActorEnd | { readonly why: 'claiming' | 'running' | 'paused' | 'draining' }): void {
    const from = this.#state
    this.#state = moved(from, to.why)
    if ('error' in to) this.#error = to.error
    const fence = this.#held?.ledger.fence ?? 0
    this.#tell({ type: 'partition.state', from, to: this.#state, fence })
    if (isEnd(this.#state)) this.#tell({ type: 'partition.ended', ...(to as ActorEnd) })
  }

  #tell(event: Omitted): void {
    const { stage, partition, tell } = this.#parts
    tell({ ...event, pipeline: stage.pipeline, stage: stage.index, partition })
  }
}

type PartitionEvent = Extract<Parameters<Tell>[0], { readonly partition: number; readonly pipeline: string }>
type Omitted = PartitionEvent extends infer E
  ? E extends unknown
    ? Omit<E, 'pipeline' | 'stage' | 'partition'>
    : never
  : never

function endOf(error: unknown): ActorEnd {
  if (error instanceof FencedError) return { why: 'fenced' }
  if (error instanceof IntegrityError || error instanceof InvariantError) return { why: 'halted', error }
  if (error instanceof UnavailableError && error.code === 'CLOSED') return { why: 'stopped' }
  return { why: 'failed', error }
}

function stopped(): UnavailableError {
  return new UnavailableError('CLOSED', 'the owner of a partition was stopped', 'start it again')
}
