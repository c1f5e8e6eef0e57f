import { map } from 'rxjs'
import { afterEach, expect, test } from 'vitest'
import { systemChance, systemClock } from '../clock.js'
import { openEmbedded } from '../log/embedded/embedded.js'
import type { Ports } from '../log/ports.js'
import { START } from '../log/record.js'
import { aggregate } from '../operators/aggregate.js'
import { count } from '../aggregates/count.js'
import type { Definition } from '../pipeline/definition.js'
import { pipeline } from '../pipeline/pipeline.js'
import { plan, type Stage } from '../pipeline/plan.js'
import { letterIn, type DeadLetter, type Resolution } from '../stream/dead-letters.js'
import { Streams } from '../stream/open.js'
import { Sender } from '../stream/sender.js'
import { stream, type Stream } from '../stream/stream.js'
import { silent, type Event, type Tell } from '../telemetry/events.js'
import { PartitionActor } from './partition-actor.js'
import type { LetterAnswer } from './letters.js'

interface Click {
  readonly user: string
  readonly n: number
  readonly fill?: string
}

const parts = { clock: systemClock, chance: systemChance, tell: silent, replicas: 1 }
const clicks = stream<Click>('clicks', { key: 'user', partitions: 1 })
const kept = stream<Click>('kept', { key: 'user', partitions: 1 })
const opened: Ports[] = []

afterEach(async () => {
  await Promise.all(opened.splice(0).map(ports => ports.close()))
})

/** What the step refuses, to be mended by a test. */
let bad: (click: Click) => boolean = () => false

function keeping(onError = {}, source: Stream<Click> = clicks): Definition {
  return pipeline('keeping', { onError })
    .from(source)
    .pipe(
      map(click => {
        if (bad(click)) throw new TypeError(`planted at ${click.n}`)
        return click
      }),
    )
    .to(kept)
}

async function memory(): Promise<Ports> {
  const ports = await openEmbedded({ memory: true, role: 'node', name: 'test' }, parts)
  opened.push(ports)
  return ports
}

function actorOn(ports: Ports, definition: Definition, tell: Tell = silent): PartitionActor {
  const [stage] = plan(definition) as [Stage]
  return new PartitionActor({ ...parts, tell, stage, partition: 0, ports, streams: new Streams(ports, parts) })
}

async function publish(ports: Ports, to: Stream<Click>, values: readonly Click[]): Promise<void> {
  const { log, wire } = await new Streams(ports, parts).open(to, 'write')
  const sender = new Sender(log, (await log.extent()).last, systemClock)
  const ignored = { stored: () => {}, failed: () => {} }
  for (const value of values) sender.send(wire.write(value, {}, systemChance.name()), ignored)
  await sender.drained()
}

async function numbersIn(ports: Ports, of: Stream<Click> = kept): Promise<number[]> {
  const { log, wire } = await new Streams(ports, parts).open(of, 'read')
  const found: number[] = []
  for await (const { records } of log.read({ after: START, untilEnd: true })) {
    for (const record of records) found.push(wire.valueIn(record).n)
  }
  return found
}

interface Standing {
  readonly position: number
  readonly value: DeadLetter | Resolution
}

async function standing(ports: Ports): Promise<Standing[]> {
  const log = await ports.log.find('keeping-dead-letters')
  const found: Standing[] = []
  if (log === undefined) return found
  for await (const { records } of log.read({ after: START, untilEnd: true })) {
    for (const { position, payload } of records) found.push({ position, value: letterIn(payload) as DeadLetter })
  }
  return found
}

const lettersOf = async (ports: Ports) =>
  (await standing(ports)).filter((one): one is Standing & { value: DeadLetter } => 'attempts' in one.value)
const numbers = (from: number, to: number): Click[] =>
  Array.from({ length: to - from }, (_, i) => ({ user: 'u', n: from + i }))
const became = (answers: readonly LetterAnswer[] | undefined) => answers?.map(answer => answer.became)

