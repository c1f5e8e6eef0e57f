/** What a server refuses for want of room, of JetStream or of years: told with its mend, nothing acknowledged lost. */
import { once } from 'node:events'
import { createServer, type AddressInfo } from 'node:net'
import {
  DiscardPolicy,
  jetstreamManager,
  RetentionPolicy,
  type JetStreamManager,
  type StreamConfig,
} from '@nats-io/jetstream'
import { connect as dial } from '@nats-io/transport-node'
import { describe, expect, test } from 'vitest'
import { connect, stream as define, StreamNodeError } from 'stream-node'
import { systemChance, systemClock } from '../../src/clock.js'
import { openJetStream } from '../../src/log/jetstream/jetstream.js'
import type { JetStreamOptions } from '../../src/log/jetstream/options.js'
import type { Ending, LogStream, StreamSpec } from '../../src/log/log.js'
import type { Ports } from '../../src/log/ports.js'
import { START } from '../../src/log/record.js'
import { silent } from '../../src/telemetry/events.js'
import { startServer, type ServerOptions, type TestServer } from '../nats-server/server.js'
import { textsOf } from './steps.js'

const SOON_MS = 3000
const KB = 1024

interface Scene {
  readonly server: TestServer
  readonly ports: Ports
  readonly manager: JetStreamManager
  readonly open: (name: string, wanted?: Partial<StreamSpec>) => Promise<LogStream>
}

async function onServer(options: ServerOptions, act: (scene: Scene) => Promise<void>, link: JetStreamOptions = {}) {
  await using server = await startServer(options)
  const ports = await portsOf({ servers: server.url, ...link })
  const nc = await dial({ ...server.admin, ...(link.user ? { user: link.user, pass: link.password ?? '' } : {}) })
  try {
    const open: Scene['open'] = (name, wanted) => ports.log.open(specOf(name, wanted))
    await act({ server, ports, manager: await jetstreamManager(nc), open })
  } finally {
    await Promise.all([nc.close(), ports.close()])
  }
}

function portsOf(options: JetStreamOptions): Promise<Ports> {
  return openJetStream(options, { clock: systemClock, chance: systemChance, tell: silent })
}

function specOf(name: string, wanted: Partial<StreamSpec> = {}): StreamSpec {
  return { name, partitions: 1, retention: {}, replicas: 1, dedupWindowMs: 20_000, ...wanted }
}

/** A stream like ours that someone else set up: full means full, nothing old gives way. */
function madeByHand(name: string, config: Partial<StreamConfig>): Partial<StreamConfig> & { name: string } {
  return { name, subjects: [`${name}.0`], discard: DiscardPolicy.New, duplicate_window: 20_000 * 1e6, ...config }
}

interface Filled {
  readonly stored: readonly string[]
  readonly last: number
  readonly ending: Ending
}

/** Appends numbered texts, 1 KB each, until one is refused. */
async function fillUp(stream: LogStream, from = 0): Promise<Filled> {
  const stored: string[] = []
  let last = 0
  for (let i = from; ; i++) {
    const payload = Buffer.from(String(i).padEnd(KB))
    const ending = await stream.append({ partition: 0, payload, id: `r/${i}` })
    if (ending.ending !== 'stored') return { stored, last, ending }
    stored.push(String(i))
    last = ending.position
  }
}

async function trimmedTextsOf(stream: LogStream): Promise<string[]> {
  return (await textsOf(stream)).map(text => text.trimEnd())
}

/** Fills a stream, sees the refusal, makes room, and sees that appends go on and nothing acknowledged is gone. */
async function fillAndGoOn(stream: LogStream, said: RegExp): Promise<void> {
  const { stored, last, ending } = await fillUp(stream)
  expect(stored.length).toBeGreaterThan(3)
  expect(ending).toMatchObject({
    ending: 'refused',
    why: 'full',
    error: { code: 'LOG_FULL', name: 'UnavailableError' },
  })
  const { message } = (ending as { error: Error }).error
  expect(message).toMatch(said)
  expect(message).toMatch(/; free space or raise the limit/)
  expect(await trimmedTextsOf(stream)).toEqual(stored)
  expect((await stream.last(0))?.position).toBe(last)

  await stream.purge(0, last)
  const again = await fillUp(stream, stored.length)
  expect(again.stored.length).toBeGreaterThan(0)
  expect(again.ending).toMatchObject({ why: 'full' })
  expect(await trimmedTextsOf(stream)).toEqual([...stored.slice(-1), ...again.stored])
}

