/** Partitions that fail for ever beside others, on a real log: who goes on, what is counted, and that nothing comes twice. */
import { map, mergeMap } from 'rxjs'
import { expect, onTestFinished, test } from 'vitest'
import { systemChance, systemClock, type Chance, type Clock } from '../clock.js'
import type { Codec } from '../codec/codec.js'
import { json } from '../codec/json.js'
import { openEmbedded } from '../log/embedded/embedded.js'
import type { Ports } from '../log/ports.js'
import { START } from '../log/record.js'
import { scan } from '../operators/scan.js'
import type { Definition } from '../pipeline/definition.js'
import { pipeline } from '../pipeline/pipeline.js'
import type { Supervise } from '../pipeline/rules.js'
import { Streams } from '../stream/open.js'
import { Sender } from '../stream/sender.js'
import { stream, type Stream } from '../stream/stream.js'
import { silent, type Event } from '../telemetry/events.js'
import { runNode, type NodeAtWork } from './node.js'

/** Never waits between two actors. */
const hasty: Chance = { ...systemChance, fraction: () => 0 }
const around = { clock: systemClock, chance: hasty, tell: silent, replicas: 1 }

interface Click {
  readonly user: string
  readonly n: number
}

async function memory(): Promise<Ports> {
  const ports = await openEmbedded({ memory: true, role: 'node', name: 'test' }, around)
  onTestFinished(() => ports.close())
  return ports
}

/** JSON whose reader may have to wait first. */
function choosy(ready: (click: Click) => Promise<void> | undefined): Codec<Click> {
  const codec = json<Click>()
  return {
    name: codec.name,
    definition: codec.definition,
    async open(schemas, use) {
      const open = await codec.open(schemas, use)
      return {
        encode: value => open.encode(value),
        decode: bytes => open.decode(bytes),
        ready: bytes => ready(open.decode(bytes)),
      }
    },
  }
}

const PARTITIONS = 4
const COUNT = 400
const sums = stream<number>('sums', { partitions: PARTITIONS })
const clicks = Array.from({ length: COUNT }, (_, n): Click => ({ user: `u${n % 40}`, n }))

/** Sums the numbers of each user, once the codec has let them pass. */
function summing(ready: (click: Click) => Promise<void> | undefined, supervise: Supervise = {}) {
  const source = stream<Click>('clicks', { key: 'user', partitions: PARTITIONS, codec: choosy(ready) })
  const definition = pipeline('sums', { supervise })
    .from(source)
    .pipe(scan((sum: number, click) => sum + click.n, 0))
    .to(sums)
  return { source, definition }
}

async function publish<T>(ports: Ports, to: Stream<T>, values: readonly T[]): Promise<readonly number[]> {
  const { log, wire } = await new Streams(ports, around).open(to, 'write')
  const sender = new Sender(log, (await log.extent()).last, systemClock)
  const ignored = { stored: () => {}, failed: () => {} }
  const partitions = values.map(value => {
    const named = wire.write(value, {}, systemChance.name())
    sender.send(named, ignored)
    return named.partition
  })
  await sender.drained()
  return partitions
}

/** The values of each partition of a stream, in order. */
async function stored<T>(ports: Ports, of: Stream<T>): Promise<T[][]> {
  const { log, wire } = await new Streams(ports, around).open(of, 'read')
  const found: T[][] = Array.from({ length: PARTITIONS }, () => [])
  for await (const { records } of log.read({ after: START, untilEnd: true })) {
    for (const record of records) {
      wire.read(
        record,
        ({ value }) => found[record.partition]?.push(value),
        error => expect.unreachable(error.message),
      )
    }
  }
  return found
}

/** What must stand in each partition of the sums, by the partition that each click went to. */
function sumsOf(partitions: readonly number[], given: readonly Click[]): number[][] {
  const due: number[][] = Array.from({ length: PARTITIONS }, () => [])
  const state = new Map<string, number>()
  for (const [i, { user, n }] of given.entries()) {
    const sum = (state.get(user) ?? 0) + n
    state.set(user, sum)
    due[partitions[i] as number]?.push(sum)
  }
  return due
}