/** Lets an actor work while `work` does. */
async function withActor(
  ports: Ports,
  definition: Definition,
  work: (actor: PartitionActor, told: readonly Event[]) => Promise<void>,
): Promise<void> {
  const told: Event[] = []
  const actor = actorOn(ports, definition, event => told.push(event))
  const end = actor.run()
  await actor.caughtUp()
  await work(actor, told)
  actor.stop()
  expect(await end).toEqual({ why: 'stopped' })
}

test('a letter is processed once, however often it is retried, and its cursor stays where it was', async () => {
  const ports = await memory()
  bad = ({ n }) => n % 10 === 3
  await publish(ports, clicks, numbers(0, 40))
  await withActor(ports, keeping(), async actor => {
    const letters = await lettersOf(ports)
    expect(letters.map(({ value }) => value.position)).toEqual([4, 14, 24, 34])
    expect(actor.status().letters).toBe(4)
    const before = actor.status().positions
    bad = () => false
    const positions = letters.map(({ position }) => position)
    expect(became(await actor.resolveLetters({ how: 'retried', positions: positions.slice(0, 2) }))).toEqual([
      'retried',
      'retried',
    ])
    expect(became(await actor.resolveLetters({ how: 'retried', positions }))).toEqual([
      ...['already', 'already'],
      ...['retried', 'retried'],
    ])
    expect(became(await actor.resolveLetters({ how: 'dropped', positions }))).toEqual(positions.map(() => 'already'))
    expect(actor.status()).toMatchObject({ letters: 0, positions: before })
    await publish(ports, clicks, numbers(40, 42))
    expect(await actor.caughtUp()).toBe(true)
  })
  const found = await numbersIn(ports)
  expect(found).toEqual([
    ...numbers(0, 40)
      .map(({ n }) => n)
      .filter(n => n % 10 !== 3),
    3,
    13,
    23,
    33,
    40,
    41,
  ])
})

test('one that fails again stands as a new letter, with the attempts of both, and the old one is resolved', async () => {
  const ports = await memory()
  bad = ({ n }) => n === 3
  await publish(ports, clicks, numbers(0, 6))
  // Whatever the rules say of new faults, a letter gets one try and holds nobody up.
  for (const then of ['deadLetter', 'pause', 'stop'] as const) {
    await withActor(ports, keeping({ then }), async (actor, told) => {
      const [last] = (await lettersOf(ports)).slice(-1)
      const answers = await actor.resolveLetters({ how: 'retried', positions: [last?.position ?? 0] })
      expect(answers).toEqual([
        { position: last?.position, became: 'failed', why: expect.stringMatching(/planted at 3/) as string },
      ])
      expect(actor.status()).toMatchObject({ letters: 1, state: 'running' })
      expect(told.filter(({ type }) => type === 'partition.fault').at(-1)).toMatchObject({ then: 'deadLetter' })
    })
  }
  const all = await standing(ports)
  const letters = all.flatMap(({ value }) => ('attempts' in value ? [value] : []))
  expect(letters.at(-1)).toMatchObject({
    position: 4,
    attempts: 4,
    error: { name: 'TypeError', message: 'planted at 3' },
  })
  expect(await numbersIn(ports)).toEqual([0, 1, 2, 4, 5])
})

test('a dropped one is resolved and nothing else', async () => {
  const ports = await memory()
  bad = ({ n }) => n === 1
  await publish(ports, clicks, numbers(0, 3))
  await withActor(ports, keeping(), async actor => {
    const [letter] = await lettersOf(ports)
    const positions = [letter?.position ?? 0]
    expect(became(await actor.resolveLetters({ how: 'dropped', positions }))).toEqual(['dropped'])
    bad = () => false
    expect(became(await actor.resolveLetters({ how: 'retried', positions }))).toEqual(['already'])
  })
  expect(await numbersIn(ports)).toEqual([0, 2])
})

