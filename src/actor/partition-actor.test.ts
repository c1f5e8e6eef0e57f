import { filter, map, mergeMap } from 'rxjs'
import { afterEach, expect, test } from 'vitest'
import { systemChance, systemClock } from '../clock.js'
import { openEmbedded } from '../log/embedded/embedded.js'
import type { Ports } from '../log/ports.js'
import { START } from '../log/record.js'
import { scan } from '../operators/scan.js'
import type { Definition } from '../pipeline/definition.js'
import { pipeline } from '../pipeline/pipeline.js'
import { plan, type Stage } from '../pipeline/plan.js'
import { Streams } from '../stream/open.js'
import { Sender } from '../stream/sender.js'
import { stream, type Stream } from '../stream/stream.js'
import { silent, type Tell } from '../telemetry/events.js'
import type { ActorLimits } from './limits.js'
import { PartitionActor } from './partition-actor.js'

interface Click {
  readonly user: string
  readonly n: number
}

const parts = { clock: systemClock, chance: systemChance, tell: silent, replicas: 1 }
const clicks = stream<Click>('clicks', { key: 'user', partitions: 1 })
const opened: Ports[] = []

afterEach(async () => {
  await Promise.all(opened.splice(0).map(ports => ports.close()))
})

async function memory(): Promise<Ports> {
  const ports = await openEmbedded({ memory: true, role: 'node', name: 'test' }, parts)
  opened.push(ports)
  return ports
}

interface Around {
  readonly limits?: Partial<ActorLimits>
  readonly tell?: Tell
}

function actorOn(ports: Ports, definition: Definition, around: Around = {}): PartitionActor {
  const [stage] = plan(definition) as [Stage]
  return new PartitionActor({ ...parts, stage, partition: 0, ports, streams: new Streams(ports, parts), ...around })
}

async function publish<T>(ports: Ports, to: Stream<T>, values: readonly T[]): Promise<void> {
  const { log, wire } = await new Streams(ports, parts).open(to, 'write')
  const sender = new Sender(log, (await log.extent()).last, systemClock)
  const ignored = { stored: () => {}, failed: () => {} }
  for (const value of values) sender.send(wire.write(value, {}, systemChance.name()), ignored)
  await sender.drained()
}

async function outputs<T>(ports: Ports, of: Stream<T>): Promise<T[]> {
  const { log, wire } = await new Streams(ports, parts).open(of, 'read')
  const found: T[] = []
  for await (const { records } of log.read({ after: START, untilEnd: true })) {
    for (const record of records)
      wire.read(
        record,
        ({ value }) => found.push(value),
        error => expect.unreachable(error.message),
      )
  }
  return found
}

async function caughtUp(actor: PartitionActor): Promise<void> {
  expect(await actor.caughtUp()).toBe(true)
}

const numbers = (from: number, to: number): Click[] =>
  Array.from({ length: to - from }, (_, i) => ({ user: `u${(from + i) % 3}`, n: from + i }))

const doubled = stream<Click>('doubled', { key: 'user', partitions: 2 })
const doubling = pipeline('doubling')
  .from(clicks)
  .pipe(
    filter(click => click.n % 2 === 0),
    map(click => ({ ...click, n: click.n * 2 })),
  )
  .to(doubled)

test('what is read is walked and published, in order', async () => {
  const ports = await memory()
  await publish(ports, clicks, numbers(0, 1000))
  let published = 0
  const tell: Tell = event => {
    if (event.type === 'partition.published') published += event.outputs
  }
  const actor = actorOn(ports, doubling, { tell })
  const end = actor.run()
  await caughtUp(actor)
  await publish(ports, clicks, numbers(1000, 1500))
  await caughtUp(actor)
  actor.stop()
  expect(await end).toEqual({ why: 'stopped' })
  const found = await outputs(ports, doubled)
  expect([found.length, published]).toEqual([750, 750])
  for (const user of ['u0', 'u1', 'u2']) {
    const wanted = numbers(0, 1500).filter(click => click.user === user && click.n % 2 === 0)
    expect(found.filter(click => click.user === user).map(click => click.n / 2)).toEqual(wanted.map(click => click.n))
  }
})

const many = stream<Click>('many', { key: 'user', partitions: 1 })
const bursting = pipeline('bursting')
  .from(clicks)
  .pipe(mergeMap(click => Array.from({ length: 700 }, (_, i) => ({ ...click, n: 1000 * click.n + i }))))
  .to(many)

test('records that give very much are brought out bit by bit, all of it once', async () => {
  const ports = await memory()
  await publish(ports, clicks, numbers(0, 60))
  let most = 0
  const tell: Tell = event => {
    if (event.type === 'partition.committed') most = Math.max(most, event.outputs)
  }
  const actor = actorOn(ports, bursting, { tell })
  const end = actor.run()
  await caughtUp(actor)
  actor.stop()
  await end
  expect(most).toBeLessThan(10_000)
  const found = await outputs(ports, many)
  expect(found.map(({ n }) => n)).toEqual(
    numbers(0, 60).flatMap(({ n }) => Array.from({ length: 700 }, (_, i) => 1000 * n + i)),
  )
})

const sums = stream<number>('sums', { partitions: 1 })
const summing = pipeline('summing')
  .from(clicks)
  .pipe(scan((sum: number, click) => sum + click.n, 0))
  .to(sums)

test('a new owner goes on where the one before was killed, with its memory', async () => {
  const ports = await memory()
  await publish(ports, clicks, numbers(0, 3000))
  for (let owner = 0; owner < 6; owner++) {
    let commits = 0
    const limits = { mailboxRecordsMax: 100, batchRecordsMax: 100, groupRecordsMax: 100, backlogRecordsMax: 50 }
    const tell: Tell = ({ type }) => {
      if (type === 'partition.committed' && ++commits === 3) actor.kill()
    }
    const actor = actorOn(ports, summing, { limits, tell })
    expect(await actor.run()).toEqual({ why: 'stopped' })
    expect(commits).toBe(3)
  }
  const last = actorOn(ports, summing)
  const end = last.run()
  await caughtUp(last)
  last.stop()
  await end
  const found = await outputs(ports, sums)
  const state = [0, 0, 0]
  const wanted = numbers(0, 3000).map(click => (state[click.n % 3] = (state[click.n % 3] as number) + click.n))
  expect(found).toEqual(wanted)
})