describe('what is full says so, keeps what it has, and takes more when there is room:', () => {
  test('a stream at its bound in bytes', () =>
    onServer({}, async ({ manager, open }) => {
      await manager.streams.add(madeByHand('full', { max_bytes: 64 * KB }))
      await fillAndGoOn(await open('full', { retention: { bytes: 64 * KB } }), /stream "full" is full: maximum bytes/)
    }))

  test('a stream at its bound in records', () =>
    onServer({}, async ({ manager, open }) => {
      await manager.streams.add(madeByHand('full', { max_msgs: 10 }))
      await fillAndGoOn(await open('full', { retention: { records: 10 } }), /stream "full" is full: maximum messages/)
    }))

  test('an account at its bound', () => {
    const account = 'A { users: [{ user: a, password: a }], jetstream: { max_file: 256KB, max_mem: 1MB } }'
    return onServer(
      { config: `accounts { ${account} }` },
      async ({ open }) => fillAndGoOn(await open('full'), /stream "full" is full: .*account/),
      { user: 'a', password: 'a' },
    )
  })

  test('the room that the server has for all streams', () =>
    onServer({ jetstream: 'max_file_store: 1MB' }, async ({ open }) => {
      await fillAndGoOn(await open('full'), /stream "full" is full: insufficient/)
    }))

  test('a client that publishes is told, and stores on when there is room', () =>
    onServer({}, async ({ server, manager }) => {
      await manager.streams.add(madeByHand('full', { max_msgs: 3 }))
      await using client = await connect({ servers: server.url })
      const full = define<number>('full', { partitions: 1 })
      const publishing = client.publishAll(full, [0, 1, 2, 3, 4])
      await expect(publishing).rejects.toMatchObject({ code: 'LOG_FULL', facts: { index: 3 } })
      await manager.streams.purge('full', { keep: 1 })
      expect(await client.publishAll(full, [3, 4])).toEqual({ taken: 2, stored: 2, repeats: 0 })
      const values: number[] = []
      for await (const { value } of client.read(full)) values.push(value)
      expect(values).toEqual([2, 3, 4])
    }))
})

describe('names why a stream cannot be read:', () => {
  test('no more consumers are allowed', () =>
    onServer({}, async ({ manager, ports }) => {
      await manager.streams.add(madeByHand('few', { max_consumers: 1 }))
      const stream = (await ports.log.find('few')) as LogStream
      const first = stream.read({ after: START })
      const waiting = first.next()
      await expect.poll(async () => (await manager.streams.info('few')).state.consumer_count).toBe(1)
      await expect(stream.read({ after: START }).next()).rejects.toMatchObject({
        code: 'STREAM_DIFFERS',
        message: expect.stringMatching(/"few" cannot be read: .*consumers.*; look at the limits/) as string,
      })
      await first.return()
      await waiting
    }))

  test('a work queue that somebody else works off', () =>
    onServer({}, async ({ manager, open }) => {
      await manager.streams.add({ name: 'WORK', subjects: ['work.>'], retention: RetentionPolicy.Workqueue })
      const stream = await open('jobs', { source: { stream: 'WORK', subject: 'work.>' } })
      await expect(stream.read({ after: START }).next()).rejects.toMatchObject({ code: 'STREAM_DIFFERS' })
    }))
})

test('says that an account takes no more streams, and what to do', () => {
  const account = 'A { users: [{ user: a, password: a }], jetstream: { max_streams: 1 } }'
  return onServer(
    { config: `accounts { ${account} }` },
    async ({ open }) => {
      await open('first')
      const error = await thrownBy(open('second'))
      expect(error).toMatchObject({ code: 'LOG_FULL' })
      expect(error.message).toMatch(/stream "second" cannot be made: .*maximum.*streams.*; .*limit/)
    },
    { user: 'a', password: 'a' },
  )
})