test('what is no letter is refused by its position, and so is what never was one', async () => {
  const ports = await memory()
  bad = ({ n }) => n < 2
  await publish(ports, clicks, numbers(0, 3))
  await withActor(ports, keeping(), async actor => {
    expect(await actor.resolveLetters({ how: 'retried', positions: [77, 78] })).toMatchObject([
      { position: 77, became: 'refused', why: 'no letter stands there' },
      { position: 78, became: 'refused' },
    ])
    const [, second] = await lettersOf(ports)
    await actor.resolveLetters({ how: 'dropped', positions: [second?.position ?? 0] })
    await expect.poll(async () => (await standing(ports)).length).toBe(3)
    const marker = (await standing(ports)).at(-1)
    expect(marker?.value).toMatchObject({ resolves: second?.position, how: 'dropped' })
    const answers = await actor.resolveLetters({ how: 'dropped', positions: [marker?.position ?? 0] })
    expect(answers).toMatchObject([{ became: 'refused', why: expect.stringMatching(/of another letter/) as string }])
  })
})

test('a paused partition answers too, and still stands before the record that holds it up', async () => {
  const ports = await memory()
  bad = ({ n }) => n === 1 || n === 2
  await publish(ports, clicks, numbers(0, 5))
  const actor = actorOn(ports, keeping({ budget: { records: 1, per: '1 hour' } }))
  const end = actor.run()
  await expect.poll(() => actor.status().state).toBe('paused')
  await expect.poll(async () => (await lettersOf(ports)).length).toBe(1)
  const [letter] = await lettersOf(ports)
  bad = ({ n }) => n === 2
  expect(became(await actor.resolveLetters({ how: 'retried', positions: [letter?.position ?? 0] }))).toEqual([
    'retried',
  ])
  expect(actor.status()).toMatchObject({ state: 'paused', error: expect.stringMatching(/planted at 2/) as string })
  bad = () => false
  actor.resume()
  expect(await actor.caughtUp()).toBe(true)
  actor.stop()
  await end
  expect(await numbersIn(ports)).toEqual([0, 1, 2, 3, 4])
})

test('what is resolved is let go of, in the stream and in the rows, as far as nothing before it is open', async () => {
  const ports = await memory()
  bad = ({ n }) => n < 30
  await publish(ports, clicks, numbers(0, 31))
  await withActor(ports, keeping({ budget: false }), async actor => {
    const rows = () => actor.status().rows
    const letters = await lettersOf(ports)
    const positions = letters.map(({ position }) => position)
    const before = rows()
    bad = () => false
    await actor.resolveLetters({ how: 'retried', positions: positions.slice(10) })
    expect(rows()).toBeGreaterThanOrEqual(before + 20)
    expect(await lettersOf(ports)).toHaveLength(30)
    await actor.resolveLetters({ how: 'dropped', positions: positions.slice(0, 9) })
    await expect.poll(async () => (await lettersOf(ports)).map(({ position }) => position)).toEqual(positions.slice(9))
    await actor.resolveLetters({ how: 'retried', positions: positions.slice(9, 10) })
    await expect.poll(() => standing(ports)).toEqual([])
    expect(rows()).toBeLessThanOrEqual(before + 3)
    expect(became(await actor.resolveLetters({ how: 'retried', positions }))).toEqual(positions.map(() => 'already'))
  })
  // Whoever takes over knows it too, and its outputs go on.
  bad = ({ n }) => n === 32
  await publish(ports, clicks, numbers(31, 34))
  await withActor(ports, keeping(), async actor => {
    expect(actor.status().letters).toBe(1)
    expect(await lettersOf(ports)).toHaveLength(1)
  })
  const found = await numbersIn(ports)
  expect([...found].sort((a, b) => a - b)).toEqual(
    [...Array.from({ length: 21 }, (_, i) => i + 9), 30, 31, 33].sort((a, b) => a - b),
  )
})

