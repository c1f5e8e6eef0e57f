/** What a client promises, kept on a real server. */
import { setTimeout as sleep } from 'node:timers/promises'
import { jetstreamManager } from '@nats-io/jetstream'
import { connect as dial } from '@nats-io/transport-node'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { connect, stream, type Client } from 'stream-node'
import { clientPromises } from '../client/promises.js'
import { startServer, type TestServer } from '../nats-server/server.js'

let server: TestServer
const clients: Client[] = []
const another = async () => {
  const client = await connect({ servers: server.url })
  clients.push(client)
  return client
}

beforeAll(async () => {
  server = await startServer()
  await another()
})
afterAll(async () => {
  await Promise.all(clients.map(client => client.close()))
  await server.stop()
})

clientPromises(() => ({ client: clients[0] as Client, another }))

test('refuses a record over the largest message of the server, saying both sizes, and stores the next', async () => {
  const [client] = clients as [Client]
  const texts = stream<string>('too-large')
  const error: unknown = await client.publish(texts, 'x'.repeat(2_000_000)).catch((thrown: unknown) => thrown)
  expect(error).toMatchObject({
    code: 'RECORD_TOO_LARGE',
    message: expect.stringMatching(/2000\d\d\d.*1048576/) as string,
  })
  const failed: number[] = []
  const both = ['x'.repeat(2_000_000), 'fine']
  await client.publishAll(texts, both, { onFailed: (_, index) => failed.push(index) })
  expect(failed).toEqual([0])
  for await (const { value } of client.read(texts)) expect(value).toBe('fine')
})

test('reads a stream of others as it stands, remembers it by name, and never writes to it', async () => {
  const [client] = clients as [Client]
  const link = await dial(server.admin)
  const manager = await jetstreamManager(link)
  await manager.streams.add({ name: 'ORDERS', subjects: ['orders.>'] })
  const js = manager.jetstream()
  for (const n of [1, 2, 3]) await js.publish(`orders.eu.${n}`, JSON.stringify({ n, customer: `c${n}` }))
  await js.publish('orders.us.4', 'of no interest')
  const before = await manager.streams.info('ORDERS')

  const orders = stream<{ n: number; customer: string }>('eu-orders', {
    source: { stream: 'ORDERS', subject: 'orders.eu.*' },
    key: 'customer',
  })
  const seen: unknown[] = []
  for await (const { key, value, partition } of client.read(orders)) seen.push([key, value.n, partition])
  expect(seen).toEqual([
    ['c1', 1, 0],
    ['c2', 2, 0],
    ['c3', 3, 0],
  ])
  const byName = await (await another()).stream('eu-orders')
  for await (const { key } of client.read(byName, { from: 3 })) expect(key).toBe('c3')
  expect(await client.describe('eu-orders')).toMatchObject({ source: { stream: 'ORDERS', subject: 'orders.eu.*' } })
  await expect(client.publish(orders, { n: 5, customer: 'c5' })).rejects.toMatchObject({ code: 'READ_ONLY_STREAM' })
  expect((await manager.streams.info('ORDERS')).config).toEqual(before.config)
  expect((await manager.streams.info('ORDERS')).state.messages).toBe(4)
  await link.close()
})

test('stores each record once and in order while the server is killed and started again under it', async () => {
  await using shaky = await startServer()
  await using client = await connect({ servers: shaky.url })
  const numbers = stream<number>('numbers', { partitions: 3 })
  let sent = 0
  let stop = false
  function* many() {
    while (!stop) yield sent++
  }
  const publishing = client.publishAll(numbers, many(), { key: n => String(n % 7) })
  for (let i = 0; i < 5; i++) {
    await sleep(150 + 100 * i)
    await shaky.restart()
  }
  await sleep(300)
  stop = true
  expect(await publishing).toEqual({ taken: sent, stored: sent, repeats: 0 })
  const next = new Map<number, number>()
  let read = 0
  for await (const { records } of client.read(numbers).batches()) {
    for (const { value } of records) {
      expect(value).toBe(next.get(value % 7) ?? value % 7)
      next.set(value % 7, value + 7)
      read++
    }
  }
  expect(read).toBe(sent)
  expect(sent).toBeGreaterThan(1000)
})

test('stores each record once when the server hangs for longer than it knows ids', async () => {
  await using shaky = await startServer()
  await using client = await connect({ servers: shaky.url })
  const numbers = stream<number>('numbers', { partitions: 1, dedupWindow: '1 second' })
  let sent = 0
  let stop = false
  async function* many() {
    for (; !stop; sent++) {
      yield sent
      if (sent % 200 === 0) await sleep(1)
    }
  }
  const publishing = client.publishAll(numbers, many(), { key: () => 'one' })
  for (const ms of [1500, 3000]) {
    await sleep(200)
    shaky.freeze()
    await sleep(ms)
    shaky.thaw()
  }
  await sleep(300)
  await shaky.restart()
  stop = true
  expect(await publishing).toEqual({ taken: sent, stored: sent, repeats: 0 })
  const read: number[] = []
  for await (const { records } of client.read(numbers).batches()) read.push(...records.map(({ value }) => value))
  expect(read).toHaveLength(sent)
  expect(read).toEqual(Array.from({ length: sent }, (_, i) => i))
})

test('goes on reading, without a gap or a repeat, when the server comes back', async () => {
  await using shaky = await startServer()
  await using client = await connect({ servers: shaky.url })
  const numbers = stream<number>('numbers')
  const seen: number[] = []
  const reading = client.read(numbers, { follow: true })
  const followed = (async () => {
    for await (const { value } of reading) {
      seen.push(value)
      if (value === 2999) break
    }
  })()
  for (const first of [0, 1000, 2000]) {
    await client.publishAll(
      numbers,
      Array.from({ length: 1000 }, (_, i) => first + i),
      { key: () => 'one' },
    )
    if (first < 2000) await shaky.restart()
  }
  await followed
  expect(seen).toEqual(Array.from({ length: 3000 }, (_, i) => i))
})
