/** Others delete a stream or a part of it, or make it anew, while we read and write: a named error, never a silent skip. */
import { connect } from '@nats-io/transport-node'
import { jetstreamManager, type JetStreamManager } from '@nats-io/jetstream'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { Ending } from '../../src/log/log.js'
import { START } from '../../src/log/record.js'
import { startServer, type TestServer } from '../nats-server/server.js'
import { fill, openLink, openStream, takeUntil } from './steps.js'

let server: TestServer
let others: JetStreamManager
beforeAll(async () => {
  server = await startServer()
  others = await jetstreamManager(await connect(server.admin))
})
afterAll(() => server.stop())

const byte = Buffer.from('x')

test('ends a reader that waits with STREAM_RECREATED when the stream is made anew with more records than before', async () => {
  await using link = await openLink(server)
  const stream = await openStream(link)
  await fill(stream, 10, byte)
  const reader = stream.read({ after: START })
  await takeUntil(reader, texts => texts.length === 10)
  const ending = thrownBy(reader.next())
  await makeAnew(stream.spec.name)
  await fill(await link.log.open(stream.spec), 30, byte)
  expect(await ending).toMatchObject({ name: 'IntegrityError', code: 'STREAM_RECREATED' })
})

test('ends a reader in the midst of old records with STREAM_RECREATED', async () => {
  await using link = await openLink(server)
  const stream = await openStream(link)
  await fill(stream, 5000, byte)
  const reader = stream.read({ after: START, recordsMax: 10, untilEnd: true })
  await takeUntil(reader, texts => texts.length >= 10)
  await makeAnew(stream.spec.name)
  await fill(await link.log.open(stream.spec), 6000, byte)
  const [count, thrown] = await readToTheEnd(reader)
  expect(thrown).toMatchObject({ name: 'IntegrityError', code: 'STREAM_RECREATED' })
  // About two batches may have been on their way already.
  expect(count).toBeLessThanOrEqual(50)
})

test('ends a reader with an IntegrityError when the stream is deleted and stays so', async () => {
  await using link = await openLink(server)
  const stream = await openStream(link)
  await fill(stream, 10, byte)
  const reader = stream.read({ after: START })
  await takeUntil(reader, texts => texts.length === 10)
  const ending = thrownBy(reader.next())
  await others.streams.delete(stream.spec.name)
  expect(await ending).toMatchObject({ name: 'IntegrityError' })
})

test('tells a writer that the stream was made anew, by the first answer that gives it away', async () => {
  await using link = await openLink(server)
  const stream = await openStream(link)
  await fill(stream, 100, byte)
  await makeAnew(stream.spec.name)
  const ended = await Promise.all([1, 2, 3].map(() => stream.append({ partition: 0, payload: byte })))
  for (const one of ended) {
    const told = one.ending === 'stored' ? 'nothing' : `${one.error.name} ${one.error.code}`
    expect(['IntegrityError STREAM_RECREATED', 'IntegrityError LOG_REWOUND']).toContain(told)
  }
})

test('lets a writer who expects a position of the former stream not write to the new one', async () => {
  await using link = await openLink(server)
  const stream = await openStream(link)
  await fill(stream, 5, byte)
  await makeAnew(stream.spec.name)
  const ended = await stream.append({ partition: 0, payload: byte, id: 'x', expect: 5 })
  expect(ended.ending).toBe('refused')
  expect((await others.streams.info(stream.spec.name)).state.messages).toBe(0)
})

test('tells a writer in time, and stores nothing, when the stream is deleted', async () => {
  await using link = await openLink(server)
  const stream = await openStream(link)
  await fill(stream, 10, byte)
  await others.streams.delete(stream.spec.name)
  const from = performance.now()
  const endings: Promise<Ending>[] = [
    stream.append({ partition: 0, payload: byte }),
    stream.append({ partition: 0, payload: byte, id: 'x' }),
    stream.append({ partition: 0, payload: byte, id: 'y', expect: 10 }),
  ]
  for (const ended of await Promise.all(endings)) expect(ended.ending).not.toBe('stored')
  expect(performance.now() - from).toBeLessThanOrEqual(2000)
})

test('ends a slow reader with OVERRUN when others delete what it was still to read', async () => {
  await using link = await openLink(server)
  const stream = await openStream(link)
  await fill(stream, 5000, byte)
  const reader = stream.read({ after: START, recordsMax: 10, untilEnd: true })
  const early = await takeUntil(reader, texts => texts.length >= 10)
  await others.streams.purge(stream.spec.name, { seq: 4000 })
  const [count, thrown] = await readToTheEnd(reader)
  expect(thrown).toMatchObject({ name: 'IntegrityError', code: 'OVERRUN' })
  expect(early.length + count).toBeLessThanOrEqual(50)
})

test('ends a slow reader with OVERRUN when others delete all, and one that comes back later', async () => {
  await using link = await openLink(server)
  const stream = await openStream(link)
  await fill(stream, 5000, byte)
  const reader = stream.read({ after: START, recordsMax: 10, untilEnd: true })
  await takeUntil(reader, texts => texts.length >= 10)
  await others.streams.purge(stream.spec.name)
  const [, thrown] = await readToTheEnd(reader)
  expect(thrown).toMatchObject({ name: 'IntegrityError', code: 'OVERRUN' })
  const later = stream.read({ after: 10, untilEnd: true })
  await expect(later.next()).rejects.toMatchObject({ name: 'IntegrityError', code: 'OVERRUN' })
})

test('lets a reader at the end read on when others delete what it has read', async () => {
  await using link = await openLink(server)
  const stream = await openStream(link)
  await fill(stream, 100, byte)
  const reader = stream.read({ after: START })
  await takeUntil(reader, texts => texts.length === 100)
  await others.streams.purge(stream.spec.name)
  const next = takeUntil(reader, texts => texts.length > 0)
  await fill(stream, 1, Buffer.from('next'))
  expect(await next).toEqual(['next'])
  await reader.return()
})

function thrownBy(failing: Promise<unknown>): Promise<unknown> {
  return failing.then(
    () => 'nothing',
    (thrown: unknown) => thrown,
  )
}

/** The same configuration under the same name, but another stream. */
async function makeAnew(name: string): Promise<void> {
  const { config } = await others.streams.info(name)
  await others.streams.delete(name)
  await others.streams.add(config)
}

/** How many records a reader still gives, and what ends it. */
async function readToTheEnd(
  reader: AsyncIterable<{ readonly records: readonly unknown[] }>,
): Promise<[number, unknown]> {
  let count = 0
  try {
    for await (const { records } of reader) count += records.length
  } catch (thrown) {
    return [count, thrown]
  }
  return [count, undefined]
}
