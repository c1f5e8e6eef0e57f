/**
 * One seed: records go in, owners claim, die, freeze and are fenced while the log misbehaves; then all heals, everything
 * must come out, and the checker judges it.
 */
import { filter, map, tap } from 'rxjs'
import { IntegrityError, messageOf, RetryableError } from '../../src/errors.js'
import { encodeHeaders } from '../../src/log/record.js'
import type { LogRecord } from '../../src/log/record.js'
import { scan } from '../../src/operators/scan.js'
import { pipeline } from '../../src/pipeline/pipeline.js'
import { plan } from '../../src/pipeline/plan.js'
import { Inbox } from '../../src/stream/inbox.js'
import type { Cursor } from '../../src/stream/inbox.js'
import { letterIn, type DeadLetter } from '../../src/stream/dead-letters.js'
import { Streams } from '../../src/stream/open.js'
import { stream } from '../../src/stream/stream.js'
import { silent } from '../../src/telemetry/events.js'
import { SimChance } from '../../src/testing/simulation/chance.js'
import { Course } from '../../src/testing/simulation/course.js'
import { check, lettersDue, outputsDue } from '../../src/testing/simulation/checker.js'
import type { Came, Given, Ill, Letter, LetterStream, OutputStream } from '../../src/testing/simulation/checker.js'
import type { StoredStream } from '../../src/testing/simulation/stored-stream.js'
import { drawSwarm, FAITHLESS } from '../../src/testing/simulation/swarm.js'
import type { Mode, Swarm } from '../../src/testing/simulation/swarm.js'
import type { World } from '../../src/testing/simulation/world.js'

export interface SeedOptions {
  readonly mode?: Mode
  readonly keepLines?: boolean
}

/** How a seed ended. */
export interface SeedReport {
  readonly seed: number
  readonly mode: Mode
  /** What is wrong; nothing when all is well. */
  readonly findings: readonly string[]
  /** Why it proves nothing although nothing was found: too few faults, claims or records. */
  readonly invalid: readonly string[]
  /** In modes where the log breaks its promises: how many partitions halted by name, and readers refused to go on. */
  readonly halts: number
  readonly refusals: number
  /** Outputs were lost by the log, and nobody noticed. Only where that is said to be possible. */
  readonly silent: boolean
  /** Outputs that a stream holds once more. Only where bytes are on their way for too long, or too little is kept. */
  readonly repeats: number
  readonly records: number
  /** How many dead letters had to come. */
  readonly letters: number
  readonly claims: number
  readonly faults: ReadonlyMap<string, number>
  readonly crashes: ReadonlyMap<string, number>
  readonly events: number
  readonly simulatedMs: number
  readonly hash: string
  readonly trace: readonly string[]
}

const RECORDS_MIN = 60
const CLAIMS_MIN = 10
const FAULTS_MIN = 30

export async function runSeed(seed: number, options: SeedOptions = {}): Promise<SeedReport> {
  const run = new SeedRun(seed, options)
  return run.run()
}

interface Scene {
  /** How many streams the first pipeline reads. */
  readonly sources: 1 | 2
  readonly partitions: number
  readonly targets: number
  readonly outPartitions: number
  /** A second pipeline takes what the first gives. */
  readonly chained: boolean
}

class SeedRun {
  readonly chance: SimChance
  readonly swarm: Swarm
  readonly scene: Scene
  readonly course: Course
  readonly world: World
  readonly given: Given[] = []
  /** How often a step is still to throw at a record that is busy. */
  readonly busy = new Map<string, number>()
  /** How many records publishers bring in, sooner or later. */
  published = 0
  silent = false
  repeats = 0
  /** Readers that noticed what the log did. */
  readonly refusals: string[] = []