test('says that the server has no room for what a stream reserves, and what to do', () =>
  onServer({ jetstream: 'max_file_store: 1MB' }, async ({ open }) => {
    const error = await thrownBy(open('vast', { retention: { bytes: 10 * KB * KB } }))
    expect(error).toMatchObject({ code: 'LOG_FULL' })
    expect(error.message).toMatch(/stream "vast" cannot be made: insufficient.*; .*limit/)
  }))

describe('a record that is too large is refused alone and its neighbours are stored:', () => {
  const three = async (stream: LogStream, middle: Parameters<LogStream['append']>[0], said: RegExp) => {
    const small = (text: string) => stream.append({ partition: 0, payload: Buffer.from(text) })
    const [before, large, after] = await Promise.all([small('before'), stream.append(middle), small('after')])
    expect([before.ending, after.ending]).toEqual(['stored', 'stored'])
    expect(large).toMatchObject({ ending: 'refused', why: 'denied', error: { code: 'RECORD_TOO_LARGE' } })
    expect((large as { error: Error }).error.message).toMatch(said)
    expect(await textsOf(stream)).toEqual(['before', 'after'])
  }
  const mend = '; make it smaller, or raise'

  test.each([
    ['above what the server takes, before it is sent', { payload: Buffer.alloc(64 * KB + 1) }],
    ['above it with its headers only', { payload: Buffer.alloc(64 * KB - 20), id: 'with-an-id', headers: { a: 'b' } }],
  ])('%s', (_, record) =>
    onServer({ config: 'max_payload: 64KB' }, async ({ open, ports }) => {
      expect(ports.log.recordBytesMax).toBe(64 * KB)
      await three(await open('small'), { partition: 0, ...record }, new RegExp(`65\\d\\d\\d.*65536.*${mend}`))
    }),
  )

  test('above what the stream takes, by the server', () =>
    onServer({}, async ({ manager, open }) => {
      await manager.streams.add(madeByHand('small', { max_msg_size: 1000 }))
      const record = { partition: 0, payload: Buffer.alloc(1001) }
      await three(await open('small'), record, new RegExp(`"small" refused a record: .*${mend}`))
    }))
})

describe('a server that cannot carry a log is told from one that can:', () => {
  test('one without JetStream', async () => {
    await using server = await startServer({ jetstream: false })
    const error = await refusedSoon(portsOf({ servers: server.url }))
    expect(error).toMatchObject({ code: 'NO_JETSTREAM' })
    expect(error.message).toMatch(/; start nats-server with -js, or enable JetStream for this account/)
  })

  test('an account without JetStream', async () => {
    const users = (name: string) => `users: [{ user: ${name}, password: ${name} }]`
    const config = `accounts { A { ${users('a')}, jetstream: enabled }, B { ${users('b')} } }`
    await using server = await startServer({ config })
    const error = await refusedSoon(portsOf({ servers: server.url, user: 'b', password: 'b' }))
    expect(error).toMatchObject({ code: 'NO_JETSTREAM' })
    expect(error.message).toMatch(/enable JetStream for this account/)
    await (await portsOf({ servers: server.url, user: 'a', password: 'a' })).close()
  })

  test.each(['2.9.9', '2.8.4', '1.4.1'])('one of version %s', async version => {
    await using server = await fakeServer(version)
    const error = await refusedSoon(portsOf({ servers: server.url }))
    expect(error).toMatchObject({ code: 'SERVER_TOO_OLD', facts: { version } })
    expect(error.message).toMatch(/2\.9\.10.*; upgrade it/)
  })
})

