/** Holds docs/permissions.md: with the rows of a list all goes well, and without any one of them something fails. */
import { setTimeout as sleep } from 'node:timers/promises'
import { jetstreamManager, type JetStreamManager } from '@nats-io/jetstream'
import { connect as dial, type NatsConnection } from '@nats-io/transport-node'
import { tap } from 'rxjs'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { aggregate, avro, connect, count, pipeline, startNode, stream, StreamNodeError, type Event } from 'stream-node'
import { bucketContract, logContract, signalsContract, type Opened } from 'stream-node/testing'
import { systemChance, systemClock } from '../../src/clock.js'
import { openJetStream } from '../../src/log/jetstream/jetstream.js'
import type { Ports } from '../../src/log/ports.js'
import { askForLetters } from '../../src/node/letters.js'
import { askToResume } from '../../src/node/resume.js'
import { statusOfNodes } from '../../src/node/status.js'
import { silent } from '../../src/telemetry/events.js'
import { startServer, type TestServer } from '../nats-server/server.js'
import { covers, permissionsUnder, user, type Permission } from './permissions.js'

const makes = permissionsUnder('A program that makes its streams')
const uses = permissionsUnder('A program that publishes and reads, and makes nothing')
const reads = permissionsUnder('A reader of a stream of others')
const signals = permissionsUnder('Signals')
const lists = { makes, uses, reads, signals: [...signals, ...makes.filter(({ may }) => may === 'subscribe')] }
type Role = keyof typeof lists

/** The list for streams and buckets of any name, as the page says. */
const makesAny = makes.map(row => ({
  ...row,
  subject: row.subject.replace('clicks.*', '*.*').replace(/clicks|KV_stream-node|stream-node/, '*'),
}))
const signalsAny = lists.signals.flatMap(row =>
  row.subject === 'beats.>' ? ['*', '*.>'].map(subject => ({ ...row, subject })) : [row],
)

/** What a node may. What it needs for its streams is held row by row in test/security/least-privilege.test.ts. */
const node = permissionsUnder('A node')
const answers = node.filter(({ subject }) => /^(?:\$SN|_INBOX)/.test(subject))

const without = (role: string, { may, subject }: Permission) => `${role} without ${may} ${subject}`
const users = [
  user('admin'),
  user('makes-any', makesAny),
  user('signals-any', signalsAny),
  user('node', node),
  ...answers.map(row =>
    user(
      without('node', row),
      node.filter(other => other !== row),
    ),
  ),
  ...Object.entries(lists).flatMap(([role, list]) => [
    user(role, list),
    ...list.map(row =>
      user(
        without(role as Role, row),
        list.filter(other => other !== row),
      ),
    ),
  ]),
]

/** Well below the time-out of the test; whatever is forbidden must end before it. */
const TIMEOUT_MS = 3000
const SOON_MS = 2000

let server: TestServer
let admin: NatsConnection
let manager: JetStreamManager
beforeAll(async () => {
  server = await startServer({ config: `authorization { users: [\n${users.join('\n')}\n] }` })
  admin = await dial({ servers: server.url, user: 'admin', pass: 'admin' })
  manager = await jetstreamManager(admin)
})
afterAll(async () => {
  await admin.close()
  await server.stop()
})

const as = (name: string) => {
  const inboxPrefix = name === 'admin' ? '_INBOX' : '_INBOX_app'
  return { servers: server.url, user: name, password: name, inboxPrefix, timeout: TIMEOUT_MS }
}

async function openAs(name: string, told: (event: Event) => void = silent) {
  const ports = await openJetStream(as(name), { clock: systemClock, chance: systemChance, tell: told })
  return Object.assign(ports, { [Symbol.asyncDispose]: () => ports.close() })
}

const opened = (name: string) => async (): Promise<Opened> => {
  const links: Ports[] = []
  const another = async () => {
    const ports = await openAs(name)
    links.push(ports)
    return ports
  }
  const close = async () => void (await Promise.all(links.map(link => link.close())))
  return { ports: await another(), another, close }
}

describe('a user with the list for programs that make their streams keeps the contract', () => {
  logContract({
    test,
    expect,
    open: opened('makes-any'),
    skip: [
      {
        promise: 'reads on below a purge when only records of other partitions stand between',
        reason: 'as for every user, see contract.test.ts',
      },
    ],
  })
  bucketContract({ test, expect, open: opened('makes-any') })
  signalsContract({ test, expect, open: opened('signals-any') })
})