  constructor(
    readonly seed: number,
    { mode, keepLines = false }: SeedOptions,
  ) {
    this.chance = new SimChance(seed, 'scene')
    this.swarm = drawSwarm(new SimChance(seed, 'swarm'), mode)
    const chained = this.chance.happens(0.35) && this.swarm.mode !== 'trimmed'
    this.scene = {
      sources: this.chance.pick([1, 1, 2]),
      chained,
      partitions: this.chance.pick([1, 1, 2]),
      targets: chained ? 1 : this.chance.pick([1, 1, 2]),
      outPartitions: chained ? 1 : this.chance.pick([1, 2, 3]),
    }
    const { scene, swarm } = this
    const stages = (world: World) => definitions(scene, swarm, world.chance('user'), this.busy).flatMap(plan)
    const least = { claims: CLAIMS_MIN, faults: FAULTS_MIN }
    this.course = new Course({ seed, swarm, stages, keepLines, label, least })
    this.world = this.course.world
  }

  async run(): Promise<SeedReport> {
    await this.#publish()
    await this.course.befall(FAITHLESS.has(this.swarm.mode) ? () => this.#breach() : undefined)
    await this.world.pass(60_000, () => this.given.length === this.published)
    await this.course.settle(() => this.#isOut())
    this.#judge()
    return this.#report()
  }

  #isOut(): boolean {
    const { given } = this
    if (given.length < this.published) return false
    if (['trimmed', 'forgetful'].includes(this.swarm.mode)) return true
    // Counted first: as long as some are missing, there is nothing to parse.
    const holds = (name: string, due: number) => (this.world.server.streams.get(name)?.records.length ?? 0) >= due
    return (
      this.#outputNames().every((name, index) => holds(name, this.#due(name, index))) &&
      this.#letterNames().every(({ name, by }) => holds(name, lettersDue(given, by).length))
    )
  }

  /** How many outputs must come into the stream of this index. */
  #due(name: string, index: number): number {
    const ofFirst = outputsDue(this.given, this.#takes(index))
    return name === 'out-last' ? ofFirst - lettersDue(this.given, 'second').length : ofFirst
  }

  /** Publishers, some of whom repeat themselves, bring records in all the time. */
  async #publish(): Promise<void> {
    const { world, chance, scene, swarm } = this
    const outside = world.outside('publishers')
    const streams = new Streams(outside, { chance: world.chance('publisher'), tell: silent, replicas: 1 })
    const opened = await this.course.within(
      Promise.all(inputsOf(scene, swarm).map(input => streams.open(input, 'write'))),
    )
    const count = (this.published = RECORDS_MIN + chance.whole(10))
    // A log that breaks its promises does so late, and must find work that is new.
    const gapMs = swarm.everyMs * (FAITHLESS.has(swarm.mode) ? 2 : 1)
    const ills = new SimChance(this.seed, 'ills')
    let at = 0
    for (let i = 0; i < count; i++) {
      const { stream, wire } = chance.pick(opened)
      const stored = world.server.streams.get(stream.name)!
      // Between two sources there is no order, so each has keys of its own.
      const key = `${stream.name}-${chance.whole(5)}`
      const healthy: Given = { id: `r${i}`, key, value: 1 + chance.whole(1000) }
      const one = ills.happens(swarm.illShare) ? { ...healthy, ill: this.#ill(healthy, ills) } : healthy
      const written = wire.write(one, {}, one.id)
      const payload = one.ill === 'garbled' ? written.payload.subarray(1) : written.payload
      const head = encodeHeaders(undefined, one.id)
      const append = { partition: written.partition, id: one.id, expect: undefined, head, payload }
      const store = () => {
        if (stored.append(append).ending !== 'stored') return world.clock.after(200, store)
        this.given.push(one)
        // Some send it again while the log knows its id.
        if (chance.happens(0.2))
          world.clock.after(swarm.windowMs * 0.9 * chance.fraction(), () => stored.append(append))
      }
      at += chance.happens(0.5) ? 0 : chance.fraction() * gapMs
      world.clock.after(at, store)
    }
  }

  #ill({ id }: Given, chance: SimChance): Ill {
    const ill = chance.pick<Ill>(['poison', 'garbled', 'busy', this.scene.chained ? 'poison later' : 'poison'])
    // Each time it is tried it may be walked twice.
    if (ill === 'busy') this.busy.set(id, 1 + chance.whole(5))
    return ill
  }

