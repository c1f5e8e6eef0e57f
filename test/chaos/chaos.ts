/**
 * Real faults on real processes: nodes run pipelines as users run them, records come in at a set rate, and blows fall;
 * then all heals, everything must come out, and the checker of the simulation judges it.
 */
import { copyFileSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { systemChance, systemClock } from '../../src/clock.js'
import { linked } from '../../src/client/linked.js'
import { messageOf } from '../../src/errors.js'
import { openEmbedded } from '../../src/log/embedded/embedded.js'
import { openJetStream } from '../../src/log/jetstream/jetstream.js'
import type { Ports } from '../../src/log/ports.js'
import { silent } from '../../src/telemetry/events.js'
import { SimChance } from '../../src/testing/simulation/chance.js'
import type { FindingKind } from '../../src/testing/simulation/checker.js'
import { openBadLink } from '../link.js'
import { startServer } from '../nats-server/server.js'
import { Crew } from './crew.js'
import { Judge, type JudgeOptions } from './judge.js'
import { Nemesis, type Blow, type Ways } from './nemesis.js'
import type { Sample } from './node.js'
import { numbers, sums } from './pipeline.js'
import { Publisher } from './publisher.js'

export type Blows = Readonly<Partial<Record<Blow, number>>>

export interface ChaosOptions {
  readonly log: 'JetStream' | 'embedded'
  readonly seed: number
  /** How many of each kind. On the embedded log, kills only. */
  readonly blows: Blows
  /** At least so many, and as long as there are blows; then what is left as fast as it goes. */
  readonly records: number
  readonly perSecond: number
  /** The path of the command that the nodes run. */
  readonly main: string
  /** Of nats-server, or its beginning. Default: as for the other tests. */
  readonly version?: string
  /** How many keys the records have. */
  readonly keys?: number
  /** Told of each blow when it is over: how many there were, and how many seconds it took. */
  readonly told?: (blow: Blow, count: number, seconds: number) => void
}

export interface ChaosReport {
  /** Which log, with its version. */
  readonly log: string
  readonly seed: number
  readonly records: number
  readonly outputs: number
  readonly planned: Blows
  readonly landed: Readonly<Record<Blow, number>>
  readonly fights: number
  readonly zombies: number
  readonly harms: ReadonlyMap<string, number>
  /** How many nodes were started, and how many of them while their log was away. */
  readonly nodes: { readonly started: number; readonly unreachable: number }
  readonly backMs: readonly number[]
  /** What the checker counted. */
  readonly counts: ReadonlyMap<FindingKind, number>
  /** What is wrong; nothing when all is well. */
  readonly findings: readonly string[]
  /** Why it proves nothing although nothing was found. */
  readonly invalid: readonly string[]
  readonly seconds: number
}

/** Fewer than this share of the planned blows make a run worth nothing. */
const LANDED_LEAST = 0.9

/** One run; all that it draws comes from the seed. */
export async function runChaos(options: ChaosOptions): Promise<ChaosReport> {
  const { seed, blows, told = () => {} } = options
  const began = performance.now()
  await using scene = await setScene(options)
  const { judge, crew, publisher, nemesis } = scene
  const findings: string[] = []
  try {
    for (const [i, blow] of shuffled(blows, new SimChance(seed, 'blows')).entries()) {
      const before = performance.now()
      await nemesis.strike(blow)
      told(blow, i + 1, (performance.now() - before) / 1000)
    }
  } catch (error) {
    findings.push(messageOf(error))
  }
  publisher.finish()
  const records = await publisher.done
  // It takes over whatever those that fought have left without an owner.
  if (options.log === 'JetStream') crew.start()
  if (findings.length === 0) await judge.caughtUp(records)
  await crew.stop()
  const counts = await judge.end()
  findings.push(...scene.findings, ...judge.findings)
  const { landed, fights, zombies, harms, backMs } = nemesis
  return {
    ...{ log: scene.log, seed, records, outputs: judge.outputs, planned: blows, landed, fights, zombies, harms },
    nodes: { started: crew.started, unreachable: crew.unreachable },
    ...{ backMs, counts, findings, invalid: invalid(options, records, landed) },
    seconds: (performance.now() - began) / 1000,
  }
}

function invalid({ blows, records: least }: ChaosOptions, records: number, landed: ChaosReport['landed']): string[] {
  const few = Object.entries(blows).filter(([blow, planned]) => landed[blow as Blow] < planned * LANDED_LEAST)
  return [
    ...few.map(([blow, planned]) => `${landed[blow as Blow]} of ${planned} blows of the kind "${blow}" landed`),
    ...(records < least ? [`${records} records, not ${least}`] : []),
  ]
}

function shuffled(blows: Blows, chance: SimChance): Blow[] {
  const all = Object.entries(blows).flatMap(([blow, count]) => new Array<Blow>(count).fill(blow as Blow))
  for (let i = all.length - 1; i > 0; i--) {
    const j = chance.whole(i + 1)
    ;[all[i], all[j]] = [all[j]!, all[i]!]
  }
  return all
}

/** What a run is made of. */
export interface Scene extends AsyncDisposable {
  readonly log: string
  readonly judge: Judge
  readonly crew: Crew
  readonly publisher: Publisher
  readonly nemesis: Nemesis
  readonly findings: readonly string[]
}

export interface SceneOptions extends Omit<ChaosOptions, 'blows'>, JudgeOptions {
  /** Told what nodes hold, every `samplesMs`. */
  readonly sampled?: (sample: Sample) => void
  readonly samplesMs?: number
  /** For how long streams keep records. Default: for ever. */
  readonly keptMs?: number
}

const KEYS = 500
const FILE = 'pipeline.ts'
const WINDOW_MS = 20_000

/** A log, a publisher that publishes, and a judge that reads along; nodes come with the first blow. */
export async function setScene(options: SceneOptions): Promise<Scene> {
  const { seed, main, records, perSecond, keys = KEYS, chained = true, keptMs, samplesMs } = options
  const around = { clock: systemClock, chance: systemChance, tell: silent }
  const parts = { ...around, replicas: 1 }
  const folder = mkdtempSync(join(tmpdir(), 'chaos-'))
  copyFileSync(join(import.meta.dirname, FILE), join(folder, FILE))
  const settings = {
    ...(!chained && { CHAOS_CHAINED: 'no' }),
    ...(samplesMs !== undefined && { CHAOS_SAMPLES: `${samplesMs}` }),
  }
  const ways = options.log === 'embedded' ? undefined : await openWays(options.version)
  const open = (url?: string): Promise<Ports> =>
    url === undefined
      ? openEmbedded({ dataDir: join(folder, '.stream-node'), role: 'guest' }, around)
      : openJetStream({ servers: url }, around)
  const findings: string[] = []
  const ports = await open(ways?.server.url)
  if (keptMs !== undefined) await makeStreams(ports, keptMs)
  const judge = await Judge.open(ports, options)
  const client = linked(await open(ways?.publisher.url), parts)
  const publisher = new Publisher({
    ...{ client, chance: new SimChance(seed, 'records'), keys, perSecond, records },
    stored: (id, position) => judge.receipts.acknowledged(id, position),
  })
  const crew = new Crew({
    ...{ main, folder, file: FILE },
    env: { ...settings, ...(ways && { NATS_URL: ways.nodes.url }) },
    find: what => findings.push(what),
    ...(options.sampled && { sampled: options.sampled }),
  })
  const nemesis = new Nemesis({ chance: new SimChance(seed, 'nemesis'), crew, judge, ...(ways && { ways }) })
  return {
    ...{ judge, crew, publisher, nemesis, findings },
    log: ways === undefined ? 'embedded log' : `nats-server ${ways.server.version}`,
    async [Symbol.asyncDispose]() {
      await crew.kill()
      await judge.close()
      await client.close()
      await ways?.nodes.close()
      await ways?.publisher.close()
      await ways?.server.stop()
      rmSync(folder, { recursive: true, force: true })
    },
  }
}

/** Definitions leave to the log for how long records are kept. */
async function makeStreams(ports: Ports, keptMs: number): Promise<void> {
  for (const { name, partitions } of [numbers, sums]) {
    await ports.log.open({ name, partitions, retention: { ageMs: keptMs }, replicas: 1, dedupWindowMs: WINDOW_MS })
  }
}

async function openWays(version: string | undefined): Promise<Ways> {
  const server = await startServer(version === undefined ? {} : { version })
  const [nodes, publisher] = [await openBadLink(server.url), await openBadLink(server.url)]
  return { server, nodes, publisher }
}
