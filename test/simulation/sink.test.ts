/**
 * A far side that loses calls, answers late or not at all, while owners die, freeze and are fenced and the log misbehaves:
 * what was committed comes at least once, each under one id for ever, and by these ids once and in order.
 */
import { map } from 'rxjs'
import { expect, test } from 'vitest'
import { encodeHeaders } from '../../src/log/record.js'
import { scan } from '../../src/operators/scan.js'
import { pipeline } from '../../src/pipeline/pipeline.js'
import { plan, type Stage } from '../../src/pipeline/plan.js'
import { unseal } from '../../src/state/message.js'
import { Streams } from '../../src/stream/open.js'
import { sink, type SinkRecord } from '../../src/stream/sink.js'
import { stream } from '../../src/stream/stream.js'
import { silent } from '../../src/telemetry/events.js'
import { SimChance } from '../../src/testing/simulation/chance.js'
import { NO_FAULTS } from '../../src/testing/simulation/faults.js'
import { Owners } from '../../src/testing/simulation/owners.js'
import { drawSwarm } from '../../src/testing/simulation/swarm.js'
import { World, type Running } from '../../src/testing/simulation/world.js'

interface Given {
  readonly id: string
  readonly key: string
}

interface Counted {
  readonly of: string
  readonly key: string
  readonly count: number
}

/** What becomes of a call, in shares of 1; all others are written and answered. */
interface FarShares {
  readonly lost: number
  readonly refused: number
  readonly half: number
  readonly late: number
  readonly unanswered: number
  readonly deadly: number
}

const PARTITIONS = 2
const SPAN_MS = 600_000
/** Nobody stands still for longer, and nothing is on its way for longer. */
const AFTER_MS = 45_000
/** Nothing is written on an ownership that was proven longer ago. */
const PROVEN_MS = 5000

class Run {
  readonly chance: SimChance
  readonly far: SimChance
  readonly world: World
  readonly owners: Owners
  readonly given: Given[] = []
  /** What the far side makes of it by ids, in the order in which it first came. */
  readonly table = new Map<string, Counted>()
  readonly findings: string[] = []
  came = 0
  calls = 0
  deadly = 0
  readonly faults = { freezes: 0, kills: 0 }
  readonly #isFaulty: boolean
  #shares: FarShares
  #records = 0

  constructor(
    readonly seed: number,
    shares: FarShares,
    isFaulty = true,
  ) {
    this.chance = new SimChance(seed, 'sinks')
    this.far = new SimChance(seed, 'far')
    this.#shares = shares
    this.#isFaulty = isFaulty
    const swarm = drawSwarm(new SimChance(seed, 'swarm'), 'base')
    const label = (name: string) => (name.endsWith('-ledger') ? 'ledger' : 'stream')
    const faults = isFaulty ? swarm.shares : NO_FAULTS
    this.world = new World({ seed, shares: faults, spans: swarm.spans, label, keepLines: false })
    const limits = { batchRecordsMax: 5, mailboxRecordsMax: 10, groupRecordsMax: 10, backlogRecordsMax: 20 }
    const found = (what: string) => expect.unreachable(`seed ${seed}: ${what}`)
    this.owners = new Owners({ world: this.world, limits, rate: () => 1, found })
  }

