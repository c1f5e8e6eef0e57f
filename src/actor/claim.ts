/**
 * Takes a partition over: its ledger is read and claimed, its tables are warm, what former owners committed is on its way
 * out, and its sources stand where they were left.
 */
import type { Chance, Clock } from '../clock.js'
import type { LogStream } from '../log/log.js'
import type { Ports } from '../log/ports.js'
import { untilAnswered, type Asking } from '../log/until-answered.js'
import type { Stage } from '../pipeline/plan.js'
import { Turn, type Judge, type TurnTarget } from '../pipeline/turn.js'
import type { TargetState } from '../state/entry.js'
import { claimLedger, type Ledger } from '../state/ledger.js'
import { broken, type Outbox } from '../state/recovery.js'
import type { Tables } from '../state/tables.js'
import { Witness } from '../state/witness.js'
import type { Cursor } from '../stream/inbox.js'
import { BUCKET } from '../stream/kept.js'
import type { OpenStream, Streams } from '../stream/open.js'
import type { Stream } from '../stream/stream.js'
import type { Tell } from '../telemetry/events.js'
import { Commit, type CommitLimits, type Committed } from './commit.js'
import { Input, type InputLimits } from './input.js'
import { Publisher, type Lane } from './publisher.js'

/** Which partition is taken, and with what. */
export interface ClaimParts {
  readonly stage: Stage
  readonly partition: number
  readonly ports: Ports
  readonly streams: Streams
  readonly clock: Clock
  readonly chance: Chance
  readonly tell: Tell
  /** How many servers keep the ledger at the least, when it is made. */
  readonly replicas: number
}

/** Whoever takes it, and what it hears from then on. */
export interface Claimant extends Asking {
  readonly limits: CommitLimits & InputLimits
  /** What becomes of records at fault. */
  readonly judge: Judge
  readonly committed: (committed: Committed) => void
  /** Outputs were acknowledged. */
  readonly progressed: () => void
  readonly failed: (error: unknown) => void
}

/** What an owner has once it holds the claim. */
export interface Held {
  readonly ledger: Ledger
  readonly tables: Tables
  readonly inputs: readonly Input[]
  readonly turn: Turn
  readonly publisher: Publisher
  readonly commit: Commit
  /** Opens one more stream for the outputs of the turn. */
  readonly addTarget: (stream: Stream<unknown>) => Promise<void>
}

const LEDGER_WINDOW_MS = 20_000

/**
 * Claims a partition. Waits while the log is away. Rejects with `FencedError` when another one claims it at the same
 * time, with an `IntegrityError` when the log has lost what it acknowledged, with a `DefinitionError` for what does not
 * fit the definition.
 */
export async function claimPartition(parts: ClaimParts, claimant: Claimant): Promise<Held> {
  const { stage, partition, ports, streams, chance, tell } = parts
  const { clock, limits, judge, committed, progressed, failed } = claimant
  const sure = <T>(ask: () => Promise<T>) => untilAnswered(ask, claimant)
  const open = (stream: Stream<unknown>, use: 'read' | 'write'): Promise<OpenStream<unknown>> =>
    sure(() => streams.open(stream, use))

  const sources = await Promise.all(stage.sources.map(source => open(source, 'read')))
  const stream = await sure(() => openLedger(parts, sources))
  const bucket = await sure(() => ports.bucket({ name: BUCKET }))
  const witness = await Witness.of(bucket, `ledgers.${stage.pipeline}.${stage.index}.${partition}`, {
    ...claimant,
    chance,
  })
  const { recordBytesMax } = ports.log
  const { ledger, found } = await claimLedger({ ...claimant, stream, partition, recordBytesMax, witness, chance })
  const { tables, state } = found

  const writer = { pipeline: stage.pipeline, incarnation: witness.incarnation, stage: stage.index, partition }
  const publisher = new Publisher({ ...claimant, writer, ledger, progressed, failed })
  const lanes = new Lanes(publisher, tables, state?.targets ?? [])
  const target = async (to: Stream<unknown>): Promise<TurnTarget> => {
    const { log, wire } = await open(to, 'write')
    return { index: (await lanes.of(log)).index, stream: to, wire }
  }
  const targets: TurnTarget[] = []
  for (const to of stage.targets) targets.push(await target(to))
  const boxes = found.outbox()
  for (const name of streamsOf(boxes)) {
    // Which stream it was, only a choice among targets would say again.
    const log = await sure(() => ports.log.find(name))
    if (log === undefined) throw broken(`stream "${name}" is gone, with outputs of this partition still to come`)
    await lanes.of(log)
  }
  if (boxes.length > 0) publisher.recover(boxes, await ledger.claimed())

  const inputs = await Promise.all(
    sources.map((source, index) => {
      const { name } = source.stream
      const known = state?.inputs.find(one => one.stream === name)
      const cursors = tables.table<Cursor>(`input.${name}`)
      return sure(() => Input.open({ index, open: source, partition, known, cursors, limits, tell }))
    }),
  )
  const turn = new Turn(stage, { partition, tables, sources: sources.map(({ wire }) => wire), targets, judge })
  turn.times = inputs.map(input => input.time)
  const commit = new Commit({ ledger, tables, turn, inputs, publisher, clock, limits, done: committed, failed })
  const addTarget = async (to: Stream<unknown>) => turn.addTarget(await target(to))
  return { ledger, tables, inputs, turn, publisher, commit, addTarget }
}

/** The lanes of a publisher, each opened once, with what the ledger knows of its stream. */
class Lanes {
  readonly #publisher: Publisher
  readonly #tables: Tables
  readonly #known: readonly TargetState[]

  constructor(publisher: Publisher, tables: Tables, known: readonly TargetState[]) {
    this.#publisher = publisher
    this.#tables = tables
    this.#known = known
  }

  async of(log: LogStream): Promise<Lane> {
    const { name } = log.spec
    const known = this.#known.find(one => one.stream === name)
    return this.#publisher.lane(name) ?? this.#publisher.open(log, this.#tables.table<number>(`output.${name}`), known)
  }
}

/** A ledger that is there keeps its number of copies. A new one has as many as any of its sources: it is worth no less. */
async function openLedger(
  { stage, ports, replicas }: ClaimParts,
  sources: readonly OpenStream<unknown>[],
): Promise<LogStream> {
  const name = `${stage.pipeline}-${stage.index}-ledger`
  const there = await ports.log.find(name)
  return ports.log.open({
    name,
    partitions: stage.partitions,
    retention: {},
    replicas: there?.spec.replicas ?? Math.max(replicas, ...sources.map(({ log }) => log.spec.replicas)),
    dedupWindowMs: LEDGER_WINDOW_MS,
  })
}

/** The streams that outputs are still to go to. */
function streamsOf(boxes: readonly Outbox[]): Set<string> {
  return new Set(
    boxes.flatMap(({ targets, outputs }) => outputs.map(({ target }) => (targets[target] as TargetState).stream)),
  )
}
