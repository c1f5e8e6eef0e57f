/**
 * A node at work on an open log: one actor for each partition of each stage of its pipelines. It knows no process, no
 * file and no signal; `start.ts` and the command do.
 */
import { PartitionActor, type ActorEnd, type PartitionStatus } from '../actor/partition-actor.js'
import type { Chance, Clock } from '../clock.js'
import type { Ports } from '../log/ports.js'
import type { Definition } from '../pipeline/definition.js'
import { partsOf } from '../pipeline/pipeline.js'
import { plan, type Stage } from '../pipeline/plan.js'
import { Streams } from '../stream/open.js'
import type { Tell } from '../telemetry/events.js'
import { checkedDefinitions } from './definitions.js'
import { depthOf } from './depth.js'
import type { Host, Hosted } from './hosted.js'
import { shutDown } from './shutdown.js'

export interface NodeParts {
  readonly clock: Clock
  readonly chance: Chance
  readonly tell: Tell
  /** How many copies of the streams that it makes, where they do not say. */
  readonly replicas: number
  /** Makes the owner of a partition. Absent: a `PartitionActor`. */
  readonly host?: Host
}

/** Why a node ended, by what weighs most: a halt, then a failure; then that it was stopped, or lost all it had. */
export type NodeEnd =
  /** `stopped`: it was asked to; `late`: it was, and some actors had to be killed; `fenced`: others own all partitions. */
  { readonly why: 'stopped' | 'late' | 'fenced' } | PartitionFault

/** A partition that could not go on, the first of its kind. */
export interface PartitionFault {
  /** `halted`: the log lost or changed what it had acknowledged; `failed`: the user's code, or a definition. */
  readonly why: 'halted' | 'failed'
  readonly error: unknown
  readonly pipeline: string
  readonly stage: number
  readonly partition: number
}

/** A node that runs. */
export interface NodeAtWork {
  readonly stages: readonly Stage[]
  status(): readonly PartitionStatus[]
  /** Ends it well: turns are finished, committed, published; bounded by 25 seconds, then at once. Idempotent. */
  stop(): Promise<NodeEnd>
  /**
   * True when everything readable at the time of the call, and all that pipelines of this node made of it, is processed
   * and published; false when a partition ended before.
   */
  caughtUp(): Promise<boolean>
  /** Resolves when all actors have ended; the ends of some keep others from nothing. Never rejects. */
  readonly ended: Promise<NodeEnd>
}

/**
 * Opens the streams of all pipelines, then starts all their actors. Rejects, with nothing started, when definitions are
 * no pipelines of different names, or a stream cannot be opened as it is defined.
 */
export async function runNode(ports: Ports, definitions: readonly Definition[], parts: NodeParts): Promise<NodeAtWork> {
  const { clock, chance, tell, replicas, host = actorOf } = parts
  const pipelines = checkedDefinitions('runNode', definitions)
  for (const warning of pipelines.flatMap(one => partsOf(one).warnings)) tell({ type: 'log.warning', ...warning })
  const stages = pipelines.flatMap(definition => plan(definition))
  const streams = new Streams(ports, parts)
  for (const source of new Set(stages.flatMap(stage => stage.sources))) await streams.open(source, 'read')
  for (const target of new Set(stages.flatMap(stage => stage.targets))) await streams.open(target, 'write')
  const seats = stages.flatMap(stage =>
    Array.from({ length: stage.partitions }, (_, partition) => ({
      ...{ pipeline: stage.pipeline, stage: stage.index, partition },
      actor: host({ stage, partition, streams, ports, clock, chance, tell, replicas }),
    })),
  )
  const ends: SeatEnd[] = []
  const runs = seats.map(async ({ actor, ...place }) => ends.push({ ...place, end: await actor.run() }))
  const actors = seats.map(({ actor }) => actor)
  let stopping: Promise<boolean> | undefined
  const all = Promise.all(runs)
  const ended = all.then(async () => endOf(ends, await stopping))
  return {
    stages,
    status: () => actors.map(actor => actor.status()),
    stop() {
      stopping ??= shutDown(actors, all, clock)
      return ended
    },
    async caughtUp() {
      await catchUp(actors, depthOf(stages))
      return ends.length === 0
    },
    ended,
  }
}

const actorOf: Host = parts => new PartitionActor(parts)

interface SeatEnd extends Omit<PartitionFault, 'why' | 'error'> {
  readonly end: ActorEnd
}

function endOf(ends: readonly SeatEnd[], inTime: boolean | undefined): NodeEnd {
  for (const why of ['halted', 'failed'] as const) {
    for (const { end, ...place } of ends) if (end.why === why) return { ...place, why, error: end.error }
  }
  if (inTime === false) return { why: 'late' }
  return { why: ends.every(({ end }) => end.why === 'fenced') ? 'fenced' : 'stopped' }
}

/**
 * What one pipeline publishes another may read, so one round is not enough: as many as the longest chain is long, fewer
 * when a round moved nothing.
 */
async function catchUp(actors: readonly Hosted[], depth: number): Promise<void> {
  for (let round = 0; round < depth; round++) {
    const before = standOf(actors)
    await Promise.all(actors.map(actor => actor.caughtUp()))
    if (round > 0 && standOf(actors) === before) return
  }
}

function standOf(actors: readonly Hosted[]): string {
  const stands = actors.map(actor => actor.status()).map(({ number, positions, outbox }) => [number, positions, outbox])
  return JSON.stringify(stands)
}