  /** The log breaks its promises. */
  #breach(): void {
    const { world, swarm, chance } = this
    const ledger = world.server.streams.get(`${chance.pick(this.course.stages).pipeline}-0-ledger`)
    const outputs = [...world.server.streams.keys()].filter(name => name.startsWith('out'))
    const partition = chance.whole(ledger?.spec.partitions ?? 1)
    if (swarm.mode === 'amnesia') {
      // Those who know better may die with it.
      if (chance.happens(0.5)) world.running.forEach(running => world.kill(running))
      if ((ledger?.forget(partition, 1 + chance.whole(chance.pick([1, 2, 6]))) ?? 0) > 0) world.faults.land('amnesia')
    } else if (swarm.mode === 'forgetful' && outputs.length > 0) {
      const output = world.server.streams.get(chance.pick(outputs))!
      if (output.forget(chance.whole(output.spec.partitions), 1 + chance.whole(4)) > 0) world.faults.land('amnesia')
    } else if (swarm.mode === 'reborn') {
      if (ledger === undefined) return
      world.server.drop(ledger.spec.name)
      world.faults.land('amnesia')
    } else if (swarm.mode === 'damaged' && ledger !== undefined) {
      const own = ledger.records.filter(one => one.partition === partition)
      if (own.length < 2) return
      world.faults.land('damaged')
      if (chance.happens(0.4)) ledger.lose(chance.pick(own.slice(0, -1)).position)
      else ledger.damage(chance.pick(own).position, payload => damaged(payload, chance))
    }
    world.trace.add(`the log breaks its promises: ${swarm.mode}`)
  }

  #judge(): void {
    const { swarm } = this
    const { owners, findings } = this.course
    for (const { end, partition, running } of owners.broken) {
      if (end === undefined || !('error' in end)) continue
      if (FAITHLESS.has(swarm.mode) && end.why === 'halted' && end.error instanceof IntegrityError) continue
      findings.push(`${running.process.name} ${end.why} partition ${partition}: ${messageOf(end.error)}`)
    }
    if (owners.broken.length > 0) return
    if (swarm.mode === 'reborn' && this.world.faults.landed.has('amnesia')) {
      findings.push('the stream of the ledgers was deleted, and nobody noticed')
    }
    const [outputs, letters] = [this.#outputs(), this.#letters()]
    const found = check({ given: this.#givenInOrder(), outputs, letters })
    for (const { stored } of [...outputs, ...letters])
      this.repeats += stored.length - new Set(stored.map(({ id }) => id)).size
    if (this.refusals.length > 0 && FAITHLESS.has(swarm.mode)) return
    findings.push(...this.refusals)
    // What a stream of outputs lost at its end, and others have filled since, nobody can see: so the guarantees say.
    if (swarm.mode === 'forgetful') this.silent = found.some(({ kind }) => kind === 'lost')
    for (const { kind, what } of found) if (!this.silent) findings.push(`${kind}: ${what}`)
  }

  /** As each source holds them, one source after the other: their keys differ. */
  #givenInOrder(): Given[] {
    const given = new Map(this.given.map(one => [one.id, one]))
    return inputsOf(this.scene, this.swarm).flatMap(({ name }) =>
      this.world.server.streams.get(name)!.records.map(({ id }) => given.get(id!)!),
    )
  }

  #outputs(): OutputStream[] {
    return this.#stored().map(output => {
      const stored = this.world.server.streams.get(output.name)
      return { ...output, read: stored === undefined ? [] : this.#read(stored, cameOf) }
    })
  }

  #letterNames(): Pick<LetterStream, 'name' | 'by'>[] {
    const names: Pick<LetterStream, 'name' | 'by'>[] = [{ name: 'sim-dead-letters', by: 'first' }]
    // What those of the second are about is gone where the log has forgotten outputs of the first.
    if (!this.scene.chained || this.swarm.mode === 'forgetful') return names
    return [...names, { name: 'sim2-dead-letters', by: 'second' }]
  }

  #letters(): LetterStream[] {
    const letterOf = (record: LogRecord) => this.#letterOf(record)
    return this.#letterNames().map(of => {
      const stored = this.world.server.streams.get(of.name)
      const mayRepeatInStream = this.#mayRepeatInStream
      if (stored === undefined) return { ...of, mayRepeatInStream, stored: [], read: [] }
      return { ...of, mayRepeatInStream, stored: stored.records.map(letterOf), read: this.#read(stored, letterOf) }
    })
  }

  #letterOf({ id, payload }: LogRecord): Letter {
    const { stream: name, partition, position, size, bytes } = letterIn(payload) as DeadLetter
    const about = this.world.server.streams.get(name)?.records.find(one => one.position === position)
    if (about === undefined) return { of: `nothing at ${name}/${position}`, isTrue: false, id }
    const isTrue =
      about.partition === partition &&
      about.payload.length === size &&
      (bytes === undefined || bytes === Buffer.from(about.payload).toString('base64'))
    return { of: name.startsWith('input') ? about.id! : cameOf(about).of, isTrue, id }
  }

  get #mayRepeatInStream(): boolean {
    return this.swarm.mode === 'late' || this.swarm.mode === 'trimmed'
  }

  #outputNames(): string[] {
    const { targets, chained } = this.scene
    return targets === 2 ? ['out-even', 'out-odd'] : chained ? ['out', 'out-last'] : ['out']
  }

  /** Which outputs belong into the stream of this index. */
  #takes(index: number): OutputStream['takes'] {
    return ({ count }) => this.scene.targets === 1 || count % 2 === index
  }

  #stored(): Omit<OutputStream, 'read'>[] {
    const { world, swarm } = this
    return this.#outputNames().map((name, index) => ({
      name,
      by: name === 'out-last' ? 'second' : 'first',
      takes: this.#takes(index),
      stored: world.server.streams.get(name)?.records.map(cameOf) ?? [],
      isTrimmed: swarm.mode === 'trimmed',
      mayRepeatInStream: this.#mayRepeatInStream,
    }))
  }

  /** What a reader of ours sees of it; one that finds it trimmed begins in the middle. */
  #read<T>(stored: StoredStream, of: (record: LogRecord) => T): T[] {
    const fromStart = stored.spec.retention.records === undefined
    const chance = new SimChance(this.seed, 'reader')
    const came: T[] = []
    for (let partition = 0; partition < stored.spec.partitions; partition++) {
      const rows = new Map<string, Cursor>()
      const cursors = {
        get: (writer: string) => rows.get(writer),
        set: (writer: string, to: Cursor) => void rows.set(writer, to),
      }
      const inbox = new Inbox(cursors, {
        fromStart,
        foreignAfter: 0,
        tell: silent,
        stream: stored.spec.name,
      })
      const all = stored.records.filter(one => one.partition === partition)
      try {
        for (let at = 0; at < all.length;) {
          const batch = all.slice(at, (at += 1 + chance.whole(5)))
          for (const record of inbox.take(batch)) {
            inbox.passed(record)
            came.push(of(record))
          }
        }
      } catch (error) {
        this.refusals.push(`a reader of ${stored.spec.name} cannot go on: ${messageOf(error)}`)
      }
    }
    return came
  }

  #report(): SeedReport {
    const { seed, swarm, world, given } = this
    const { findings, owners } = this.course
    const invalid: string[] = []
    const atLeast = (what: string, count: number, least: number) => {
      if (count < least) invalid.push(`${count} ${what}, not ${least}`)
    }
    atLeast('records', given.length, RECORDS_MIN)
    const halts = owners.broken.length
    atLeast('claims', owners.claims, CLAIMS_MIN)
    atLeast('faults', world.faults.total, FAULTS_MIN)
    return {
      ...{
        seed,
        mode: swarm.mode,
        findings: [...new Set(findings)],
        invalid,
        halts,
        silent: this.silent,
        repeats: this.repeats,
        refusals: this.refusals.length,
        records: given.length,
        letters: this.#letterNames().reduce((sum, { by }) => sum + lettersDue(given, by).length, 0),
      },
      ...{ claims: owners.claims, faults: world.faults.landed, crashes: world.crashes },
      ...{ events: world.clock.events, simulatedMs: world.clock.elapsed() },
      ...{ hash: world.trace.hash, trace: world.trace.lines },
    }
  }
}

