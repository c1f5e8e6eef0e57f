/** Pipelines that write to sinks, in owners on the embedded log that are killed, and far sides that fail. */
import fc from 'fast-check'
import { map } from 'rxjs'
import { afterEach, expect, test } from 'vitest'
import { systemChance, systemClock, type Clock } from '../clock.js'
import { avro } from '../codec/avro.js'
import { openEmbedded } from '../log/embedded/embedded.js'
import type { Ports } from '../log/ports.js'
import { START } from '../log/record.js'
import { scan } from '../operators/scan.js'
import type { Definition } from '../pipeline/definition.js'
import { pipeline } from '../pipeline/pipeline.js'
import { plan, type Stage } from '../pipeline/plan.js'
import { Streams } from '../stream/open.js'
import { Sender } from '../stream/sender.js'
import { sink, type SinkCall, type SinkOptions, type SinkRecord } from '../stream/sink.js'
import { stream } from '../stream/stream.js'
import { silent, type Event, type Tell } from '../telemetry/events.js'
import type { ActorEnd } from './end.js'
import type { ActorLimits } from './limits.js'
import { PartitionActor } from './partition-actor.js'

interface Click {
  readonly user: string
  readonly n: number
}

const parts = { clock: systemClock, chance: systemChance, tell: silent, replicas: 1 }
const clicks = stream<Click>('clicks', { key: 'user', time: 'n', partitions: 1 })
const opened: Ports[] = []

afterEach(async () => {
  await Promise.all(opened.splice(0).map(ports => ports.close()))
})

/** For the owners, and what they wait for. */
const SPEED = 50
const fast: Clock = {
  ...systemClock,
  elapsed: () => systemClock.elapsed() * SPEED,
  after: (ms, then) => systemClock.after(ms / SPEED, then),
}

async function memory(...values: readonly Click[]): Promise<Ports> {
  const ports = await openEmbedded({ memory: true, role: 'node', name: 'test' }, parts)
  opened.push(ports)
  await publish(ports, values)
  return ports
}

interface Around {
  readonly limits?: Partial<ActorLimits>
  readonly tell?: Tell
}

function actorOn(ports: Ports, definition: Definition, around: Around = {}): PartitionActor {
  const [stage] = plan(definition) as [Stage]
  const streams = new Streams(ports, parts)
  return new PartitionActor({ ...parts, clock: fast, stage, partition: 0, ports, streams, ...around })
}

/** Runs until all is processed and written. */
async function runThrough(ports: Ports, definition: Definition, around?: Around): Promise<void> {
  const actor = actorOn(ports, definition, around)
  const end = actor.run()
  expect(await actor.caughtUp()).toBe(true)
  actor.stop()
  expect(await end).toEqual({ why: 'stopped' })
}

async function publish(ports: Ports, values: readonly Click[]): Promise<void> {
  const { log, wire } = await new Streams(ports, parts).open(clicks, 'write')
  const sender = new Sender(log, (await log.extent()).last, systemClock)
  const ignored = { stored: () => {}, failed: () => {} }
  for (const value of values) sender.send(wire.write(value, {}, systemChance.name()), ignored)
  await sender.drained()
}

async function found(ports: Ports, name: string): Promise<unknown[]> {
  const log = await ports.log.find(name)
  const values: unknown[] = []
  for await (const { records } of log?.read({ after: START, untilEnd: true }) ?? []) {
    for (const { payload } of records) values.push(JSON.parse(Buffer.from(payload).toString()))
  }
  return values
}

const numbers = (count: number): Click[] => Array.from({ length: count }, (_, n) => ({ user: `u${n % 3}`, n }))

interface Sum {
  readonly user: string
  readonly sum: number
}

/** What must come to the far side, in this order. */
function sumsOf(values: readonly Click[]): Sum[] {
  const sums = new Map<string, number>()
  return values.map(({ user, n }) => {
    const sum = (sums.get(user) ?? 0) + n
    sums.set(user, sum)
    return { user, sum }
  })
}

function summing(write: SinkOptions<Sum>['write'], options: Partial<SinkOptions<Sum>> = {}) {
  return pipeline('summing')
    .from(clicks)
    .pipe(scan((state: Sum, { user, n }) => ({ user, sum: state.sum + n }), { user: '', sum: 0 }))
    .to(sink<Sum>('table', { write, ...options }))
}

