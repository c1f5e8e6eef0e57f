/**
 * A node at work on an open log: one supervised actor for each partition of each stage of its pipelines. It knows no
 * process, no file and no signal; `start.ts` and the command do.
 */
import { Family } from '../actor/family.js'
import type { ActorEnd } from '../actor/end.js'
import type { PartitionStatus } from '../actor/status.js'
import { Solo } from '../actor/solo.js'
import { Supervised } from '../actor/supervisor.js'
import type { Chance, Clock } from '../clock.js'
import { UnavailableError } from '../errors.js'
import type { Ports } from '../log/ports.js'
import type { Definition } from '../pipeline/definition.js'
import { partsOf } from '../pipeline/pipeline.js'
import { plan, type Stage } from '../pipeline/plan.js'
import { Streams } from '../stream/open.js'
import type { Tell } from '../telemetry/events.js'
import { checkedDefinitions } from './definitions.js'
import { depthOf } from './depth.js'
import type { Host, Hosted } from './hosted.js'
import type { ResolveLetters } from './letters.js'
import { shutDown } from './shutdown.js'
import type { Watchdog } from './watchdog.js'

export interface NodeParts {
  readonly clock: Clock
  readonly chance: Chance
  readonly tell: Tell
  /** How many copies of the streams that it makes, where they do not say. */
  readonly replicas: number
  /** Is told what is walked. */
  readonly watchdog?: Pick<Watchdog, 'watch'> | undefined
  /** Keeps a partition at work. Absent: a `Supervised`. */
  readonly host?: Host
}

/** Why a node ended, by what weighs most: a halt, a failure, a pause; then that it was stopped, or lost all it had. */
export type NodeEnd =
  /** `stopped`: it was asked to; `late`: it was, and some actors had to be killed; `fenced`: others own all partitions. */
  { readonly why: 'stopped' | 'late' | 'fenced' } | PartitionFault

