/**
 * Holds the list of a node in docs/permissions.md: with its rows a node makes its streams, comes back after a crash, lets go
 * of what is dead, gives up records and answers who asks; and without any one of them something of this fails by name.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { jetstreamManager, type JetStreamManager, type StreamInfo } from '@nats-io/jetstream'
import { connect as dial, type NatsConnection } from '@nats-io/transport-node'
import { tap } from 'rxjs'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { aggregate, connect, count, pipeline, startNode, stream, type Event } from 'stream-node'
import { NODE_SIGNALS } from '../../src/node/checkup.js'
import { systemChance, systemClock } from '../../src/clock.js'
import { messageOf } from '../../src/errors.js'
import { needsOf } from '../../src/log/jetstream/granted.js'
import { openJetStream } from '../../src/log/jetstream/jetstream.js'
import { silent } from '../../src/telemetry/events.js'
import { covers, permissionsUnder, user, type Permission } from '../jetstream/permissions.js'
import { startServer, type TestServer } from '../nats-server/server.js'

const list = permissionsUnder('A node')
const without = ({ may, subject }: Permission) => `node without ${may} ${subject}`
/** Commits, and can bring nothing out. */
const mute = list.filter(({ subject }) => !['clicks-per-user.*', 'count-clicks-dead-letters.*'].includes(subject))
const users = [
  user('admin'),
  user('node', list),
  user('mute', mute),
  ...list.map(row =>
    user(
      without(row),
      list.filter(other => other !== row),
    ),
  ),
]

let server: TestServer
let link: NatsConnection
let manager: JetStreamManager
beforeAll(async () => {
  server = await startServer({ config: `authorization { users: [\n${users.join('\n')}\n] }` })
  link = await dial({ ...server.admin, reconnectTimeWait: 50, maxReconnectAttempts: -1 })
  manager = await jetstreamManager(link)
})
afterAll(async () => {
  await link.close()
  await server.stop()
})

function as(name: string) {
  const inboxPrefix = name === 'admin' ? '_INBOX' : '_INBOX_app'
  return { servers: server.url, user: name, password: name, inboxPrefix, timeout: 3000 }
}

interface Click {
  readonly user: string
}
const WINDOW_MS = 1000
const clicks = stream<Click>('clicks', { key: 'user', partitions: 2 })
const flow = pipeline('count-clicks', { onError: { budget: false } })
  .from(clicks)
  .pipe(
    tap(({ user }) => {
      if (user.startsWith('bad')) throw new Error('planted')
    }),
    aggregate({ clicks: count() }),
  )
const counts = flow.as('clicks-per-user', { partitions: 2, dedupWindow: WINDOW_MS })
const definition = flow.to(counts)
const STREAMS = ['clicks', 'clicks-per-user', 'count-clicks-0-ledger', 'count-clicks-dead-letters', 'KV_stream-node']

async function forget(): Promise<void> {
  for (const name of STREAMS) await manager.streams.delete(name).catch(() => {})
}

/** Runs a node until it has caught up, also with what comes meanwhile; rejects with what is forbidden, told or thrown. */
async function run(name: string, meanwhile?: () => Promise<void>): Promise<void> {
  let deny: (error: Error) => void = () => {}
  const denied = new Promise<never>((_, reject) => (deny = reject))
  denied.catch(() => {})
  const onEvent = (event: Event) => {
    const error = 'error' in event ? event.error : undefined
    if (error instanceof Error && /the server forbids/.test(error.message)) deny(error)
  }
  const node = await startNode({ ...as(name), definitions: [definition], onEvent })
  try {
    await Promise.race([node.caughtUp(), denied])
    await meanwhile?.()
    if (meanwhile !== undefined) await Promise.race([node.caughtUp(), denied])
  } finally {
    await node.stop()
  }
  const ended = await node.ended
  if ('error' in ended) throw ended.error
  await Promise.race([denied, Promise.resolve()])
}

/** Rejects when a consumer is still there after a while: the server takes it away only much later. */
async function nothingLeft(): Promise<void> {
  for (const name of STREAMS) {
    const none = async () => ((await infoOf(name))?.state.consumer_count ?? 0) === 0
    const deadline = performance.now() + 500
    while (!(await none())) {
      if (performance.now() > deadline) throw new Error(`stream "${name}" was left a consumer`)
      await sleep(10)
    }
  }
}

