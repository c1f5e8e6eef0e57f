import fc from 'fast-check'
import { expect, test } from 'vitest'
import { z } from 'zod'
import type { SchemaStore } from '../codec/codec.js'
import { RecordError } from '../errors.js'
import type { Append } from '../log/log.js'
import { LogRecord, encodeHeaders } from '../log/record.js'
import { partitionOf } from './partitioner.js'
import type { StreamRecord } from './record.js'
import { settingsOf, stream, type Stream } from './stream.js'
import { Wire, type About } from './wire.js'

interface Click {
  user: string
  at: number
}

const noSchemas: SchemaStore = { get: () => Promise.resolve(undefined), put: () => Promise.resolve() }

async function wireOf<T>(of: Stream<T>, turn = 0): Promise<Wire<T>> {
  return new Wire(of, await settingsOf(of).codec.open(noSchemas), { recordBytesMax: 1000 }, turn)
}

const stored = ({ partition, payload, id, headers }: Append, position = 7) =>
  new LogRecord(partition, position, 1234, encodeHeaders(headers, id), payload)

function read<T>(wire: Wire<T>, record: LogRecord): { records: StreamRecord<T>[]; errors: RecordError[] } {
  const records: StreamRecord<T>[] = []
  const errors: RecordError[] = []
  wire.read(
    record,
    one => records.push(one),
    error => errors.push(error),
  )
  return { records, errors }
}

const back = <T>(wire: Wire<T>, value: T, about: About = {}) =>
  read(wire, stored(wire.write(value, about, 'c/1'))).records[0]

const clicks = stream<Click>('clicks', { key: 'user', time: 'at' })

test('leaves out of the message what every reader derives', async () => {
  const wire = await wireOf(clicks)
  const append = wire.write({ user: 'ann', at: 5 }, {}, 'c/1')
  expect({ ...append, payload: Buffer.from(append.payload).toString() }).toEqual({
    partition: partitionOf('ann', 6),
    payload: '{"user":"ann","at":5}',
    id: 'c/1',
  })
  expect(back(wire, { user: 'ann', at: 5 })).toMatchObject({ key: 'ann', time: 5, position: 7, id: 'c/1', headers: {} })
})

test('a key and a time that are given win over the rules, and come back', async () => {
  const wire = await wireOf(clicks)
  const about = { key: 'é/日 %', time: -5, id: 'order-1', headers: { traceparent: '00-1', 'x-user': 'Zoë' } }
  expect(wire.write({ user: 'ann', at: 5 }, about, '').partition).toBe(partitionOf('é/日 %', 6))
  const record = back(wire, { user: 'ann', at: 5 }, about)
  expect(record).toMatchObject({ key: 'é/日 %', time: -5, id: 'order-1' })
  expect({ ...record?.headers }).toEqual({ traceparent: '00-1', 'x-user': 'Zoë' })
})

test('any key and time survive the headers', async () => {
  const wire = await wireOf(stream<number>('numbers'))
  const keys = fc.string({ unit: 'grapheme' })
  const times = fc.integer({ min: -8.64e15, max: 8.64e15 })
  fc.assert(
    fc.property(keys, times, (key, time) => {
      expect(back(wire, 1, { key, time })).toMatchObject({ key, time })
    }),
  )
})

test('a message of others has the key and time of the rules, else none and the time of the log', async () => {
  const foreign = new LogRecord(0, 3, 99, new Uint8Array(0), Buffer.from('{"user":"ann","at":5}'))
  expect(read(await wireOf(clicks), foreign).records[0]).toMatchObject({ key: 'ann', time: 5, id: undefined })
  const bare = read(await wireOf(stream<Click>('clicks')), foreign).records[0]
  expect(bare).toMatchObject({ key: undefined, time: 99 })
})

test('records without a key take turns, and one with an id always goes to the same partition', async () => {
  const wire = await wireOf(stream<number>('numbers', { partitions: 3 }), 1)
  expect([1, 2, 3, 4].map(n => wire.write(n, {}, '').partition)).toEqual([2, 0, 1, 2])
  const places = [1, 2, 3].map(n => wire.write(n, { id: 'same' }, '').partition)
  expect(new Set(places).size).toBe(1)
})

test('validates before anything is derived, and again on the way out', async () => {
  const schema = z.object({ user: z.string().toLowerCase(), at: z.number() })
  const wire = await wireOf(stream('clicks', { validate: schema, key: 'user' }))
  const append = wire.write({ user: 'ANN', at: 1 }, {}, '')
  expect(append.partition).toBe(partitionOf('ann', 6))
  expect(Buffer.from(append.payload).toString()).toContain('"ann"')
  expect(() => wire.write({ user: 'ann', at: 'x' as never }, {}, '')).toThrow(
    expect.objectContaining({ code: 'INVALID_VALUE' }),
  )
  const { errors } = read(wire, new LogRecord(2, 9, 0, new Uint8Array(0), Buffer.from('{"user":"ann"}')))
  expect(errors[0]).toMatchObject({ code: 'INVALID_VALUE', facts: { stream: 'clicks', partition: 2, position: 9 } })
})

