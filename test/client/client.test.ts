/** What a client promises, kept by the embedded log: in memory and in a folder. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { connect, stream, type Client, type ConnectOptions, type Event } from 'stream-node'
import { linked } from '../../src/client/linked.js'
import { systemChance, systemClock } from '../../src/clock.js'
import { openEmbedded } from '../../src/log/embedded/embedded.js'
import { silent } from '../../src/telemetry/events.js'
import { clientPromises } from './promises.js'

const folder = mkdtempSync(join(tmpdir(), 'stream-node-client-'))
afterAll(() => rmSync(folder, { recursive: true }))

describe('in a folder', () => {
  const clients: Client[] = []
  const another = async () => {
    const client = await connect({ dataDir: folder })
    clients.push(client)
    return client
  }
  beforeAll(another)
  afterAll(() => Promise.all(clients.map(client => client.close())))
  clientPromises(() => ({ client: clients[0] as Client, another }))
})

test('a publish into a folder that was deleted says so, and the client closes', async () => {
  const dataDir = mkdtempSync(join(folder, 'deleted-'))
  const events: Event[] = []
  await using client = await connect({ dataDir, onEvent: event => events.push(event) })
  const numbers = stream<number>('numbers')
  await client.publish(numbers, 1)
  rmSync(dataDir, { recursive: true })
  const ending = async () => {
    for (let n = 2; ; n++) await client.publish(numbers, n).then(() => sleep(20))
  }
  const begun = performance.now()
  await expect(ending()).rejects.toMatchObject({ name: 'IntegrityError', code: 'LOG_REWOUND', facts: { dataDir } })
  expect(performance.now() - begun).toBeLessThan(2000)
  await expect(client.publish(numbers, 0)).rejects.toMatchObject({ code: 'LOG_REWOUND' })
  expect(events).toMatchObject([{ type: 'stream.made' }, { type: 'log.error', error: { code: 'LOG_REWOUND' } }])
})

test('a log in memory is gone with its client', async () => {
  const numbers = stream<number>('numbers')
  for (let i = 0; i < 2; i++) {
    await using client = await connect({ memory: true })
    expect(client.log).toMatch(/memory/)
    expect(await client.streams()).toEqual([])
    expect(await client.publish(numbers, 1)).toMatchObject({ position: 1 })
  }
})

test("a codec of one's own writes and reads, and by its name only the stream says that code is needed", async () => {
  const reversed = {
    name: 'reversed',
    encode: (text: string) => Buffer.from(text).reverse(),
    decode: (bytes: Uint8Array) => Buffer.from(bytes).reverse().toString(),
  }
  const texts = stream('texts', { codec: reversed, key: text => text })
  await using client = await connect({ memory: true })
  await client.publish(texts, 'abc')
  const seen: unknown[] = []
  for await (const { value } of client.read(texts)) seen.push(value)
  expect(seen).toEqual(['abc'])
  expect(await client.describe('texts')).toMatchObject({ codec: { name: 'reversed' } })
  expect(await client.streams()).toEqual(['texts'])
  await expect(client.stream('texts')).rejects.toThrow(
    expect.objectContaining({
      code: 'CODEC_DIFFERS',
      message: expect.stringMatching(/"texts" is written with the codec "reversed", which only the code/) as string,
    }),
  )
  const inJson = stream<string>('texts', { key: text => text })
  await expect(client.publish(inJson, 'abc')).rejects.toMatchObject({ code: 'CODEC_DIFFERS' })
})

test("a record that a codec of one's own cannot read says where it stands", async () => {
  const refusing = (name: string) => ({
    name: 'odd',
    encode: (text: string) => Buffer.from(text),
    decode: (bytes: Uint8Array) => {
      if (Buffer.from(bytes).toString() === name) throw new Error(`no ${name}`)
      return Buffer.from(bytes).toString()
    },
  })
  await using client = await connect({ memory: true })
  await client.publishAll(stream('odd', { partitions: 1, codec: refusing('') }), ['a', 'b', 'c'])
  const [seen, bad]: [unknown[], unknown[]] = [[], []]
  const odd = stream('odd', { partitions: 1, codec: refusing('b') })
  for await (const { value } of client.read(odd, { onBadRecord: error => void bad.push(error) })) seen.push(value)
  expect(seen).toEqual(['a', 'c'])
  expect(bad).toMatchObject([{ code: 'BAD_BYTES', facts: { stream: 'odd', partition: 0, position: 2 } }])
})

test('works beside a node that runs on the same folder', async () => {
  const dataDir = mkdtempSync(join(folder, 'node-'))
  const parts = { clock: systemClock, chance: systemChance, tell: silent }
  const ports = await openEmbedded({ dataDir, role: 'node' }, parts)
  await using node = linked(ports, { ...parts, replicas: 1 })
  await using guest = await connect({ dataDir })
  const numbers = stream<number>('numbers')
  await node.publish(numbers, 1)
  await guest.publish(numbers, 2)
  const seen: number[] = []
  for await (const { value } of node.read(numbers)) seen.push(value)
  expect(seen).toEqual([1, 2])
})

test.each<[object, string, RegExp]>([
  [{ server: 'x' }, 'UNKNOWN_OPTION', /did you mean "servers"/],
  [{ dataDirs: 'x' }, 'UNKNOWN_OPTION', /unknown option "dataDirs" of connect; did you mean "dataDir"/],
  [{ dataDir: 'x', servers: 'nats://127.0.0.1:1' }, 'BAD_OPTION', /servers and dataDir, which are for different logs/],
  [{ dataDir: 7 }, 'BAD_OPTION', /dataDir must be/],
  [{ memory: 'yes' }, 'BAD_OPTION', /memory must be/],
  [{ memory: false }, 'BAD_OPTION', /memory must be true/],
  [{ memory: true, user: 'ann' }, 'BAD_OPTION', /user and memory, which are for different logs/],
  [{ sync: 'disk' }, 'BAD_OPTION', /sync, but no dataDir/],
  [{ dataDir: 'x', replicas: 2 }, 'BAD_OPTION', /replicas of connect/],
  [{ memory: true, onEvent: 'log' }, 'BAD_OPTION', /onEvent of connect/],
])('refuses to connect with %j', async (options, code, message) => {
  await expect(connect(options as ConnectOptions)).rejects.toThrow(
    expect.objectContaining({ code, message: expect.stringMatching(message) as string }),
  )
})

test('goes to the server of the environment, else to the folder of the project', async () => {
  const before = { ...process.env }
  const cwd = process.cwd()
  try {
    process.chdir(mkdtempSync(join(folder, 'project-')))
    delete process.env['NATS_URL']
    delete process.env['NATS_CONTEXT']
    delete process.env['STREAM_NODE_DATA_DIR']
    {
      await using client = await connect()
      expect(client.log).toMatch(/\.stream-node/)
      await using same = await connect({ dataDir: undefined, servers: undefined } as unknown as ConnectOptions)
      expect(same.log).toBe(client.log)
    }
    process.env['STREAM_NODE_DATA_DIR'] = 'elsewhere'
    {
      await using client = await connect()
      expect(client.log).toMatch(/elsewhere/)
    }
    process.env['NATS_URL'] = 'nats://127.0.0.1:1'
    await expect(connect()).rejects.toThrow(expect.objectContaining({ code: 'NO_SERVER' }))
  } finally {
    process.chdir(cwd)
    process.env = before
  }
})