/** A far side: all that it was given, and what it makes of it when it takes ids. */
class FarSide {
  readonly came: SinkRecord<Sum>[] = []
  readonly table = new Map<string, Sum>()

  take(records: readonly SinkRecord<Sum>[]): void {
    for (const record of records) {
      const known = this.table.get(record.id)
      if (known === undefined) this.table.set(record.id, record.value)
      // One id is one record, for ever.
      else expect(record.value).toEqual(known)
      this.came.push(record)
    }
  }

  get rows(): Sum[] {
    return [...this.table.values()]
  }
}

const small = { mailboxRecordsMax: 8, batchRecordsMax: 8, groupRecordsMax: 8, backlogRecordsMax: 16 }

test('what is committed is written, in order, with the key and time of its record', async () => {
  const ports = await memory(...numbers(300))
  const far = new FarSide()
  let written = 0
  const tell: Tell = event => {
    if (event.type === 'partition.written') written += event.outputs
    expect(event.type).not.toBe('partition.published')
  }
  await runThrough(
    ports,
    summing(records => far.take(records)),
    { tell },
  )
  expect(far.came.map(({ value }) => value)).toEqual(sumsOf(numbers(300)))
  expect(far.came.map(({ key, time }) => [key, time])).toEqual(numbers(300).map(({ user, n }) => [user, n]))
  expect([far.table.size, written]).toEqual([300, 300])
})

test('an owner that was stopped well leaves nothing to be written again', async () => {
  const ports = await memory(...numbers(50))
  const far = new FarSide()
  const definition = summing(records => far.take(records))
  await runThrough(ports, definition)
  await publish(ports, [{ user: 'u0', n: 1000 }])
  await runThrough(ports, definition)
  expect(far.came.map(({ value }) => value)).toEqual(sumsOf([...numbers(50), { user: 'u0', n: 1000 }]))
})

test('nothing is lost and nothing stands twice under its id, whenever its owners are killed', async () => {
  const values = numbers(40)
  for (let moment = 1, isOver = false; !isOver; moment += moment < 16 ? 1 : 7) {
    const ports = await memory(...values)
    const far = new FarSide()
    let [passed, kills] = [0, 0]
    let actor: PartitionActor | undefined
    // Each owner is killed after so many moments.
    const pass = () => {
      if (++passed % moment !== 0 || kills >= 12) return
      kills++
      actor?.kill()
    }
    const definition = summing(
      async records => {
        pass()
        await Promise.resolve()
        far.take(records)
        pass()
        await Promise.resolve()
        pass()
      },
      { batch: { records: 5 } },
    )
    const tell: Tell = ({ type }) => {
      if (type === 'partition.committed' || type === 'partition.written') pass()
    }
    for (let isThrough = false; !isThrough;) {
      actor = actorOn(ports, definition, { limits: small, tell })
      const end = actor.run()
      isThrough = await actor.caughtUp()
      actor.stop()
      expect(await end).toEqual({ why: 'stopped' })
    }
    expect(far.rows, `killed at each moment ${moment}`).toEqual(sumsOf(values))
    isOver = kills === 0
    if (moment < 16) expect(kills).toBeGreaterThan(0)
    await ports.close()
  }
}, 60_000)

type Fate = 'written' | 'not written' | 'half of it' | 'all of it, no answer' | 'throws' | 'hangs' | 'killed'
const fates = fc.constantFrom<Fate>(
  'written',
  'not written',
  'half of it',
  'all of it, no answer',
  'throws',
  'hangs',
  'killed',
)

