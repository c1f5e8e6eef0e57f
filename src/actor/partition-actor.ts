/**
 * START HERE. The owner of one partition: it receives records, walks them through the chain in a turn, and commits what
 * comes of it; what is committed is published. Everything a record goes through is called from `#work`, in this order.
 */
import { pause, type Chance, type Clock } from '../clock.js'
import { FencedError, IntegrityError, InvariantError, messageOf, UnavailableError } from '../errors.js'
import type { LogStream } from '../log/log.js'
import type { Ports } from '../log/ports.js'
import type { Position } from '../log/record.js'
import type { Stage } from '../pipeline/plan.js'
import { Turn, type Outcome, type TurnTarget } from '../pipeline/turn.js'
import type { TargetState } from '../state/entry.js'
import { claimLedger, type Ledger } from '../state/ledger.js'
import { broken, type Recovery } from '../state/recovery.js'
import type { Tables } from '../state/tables.js'
import { Witness } from '../state/witness.js'
import type { Cursor } from '../stream/inbox.js'
import { BUCKET } from '../stream/kept.js'
import type { OpenStream, Streams } from '../stream/open.js'
import type { Stream } from '../stream/stream.js'
import type { Tell } from '../telemetry/events.js'
import { Commit, type CommitLimits, type Committed } from './commit.js'
import { Input } from './input.js'
import { isEnd, moved, type PartitionState } from './lifecycle.js'
import { Mailbox, type Delivery, type MailboxLimits } from './mailbox.js'
import { Publisher, type Lane } from './publisher.js'

export interface ActorParts {
  readonly stage: Stage
  readonly partition: number
  readonly ports: Ports
  readonly streams: Streams
  readonly clock: Clock
  readonly chance: Chance
  readonly tell: Tell
  /** How many servers keep the ledger. */
  readonly replicas: number
  readonly limits?: Partial<ActorLimits>
}

export interface ActorLimits extends MailboxLimits, CommitLimits {
  /** How many records a turn walks at the most. */
  readonly batchRecordsMax: number
  readonly batchBytesMax: number
  /** How many positions a ledger may reach back before it is written anew, so that the log can drop what lies between. */
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
  mailboxRecordsMax: 512,
  mailboxBytesMax: 1024 * 1024,
  batchRecordsMax: 512,
  batchBytesMax: 512 * 1024,
  groupRecordsMax: 2048,
  groupBytesMax: 512 * 1024,
  backlogRecordsMax: 2048,
  backlogBytesMax: 4 * 1024 * 1024,
  ledgerReachMax: 500_000,
  ledgerSpareBytes: 1024 * 1024,
  purgeBytes: 1024 * 1024,
}
const LEDGER_WINDOW_MS = 20_000
const RETRY_MS = 100
/** How often an owner looks whether it is still one, and vouches for its ledger. */
const LOOK_MS = 1000
/** How often an owner looks whether its ledger keeps the stream of all ledgers from letting go of its beginning. */
const REACH_LOOK_MS = 60_000
/** How long a partition must be quiet before it notes that all its outputs are out. */
const QUIET_MS = 250

/** What an owner has once it holds the claim. */
interface Held {
  readonly ledger: Ledger
  readonly witness: Witness
  readonly tables: Tables
  readonly inputs: readonly Input[]
  readonly turn: Turn
  readonly publisher: Publisher
  readonly commit: Commit
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
  #held: Held | undefined
  #state: PartitionState = 'new'
  #error: unknown
  /** A record that could not be processed: nothing after it is. */
  #fault: { readonly error: unknown } | undefined
  #asked: 'nothing' | 'stop' = 'nothing'
  #isNudged = false
  #waitsFor: string | undefined
  /** Who waits until all is processed that was there when they asked. */
  #waiters: Waiter[] = []
  /** `elapsed()` when the last entry was acknowledged. */
  #committedMs = 0

  constructor(parts: ActorParts) {
    this.#parts = parts
    this.#limits = { ...LIMITS, ...parts.limits }
    this.#mailbox = new Mailbox(this.#limits)
  }

