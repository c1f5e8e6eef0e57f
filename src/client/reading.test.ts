import { afterEach, beforeEach, expect, test } from 'vitest'
import { pause, systemChance, systemClock } from '../clock.js'
import { openEmbedded } from '../log/embedded/embedded.js'
import type { LogStream } from '../log/log.js'
import type { Position } from '../log/record.js'
import type { Ports } from '../log/ports.js'
import { OUT_HEADER, outHeader, outputId, outputWriter } from '../stream/output-id.js'
import { stream } from '../stream/stream.js'
import { silent, type Event } from '../telemetry/events.js'
import type { Client } from './client.js'
import { linked } from './linked.js'
import type { ReadingOptions } from './reading.js'

const events: Event[] = []
const parts = { clock: systemClock, chance: systemChance, tell: (event: Event) => void events.push(event), replicas: 1 }
const words = stream<string>('words', { partitions: 2 })
const writer = outputWriter({ pipeline: 'p', incarnation: 'x', stage: 0, partition: 0 }, 1)
let ports: Ports
let client: Client
let log: LogStream

beforeEach(async () => {
  events.length = 0
  ports = await openEmbedded({ memory: true }, { ...parts, tell: silent })
  client = linked(ports, parts)
  // It forgets ids at once, as every log does in time: a repeat is stored.
  log = await ports.log.open({ name: 'words', partitions: 2, retention: {}, replicas: 1, dedupWindowMs: 1 })
})
afterEach(() => client.close())

async function append(text: string, named: { id?: string; headers?: Record<string, string> } = {}): Promise<Position> {
  const payload = text.startsWith('bad') ? Buffer.from('{') : Buffer.from(JSON.stringify(text))
  const ending = await log.append({ partition: 1, payload, ...named })
  if (ending.ending !== 'stored') throw ending.error
  await pause(systemClock, 3)
  return ending.position
}

const output = (n: number, confirmed: number, text = `out ${n}`) =>
  append(text, { id: outputId(writer, n), headers: { [OUT_HEADER]: outHeader(confirmed, '00000001') } })

async function seen(options: ReadingOptions = {}): Promise<string[]> {
  const values: string[] = []
  for await (const { value } of client.read(words, options)) values.push(value)
  return values
}

test('shows outputs once and in order, and holds back no record of others', async () => {
  await output(1, 0)
  await output(3, 0)
  await append('other')
  await output(1, 0)
  await output(2, 0)
  await output(3, 0)
  const last = await output(4, 3)
  expect(last).toBe(7)
  expect(await seen()).toEqual(['out 1', 'other', 'out 2', 'out 3', 'out 4'])
  expect(await seen({ partition: 1 })).toEqual(['out 1', 'other', 'out 2', 'out 3', 'out 4'])
})

test('waits at the start for what a writer sent first, whichever partition it reads', async () => {
  await append('other')
  await output(2, 0)
  await output(1, 0)
  expect(await seen()).toEqual(['other', 'out 1', 'out 2'])
  expect(await seen({ partition: 1 })).toEqual(['other', 'out 1', 'out 2'])
})

test('shows at the end what still waits, in order', async () => {
  await output(1, 0)
  await output(5, 0)
  await output(3, 0)
  await append('other')
  expect(await seen()).toEqual(['out 1', 'other', 'out 3', 'out 5'])
  expect(events).toEqual([])
})

test('says with each batch from where nothing is left out, and at the end that all is shown', async () => {
  await output(1, 0)
  await output(3, 0)
  const last = await append('other')
  const batches = client.read(words, { follow: true }).batches()
  const first = await batches.next()
  expect(first.value).toMatchObject({ position: 1 })
  await output(2, 0)
  const second = await batches.next()
  expect(second.value?.records.map(({ value }) => value)).toEqual(['out 2', 'out 3'])
  expect(second.value?.position).toBe(last + 1)
  await batches.return?.()

  await output(5, 0)
  const ends: Position[] = []
  for await (const { position } of client.read(words).batches()) ends.push(position)
  expect(ends).toEqual([last + 1, last + 2])
})

test('begins in the middle with what comes, and shows once what comes late', async () => {
  await output(1, 0)
  const after = await output(2, 0)
  await output(4, 1)
  await output(3, 1)
  await output(5, 1)
  await output(4, 1)
  expect(await seen({ after })).toEqual(['out 4', 'out 3', 'out 5'])
})

test('goes on behind outputs that are gone, and tells which', async () => {
  await output(1, 0)
  await output(4, 3)
  expect(await seen()).toEqual(['out 1', 'out 4'])
  expect(events).toEqual([{ type: 'stream.outputs-missing', stream: 'words', partition: 1, writer, from: 2, to: 3 }])
})

test('gives all that stands before a bad record, though it waited, and nothing behind it', async () => {
  await output(1, 0)
  await output(4, 0)
  const position = await append('bad')
  await output(3, 0)
  await output(2, 0)
  const values: string[] = []
  const reading = async () => {
    for await (const { value } of client.read(words)) values.push(value)
  }
  await expect(reading()).rejects.toMatchObject({ code: 'BAD_BYTES', facts: { position } })
  expect(values).toEqual(['out 1', 'out 4'])
  expect(await seen({ after: position })).toEqual(['out 3', 'out 2'])
})

test('ends at once when it is left, without what still waits', async () => {
  await output(2, 0)
  const reading = client.read(words, { follow: true })
  const waiting = reading.next()
  await pause(systemClock, 20)
  await reading.return()
  expect(await waiting).toEqual({ value: undefined, done: true })
})

test('stops at an output id that comes from two entries', async () => {
  await output(1, 0)
  await append('again', { id: outputId(writer, 1), headers: { [OUT_HEADER]: outHeader(0, '0000000f') } })
  await expect(seen()).rejects.toMatchObject({ code: 'LOG_REWOUND' })
})