function label(name: string): string {
  if (name.endsWith('-ledger')) return 'ledger'
  if (name.endsWith('-dead-letters')) return 'letters'
  if (name.startsWith('input')) return 'input'
  return name.startsWith('out') ? 'output' : name
}

function inputsOf({ partitions, sources }: Scene, { windowMs }: Swarm) {
  const input = (name: string) => stream<Given>(name, { key: 'key', partitions, dedupWindow: windowMs })
  return sources === 1 ? ([input('input')] as const) : ([input('input'), input('input-more')] as const)
}

interface State {
  readonly of: string
  readonly ill?: Ill
  readonly key: string
  readonly count: number
  readonly sum: number
  readonly fold: number
  readonly drawn: number
  readonly drawnBefore: number
}

const ON_ERROR = { retry: { attempts: 3, backoff: '50 ms' }, budget: false } as const

function definitions(scene: Scene, swarm: Swarm, chance: SimChance, busy: Map<string, number>) {
  const fold = foldBy(chance)
  const options = {
    ...({ key: 'key', partitions: scene.outPartitions, dedupWindow: swarm.windowMs } as const),
    ...(swarm.mode === 'trimmed' && { retention: { records: 15 } }),
  }
  const flow = pipeline('sim', { onError: ON_ERROR })
    .from(...inputsOf(scene, swarm))
    .pipe(
      filter(one => one.value % 5 !== 0),
      map(one => ({ ...one, value: one.value * 2 })),
      scan(fold, BEGIN),
      tap(throwAt('poison', busy)),
    )
  if (scene.targets === 2) {
    const [even, odd] = [flow.as('out-even', options), flow.as('out-odd', options)]
    return [flow.to(({ count }) => (count % 2 === 0 ? even : odd))]
  }
  const out = flow.as('out', options)
  if (!scene.chained) return [flow.to(out)]
  const second = pipeline('sim2', { onError: ON_ERROR })
    .from(out)
    .pipe(
      map(({ of, key, sum, ill }) => ({ id: of, key, value: sum, ...(ill !== undefined && { ill }) })),
      scan(fold, BEGIN),
      tap(throwAt('poison later', new Map())),
    )
  return [flow.to(out), second.to(second.as('out-last', options))]
}

