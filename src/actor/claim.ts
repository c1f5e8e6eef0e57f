/**
 * Takes a partition over: its ledger is read and claimed, its tables are warm, what former owners committed is on its way
 * out, and its sources stand where they were left.
 */
import type { Chance, Clock } from '../clock.js'
import { DefinitionError } from '../errors.js'
import type { LogStream } from '../log/log.js'
import type { Ports } from '../log/ports.js'
import { untilAnswered, type Asking } from '../log/until-answered.js'
import type { Stage } from '../pipeline/plan.js'
import type { Judge } from '../pipeline/outcome.js'
import type { TurnTarget } from '../pipeline/outlet.js'
import { Turn } from '../pipeline/turn.js'
import type { TargetState } from '../state/entry.js'
import { claimLedger, type Ledger } from '../state/ledger.js'
import type { Notes } from '../state/notes.js'
import { broken, type Outbox } from '../state/recovery.js'
import type { Table } from '../state/table.js'
import type { Tables } from '../state/tables.js'
import { beginningOf } from '../state/reset.js'
import { ledgerName, Witness, witnessKey } from '../state/witness.js'
import type { Cursor } from '../stream/inbox.js'
import type { OpenStream, Streams } from '../stream/open.js'
import { sinkNamed, targetName } from '../stream/sink.js'
import type { SinkWire } from '../stream/sink-wire.js'
import type { Stream } from '../stream/stream.js'
import type { Tell } from '../telemetry/events.js'
import { Commit, type CommitLimits, type Committed } from './commit.js'
import { Input, type InputLimits } from './input.js'
import type { Lane, Writer } from './lane.js'
import { Publisher } from './publisher.js'
import { inherited } from './trial.js'

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
  /** The owner before was in this process, and so did not die with it. */
  readonly isRestart?: boolean
}

/** Whoever takes it, and what it hears from then on. */
export interface Claimant extends Asking {
  readonly limits: CommitLimits & InputLimits
  /** What becomes of records at fault. */
  readonly judge: Judge
  /** The ledger is its own, and there is still to be done before it can work. `notes`: how owners before ended. */
  readonly claimed: (ledger: Ledger, notes: Notes) => void
  readonly committed: (committed: Committed) => void
  /** Outputs were acknowledged. */
  readonly progressed: () => void
  readonly failed: (error: unknown) => void
}

/** What an owner has once it holds the claim. */
export interface Held {
  readonly ledger: Ledger
  readonly tables: Tables
  /** As the stage has them; each input reads one. */
  readonly sources: readonly OpenStream<unknown>[]
  readonly inputs: readonly Input[]
  /** Whose outputs they are: the beginning of their names. */
  readonly writer: Writer
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

  const bucket = await sure(() => streams.kept.bucket())
  await beginningOf(stage.pipeline, bucket, claimant)
  const sources = await Promise.all(stage.sources.map(source => open(source, 'read')))
  const stream = await sure(() => openLedger(parts, sources))
  const witness = await Witness.of(bucket, witnessKey(stage.pipeline, stage.index, partition), { ...claimant, chance })
  const { recordBytesMax } = ports.log
  const { ledger, found, notes } = await claimLedger({
    ...{ ...claimant, stream, partition, recordBytesMax, witness, chance },
    notes: left => inherited(left, parts.isRestart ?? false),
  })
  claimant.claimed(ledger, notes)
  const { tables, state } = found
  // Asked again, for it may have been begun anew in between. A source that comes to a pipeline later is read from its start.
  const from = state === undefined ? await beginningOf(stage.pipeline, bucket, claimant) : undefined

  const writer = { pipeline: stage.pipeline, incarnation: witness.incarnation, stage: stage.index, partition }
  const publisher = new Publisher({ ...claimant, chance, writer, ledger, progressed, failed })
  const lanes = new Lanes(publisher, tables, state?.targets ?? [])
  const target = async (to: Stream<unknown>): Promise<TurnTarget> => {
    const { log, wire } = await open(to, 'write')
    return { index: (await lanes.of(log)).index, to, wire }
  }
  const targets: TurnTarget[] = []
  for (const to of stage.targets) targets.push(await target(to))
  for (const to of stage.sinks) {
    const wire = await sure(() => streams.openSink(to))
    targets.push({ index: lanes.to(wire).index, to, wire })
  }
  const boxes = found.outbox()
  for (const name of namesOf(boxes)) {
    if (publisher.lane(name) !== undefined) continue
    const gone = sinkNamed(name)
    if (gone !== undefined) throw sinkGone(stage.pipeline, gone)
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
      return sure(() => Input.open({ index, open: source, partition, known, from, cursors, limits, tell }))
    }),
  )
  const turn = new Turn(stage, {
    partition,
    tables,
    sources: sources.map(({ wire }) => wire),
    targets,
    outputsMax: limits.groupOutputsMax,
    judge,
  })
  turn.times = inputs.map(input => input.time)
  const commit = new Commit({ ledger, tables, turn, inputs, publisher, clock, limits, done: committed, failed })
  const addTarget = async (to: Stream<unknown>) => turn.addTarget(await target(to))
  return { ledger, tables, sources, inputs, writer, turn, publisher, commit, addTarget }
}

/** The lanes of a publisher, each opened once, with what the ledger knows of its target. */
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
    return this.#publisher.lane(name) ?? this.#publisher.open(log, this.#numbersOf(name), this.#knownOf(name))
  }

  to(wire: SinkWire<unknown>): Lane {
    const name = targetName(wire.sink)
    return this.#publisher.openSink(wire, this.#numbersOf(name), this.#knownOf(name))
  }

  #numbersOf(name: string): Table<number> {
    return this.#tables.table<number>(`output.${name}`)
  }

  #knownOf(name: string): TargetState | undefined {
    return this.#known.find(one => one.name === name)
  }
}

/** A ledger that is there keeps its number of copies. A new one has as many as any of its sources: it is worth no less. */
async function openLedger(
  { stage, ports, replicas }: ClaimParts,
  sources: readonly OpenStream<unknown>[],
): Promise<LogStream> {
  const name = ledgerName(stage.pipeline, stage.index)
  const there = await ports.log.find(name)
  return ports.log.open({
    name,
    partitions: stage.partitions,
    retention: {},
    replicas: there?.spec.replicas ?? Math.max(replicas, ...sources.map(({ log }) => log.spec.replicas)),
    dedupWindowMs: LEDGER_WINDOW_MS,
  })
}

/** The targets that outputs are still to go to. */
function namesOf(boxes: readonly Outbox[]): Set<string> {
  return new Set(
    boxes.flatMap(({ targets, outputs }) => outputs.map(({ target }) => (targets[target] as TargetState).name)),
  )
}

function sinkGone(pipeline: string, sink: string): DefinitionError {
  const what = `pipeline "${pipeline}" has no sink "${sink}" now, and what was committed for it is not all written`
  return new DefinitionError('PIPELINE_DIFFERS', what, 'bring the sink back until it is')
}