describe('a stream that is not ours is not touched:', () => {
  test.each([
    ['other subjects', ['orders.eu', 'orders.us'], /orders\.eu, orders\.us.*source: { stream: 'orders'/],
    ['a wildcard', ['orders.*'], /orders\.\*.*source: { stream: 'orders'/],
    ['a partition left out', ['orders.0', 'orders.2'], /orders\.0, orders\.2/],
  ])('one of our name with %s', (_, subjects, said) =>
    onServer({}, async ({ manager, open }) => {
      await manager.streams.add({ name: 'orders', subjects })
      const before = (await manager.streams.info('orders')).config
      const error = await thrownBy(open('orders', { partitions: 2 }))
      expect(error).toMatchObject({ code: 'STREAM_DIFFERS' })
      expect(error.message).toMatch(said)
      expect((await manager.streams.info('orders')).config).toEqual(before)
    }),
  )

  test('one of another name with our subjects', () =>
    onServer({}, async ({ manager, open }) => {
      await manager.streams.add({ name: 'all', subjects: ['orders.>'] })
      const error = await thrownBy(open('orders'))
      expect(error).toMatchObject({ code: 'STREAM_DIFFERS' })
      expect(error.message).toMatch(
        /stream "orders" cannot be made: .*overlap.*; look at .* other streams with its subjects/,
      )
      expect((await manager.streams.names().next()).map(String)).toEqual(['all'])
    }))
})

describe('ten links that open one new stream at once', () => {
  const race = async (server: TestServer, specs: readonly StreamSpec[]) => {
    const links = await Promise.all(specs.map(() => portsOf({ servers: server.url })))
    const opened = await Promise.allSettled(links.map((link, i) => link.log.open(specs[i] as StreamSpec)))
    await Promise.all(links.map(link => link.close()))
    return opened
  }

  test('all get it when they want the same', async () => {
    await using server = await startServer()
    for (let round = 0; round < 5; round++) {
      const name = `same-${round}`
      const opened = await race(
        server,
        Array.from({ length: 10 }, () => specOf(name, { partitions: 3 })),
      )
      const incarnations = opened.map(one => (one.status === 'fulfilled' ? one.value.incarnation : String(one.reason)))
      expect(new Set(incarnations).size, incarnations.join()).toBe(1)
      expect(incarnations[0]).toMatch(/^\d{4}-/)
    }
  })

  test('get it once when each wants another, and the others are told both values', async () => {
    await using server = await startServer()
    for (let round = 0; round < 5; round++) {
      const specs = Array.from({ length: 10 }, (_, i) => specOf(`differ-${round}`, { partitions: i + 1 }))
      const opened = await race(server, specs)
      const [winner, ...more] = opened.flatMap(one => (one.status === 'fulfilled' ? [one.value] : []))
      expect(more).toEqual([])
      expect(winner).toBeDefined()
      opened.forEach((one, i) => {
        if (one.status === 'fulfilled') return
        expect(one.reason).toMatchObject({ code: 'STREAM_DIFFERS' })
        const values = `partitions ${winner?.spec.partitions ?? 0} where ${i + 1} is asked for`
        expect((one.reason as Error).message).toContain(values)
      })
    }
  })
})

async function thrownBy(failing: Promise<unknown>): Promise<StreamNodeError> {
  const error: unknown = await failing.then(
    () => new Error('nothing was thrown'),
    (thrown: unknown) => thrown,
  )
  if (error instanceof StreamNodeError) return error
  throw error
}

/** What an opening is refused with, which must not take as long as a time-out. */
async function refusedSoon(opening: Promise<Ports>): Promise<StreamNodeError> {
  const begun = performance.now()
  const error = await thrownBy(opening.then(ports => ports.close()))
  expect(performance.now() - begun).toBeLessThan(SOON_MS)
  return error
}

/** As much of a server as it takes to say of what version it is. */
async function fakeServer(version: string) {
  const server = createServer(socket => {
    const info = { server_id: 'F', server_name: 'fake', version, proto: 1, headers: true, max_payload: 1_048_576 }
    socket.write(`INFO ${JSON.stringify(info)}\r\n`)
    socket.on('error', () => {})
    socket.on('data', piece => {
      for (let pings = piece.toString().split('PING\r\n').length; pings > 1; pings--) socket.write('PONG\r\n')
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  return {
    url: `nats://127.0.0.1:${port}`,
    [Symbol.asyncDispose]: () => new Promise<void>(closed => void server.close(() => closed())),
  }
}