interface Click {
  readonly user: string
}

/** A definition of `clicks` whose schema nobody has seen before. */
function clicksOfToday() {
  const fields = [
    { name: 'user', type: 'string' },
    { name: `at_${systemChance.name()}`, type: 'int', default: 0 },
  ]
  return stream<Click>('clicks', {
    key: 'user',
    partitions: 2,
    codec: avro<Click>({ type: 'record', name: 'Click', fields: fields as never }),
  })
}

const euOrders = stream<{ n: number }>('eu-orders', { source: { stream: 'ORDERS', subject: 'orders.eu.*' } })

/** What each kind of program does; rejects when something of it does not go well. */
const programs: Record<Role, (name: string) => Promise<void>> = {
  async makes(name) {
    await forget('clicks', 'KV_stream-node')
    const clicks = clicksOfToday()
    await using client = await connect(as(name))
    for (const user of ['ann', 'bob', 'cid']) await client.publish(clicks, { user })
    expect(await textsRead(client.read(clicks))).toHaveLength(3)
    expect(await client.streams()).toEqual(['clicks'])
    expect(await client.describe('clicks')).toMatchObject({ first: 1, last: 3 })
    await using link = await openAs(name)
    expect(await link.log.names()).toContain('clicks')
    await nothingLeft('clicks', 'KV_stream-node')
    await (await link.log.find('clicks'))?.purge(0, 4)
    await link.log.drop('clicks')
  },

  async uses(name) {
    const probed = await lastOf('$KV.stream-node.probe')
    const clicks = clicksOfToday()
    await using client = await connect(as(name))
    const { position } = await client.publish(clicks, { user: 'ann' })
    expect(await textsRead(client.read(clicks, { after: position - 1 }))).toHaveLength(1)
    expect(await textsRead(client.read(clicks, { from: new Date(0), partition: 0 }))).not.toHaveLength(0)
    expect(await client.streams()).toContain('clicks')
    expect(await client.describe('clicks')).toMatchObject({ last: position })
    await nothingLeft('clicks', 'KV_stream-node')
    if ((await lastOf('$KV.stream-node.probe')) === probed) throw new Error('the server was not tested')
  },

  async reads(name) {
    await using client = await connect(as(name))
    expect(await textsRead(client.read(euOrders))).toEqual(['{"n":1}', '{"n":3}'])
    expect(await textsRead(client.read(euOrders, { after: 1 }))).toEqual(['{"n":3}'])
    await nothingLeft('ORDERS')
  },

  async signals(name) {
    const told: Error[] = []
    const tell = (event: Event) => void (event.type === 'log.error' && told.push(event.error))
    await using there = await openAs(name, tell)
    await using here = await openAs('signals')
    const heard: string[] = []
    await there.signals.subscribe('beats.heard', payload => heard.push(Buffer.from(payload).toString()))
    await there.signals.serve('beats.asked', payload => payload)
    const asking = here.signals.request('beats.asked', Buffer.from('x'), { timeoutMs: 300 })
    await asking.catch((error: unknown) => Promise.reject(told[0] ?? (error as Error)))
    there.signals.publish('beats.heard', Buffer.from('x'))
    await eventually(() => heard.length > 0 || told.length > 0)
    if (told[0] !== undefined) throw told[0]
  },
}

beforeAll(async () => {
  await manager.streams.add({ name: 'ORDERS', subjects: ['orders.>'] })
  for (const [subject, n] of Object.entries({ 'orders.eu.a': 1, 'orders.us.a': 2, 'orders.eu.b': 3 })) {
    await manager.jetstream().publish(subject, `{"n":${n}}`)
  }
})

async function stage(role: Role): Promise<void> {
  if (role === 'signals') return
  await forget('clicks')
  await using client = await connect(as('admin'))
  for (const user of ['ann', 'bob', 'cid']) await client.publish(clicksOfToday(), { user })
}