  /** Each process has a definition of its own, for what it calls dies and stands still with it. */
  #stageOf(running: Running): Stage {
    const input = stream<Given>('input', { key: 'key', partitions: PARTITIONS })
    const write = (records: readonly SinkRecord<Counted>[]) => this.#write(running, records)
    const begin: Counted = { of: '', key: '', count: 0 }
    const definition = pipeline('sinking', { onError: { budget: false } })
      .from(input)
      .pipe(
        map(one => one),
        scan(({ count }: Counted, { id, key }) => ({ of: id, key, count: count + 1 }), begin),
      )
      .to(sink('far', { write, batch: { records: 1 + (this.seed % 7) }, timeout: '2 seconds' }))
    return plan(definition)[0] as Stage
  }

  #write(running: Running, records: readonly SinkRecord<Counted>[]): Promise<void> {
    const { world, far } = this
    this.calls++
    this.#checkOwner(running, records[0] as SinkRecord<Counted>)
    const shares = this.#shares
    const latencyMs = far.happens(shares.late) ? 20_000 * far.fraction() : 30 * far.fraction()
    const [isLost, isRefused, isHalf] = [
      far.happens(shares.lost),
      far.happens(shares.refused),
      far.happens(shares.half),
    ]
    const isAnswered = !far.happens(shares.unanswered)
    const deadly = far.happens(shares.deadly) ? far.pick(['at the call', 'at the answer']) : undefined
    if (deadly !== undefined) this.deadly++
    if (deadly === 'at the call') world.kill(running)
    return new Promise((resolve, reject) => {
      world.clock.after(latencyMs, () => {
        if (isLost) return
        if (!isRefused) this.#take(isHalf ? records.slice(0, Math.ceil(records.length / 2)) : records)
        if (deadly !== undefined) return world.kill(running)
        if (!isAnswered) return
        const answer = isRefused || isHalf ? () => reject(new Error('refused')) : resolve
        world.clock.after(30 * far.fraction(), () => running.process.deliver(answer))
      })
    })
  }

  #take(records: readonly SinkRecord<Counted>[]): void {
    for (const { id, value, key } of records) {
      this.came++
      expect(key).toBe(value.key)
      const known = this.table.get(id)
      if (known === undefined) this.table.set(id, value)
      else expect(value, `seed ${this.seed}: ${id}`).toEqual(known)
    }
  }

  /** No owner begins a call when another one has claimed the partition so long ago. */
  #checkOwner(running: Running, { id }: SinkRecord<Counted>): void {
    const partition = Number(/\/0\.(\d+)>/.exec(id)?.[1])
    const mine = this.owners.all.filter(one => one.running === running && one.partition === partition)
    const fence = Math.max(...mine.map(({ actor }) => actor.status().fence))
    // What is left by owners before is written while it still opens its sources.
    if (fence === 0) return
    for (const record of this.world.server.streams.get('sinking-0-ledger')?.records ?? []) {
      if (record.partition !== partition) continue
      const message = unseal(record.payload, 'a message')
      if (message.kind !== 'claim' || message.fence <= fence) continue
      const sinceMs = this.world.clock.now() - record.time
      // What is thrown in a call is taken for a far side that refuses.
      if (sinceMs >= PROVEN_MS)
        this.findings.push(`${id} is written under fence ${fence}, ${sinceMs} ms after ${message.fence}`)
    }
  }

  async run(records: number, blows: number): Promise<this> {
    await this.#publish(records)
    for (let blow = 0; blow < blows; blow++) {
      await this.world.pass(3000 * this.chance.fraction())
      this.#strike()
    }
    this.world.faults.heal()
    return this
  }

  /** All is well again, and everything must come out. */
  async settle(): Promise<this> {
    const { lost, refused, half, late, unanswered } = this.#shares
    const less = 0.2
    this.#shares = {
      ...{ lost: lost * less, refused: refused * less, half: half * less, late: late * less },
      ...{ unanswered: unanswered * less, deadly: 0 },
    }
    for (let partition = 0; partition < PARTITIONS; partition++) this.#own(this.owners.launch(), partition)
    const last = this.owners.all.slice(-PARTITIONS)
    // They may be killed, or fall, before they are through.
    for (let partition = 0; partition < PARTITIONS; partition++) {
      while (!(await this.#isCaughtUp(last[partition]!.actor))) {
        last[partition] = this.#own(this.owners.launch(), partition)
      }
    }
    // Whoever stands still wakes up, and what is on its way arrives.
    await this.world.pass(AFTER_MS)
    return this
  }

  async #isCaughtUp(actor: { caughtUp(): Promise<boolean> }): Promise<boolean> {
    let is: boolean | undefined
    void actor.caughtUp().then(answer => (is = answer))
    await this.world.pass(SPAN_MS, () => is !== undefined)
    if (is === undefined) expect.unreachable(`seed ${this.seed}: not all is written`)
    return is
  }

  #own(running: Running, partition: number) {
    return this.owners.own(running, this.#stageOf(running), partition)
  }

  #strike(): void {
    const { world, owners, chance } = this
    const running = world.running.length === 0 ? undefined : chance.pick(world.running)
    const blow = chance.pick(['own', 'own', 'own', 'kill', 'freeze', 'disconnect'])
    if (blow === 'own' || running === undefined) return void this.#own(owners.launch(), chance.whole(PARTITIONS))
    if (!this.#isFaulty) return
    if (blow === 'kill') {
      this.faults.kills++
      world.kill(running)
    } else if (blow === 'freeze') {
      this.faults.freezes++
      world.freeze(running, 20_000 * chance.fraction())
    } else world.disconnect(running, 3000 * chance.fraction())
  }

  async #publish(records: number): Promise<void> {
    const { world, chance } = this
    this.#records = records
    const streams = new Streams(world.outside('publisher'), { chance, tell: silent, replicas: 1 })
    const input = stream<Given>('input', { key: 'key', partitions: PARTITIONS })
    let wire: Awaited<ReturnType<typeof streams.open<Given>>>['wire'] | undefined
    void streams.open(input, 'write').then(opened => (wire = opened.wire))
    await world.pass(SPAN_MS, () => wire !== undefined)
    const stored = world.server.streams.get('input')!
    for (let i = 0; i < records; i++) {
      const one = { id: `r${i}`, key: `k${chance.whole(8)}` }
      const { partition, payload } = wire!.write(one, {}, one.id)
      const append = { partition, id: one.id, expect: undefined, head: encodeHeaders(undefined, one.id), payload }
      const store = () => {
        if (stored.append(append).ending !== 'stored') return void world.clock.after(200, store)
        this.given.push(one)
      }
      world.clock.after(i * 150 * chance.fraction(), store)
    }
  }

  judge(): void {
    const where = `seed ${this.seed}`
    expect(this.findings, where).toEqual([])
    expect(this.given.length, where).toBe(this.#records)
    expect(this.world.server.streams.has('sinking-dead-letters'), where).toBe(false)
    for (const { end } of this.owners.broken) expect(end, where).toBeUndefined()
    const order = this.world.server.streams.get('input')!.records.map(({ id }) => id)
    for (const key of new Set(this.given.map(one => one.key))) {
      const ids = this.given.filter(one => one.key === key).map(({ id }) => id)
      ids.sort((a, b) => order.indexOf(a) - order.indexOf(b))
      const rows = [...this.table.values()].filter(row => row.key === key)
      expect(rows, where).toEqual(ids.map((of, i) => ({ of, key, count: i + 1 })))
    }
  }
}