test('a letter that had no room for its bytes is read again at its place, and refused when it is gone from there', async () => {
  const ports = await memory()
  const fill = 'x'.repeat(Math.floor(ports.log.recordBytesMax * 0.9))
  bad = ({ n }) => n < 2
  await publish(
    ports,
    clicks,
    numbers(0, 3).map(click => (click.n < 2 ? { ...click, fill } : click)),
  )
  await withActor(ports, keeping(), async actor => {
    const letters = await lettersOf(ports)
    expect(letters.map(({ value }) => value.bytes)).toEqual([undefined, undefined])
    const positions = letters.map(({ position }) => position)
    bad = () => false
    const log = await ports.log.find('clicks')
    await log?.purge(0, 2)
    expect(await actor.resolveLetters({ how: 'retried', positions })).toMatchObject([
      { became: 'refused', why: expect.stringMatching(/gone from position 1 of "clicks"/) as string },
      { became: 'retried' },
    ])
  })
  expect(await numbersIn(ports)).toEqual([2, 1])
})

test('one record of a batch is walked alone, and keeps its place in the batch when it fails again', async () => {
  const ports = await memory()
  const batches = stream<Click>('batches', { key: 'user', partitions: 1, format: 'batch' })
  const { log, wire } = await new Streams(ports, parts).open(batches, 'write')
  const framed = numbers(0, 5).map(click => wire.frame(click, {}))
  await log.append(wire.writeBatch(0, framed, 'one'))
  bad = ({ n }) => n === 3
  await withActor(ports, keeping({}, batches), async actor => {
    const retry = async () => {
      const [last] = (await lettersOf(ports)).slice(-1)
      return became(await actor.resolveLetters({ how: 'retried', positions: [last?.position ?? 0] }))
    }
    expect(await retry()).toEqual(['failed'])
    await expect
      .poll(async () => (await lettersOf(ports)).at(-1)?.value)
      .toMatchObject({ index: 3, position: 1, attempts: 2 })
    bad = () => false
    expect(await retry()).toEqual(['retried'])
  })
  expect(await numbersIn(ports)).toEqual([0, 1, 2, 4, 3])
})

const perUser = stream('per-user', { partitions: 1 })

/** With memory, so that what is done twice is seen. */
function counting(): Definition {
  return pipeline('keeping', { onError: { budget: false } })
    .from(clicks)
    .pipe(
      map(click => {
        if (bad(click)) throw new TypeError('planted')
        return click
      }),
      aggregate({ n: count() }),
    )
    .to(perUser)
}

test('owners that die while they retry do nothing twice and leave nothing out', async () => {
  const ports = await memory()
  bad = ({ n }) => n % 2 === 1
  await publish(ports, clicks, numbers(0, 60))
  await withActor(ports, counting(), () => Promise.resolve())
  bad = () => false
  const positions = (await lettersOf(ports)).map(({ position }) => position)
  expect(positions).toHaveLength(30)
  let deaths = 0
  for (let at = 1; ; at++) {
    let events = 0
    let isAsked = false
    // Dies at the at-th thing that is told once it was asked.
    const actor: PartitionActor = actorOn(ports, counting(), ({ type }) => {
      if (isAsked && type !== 'partition.state' && ++events === at) actor.kill()
    })
    const end = actor.run()
    await actor.caughtUp()
    isAsked = true
    const answers = await actor.resolveLetters({ how: 'retried', positions })?.catch(() => undefined)
    if (answers !== undefined && events < at) {
      expect(answers.every(answer => answer.became === 'retried' || answer.became === 'already')).toBe(true)
      actor.stop()
      await end
      break
    }
    actor.kill()
    await end
    deaths++
  }
  expect(deaths).toBeGreaterThan(0)
  const { log, wire } = await new Streams(ports, parts).open(perUser, 'read')
  const counts: number[] = []
  for await (const { records } of log.read({ after: START, untilEnd: true })) {
    for (const record of records) counts.push((wire.valueIn(record) as { n: number }).n)
  }
  expect(counts).toEqual(Array.from({ length: 60 }, (_, i) => i + 1))
})