  /** Claims the partition and works on it until it ends. Never rejects. To be called once. */
  async run(): Promise<ActorEnd> {
    let end: ActorEnd
    try {
      const killed = new Promise<never>((_, reject) => {
        this.#ended.signal.addEventListener('abort', () => reject(this.#ended.signal.reason as Error))
      })
      await Promise.race([this.#live(), killed])
      end = this.#fault === undefined ? { why: 'stopped' } : { why: 'failed', error: this.#fault.error }
    } catch (error) {
      end = endOf(error)
    }
    this.#ended.abort(stopped())
    this.#release()
    this.#move(end)
    for (const { resolve } of this.#waiters) resolve(false)
    return end
  }

  /** Ends it well: nothing new is taken, the turn is finished, committed and published. */
  stop(): void {
    this.#asked = 'stop'
    // Before it holds the claim there is nothing to bring out.
    if (this.#held === undefined) this.#ended.abort(stopped())
    else this.#mailbox.nudge()
  }

  /** Ends it at once; what was not committed is done again by the next owner. */
  kill(): void {
    this.#ended.abort(stopped())
  }

  status(): PartitionStatus {
    const { stage, partition } = this.#parts
    const { ledger, inputs = [], publisher, tables } = this.#held ?? {}
    const behind = inputs.map(input => input.behind)
    const error = this.#error ?? this.#fault?.error
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
   * when it ended before. What waits for others of its writer is not waited for.
   */
  async caughtUp(): Promise<boolean> {
    while (this.#held === undefined && !isEnd(this.#state)) await pause(this.#parts.clock, RETRY_MS, this.#ended.signal)
    if (this.#held === undefined || isEnd(this.#state)) return false
    const { inputs } = this.#held
    const ends = await Promise.all(inputs.map(input => this.#sure(() => input.end()))).catch(() => undefined)
    if (ends === undefined || isEnd(this.#state)) return false
    return new Promise(resolve => {
      this.#waiters.push({ ends, step: 'read', until: 0, resolve })
      this.#mailbox.nudge()
    })
  }

  async #live(): Promise<void> {
    this.#move({ why: 'claiming' })
    this.#held = await this.#claim()
    this.#move({ why: 'running' })
    this.#watch()
    for (const input of this.#held.inputs) input.feed(this.#mailbox).catch((error: unknown) => this.#fail(error))
    await this.#work(this.#held)
  }

  /** The road of a record: receive, turn, commit. Returns when it was asked to stop and all is brought out. */
  async #work({ inputs, turn, commit, publisher }: Held): Promise<void> {
    for (;;) {
      this.#tellWaiters()
      const isDraining = this.#asked === 'stop' || this.#fault !== undefined
      if (isDraining && this.#state === 'running') this.#drain(inputs)
      if (isDraining && commit.isIdle && publisher.backlog.records === 0) {
        if (!commit.owesNote) return
        commit.begin(true)
      }
      const message = await this.#mailbox.receive(!isDraining && commit.hasRoom)
      if (message.kind === 'kill') throw message.error
      if (message.kind === 'batch') commit.add(await this.#turn(message, inputs[message.source] as Input, turn))
      commit.begin()
    }
  }

  /** Walks one batch: what of it may be processed now, in order. */
  async #turn({ source, batch }: Delivery, input: Input, turn: Turn): Promise<Outcome> {
    const records = input.take(batch)
    const ready = turn.ready(source, records)
    if (ready !== undefined) await ready
    let outcome = turn.walk(source, records, 0, input.passed)
    while (outcome.opens !== undefined) {
      await this.#openTarget(outcome.opens, turn)
      outcome = turn.walk(source, records, 0, input.passed)
    }
    const { fault, walked } = outcome
    input.walked(batch, records[walked - 1], fault?.record.position)
    if (fault !== undefined) {
      this.#fault = fault
      this.#tell({ type: 'partition.fault', error: fault.error })
    }
    return outcome
  }

  #committed(committed: Committed): void {
    this.#waitsFor = undefined
    this.#committedMs = this.#parts.clock.elapsed()
    this.#tell({ type: 'partition.committed', ...committed })
    this.#mailbox.nudge()
  }

  /** Takes the ledger, and everything that it tells: tables, positions, outputs that may not be out. */
  async #claim(): Promise<Held> {
    const { stage, partition, ports, clock, chance } = this.#parts
    const { signal } = this.#ended
    const sources = await this.#sure(() => Promise.all(stage.sources.map(source => this.#open(source, 'read'))))
    const stream = await this.#sure(() => this.#openLedger())
    const bucket = await this.#sure(() => ports.bucket({ name: BUCKET }))
    const witness = await Witness.of(bucket, `ledgers.${stage.pipeline}.${stage.index}.${partition}`, { clock, chance })
    const waits = (error: Error) => this.#waits(error)
    const { ledger, found } = await claimLedger({
      ...{ stream, partition, witness, clock, chance, signal, waits },
      recordBytesMax: ports.log.recordBytesMax,
    })
    const { tables, state } = found
    const { incarnation } = witness
    const publisher = new Publisher({
      ...{
        writer: { pipeline: stage.pipeline, incarnation, stage: stage.index, partition },
        ledger,
        clock,
        signal,
        waits,
      },
      progressed: () => this.#progressed(),
      failed: error => this.#fail(error),
    })
    const targets: TurnTarget[] = []
    for (const target of stage.targets)
      targets.push(await this.#sure(() => this.#target(publisher, tables, state?.targets, target)))
    await this.#recover(ledger, publisher, found)
    const inputs = await Promise.all(
      sources.map((open, index) => {
        const known = state?.inputs.find(one => one.stream === open.stream.name)
        const cursors = tables.table<Cursor>(`input.${open.stream.name}`)
        return this.#sure(() =>
          Input.open({ ...{ index, open, partition, known, cursors }, limits: this.#limits, tell: this.#parts.tell }),
        )
      }),
    )
    const turn = new Turn(stage, { partition, tables, sources: sources.map(({ wire }) => wire), targets })
    turn.times = sources.map(
      ({ stream: { name } }) => state?.inputs.find(one => one.stream === name)?.time ?? -Infinity,
    )
    const commit = new Commit({
      ...{ ledger, tables, turn, inputs, publisher, clock, limits: this.#limits },
      done: committed => this.#committed(committed),
      failed: error => this.#fail(error),
    })
    return { ledger, witness, tables, inputs, turn, publisher, commit }
  }

  #openLedger(): Promise<LogStream> {
    const { stage, ports, replicas } = this.#parts
    return ports.log.open({
      name: `${stage.pipeline}-${stage.index}-ledger`,
      partitions: stage.partitions,
      retention: {},
      replicas,
      dedupWindowMs: LEDGER_WINDOW_MS,
    })
  }

  #open(stream: Stream<unknown>, use: 'read' | 'write'): Promise<OpenStream<unknown>> {
    return this.#parts.streams.open(stream, use)
  }

  async #target(
    publisher: Publisher,
    tables: Tables,
    known: readonly TargetState[] | undefined,
    stream: Stream<unknown>,
  ): Promise<TurnTarget> {
    const { log, wire } = await this.#open(stream, 'write')
    const lane = publisher.lane(stream.name) ?? (await this.#lane(publisher, tables, known, log))
    return { index: lane.index, stream, wire }
  }

  #lane(
    publisher: Publisher,
    tables: Tables,
    known: readonly TargetState[] | undefined,
    log: LogStream,
  ): Promise<Lane> {
    const { name } = log.spec
    return publisher.open(
      log,
      tables.table<number>(`output.${name}`),
      known?.find(one => one.stream === name),
    )
  }

  /** Brings out what former owners committed; to streams too that only a choice among targets would name again. */
  async #recover(ledger: Ledger, publisher: Publisher, found: Recovery): Promise<void> {
    const { tables, state } = found
    const boxes = found.outbox()
    for (const name of new Set(boxes.flatMap(({ targets }) => targets.map(({ stream }) => stream)))) {
      if (publisher.lane(name) !== undefined) continue
      const log = await this.#sure(() => this.#parts.ports.log.find(name))
      if (log === undefined) throw broken(`stream "${name}" is gone, with outputs of this partition still to come`)
      await this.#sure(() => this.#lane(publisher, tables, state?.targets, log))
    }
    if (boxes.length > 0) publisher.recover(boxes, await ledger.claimed())
  }

  async #openTarget(stream: Stream<unknown>, turn: Turn): Promise<void> {
    const { publisher, tables } = this.#held as Held
    turn.addTarget(await this.#sure(() => this.#target(publisher, tables, undefined, stream)))
  }

  /** Again and again while the log is away. */
  async #sure<T>(ask: () => Promise<T>): Promise<T> {
    for (;;) {
      try {
        return await ask()
      } catch (error) {
        const { signal } = this.#ended
        if (signal.aborted || !(error instanceof UnavailableError) || error.code === 'CLOSED') throw error
        this.#waits(error)
        await pause(this.#parts.clock, RETRY_MS, signal)
      }
    }
  }

  /** From time to time: are we still the owner, does somebody vouch for the ledger, is there a note to write? */
  #watch(): void {
    const { clock } = this.#parts
    let lookedMs = clock.elapsed()
    let reachedMs = lookedMs
    // It is asked again.
    const ignored = () => {}
    const look = () => {
      if (this.#ended.signal.aborted) return
      clock.after(QUIET_MS, look)
      const { ledger, witness, commit } = this.#held as Held
      const now = clock.elapsed()
      const isQuiet = now - this.#committedMs >= QUIET_MS
      if (isQuiet && (commit.owesNote || commit.isPinning)) commit.begin(true)
      if (now - lookedMs < LOOK_MS) return
      lookedMs = now
      const failed = (error: unknown) => this.#fail(error)
      if (now - ledger.provenMs >= LOOK_MS) ledger.look().catch(failed)
      if (now - reachedMs >= REACH_LOOK_MS) {
        reachedMs = now
        ledger.reach().then(reach => {
          if (reach > this.#limits.ledgerReachMax) commit.unpin()
        }, ignored)
      }
      if (ledger.tail.number > witness.seen.number) witness.write(ledger.fence, ledger.tail).catch(failed)
    }
    clock.after(QUIET_MS, look)
  }

  #drain(inputs: readonly Input[]): void {
    this.#move({ why: 'draining' })
    for (const input of inputs) void input.stop()
  }

  #tellWaiters(): void {
    if (this.#waiters.length === 0) return
    const { inputs, commit, publisher, ledger } = this.#held as Held
    this.#waiters = this.#waiters.filter(waiter => {
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
    })
  }

  #fail(error: unknown): void {
    if (!this.#ended.signal.aborted) this.#mailbox.kill(error)
  }

  #waits(error: Error): void {
    if (this.#waitsFor === error.message) return
    this.#waitsFor = error.message
    this.#tell({ type: 'partition.waits', on: error.message, error })
  }

  #release(): void {
    for (const input of this.#held?.inputs ?? []) void input.stop()
    this.#held?.turn.stop()
  }

  #move(to: ActorEnd | { readonly why: 'claiming' | 'running' | 'draining' }): void {
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