const NEVER: FarShares = { lost: 0, refused: 0, half: 0, late: 0, unanswered: 0, deadly: 0 }

test('all that is committed is written, by its ids once and in order, whatever befalls owners, log and far side', async () => {
  const sum = { calls: 0, came: 0, rows: 0, kills: 0, freezes: 0 }
  for (let seed = 1; seed <= 24; seed++) {
    const chance = new SimChance(seed, 'shares')
    const share = (most: number) => (chance.happens(0.6) ? most * chance.fraction() : 0)
    const shares = {
      ...{ lost: share(0.2), refused: share(0.3), half: share(0.3), late: share(0.2) },
      ...{ unanswered: share(0.2), deadly: 0 },
    }
    const run = await new Run(seed, shares).run(60 + chance.whole(60), 20)
    ;(await run.settle()).judge()
    sum.calls += run.calls
    sum.came += run.came
    sum.rows += run.table.size
    sum.kills += run.faults.kills
    sum.freezes += run.faults.freezes
  }
  // Else it proves nothing.
  expect(sum.came).toBeGreaterThan(1.2 * sum.rows)
  expect([sum.kills > 24, sum.freezes > 24, sum.calls > sum.rows / 4]).toEqual([true, true, true])
}, 120_000)

test('a sink that ends the process again and again is not taken for a record that does', async () => {
  for (let seed = 1; seed <= 10; seed++) {
    const run = new Run(seed, { ...NEVER, deadly: 0.7 }, false)
    await run.run(40, 60)
    ;(await run.settle()).judge()
    expect(run.deadly, `seed ${seed}`).toBeGreaterThan(6)
  }
}, 60_000)
