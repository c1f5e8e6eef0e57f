import { filter, map, mergeMap } from 'rxjs'
import { afterEach, expect, test } from 'vitest'
import { systemChance, systemClock, type Clock } from '../clock.js'
import { openEmbedded } from '../log/embedded/embedded.js'
import type { LogStream } from '../log/log.js'
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
import { Solo } from './solo.js'
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
  readonly solo?: Solo
  readonly clock?: Clock
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

/** The same log, but for what is done to its streams. */
function through(ports: Ports, changed: (stream: LogStream) => LogStream): Ports {
  const { log } = ports
  const open: Ports['log']['open'] = async spec => changed(await log.open(spec))
  const find: Ports['log']['find'] = async name => {
    const found = await log.find(name)
    return found && changed(found)
  }
  return { ...ports, bucket: spec => ports.bucket(spec), log: overlaid(log, { open, find }) }
}

/** What it has, with some of it taken over. */
function overlaid<T extends object>(whole: T, over: Partial<T>): T {
  return new Proxy(whole, {
    get(target, name) {
      const given: unknown = Reflect.get(name in over ? over : target, name)
      return typeof given === 'function' ? (given.bind(target) as unknown) : given
    },
  })
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

const plain = stream<number>('plain', { partitions: 1 })
const tenfold = stream<number>('tenfold', { partitions: 1 })
const tens = pipeline('tens')
  .from(plain)
  .pipe(map(n => 10 * n))
  .to(tenfold)

test('an entry that lets go of the past holds a turn with its outputs, or nothing of it', async () => {
  // The answer that the ledger reaches far back comes so many microtasks after a delivery.
  for (let hops = 0; hops < 16; hops++) {
    const ports = await memory()
    await publish(ports, plain, [1])
    let answer: (() => void) | undefined
    let isArmed = false
    const answered = async () => {
      for (let hop = 0; hop < hops; hop++) await Promise.resolve()
      answer?.()
    }
    const slow = through(ports, log => {
      if (log.spec.name === 'tens-0-ledger') {
        return overlaid(log, {
          extent: async () => {
            const extent = await log.extent()
            await new Promise<void>(resolve => (answer = resolve))
            return extent
          },
        })
      }
      if (log.spec.name !== plain.name) return log
      const read: LogStream['read'] = options => {
        const reader = log.read(options)
        const next = async () => {
          const batch = await reader.next()
          if (isArmed) void answered()
          isArmed = false
          return batch
        }
        return overlaid(reader, { next })
      }
      return overlaid(log, { read })
    })
    let passedMs = 0
    const clock: Clock = { ...systemClock, elapsed: () => performance.now() + passedMs }
    let isKilled = false
    const tell: Tell = event => {
      if (event.type !== 'partition.committed' || !isKilled) return
      isKilled = false
      actor.kill()
    }
    const actor = actorOn(slow, tens, { clock, tell, limits: { ledgerReachMax: 0 } })
    const end = actor.run()
    await caughtUp(actor)
    passedMs = 61_000
    await expect.poll(() => answer).toBeDefined()
    ;[isArmed, isKilled] = [true, true]
    await publish(ports, plain, [2])
    await end
    const next = actorOn(ports, tens)
    const ended = next.run()
    await caughtUp(next)
    next.stop()
    await ended
    expect(await outputs(ports, tenfold), `${hops} hops`).toEqual([10, 20])
  }
}, 60_000)

test('owners that are stopped while they claim have not died', async () => {
  const ports = await memory()
  await publish(ports, plain, [1])
  for (let times = 0; times < 2; times++) {
    let asks = () => {}
    const asked = new Promise<void>(resolve => (asks = resolve))
    const hanging = through(ports, log =>
      log.spec.name === plain.name
        ? overlaid(log, {
            extent: () => {
              asks()
              return new Promise<never>(() => {})
            },
          })
        : log,
    )
    const actor = actorOn(hanging, tens)
    const end = actor.run()
    await asked
    actor.stop()
    expect(await end).toEqual({ why: 'stopped' })
  }
  const states: string[] = []
  const tell: Tell = event => {
    if (event.type === 'partition.state') states.push(event.to)
  }
  const actor = actorOn(ports, tens, { tell })
  const end = actor.run()
  await caughtUp(actor)
  actor.stop()
  await end
  expect(states).toEqual(['claiming', 'running', 'draining', 'stopped'])
})

test('no letter is walked while another owner of the process is alone with its last try', async () => {
  const ports = await memory()
  await publish(ports, plain, [1])
  let isBad = true
  const walked: number[] = []
  const failing = pipeline('failing')
    .from(plain)
    .pipe(
      map(n => {
        if (isBad) throw new TypeError('bad')
        walked.push(n)
        return n
      }),
    )
    .to(tenfold)
  const solo = new Solo(systemClock)
  const other = solo.seat(() => {})
  const actor = actorOn(ports, failing, { solo })
  const end = actor.run()
  await caughtUp(actor)
  isBad = false
  other.setAlone(true)
  const answers = actor.resolveLetters({ how: 'retried', positions: [1] })
  // A turn would have been begun by now.
  for (let turns = 0; turns < 50; turns++) await new Promise(setImmediate)
  expect(walked).toEqual([])
  other.setAlone(false)
  expect(await answers).toEqual([{ position: 1, became: 'retried' }])
  expect(walked).toEqual([1])
  actor.stop()
  await end
})
