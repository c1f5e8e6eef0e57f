/**
 * Runs somebody's own pipeline under the faults of the simulation: what comes out must be what comes out when nothing
 * goes wrong.
 */
import { isDeepStrictEqual } from 'node:util'
import { DefinitionError, messageOf } from '../../errors.js'
import { encodeHeaders, START } from '../../log/record.js'
import type { LogRecord } from '../../log/record.js'
import { badOption, knownOptions, whole } from '../../options.js'
import { plan } from '../../pipeline/plan.js'
import type { Stage } from '../../pipeline/plan.js'
import type { Pipeline } from '../../pipeline/pipeline.js'
import { decodeBatch } from '../../stream/batch.js'
import { deadLettersName, letterIn, type DeadLetter } from '../../stream/dead-letters.js'
import { Inbox } from '../../stream/inbox.js'
import type { Cursor } from '../../stream/inbox.js'
import { Streams } from '../../stream/open.js'
import { outOf } from '../../stream/output-id.js'
import type { Stream, Target } from '../../stream/stream.js'
import { silent } from '../../telemetry/events.js'
import { SimChance } from './chance.js'
import { Course } from './course.js'
import { FarSides } from './far-sides.js'
import { NO_FAULTS } from './faults.js'
import type { StoredStream } from './stored-stream.js'
import { drawSwarm } from './swarm.js'
import type { Swarm } from './swarm.js'

export interface SimulateOptions {
  /** Publishes what the pipeline is to read: `push => { push(clicks, a, b, c) }`. In every run the same. */
  readonly input: (push: <T>(to: Target<T>, ...values: NoInfer<T>[]) => void) => void
  /** How many seeds. Default 100: a few seconds for a small pipeline. */
  readonly seeds?: number
  /** The first of them. Default 1. */
  readonly seed?: number
}

/** How much befell it. */
export interface Simulated {
  readonly seeds: number
  /** How often an owner took a partition over. */
  readonly claims: number
  /** How often each kind of fault happened. */
  readonly faults: Readonly<Record<string, number>>
}

interface Pushed {
  readonly stream: string
  readonly value: unknown
}

const EVERY_MS = 100
const BEGIN_MS = 1000

/**
 * Runs a pipeline on the simulated log: first once without a fault, then once for each seed with owners that die, freeze
 * and are fenced, and a log that loses, delays and repeats. Rejects at the first seed in which something else came out:
 * in a stream, or by its ids in a sink, from a partition, in another order or another number; sinks are not written to, others
 * stand for them. That is a bug of stream-node, or the pipeline does
 * not give the same for the same input: it draws by chance, asks the clock or the network, or has several sources whose
 * records take turns. The error names the seed; `seed` with `seeds: 1` runs it again.
 */
export async function simulate<T>(pipeline: Pipeline<T>, options: SimulateOptions): Promise<Simulated> {
  knownOptions('simulate', options, ['input', 'seeds', 'seed'])
  const { input, seeds = 100, seed: first = 1 } = options
  whole('seeds of simulate', seeds, { min: 1 })
  whole('seed of simulate', first)
  const stages = plan(pipeline)
  const pushed = pushedBy(input, stages)
  const calm: Swarm = {
    ...drawSwarm(new SimChance(0), 'base'),
    shares: NO_FAULTS,
    spans: { latency: [1, 2], timeoutMs: 1000, lateMs: 0, awayMs: [0, 0], frozenMs: [0, 0] },
  }
  const expected = (await run(0, calm, stages, pushed, false)).came
  const faults: Record<string, number> = {}
  let claims = 0
  for (let seed = first; seed < first + seeds; seed++) {
    const chance = new SimChance(seed, 'swarm')
    const swarm = drawSwarm(chance, chance.pick(['base', 'base', 'zombie', 'blind'] as const))
    const { came, course } = await run(seed, swarm, stages, pushed, true)
    compare(seed, expected, came)
    claims += course.owners.claims
    for (const [kind, count] of course.world.faults.landed) faults[kind] = (faults[kind] ?? 0) + count
  }
  return { seeds, claims, faults }
}

function pushedBy(input: SimulateOptions['input'], stages: readonly Stage[]): Pushed[] {
  const sources = new Set(stages.flatMap(stage => stage.sources.map(source => source.name)))
  const pushed: Pushed[] = []
  input((to, ...values) => {
    if (!sources.has(to.name)) {
      throw badOption('what input pushes to', `a source of the pipeline: ${[...sources].join(', ')}`, to.name)
    }
    for (const value of values) pushed.push({ stream: to.name, value })
  })
  if (pushed.length === 0)
    throw new DefinitionError('BAD_OPTION', 'input of simulate pushed nothing', 'push some values')
  return pushed
}

/** What came out, in order, by the stream and the partitions that it came from and went to. */
type CameOut = ReadonlyMap<string, readonly string[]>

