/** The simulated world itself: one seed is one order of everything, faults do land, and the dead do nothing. */
import { expect, test } from 'vitest'
import type { StreamSpec } from '../../src/log/log.js'
import { START } from '../../src/log/record.js'
import { Sender } from '../../src/stream/sender.js'
import { silent } from '../../src/telemetry/events.js'
import { SimChance } from '../../src/testing/simulation/chance.js'
import { NO_FAULTS } from '../../src/testing/simulation/faults.js'
import { drawSwarm } from '../../src/testing/simulation/swarm.js'
import { World } from '../../src/testing/simulation/world.js'

const spec: StreamSpec = { name: 's', partitions: 1, retention: {}, replicas: 1, dedupWindowMs: 20_000 }
const bytes = (text: string) => new TextEncoder().encode(text)

function worldOf(seed: number, crashed = 0): World {
  const { shares, spans } = drawSwarm(new SimChance(seed, 'swarm'), 'base')
  return new World({ seed, shares: { ...shares, crashed }, spans, label: name => name, keepLines: true })
}

/** A sender that has a hundred records to send through the faults of a seed, and what is stored of them. */
async function sendThrough(seed: number, crashed = 0) {
  const world = worldOf(seed, crashed)
  const { process, ports } = world.start('p', silent)
  const stored = world.server.open(spec)
  let told = 0
  const send = async () => {
    const stream = await reachable(() => ports.log.open(spec), process.clock)
    const sender = new Sender(stream, 0, process.clock)
    for (let i = 0; i < 100; i++) {
      for (let room = sender.room(); room !== undefined; room = sender.room()) await room
      const failed = (error: Error) => expect.fail(error.message)
      sender.send({ partition: 0, payload: bytes(`${i}`), id: `id${i}` }, { stored: () => void told++, failed })
    }
  }
  void send()
  await world.clock.run(() => told === 100 || !process.alive || world.clock.elapsed() > 600_000)
  return { world, process, told, ids: stored.records.map(record => record.id) }
}

async function reachable<T>(
  open: () => Promise<T>,
  clock: { after(ms: number, then: () => void): unknown },
): Promise<T> {
  for (;;) {
    try {
      return await open()
    } catch {
      await new Promise<void>(again => void clock.after(50, again))
    }
  }
}

test('sends each record once through every kind of fault, whatever the seed', async () => {
  const landed = new Map<string, number>()
  for (let seed = 1; seed <= 40; seed++) {
    const { world, told, ids } = await sendThrough(seed)
    expect(told, `seed ${seed}`).toBe(100)
    expect(new Set(ids).size, `seed ${seed}`).toBe(100)
    expect(ids.length, `seed ${seed}`).toBe(100)
    for (const [kind, count] of world.faults.landed) landed.set(kind, (landed.get(kind) ?? 0) + count)
  }
  const kinds = ['requestLost', 'replyLost', 'stalled', 'overtaken', 'replyLate', 'repeated', 'disconnected', 'frozen']
  for (const kind of kinds) expect(landed.get(kind), kind).toBeGreaterThan(5)
})

test('does the same at the same times when a seed is run again, and something else for another', async () => {
  const [first, again, other] = [await sendThrough(7), await sendThrough(7), await sendThrough(8)]
  expect(again.world.trace.lines).toEqual(first.world.trace.lines)
  expect(again.world.trace.hash).toBe(first.world.trace.hash)
  expect(other.world.trace.hash).not.toBe(first.world.trace.hash)
})

test('hears nothing more of a process that died, before it sent, after that, or before the answer', async () => {
  const places = new Map<string, number>()
  for (let seed = 100; seed < 200; seed++) {
    const { world, process, told } = await sendThrough(seed, 0.01)
    if (process.alive) continue
    const lines = world.trace.lines.length
    await world.pass(60_000)
    const later = world.trace.lines.slice(lines).filter(line => !line.includes(' -> '))
    expect(later, `seed ${seed}`).toEqual([])
    expect(told).toBeLessThan(100)
    for (const [place, count] of world.crashes) places.set(place, (places.get(place) ?? 0) + count)
  }
  for (const when of ['before', 'sent', 'answered']) expect(places.get(`append s, ${when}`)).toBeGreaterThan(1)
})

test('lets a frozen process find on waking that the world went on', async () => {
  const calm = { latency: [1, 1], timeoutMs: 500, lateMs: 0, awayMs: [0, 0], frozenMs: [0, 0] } as const
  const world = new World({ seed: 1, shares: NO_FAULTS, spans: calm, label: name => name, keepLines: true })
  const running = world.start('p', silent)
  const heard: string[] = []
  const asked = running.ports.log.open(spec).then(() => heard.push(`answer at ${running.process.clock.elapsed()}`))
  running.process.clock.after(100, () => heard.push(`timer at ${running.process.clock.elapsed()}`))
  world.freeze(running, 1000)
  await world.clock.run(() => false)
  await asked
  expect(heard).toEqual(['answer at 1000', 'timer at 1000'])
  expect(world.server.streams.has('s')).toBe(true)
})

test('forgets the ids of purged records when the server starts again, as real ones do', async () => {
  const calm = { latency: [1, 1], timeoutMs: 500, lateMs: 0, awayMs: [0, 0], frozenMs: [0, 0] } as const
  const world = new World({ seed: 1, shares: NO_FAULTS, spans: calm, label: name => name, keepLines: false })
  const ports = world.outside('o')
  const ended: string[] = []
  const run = async () => {
    const stream = await ports.log.open(spec)
    for (const id of ['a', 'b']) await stream.append({ partition: 0, payload: bytes(id), id })
    await stream.purge(0, 2)
    world.restart(10)
    await new Promise<void>(later => void world.clock.after(20, later))
    for (const id of ['a', 'b']) {
      const ending = await stream.append({ partition: 0, payload: bytes(id), id })
      ended.push(`${id} ${ending.ending === 'stored' && ending.repeat}`)
    }
    const reader = stream.read({ after: START, untilEnd: true })
    ended.push(`${(await reader.next()).value?.records.length}`)
  }
  let done = false
  void run().then(() => (done = true))
  await world.clock.run(() => done)
  expect(ended).toEqual(['a false', 'b true', '2'])
})