/** A partition that could not go on, the first of its kind. */
export interface PartitionFault {
  /**
   * `halted`: the log lost or changed what it had acknowledged; `failed`: the user's code, or a definition; `paused`: it
   * waited for a person when the node was stopped.
   */
  readonly why: 'halted' | 'failed' | 'paused'
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
  /** Lets paused partitions of a pipeline go on, or the one that is named. Gives how many were paused. */
  resume(pipeline: string, partition?: number): number
  /** Retries or drops dead letters of a partition; undefined when it is none of this node's. Rejects when it cannot. */
  readonly resolveLetters: ResolveLetters
  /**
   * True when everything readable at the time of the call, and all that pipelines of this node made of it, is processed
   * and published; false when a partition ended or was paused before.
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
  const { clock, chance, tell, replicas, watchdog, host = supervised } = parts
  const pipelines = checkedDefinitions('runNode', definitions)
  for (const warning of pipelines.flatMap(one => partsOf(one).warnings)) tell({ type: 'log.warning', ...warning })
  const stages = pipelines.flatMap(definition => plan(definition))
  const streams = new Streams(ports, parts)
  for (const source of new Set(stages.flatMap(stage => stage.sources))) await streams.open(source, 'read')
  for (const target of new Set(stages.flatMap(stage => stage.targets))) await streams.open(target, 'write')
  for (const sink of new Set(stages.flatMap(stage => stage.sinks))) await streams.openSink(sink)
  const solo = new Solo(clock)
  const seats = stagesByPipeline(stages).flatMap(ofPipeline => {
    const family = new Family((ofPipeline[0] as Stage).rules.supervise.strategy)
    return ofPipeline.flatMap(stage =>
      Array.from({ length: stage.partitions }, (_, partition) => ({
        ...{ pipeline: stage.pipeline, stage: stage.index, partition },
        actor: host({
          ...{ stage, partition, streams, ports, clock, chance, tell, replicas, family, solo },
          ...(watchdog !== undefined && { watch: watchdog.watch(nameOf(stage, partition), sourcesOf(stage)) }),
        }),
      })),
    )
  })
  const ends: SeatEnd[] = []
  const runs = seats.map(async ({ actor, ...place }) => ends.push({ ...place, end: await actor.run() }))
  const actors = seats.map(({ actor }) => actor)
  let stopping: Promise<boolean> | undefined
  let paused: PartitionFault | undefined
  const all = Promise.all(runs)
  const ended = all.then(async () => endOf(ends, paused, await stopping))
  return {
    stages,
    status: () => actors.map(actor => actor.status()),
    stop() {
      if (stopping === undefined) paused = pausedOf(seats)
      stopping ??= shutDown(actors, all, clock)
      return ended
    },
    resume(pipeline, partition) {
      const meant = seats.filter(seat => seat.pipeline === pipeline && (partition ?? seat.partition) === seat.partition)
      const waiting = meant.filter(({ actor }) => actor.pausedBy !== undefined)
      for (const { actor } of waiting) actor.resume()
      return waiting.length
    },
    resolveLetters({ pipeline, stage, partition }, asked) {
      const seat = seats.find(one => one.pipeline === pipeline && one.stage === stage && one.partition === partition)
      return seat && (seat.actor.resolveLetters(asked) ?? Promise.reject(notAtWork(seat)))
    },
    async caughtUp() {
      const areAll = await catchUp(actors, depthOf(stages))
      return areAll && ends.length === 0
    },
    ended,
  }
}

const supervised: Host = parts => new Supervised(parts)

function stagesByPipeline(stages: readonly Stage[]): Stage[][] {
  const names = [...new Set(stages.map(stage => stage.pipeline))]
  return names.map(name => stages.filter(stage => stage.pipeline === name))
}

type Place = Omit<PartitionFault, 'why' | 'error'>

interface Seat extends Place {
  readonly actor: Hosted
}

function nameOf({ pipeline }: Stage, partition: number): string {
  return `partition ${partition} of pipeline "${pipeline}"`
}

function sourcesOf({ sources }: Stage): readonly string[] {
  return sources.map(({ name }) => name)
}

interface SeatEnd extends Place {
  readonly end: ActorEnd
}

function notAtWork({ partition, actor }: Seat): UnavailableError {
  const { state } = actor.status()
  return new UnavailableError('CLOSED', `partition ${partition} is ${state}`, 'see "stream-node status", and ask again')
}

function pausedOf(seats: readonly Seat[]): PartitionFault | undefined {
  for (const { actor, ...place } of seats) {
    const { pausedBy } = actor
    if (pausedBy !== undefined) return { ...place, why: 'paused', error: pausedBy.error }
  }
  return undefined
}

function endOf(ends: readonly SeatEnd[], paused: PartitionFault | undefined, inTime: boolean | undefined): NodeEnd {
  for (const why of ['halted', 'failed'] as const) {
    for (const { end, ...place } of ends) if (end.why === why) return { ...place, why, error: end.error }
  }
  if (paused !== undefined) return paused
  if (inTime === false) return { why: 'late' }
  return { why: ends.every(({ end }) => end.why === 'fenced') ? 'fenced' : 'stopped' }
}

/**
 * What one pipeline publishes another may read, so one round is not enough: as many as the longest chain is long, fewer
 * when a round moved nothing. False when one of them ended or was paused.
 */
async function catchUp(actors: readonly Hosted[], depth: number): Promise<boolean> {
  let areAll = true
  for (let round = 0; round < depth; round++) {
    const before = standOf(actors)
    const are = await Promise.all(actors.map(actor => actor.caughtUp()))
    areAll = are.every(is => is)
    if (round > 0 && standOf(actors) === before) break
  }
  return areAll
}

function standOf(actors: readonly Hosted[]): string {
  const stands = actors.map(actor => actor.status()).map(({ number, positions, outbox }) => [number, positions, outbox])
  return JSON.stringify(stands)
}