const jobs: Readonly<Record<string, (name: string) => Promise<void>>> = {
  async 'begins, and gives up a record'(name) {
    await forget()
    // Makes all that is not there.
    await run(name)
    await using fresh = await connect(as('admin'))
    await fresh.publishAll(clicks, [{ user: 'ann' }, { user: 'bad' }, { user: 'ann' }])
    await run(name)
    expect(await textsOf('clicks-per-user')).toEqual(['{"key":"ann","clicks":1}', '{"key":"ann","clicks":2}'])
    expect(await textsOf('count-clicks-dead-letters')).toHaveLength(1)
    await nothingLeft()
  },

  async 'comes back after a crash, with outputs that may be out'(name) {
    await forget()
    await using fresh = await connect(as('admin'))
    await fresh.publishAll(clicks, [{ user: 'ann' }, { user: 'bad' }])
    const subjects = [0, 1].map(partition => `count-clicks-dead-letters.${partition}`)
    await manager.streams.add({ name: 'count-clicks-dead-letters', subjects, duplicate_window: WINDOW_MS * 1e6 })
    await run('mute').catch(() => {})
    // So that there is something to look through.
    for (const stream of ['clicks-per-user', 'count-clicks-dead-letters']) {
      for (const partition of [0, 1]) await manager.jetstream().publish(`${stream}.${partition}`, '{"of":"others"}')
    }
    await sleep(WINDOW_MS)
    await run(name)
    expect(await textsOf('clicks-per-user')).toContain('{"key":"ann","clicks":1}')
    expect(await textsOf('count-clicks-dead-letters')).toHaveLength(3)
    await nothingLeft()
  },

  async 'lets go of what is dead'(name) {
    await forget()
    await using fresh = await connect(as('admin'))
    // All in one partition, so that the other one has nothing to let go of.
    await fresh.publishAll(clicks, new Array<Click>(20_000).fill({ user: 'ann'.padEnd(200) }))
    await run(name)
    const { state } = await manager.streams.info('count-clicks-0-ledger', { subjects_filter: '>' })
    const held = Object.values(state.subjects ?? {}).reduce((sum, count) => sum + count, 0)
    if (held === state.last_seq) throw new Error('nothing was purged')
  },

  async 'goes on when the server was away, behind what was purged'(name) {
    await forget()
    await using fresh = await connect(as('admin'))
    const some = Array.from({ length: 10 }, (_, i) => ({ user: `u${i}` }))
    await fresh.publishAll(clicks, some)
    await run(name, async () => {
      await purge('clicks', 0)
      const back = once(link.status(), 'reconnect')
      await server.restart()
      await back
      await fresh.publishAll(clicks, some)
    })
    expect(await textsOf('clicks-per-user')).toHaveLength(20)
    await nothingLeft()
  },
}

/** Purges a partition and notes it, as programs of ours do. */
async function purge(name: string, partition: number): Promise<void> {
  const ports = await openJetStream(as('admin'), { clock: systemClock, chance: systemChance, tell: silent })
  const stream = await ports.log.find(name)
  await stream?.purge(partition, (await stream.extent()).last)
  await ports.close()
}

async function once(told: AsyncIterable<{ readonly type: string }>, type: string): Promise<void> {
  for await (const status of told) if (status.type === type) return
}

function infoOf(name: string): Promise<StreamInfo | undefined> {
  return manager.streams.info(name).catch(() => undefined)
}

async function textsOf(name: string): Promise<string[]> {
  const { state } = await manager.streams.info(name)
  const texts: string[] = []
  for (let seq = 1; seq <= state.last_seq; seq++)
    texts.push((await manager.streams.getMessage(name, { seq }))?.string() ?? '')
  return texts
}

test.each(Object.keys(jobs))('the list is enough for a node that %s', async name => {
  await (jobs[name] as (user: string) => Promise<void>)('node')
})

describe('no row of the list is held in vain', () => {
  const rows = list.filter(({ subject }) => !/^(?:\$SN|_INBOX)/.test(subject))
  test.each(rows)('$may $subject', async row => {
    const faults: string[] = []
    for (const job of Object.values(jobs)) {
      const fault: unknown = await Promise.race([
        job(without(row)).then(
          () => undefined,
          (error: unknown) => error,
        ),
        sleep(8000).then(() => new Error('nothing came of it')),
      ])
      if (fault === undefined) continue
      faults.push(messageOf(fault))
      break
    }
    expect(faults).toHaveLength(1)
    const [fault = ''] = faults
    if (row.subject.includes('CONSUMER.DELETE')) expect(fault).toMatch(/was left a consumer/)
    else {
      const said = /the server forbids (?:publish|subscription) "([^"]+)"; grant it to this user/.exec(fault)
      expect(covers(row.subject, said?.[1] ?? ''), fault).toBe(true)
    }
  })
})

test('a server of these tests can hold all who do not say who they are to the lists, and they do their work', async () => {
  await using held = await startServer({ leastPrivilege: true })
  const somebody = await dial({ servers: held.url })
  await expect(jetstreamManager(somebody)).rejects.toThrow(/permissions violation/i)
  await somebody.close()
  await using client = await connect({ servers: held.url })
  await client.publishAll(clicks, [{ user: 'ann' }, { user: 'bad' }, { user: 'ann' }])
  await using node = await startNode({ servers: held.url, definitions: [definition] })
  expect(await node.caughtUp()).toBe(true)
  const read: unknown[] = []
  for await (const { value } of client.read(counts)) read.push(value)
  expect(read).toEqual([
    { key: 'ann', clicks: 1 },
    { key: 'ann', clicks: 2 },
  ])
})

test('is what the doctor looks for', () => {
  const asked = { partitions: 2 }
  const uses = [
    { name: 'clicks', roles: ['source'], asked },
    { name: 'clicks-per-user', roles: ['target'], asked },
    { name: 'count-clicks-0-ledger', roles: ['ledger'], asked },
    { name: 'count-clicks-dead-letters', roles: ['dead letters'], asked },
  ]
  const needs = needsOf({
    uses: uses as never,
    signals: NODE_SIGNALS,
    there: () => false,
    ...{ api: '$JS.API', inbox: '_INBOX_app' },
  })
  const named = (rows: readonly Pick<Permission, 'may' | 'subject'>[]) =>
    rows.map(row => `${row.may} ${row.subject}`).sort()
  const answer = { may: 'publish', subject: '_INBOX_app.>' } as const
  expect(named([...needs, answer])).toEqual(named(list))
})