describe.each(Object.keys(lists) as Role[])('the list of one who %s', role => {
  beforeAll(() => stage(role))

  test('is enough', () => programs[role](role))

  test.each(lists[role])('does not hold in vain: $may $subject', async row => {
    const begun = performance.now()
    const fault: unknown = await programs[role](without(role, row)).then(
      () => 'no fault',
      (error: unknown) => error,
    )
    expect(performance.now() - begun).toBeLessThan(SOON_MS)
    if (row.subject.includes('CONSUMER.DELETE')) {
      expect(String(fault)).toMatch(/was left a consumer/)
    } else if (row.subject.endsWith('.probe')) {
      expect(String(fault)).toMatch(/was not tested/)
    } else {
      expect(fault).toBeInstanceOf(StreamNodeError)
      expect(fault).toMatchObject({ code: 'PERMISSION_DENIED' })
      const { message } = fault as Error
      const said = /the server forbids (?:publish|subscription) "([^"]+)"; grant it to this user/.exec(message)
      expect(covers(row.subject, said?.[1] ?? ''), message).toBe(true)
    }
  })
})

describe('the list of a node', () => {
  /**
   * Runs a pipeline that pauses at its record until it is resumed, and gives what came out of it, and the states of its
   * partitions before that, as they are told to who asks.
   */
  async function run(name: string) {
    await forget('clicks', 'clicks-per-user', 'count-clicks-0-ledger', 'KV_stream-node')
    const clicks = stream<Click>('clicks', { key: 'user', partitions: 2 })
    let isMended = false
    const mended = tap(() => {
      if (!isMended) throw new Error('planted')
    })
    const flow = pipeline('count-clicks', { onError: { then: 'pause' } })
      .from(clicks)
      .pipe(mended, aggregate({ clicks: count() }))
    const counts = flow.as('clicks-per-user')
    await using client = await connect(as('admin'))
    await client.publish(clicks, { user: 'ann' })
    await using running = await startNode({ ...as(name), definitions: [flow.to(counts)] })
    expect(await running.caughtUp()).toBe(false)
    await using link = await openAs('signals-any')
    const asked = { clock: systemClock, chance: systemChance, timeoutMs: 1000 }
    const told = await statusOfNodes(link, asked)
    isMended = true
    expect(await askToResume(link, asked, { pipeline: 'count-clicks' })).toBe(1)
    expect(await running.caughtUp()).toBe(true)
    const place = { pipeline: 'count-clicks', stage: 0, partition: 0 }
    const letters = await askForLetters(link, asked, place, { how: 'dropped', positions: [1] })
    expect(letters).toMatchObject([{ became: 'refused' }])
    const texts = await textsRead(client.read(counts))
    return { texts, states: told.flatMap(({ partitions }) => partitions.map(({ state }) => state)).sort() }
  }

  test('is enough', async () => {
    expect(await run('node')).toEqual({ texts: ['{"key":"ann","clicks":1}'], states: ['paused', 'running'] })
  })

  test.each(answers)('does not hold in vain: $may $subject', async row => {
    await expect(run(without('node', row))).rejects.toBeInstanceOf(StreamNodeError)
  })
})

async function textsRead(reading: AsyncIterable<{ readonly value: unknown }>): Promise<string[]> {
  const texts: string[] = []
  for await (const { value } of reading) texts.push(JSON.stringify(value))
  return texts
}

async function forget(...streams: string[]): Promise<void> {
  for (const name of streams) await manager.streams.delete(name).catch(() => {})
}

/** Rejects when a consumer still stands on one of the streams after a while, and takes it away. */
async function nothingLeft(...streams: string[]): Promise<void> {
  for (const name of streams) {
    const none = async () => (await manager.streams.info(name)).state.consumer_count === 0
    if (await eventually(none)) continue
    for await (const consumer of manager.consumers.list(name)) await manager.consumers.delete(name, consumer.name)
    throw new Error(`stream "${name}" was left a consumer`)
  }
}

/** The position of the last entry under a subject of the bucket. */
async function lastOf(subject: string): Promise<number> {
  return (await manager.streams.getMessage('KV_stream-node', { last_by_subj: subject }))?.seq ?? 0
}

async function eventually(holds: () => boolean | Promise<boolean>): Promise<boolean> {
  const deadline = performance.now() + 500
  while (performance.now() < deadline) {
    if (await holds()) return true
    await sleep(10)
  }
  return false
}