async function run(seed: number, swarm: Swarm, stages: readonly Stage[], pushed: readonly Pushed[], befalls: boolean) {
  const label = (name: string) => (name.endsWith('-ledger') ? 'ledger' : 'stream')
  const least = { claims: 10, faults: 30 }
  const farSides = new FarSides(befalls ? new SimChance(seed, 'far sides') : undefined)
  const acted = stages.map(stage => farSides.stage(stage))
  const course = new Course({ seed, swarm, stages: () => acted, keepLines: false, label, least })
  const { world } = course
  const sources = new Map(stages.flatMap(stage => stage.sources.map(source => [source.name, source] as const)))
  const outside = world.outside('outside')
  const streams = new Streams(outside, { chance: world.chance('outside'), tell: silent, replicas: 1 })
  const isIn = await publish(course, streams, sources, pushed)
  if (befalls) await course.befall()
  await course.settle(isIn)
  const [wrong] = course.findings
  if (wrong !== undefined) throw failed(seed, wrong)
  for (const { end } of course.owners.broken) {
    if (end !== undefined && 'error' in end)
      throw failed(seed, `an owner ${end.why}: ${messageOf(end.error)}`, end.error)
  }
  const letters = new Set(stages.map(({ pipeline }) => deadLettersName(pipeline)))
  const came = new Map<string, string[]>()
  for (const [name, stored] of world.server.streams) {
    if (sources.has(name) || name.endsWith('-ledger')) continue
    const { kept } = await course.within(streams.look(name))
    const form = letters.has(name) ? 'letters' : kept.format === 'batch' ? 'batch' : 'message'
    read(seed, stored, form, came)
  }
  farSides.addTo(came)
  return { came, course }
}

/** Brings the input in, in every run at the same times. Gives whether all is in. */
async function publish(
  course: Course,
  streams: Streams,
  sources: ReadonlyMap<string, Stream<unknown>>,
  pushed: readonly Pushed[],
): Promise<() => boolean> {
  const { clock, server } = course.world
  const opened = new Map(
    await course.within(
      Promise.all([...sources].map(async ([name, source]) => [name, await streams.open(source, 'write')] as const)),
    ),
  )
  let stored = 0
  const storeNext = (): void => {
    const { stream, value } = pushed[stored] as Pushed
    const { partition, payload, headers, id } = opened.get(stream)!.wire.write(value, {}, `pushed-${stored}`)
    const append = { partition, id, expect: undefined, head: encodeHeaders(headers, id), payload }
    if (server.streams.get(stream)!.append(append).ending === 'stored') stored++
    if (stored < pushed.length) clock.after(EVERY_MS, storeNext)
  }
  clock.after(BEGIN_MS - clock.elapsed(), storeNext)
  return () => stored === pushed.length
}

/** What a reader of ours sees of a stream, by who wrote it; of who is none of ours all together. */
function read(seed: number, stored: StoredStream, form: Form, came: Map<string, string[]>): void {
  const { name, partitions } = stored.spec
  for (let partition = 0; partition < partitions; partition++) {
    const rows = new Map<string, Cursor>()
    const cursors = {
      get: (writer: string) => rows.get(writer),
      set: (writer: string, to: Cursor) => void rows.set(writer, to),
    }
    const inbox = new Inbox(cursors, { fromStart: true, foreignAfter: START, tell: silent, stream: name })
    const own = stored.records.filter(record => record.partition === partition)
    const ids = new Set(own.map(record => record.id))
    if (ids.size < own.length) throw failed(seed, `an output is stored twice in stream "${name}"`)
    for (const record of inbox.take(own)) {
      const from = outOf(record)?.writer.split('/')[2] ?? ''
      const lane = `stream "${name}", ${from === '' ? `partition ${partition}` : `partitions ${from}`}`
      const values = came.get(lane) ?? []
      came.set(lane, values)
      values.push(...textsOf(record, form))
    }
  }
}

type Form = 'message' | 'batch' | 'letters'

function textsOf(record: LogRecord, form: Form): string[] {
  if (form === 'letters') return [letterText(letterIn(record.payload) as DeadLetter)]
  const framed = form === 'batch' ? decodeBatch(record.payload) : [record]
  return framed.map(({ payload }) => Buffer.from(payload).toString())
}

/** Of a dead letter what must be the same in each run: not when, after how many tries, and how much of it had room. */
function letterText({ stream, position, index, error: { name, message } }: DeadLetter): string {
  const record = index === undefined ? `record ${position}` : `record ${index} of message ${position}`
  return `the dead letter about ${record} of stream "${stream}" (${name}: ${message})`
}

function compare(seed: number, expected: CameOut, came: CameOut): void {
  for (const lane of new Set([...expected.keys(), ...came.keys()])) {
    const [should, did] = [expected.get(lane) ?? [], came.get(lane) ?? []]
    if (isDeepStrictEqual(should, did)) continue
    const at = should.findIndex((value, i) => value !== did[i])
    const place = at < 0 ? should.length : at
    const what = `${lane}: output ${place + 1} is ${did[place] ?? 'missing'}, and without faults ${should[place] ?? 'nothing'}`
    throw failed(seed, what)
  }
}

function failed(seed: number, what: string, cause?: unknown): Error {
  return new Error(`simulation, seed ${seed}: ${what}; run it again with { seed: ${seed}, seeds: 1 }`, { cause })
}
