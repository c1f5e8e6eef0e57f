/** Others on the same server: they answer what was not meant for them, and name their subjects as they like. */
import { setTimeout as sleep } from 'node:timers/promises'
import { connect, headers, type NatsConnection } from '@nats-io/transport-node'
import { jetstreamManager } from '@nats-io/jetstream'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { startServer, type TestServer } from '../nats-server/server.js'
import { openLink, openStream } from './steps.js'
import { START } from '../../src/log/record.js'

let server: TestServer
let others: NatsConnection
beforeAll(async () => {
  server = await startServer()
  others = await connect(server.admin)
})
afterAll(async () => {
  await others.close()
  await server.stop()
})

test.each(['', 'ok', '{}', '{"seq":"1"}'])(
  'takes the answer %j of one who listens to the subject for no ack',
  async said => {
    await using link = await openLink(server)
    const stream = await openStream(link)
    const listening = others.subscribe(`${stream.spec.name}.0`, {
      callback: (_, message) => void message.respond(said),
    })
    await others.flush()
    for (let position = 1; position <= 20; position++) {
      const ending = await stream.append({ partition: 0, payload: Buffer.from('x'), id: `${position}` })
      expect(ending).toEqual({ ending: 'stored', position, repeat: false })
    }
    listening.unsubscribe()
  },
)

test('reads the headers of records under subjects that are not ASCII, with and without payload', async () => {
  await using link = await openLink(server)
  await (await jetstreamManager(others)).streams.add({ name: 'WORDS', subjects: ['words.>'] })
  const source = { stream: 'WORDS', subject: 'words.>' }
  const stream = await link.log.open({
    name: 'words',
    partitions: 1,
    retention: {},
    replicas: 1,
    dedupWindowMs: 1,
    source,
  })
  const head = headers()
  head.set('k', 'größer')
  for (const payload of ['hello', '']) others.publish('words.müller', payload, { headers: head })
  await others.flush()
  const found: (string | undefined)[] = []
  for await (const { records } of stream.read({ after: START, untilEnd: true })) {
    for (const record of records) found.push(record.header('k'))
  }
  expect(found).toEqual(['größer', 'größer'])
})

test('reads a large record at once, however many partitions had one and are quiet now', async () => {
  await using link = await openLink(server)
  const partitions = 60
  const stream = await openStream(link, { partitions })
  const readers = Array.from({ length: partitions }, (_, partition) => stream.read({ after: START, partition }))
  const next = readers.map(reader => reader.next())
  for (let partition = 0; partition < partitions; partition++) {
    await stream.append({ partition, payload: Buffer.alloc(300_000) })
    const read = next[partition]?.then(() => 'read')
    expect(await Promise.race([read, sleep(3000, 'late')]), `partition ${partition}`).toBe('read')
    next[partition] = readers[partition]?.next() as (typeof next)[number]
  }
  for (const reader of readers) await reader.return()
})

test('hands an asker what a handler threw, though it be very long or hold half a character', async () => {
  await using link = await openLink(server)
  for (const message of ['x\ud800', 'y'.repeat(2_000_000)]) {
    const listening = await link.signals.serve('odd', () => {
      throw new Error(message)
    })
    const asked = link.signals.request('odd', Buffer.from('x'), { timeoutMs: 2000 })
    await expect(asked).rejects.toMatchObject({ code: 'ANSWERED_WITH_ERROR' })
    listening.close()
  }
})
