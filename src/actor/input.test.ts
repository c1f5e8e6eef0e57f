import { afterEach, expect, test } from 'vitest'
import { systemChance, systemClock } from '../clock.js'
import { openEmbedded } from '../log/embedded/embedded.js'
import type { Ports } from '../log/ports.js'
import type { InputState } from '../state/entry.js'
import { Tables } from '../state/tables.js'
import type { Cursor } from '../stream/inbox.js'
import { Streams, type OpenStream } from '../stream/open.js'
import { stream } from '../stream/stream.js'
import { silent } from '../telemetry/events.js'
import { Input } from './input.js'
import { Mailbox } from './mailbox.js'

const parts = { clock: systemClock, chance: systemChance, tell: silent, replicas: 1 }
const limits = { batchRecordsMax: 3, batchBytesMax: 10_000 }
const texts = stream<string>('texts', { partitions: 2 })
const opened: Ports[] = []

afterEach(async () => {
  await Promise.all(opened.splice(0).map(ports => ports.close()))
})

/** A stream with so many records in partition 0, then in partition 1. */
async function streamOf(...counts: readonly number[]): Promise<OpenStream<unknown>> {
  const ports = await openEmbedded({ memory: true }, parts)
  opened.push(ports)
  const open = await new Streams(ports, parts).open(texts, 'write')
  for (const [partition, count] of counts.entries()) {
    for (let i = 0; i < count; i++) await open.log.append({ partition, payload: Buffer.from(`"${i}"`) })
  }
  return open as OpenStream<unknown>
}

function inputOf(open: OpenStream<unknown>, known: InputState | undefined, from?: number): Promise<Input> {
  const cursors = new Tables().table<Cursor>('input')
  return Input.open({ index: 0, open, partition: 0, known, from, cursors, limits, tell: silent })
}

/** Walks what an input brings until it stands at a position; gives what it would note then, and what it brought. */
async function readTo(open: OpenStream<unknown>, known: InputState | undefined, end: number, from?: number) {
  const mailbox = new Mailbox({ mailboxRecordsMax: 5, mailboxBytesMax: 10_000 })
  const input = await inputOf(open, known, from)
  const fed = input.feed(mailbox).catch((error: unknown) => mailbox.kill(error))
  const found: number[] = []
  const stands: number[] = []
  while (input.position < end) {
    const message = await mailbox.receive(() => true, Infinity)
    if (message.kind !== 'batch') continue
    const given = input.take(message.batch)
    input.walked(message.batch, given.at(-1), undefined)
    found.push(...given.map(({ position }) => position))
    stands.push(input.position)
  }
  await input.stop()
  await fed
  return { state: input.state(-Infinity), found, stands }
}

test('who reads on reads what comes after, and nothing twice', async () => {
  const open = await streamOf(4)
  const first = await readTo(open, undefined, 2)
  await open.log.append({ partition: 0, payload: Buffer.from('"5"') })
  const second = await readTo(open, first.state, 5)
  expect([...first.found, ...second.found]).toEqual([1, 2, 3, 4, 5])
  expect(second.state).toMatchObject({ position: 5, foreignAfter: 5, mark: { position: 5 } })
})

test('where it stands never goes back, though it looks again at the record that it knows the stream by', async () => {
  const open = await streamOf(2, 5)
  const first = await readTo(open, undefined, 2)
  const known = { ...first.state, position: 6, foreignAfter: 6 }
  await open.log.append({ partition: 0, payload: Buffer.from('"8"') })
  const { found, stands } = await readTo(open, known, 8)
  expect(found).toEqual([8])
  for (const stand of stands) expect(stand).toBeGreaterThanOrEqual(6)
})

test('records that are gone before they were read end the reading, also right behind the first of the stream', async () => {
  for (const read of [1, 2, 3]) {
    const open = await streamOf(read)
    const { state } = await readTo(open, undefined, read)
    for (let i = 0; i < 10; i++) await open.log.append({ partition: 0, payload: Buffer.from('"x"') })
    await open.log.purge(0, 8)
    await expect(readTo(open, state, 13), `read to ${read}`).rejects.toMatchObject({ code: 'OVERRUN' })
  }
})

test('that the record it knows the stream by is gone is no harm when all after it is there', async () => {
  for (const read of [1, 2, 3]) {
    const open = await streamOf(read)
    const { state } = await readTo(open, undefined, read)
    await open.log.purge(0, read + 1)
    await open.log.append({ partition: 0, payload: Buffer.from('"x"') })
    expect((await readTo(open, state, read + 1)).found).toEqual([read + 1])
  }
})

test('a stream that holds another record where it was read, that ends before, or was made anew, is not read on', async () => {
  const open = await streamOf(4, 3)
  const { state } = await readTo(open, undefined, 4)
  const mark = { position: 4, hash: '0'.repeat(16) }
  await expect(readTo(open, { ...state, mark }, Infinity)).rejects.toMatchObject({ code: 'LOG_REWOUND' })
  await expect(inputOf(open, { ...state, position: 8 })).rejects.toMatchObject({ code: 'LOG_REWOUND' })
  await expect(inputOf(open, { ...state, incarnation: 'x' })).rejects.toMatchObject({ code: 'STREAM_RECREATED' })
})

test('who begins at a time reads what the log took then or later, and knows that something came before', async () => {
  const open = await streamOf(3)
  const before = (await open.log.last(0))?.time ?? 0
  await expect.poll(() => Math.floor(systemClock.now())).toBeGreaterThan(before + 1)
  const from = before + 1
  for (let i = 0; i < 2; i++) await open.log.append({ partition: 0, payload: Buffer.from('"new"') })
  const { found, state } = await readTo(open, undefined, 5, from)
  expect(found).toEqual([4, 5])
  expect(state).toMatchObject({ position: 5, foreignAfter: 5, fromStart: false })
  // What it knows counts before that.
  expect((await readTo(open, { ...state, position: 1, foreignAfter: 1, mark: undefined }, 5, from)).found).toEqual([
    2, 3, 4, 5,
  ])
  expect((await inputOf(open, undefined, from + 1_000_000)).position).toBe(5)
})