test('whatever becomes of the calls, all that was committed comes at last, in order', async () => {
  const scene = fc.record({
    fates: fc.array(fates, { maxLength: 25 }),
    records: fc.integer({ min: 1, max: 60 }),
    batch: fc.integer({ min: 1, max: 20 }),
  })
  await fc.assert(
    fc.asyncProperty(scene, async ({ fates, records, batch }) => {
      const ports = await memory(...numbers(records))
      const far = new FarSide()
      const left = [...fates]
      let actor: PartitionActor | undefined
      let calls = 0
      const wrong: string[] = []
      const write = async (given: readonly SinkRecord<Sum>[], { signal }: SinkCall) => {
        // What is thrown here is taken for a far side that refuses.
        if (given.length > batch || ++calls > 1) wrong.push(`${given.length} records in call ${calls}`)
        signal.addEventListener('abort', () => (calls = 0))
        try {
          await Promise.resolve()
          const fate = left.shift() ?? 'written'
          if (fate === 'killed') actor?.kill()
          if (fate === 'half of it') far.take(given.slice(0, Math.ceil(given.length / 2)))
          if (fate === 'written' || fate === 'all of it, no answer' || fate === 'killed') far.take(given)
          if (fate === 'hangs') await new Promise(() => {})
          if (fate !== 'written') throw new Error(fate)
        } finally {
          calls = 0
        }
      }
      const throwing: SinkOptions<Sum>['write'] = (given, call) => {
        if (left[0] === 'throws') throw new Error(left.shift())
        return write(given, call)
      }
      const definition = summing(throwing, { batch: { records: batch }, timeout: '1 second' })
      for (let isThrough = false; !isThrough;) {
        actor = actorOn(ports, definition, { limits: small })
        const end = actor.run()
        isThrough = await actor.caughtUp()
        actor.stop()
        expect(await end).toEqual({ why: 'stopped' })
      }
      expect([far.rows, wrong]).toEqual([sumsOf(numbers(records)), []])
      await ports.close()
    }),
    { numRuns: 40 },
  )
}, 120_000)

test('a far side that is away slows the reading, and is told of', async () => {
  const ports = await memory(...numbers(20_000))
  const far = new FarSide()
  let isAway = true
  const waits: Extract<Event, { readonly type: 'partition.waits' }>[] = []
  const tell: Tell = event => {
    if (event.type === 'partition.waits') waits.push(event)
  }
  let tries = 0
  const definition = summing(records => {
    tries++
    if (isAway) throw new Error('no such host')
    far.take(records)
  })
  const actor = actorOn(ports, definition, { tell })
  const end = actor.run()
  await expect.poll(() => actor.status().outbox).toBeGreaterThanOrEqual(512)
  // More than a minute of tries, in which nothing moves.
  await expect.poll(() => tries, { timeout: 20_000 }).toBeGreaterThanOrEqual(12)
  const { outbox, positions, lag, state } = actor.status()
  expect(state).toBe('running')
  expect(outbox).toBeLessThan(2048)
  expect(positions['clicks']).toBeLessThan(4096)
  expect(lag).toBeGreaterThan(10_000)
  const [many, one] = waits
  expect(many?.on).toMatch(/sink "table" of pipeline "summing", partition 0 failed at \d+ records, .*: no such host/)
  expect(one?.on).toMatch(/failed at record summing\/\w+\/0\.0>sink:table\/1: no such host/)
  isAway = false
  expect(await actor.caughtUp()).toBe(true)
  actor.stop()
  await end
  expect(far.came.map(({ value }) => value)).toEqual(sumsOf(numbers(20_000)))
}, 60_000)

test('a stop waits until all that is committed is written', async () => {
  const ports = await memory(...numbers(10))
  let written = 0
  let open = () => {}
  const gate = new Promise<void>(resolve => (open = resolve))
  const definition = summing(async records => {
    await gate
    written += records.length
  })
  const actor = actorOn(ports, definition)
  const end = actor.run()
  await expect.poll(() => actor.status().outbox).toBeGreaterThan(0)
  actor.stop()
  await expect.poll(() => actor.status().state).toBe('draining')
  open()
  expect(await end).toEqual({ why: 'stopped' })
  expect(written).toBeGreaterThan(0)
  expect(actor.status().outbox).toBe(0)
})

test('a value that the codec cannot write costs its record', async () => {
  const ports = await memory({ user: 'a', n: 1 }, { user: 'b', n: 2 }, { user: 'a', n: 3 })
  const came: unknown[] = []
  const rows = sink('rows', { write: records => void came.push(...records.map(({ value }) => value)) })
  const definition = pipeline('rows')
    .from(clicks)
    .pipe(map(({ n }) => (n === 2 ? BigInt(n) : n)))
    .to(rows)
  await runThrough(ports, definition)
  expect(came).toEqual([1, 3])
  const [letter] = (await found(ports, 'rows-dead-letters')) as { position: number; error: { where: string } }[]
  expect([letter?.position, letter?.error.where]).toEqual([2, 'to sink "rows" of pipeline "rows"'])
})