async function start(ports: Ports, definitions: readonly Definition[], { clock = systemClock } = {}) {
  const told: Event[] = []
  let heard = () => {}
  const tell = (event: Event) => {
    told.push(event)
    heard()
  }
  const node = await runNode(ports, definitions, { ...around, clock, tell })
  onTestFinished(() => void node.stop())
  /** Resolves once this was told. */
  const until = async (is: (event: Event) => boolean) => {
    while (!told.some(is)) await new Promise<void>(resolve => (heard = resolve))
  }
  return { node, told, until }
}

const statusOf = (node: NodeAtWork, partition: number, name = 'sums') =>
  node.status().find(at => at.pipeline === name && at.partition === partition)

test('the others go on beside a partition that falls for ever, and it too once it is mended and resumed', async () => {
  const ports = await memory()
  let isBroken = true
  const bad = clicks[0] as Click
  const { source, definition } = summing(({ user }) =>
    isBroken && user === bad.user ? Promise.reject(new Error('no schema for this one')) : undefined,
  )
  const partitions = await publish(ports, source, clicks)
  const broken = partitions[0] as number
  const { node, told, until } = await start(ports, [definition])
  await until(({ type }) => type === 'partition.paused')
  expect(await node.caughtUp()).toBe(false)
  expect(node.status().map(({ state }, partition) => [partition, state])).toEqual(
    [0, 1, 2, 3].map(partition => [partition, partition === broken ? 'paused' : 'running']),
  )
  const [lastError, error] = ['no schema for this one', 'no schema for this one']
  expect(statusOf(node, broken)).toMatchObject({ restarts: 5, fence: 6, error, lastError })
  const due = sumsOf(partitions, clicks)
  const before = await stored(ports, sums)
  const others = [0, 1, 2, 3].filter(partition => partition !== broken)
  expect(others.map(partition => before[partition])).toEqual(others.map(partition => due[partition]))
  expect(told.filter(event => event.type === 'partition.restarting').map(event => event.partition)).toEqual(
    Array(5).fill(broken),
  )

  isBroken = false
  expect(node.resume('sums', (broken + 1) % PARTITIONS)).toBe(0)
  expect(node.resume('nobody')).toBe(0)
  expect(node.resume('sums')).toBe(1)
  expect(await node.caughtUp()).toBe(true)
  expect(await stored(ports, sums)).toEqual(due)
  expect(await node.stop()).toEqual({ why: 'stopped' })
})

test('a partition that is paused when its node is stopped is the reason that the node names', async () => {
  const ports = await memory()
  const error = new Error('no schema')
  const { source, definition } = summing(() => Promise.reject(error))
  await publish(ports, source, clicks.slice(0, 1))
  const { node, until } = await start(ports, [definition])
  await until(({ type }) => type === 'partition.paused')
  expect(await node.stop()).toMatchObject({ why: 'paused', error, pipeline: 'sums', stage: 0 })
})

test('a pipeline may say that it ends then', async () => {
  const ports = await memory()
  const { source, definition } = summing(() => Promise.reject(new Error('no schema')), { restarts: 2, then: 'stop' })
  await publish(ports, source, clicks.slice(0, 1))
  const { node, until } = await start(ports, [definition])
  await until(({ type }) => type === 'partition.ended')
  expect(await node.stop()).toMatchObject({ why: 'failed', error: new Error('no schema') })
  expect(node.status().filter(({ restarts }) => restarts === 2)).toHaveLength(1)
})

test('a pipeline that no turn can run ends at once, and another one of the same stream goes on', async () => {
  const ports = await memory()
  const { source, definition } = summing(() => undefined)
  const misused = pipeline('misused')
    .from(source)
    .pipe(
      mergeMap(async ({ n }) => Promise.resolve(n)),
      map(n => n),
    )
    .to(stream<number>('misused-out'))
  const partitions = await publish(ports, source, clicks)
  const { node, told } = await start(ports, [misused, definition])
  expect(await node.caughtUp()).toBe(false)
  expect(told.filter(({ type }) => type === 'partition.restarting')).toEqual([])
  expect(
    node
      .status()
      .filter(at => at.pipeline === 'misused')
      .map(({ state }) => state),
  ).toEqual(Array(4).fill('failed'))
  expect(await stored(ports, sums)).toEqual(sumsOf(partitions, clicks))
  expect(await node.stop()).toMatchObject({ why: 'failed', pipeline: 'misused' })
})