const BEGIN: State = { of: '', key: '', count: 0, sum: 0, fold: 7, drawn: 0, drawnBefore: 0 }

/** What user code makes of a record; it draws a number each time, so it gives something else when it is run again. */
function foldBy(chance: SimChance): (state: State, one: Given) => State {
  return (state, { id, key, value, ill }) => ({
    ...{ of: id, key, count: state.count + 1, sum: state.sum + value, ...(ill !== undefined && { ill }) },
    fold: (state.fold * 31 + value) % 1_000_003,
    drawn: 1 + chance.whole(1_000_000_000),
    drawnBefore: state.drawn,
  })
}

/** Behind the memory of the pipeline, which must not keep what came of these. */
function throwAt(poison: Ill, busy: Map<string, number>): (state: State) => void {
  return ({ ill, of, count }) => {
    if (ill === poison) throw count % 2 === 0 ? new TypeError(`${of} is poison`) : new RetryableError(`${of} is poison`)
    const left = busy.get(of) ?? 0
    if (left === 0) return
    busy.set(of, left - 1)
    throw new RetryableError(`busy with ${of}`)
  }
}

function cameOf(record: LogRecord): Came {
  return { ...(JSON.parse(new TextDecoder().decode(record.payload)) as State), id: record.id }
}

/** Cut short, or with one bit turned. */
function damaged(payload: Uint8Array, chance: SimChance): Uint8Array {
  if (chance.happens(0.3)) return payload.slice(0, chance.whole(payload.length))
  const turned = payload.slice()
  turned[chance.whole(turned.length)]! ^= 1 << chance.whole(8)
  return turned
}