test('checks the time on the way in, though the wire is silent about it', async () => {
  const wire = await wireOf(clicks)
  expect(() => wire.write({ user: 'ann', at: NaN }, {}, '')).toThrow(expect.objectContaining({ code: 'BAD_TIME' }))
})

test('refuses a value above the limit of the log, saying both sizes', async () => {
  for (const format of ['message', 'batch'] as const) {
    const wire = await wireOf(stream<string>('texts', { format }))
    expect(() => wire.write('x'.repeat(2000), {}, '')).toThrow(/stream "texts" has 2002 bytes, and the log takes 1000/)
  }
})

test.each([
  [{ 'Nats-Msg-Id': 'x' }, /reserved/],
  [{ 'sn-key': 'x' }, /reserved/],
  [{ 'a b': 'x' }, /visible ASCII/],
  [{ a: 'x\r\nNats-Msg-Id: y' }, /line break/],
  [{ a: 7 as never }, /is no text/],
])('refuses the header %j', async (headers, message) => {
  for (const format of ['message', 'batch'] as const) {
    const wire = await wireOf(stream<number>('numbers', { format }))
    expect(() => wire.write(1, { headers }, '')).toThrow(message)
  }
})

test('refuses a key that no UTF-8 text can hold', async () => {
  const wire = await wireOf(clicks)
  expect(() => wire.write({ user: 'ann', at: 1 }, { key: 'a\ud800' }, '')).toThrow(
    expect.objectContaining({ code: 'BAD_KEY' }),
  )
})

test.each([
  ['bytes that are no JSON', {}, 'no json', 'BAD_BYTES'],
  ['a key that is not percent-encoded', { 'Sn-Key': '%zz' }, '{"user":"a","at":1}', 'BAD_BYTES'],
  ['a time that is no number', { 'Sn-Time': 'soon' }, '{"user":"a","at":1}', 'BAD_BYTES'],
  ['a time out of range', { 'Sn-Time': '99999999999999999999' }, '{"user":"a","at":1}', 'BAD_BYTES'],
  ['a value that has no key', {}, '{"at":1}', 'INVALID_VALUE'],
  ['a value that is null', {}, 'null', 'INVALID_VALUE'],
])('%s is an error that says where it stands', async (_, headers, payload, code) => {
  const wire = await wireOf(clicks)
  const { records, errors } = read(wire, new LogRecord(4, 21, 0, encodeHeaders(headers), Buffer.from(payload)))
  expect(records).toEqual([])
  expect(errors).toHaveLength(1)
  expect(errors[0]).toBeInstanceOf(RecordError)
  expect(errors[0]).toMatchObject({ code, facts: { stream: 'clicks', partition: 4, position: 21 } })
  expect(errors[0]?.message).toMatch(/^stream "clicks", partition 4, position 21: /)
  expect(errors[0]?.cause).toBeDefined()
})

test('a batch holds many records, and one that is bad leaves its neighbours well', async () => {
  const wire = await wireOf(stream<Click>('clicks', { key: 'user', time: 'at', format: 'batch' }))
  const frames = [1, 2].map(at => wire.frame({ user: 'ann', at }, { headers: { n: String(at) } }))
  const bad = { partition: 0, payload: Buffer.from('{') }
  const append = wire.writeBatch(3, [frames[0]!, bad, frames[1]!], 'c/9')
  const { records, errors } = read(wire, stored(append))
  expect(
    records.map(({ value, key, time, id, position, headers }) => ({
      at: value.at,
      key,
      time,
      id,
      position,
      n: headers['n'],
    })),
  ).toEqual([
    { at: 1, key: 'ann', time: 1, id: 'c/9', position: 7, n: '1' },
    { at: 2, key: 'ann', time: 2, id: 'c/9', position: 7, n: '2' },
  ])
  expect(errors[0]).toMatchObject({ code: 'BAD_BYTES', facts: { index: 1, position: 7 } })
})

test('a message that is no batch is one error', async () => {
  const wire = await wireOf(stream<Click>('clicks', { format: 'batch' }))
  const { records, errors } = read(wire, new LogRecord(0, 1, 0, new Uint8Array(0), Buffer.from('{"user":"ann"}')))
  expect([records.length, errors.map(error => error.code)]).toEqual([0, ['BAD_BYTES']])
})

test('a record prints and serializes as what it is', async () => {
  const record = back(await wireOf(clicks), { user: 'ann', at: 5 }, { headers: { a: 'b' } })
  expect(JSON.parse(JSON.stringify(record))).toEqual({
    ...{ key: 'ann', value: { user: 'ann', at: 5 }, time: 5 },
    ...{ partition: partitionOf('ann', 6), position: 7, id: 'c/1', headers: { a: 'b' } },
  })
})

test('reads any header block without harm', async () => {
  const wire = await wireOf(clicks)
  const block = fc
    .string({ unit: 'binary-ascii' })
    .map(text => Buffer.from(`NATS/1.0\r\nSn-Key: ${text}\r\nSn-Time:${text}`))
  fc.assert(
    fc.property(block, head => {
      const { records, errors } = read(wire, new LogRecord(0, 1, 0, head, Buffer.from('{"user":"a","at":1}')))
      expect(records.length + errors.length).toBe(1)
    }),
    { numRuns: 2000 },
  )
})