test.each(['one-for-all', 'rest-for-one'] as const)(
  '%s begins all anew, and nothing is lost or comes twice',
  async strategy => {
    const ports = await memory()
    let falls = 4
    const { source, definition } = summing(
      ({ n }) => (n > 100 && falls-- > 0 ? Promise.reject(new Error('not yet')) : undefined),
      { strategy, restarts: 100 },
    )
    const partitions = await publish(ports, source, clicks)
    const { node, told } = await start(ports, [definition])
    expect(await node.caughtUp()).toBe(true)
    expect(await stored(ports, sums)).toEqual(sumsOf(partitions, clicks))
    const along = told.filter(event => event.type === 'partition.restarting' && event.with !== undefined)
    expect(along.length).toBeGreaterThan(0)
    expect(await node.stop()).toEqual({ why: 'stopped' })
  },
)

/** Goes as fast as a test winds it, for what is slow in a partition; the log has the real one. */
function wound() {
  const timers = new Set<{ readonly at: number; readonly then: () => void }>()
  let ms = 0
  const clock: Clock = {
    now: () => Date.now(),
    elapsed: () => ms,
    after(wait, then) {
      const timer = { at: ms + wait, then }
      timers.add(timer)
      return () => void timers.delete(timer)
    },
    soon: then => void setImmediate(then),
  }
  const pass = async (step: number) => {
    ms += step
    for (const timer of [...timers]) {
      if (timer.at > ms) continue
      timers.delete(timer)
      timer.then()
    }
    for (let i = 0; i < 5; i++) await new Promise(setImmediate)
  }
  return { clock, pass }
}

test('a partition whose codec never answers is noticed, and begins anew', async () => {
  const ports = await memory()
  const { clock, pass } = wound()
  let asked = 0
  // The first question is never answered.
  const { source, definition } = summing(({ n }) =>
    n === 0 && asked++ === 0 ? new Promise<void>(() => {}) : undefined,
  )
  const partitions = await publish(ports, source, clicks)
  const { node, told } = await start(ports, [definition], { clock })
  const restarts = () => told.filter(event => event.type === 'partition.restarting')
  for (let second = 0; second < 50; second += 0.25) await pass(250)
  expect(restarts()).toEqual([])
  for (let second = 0; second < 20; second += 0.25) await pass(250)
  expect(restarts()).toMatchObject([{ partition: partitions[0], error: { code: 'STUCK' } }])
  const caughtUp = node.caughtUp()
  let is: boolean | undefined
  void caughtUp.then(answer => (is = answer))
  for (let i = 0; i < 400 && is === undefined; i++) await pass(250)
  expect(is).toBe(true)
  expect(restarts()).toHaveLength(1)
  expect(await stored(ports, sums)).toEqual(sumsOf(partitions, clicks))
})

test('one whose record is held, or that has nothing to do, is left alone for as long as that is', async () => {
  const ports = await memory()
  const { clock, pass } = wound()
  const source = stream<Click>('clicks', { key: 'user', partitions: PARTITIONS })
  const pausing = pipeline('sums', { onError: { then: 'pause' } })
    .from(source)
    .pipe(
      map(({ n }) => {
        if (n === 0) throw new Error('not this one')
        return n
      }),
    )
    .to(sums)
  const partitions = await publish(ports, source, clicks)
  const { node, told } = await start(ports, [pausing], { clock })
  for (let minute = 0; minute < 10; minute += 0.25 / 60) await pass(250)
  expect(told.filter(({ type }) => type === 'partition.restarting')).toEqual([])
  expect(statusOf(node, partitions[0] as number)).toMatchObject({ state: 'paused', restarts: 0 })
})