test('a codec of its own holds the values until they are written, and what comes is what it reads', async () => {
  const ports = await memory(...numbers(3))
  const came: unknown[] = []
  const codec = avro<{ n: number }>({ type: 'record', name: 'N', fields: [{ name: 'n', type: 'int' }] })
  const write: SinkOptions<{ n: number }>['write'] = records => void came.push(...records.map(({ value }) => value))
  const definition = pipeline('ns').from(clicks).to(sink('ns', { codec, write }))
  let isKilled = false
  const killed = actorOn(ports, definition, {
    tell: ({ type }) => {
      if (type === 'partition.committed' && !isKilled) killed.kill()
      isKilled ||= type === 'partition.committed'
    },
  })
  await killed.run()
  expect(came).toEqual([])
  // The next owner has another schema.
  const fields = [
    { name: 'n', type: 'int' },
    { name: 'm', type: 'int', default: 5 },
  ]
  const later = avro<{ n: number; m?: number }>({ type: 'record', name: 'N', fields })
  await runThrough(
    ports,
    pipeline('ns')
      .from(clicks)
      .to(sink('ns', { codec: later, write })),
  )
  expect(came).toEqual(numbers(3).map(({ n }) => ({ n, m: 5 })))
})

function choosing(names: 'named' | 'not named' | 'another') {
  const written: number[] = []
  const make = () =>
    sink<Click>('even', { write: records => void written.push(...records.map(({ value }) => value.n)) })
  const [even, other] = [make(), make()]
  const chosen = names === 'another' ? other : even
  const all = stream<Click>('even', { key: 'user', partitions: 1 })
  const definition = pipeline('choosing')
    .from(clicks)
    .to(click => (click.n % 2 === 0 ? [all, chosen] : undefined), names === 'not named' ? {} : { sinks: [even] })
  return { definition, written }
}

test('a function may choose sinks that are named beside it, and streams of the same name', async () => {
  const ports = await memory(...numbers(10))
  const { definition, written } = choosing('named')
  await runThrough(ports, definition)
  expect([written, await found(ports, 'even')]).toEqual([[0, 2, 4, 6, 8], numbers(10).filter(({ n }) => n % 2 === 0)])
})

test.each([
  ['not named', /to\(\.\.\.\) of pipeline "choosing" chose sink "even", and that is not among those that it names/],
  ['another', /chose another sink "even" than the one that it names; name it there, .* once, outside the function/],
] as const)('a sink that is %s ends the partition, and no record is given up for it', async (names, message) => {
  const ports = await memory(...numbers(10))
  const end = await actorOn(ports, choosing(names).definition).run()
  expect(end).toMatchObject({ why: 'failed', error: { code: 'BAD_PIPELINE', message: expect.stringMatching(message) } })
  expect([await found(ports, 'even'), await found(ports, 'choosing-dead-letters')]).toEqual([[], []])
})

test('a sink that is taken away with something left to write is missed, and written to when it is back', async () => {
  const ports = await memory(...numbers(5))
  const far = new FarSide()
  const definition = summing(records => far.take(records))
  const killed: PartitionActor = actorOn(ports, definition, {
    tell: ({ type }) => {
      if (type === 'partition.committed') killed.kill()
    },
  })
  await killed.run()
  expect(far.came).toEqual([])
  const without = pipeline('summing')
    .from(clicks)
    .pipe(scan((state: Sum, { user, n }) => ({ user, sum: state.sum + n }), { user: '', sum: 0 }))
    .to(stream<Sum>('sums'))
  const end: ActorEnd = await actorOn(ports, without).run()
  expect(end).toMatchObject({ why: 'failed', error: { code: 'PIPELINE_DIFFERS' } })
  expect((end as { error: Error }).error.message).toMatch(/"summing" has no sink "table" now, .*; bring the sink back/)
  await runThrough(ports, definition)
  expect(far.rows).toEqual(sumsOf(numbers(5)))
  await runThrough(ports, without)
})
