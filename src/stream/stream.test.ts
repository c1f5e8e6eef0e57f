import { expect, test } from 'vitest'
import { z } from 'zod'
import { isStream, settingsOf, stream, type StreamOptions } from './stream.js'

interface Click {
  user: string
  at: number
  page: string
}

const wrong = (options: object, name = 'clicks') => {
  try {
    stream(name, options as StreamOptions<unknown>)
  } catch (error) {
    return error as { code: string; message: string }
  }
  throw new Error('it was taken')
}

test('is a frozen value with its name and partitions, and everything else by default', () => {
  const clicks = stream<Click>('clicks', { key: c => c.user })
  expect(Object.isFrozen(clicks)).toBe(true)
  expect(clicks).toMatchObject({ kind: 'stream', name: 'clicks', partitions: 6 })
  const { codec, format, outOfOrdernessMs, idleAfterMs, dedupWindowMs } = settingsOf(clicks)
  expect({ codec: codec.name, format, outOfOrdernessMs, idleAfterMs, dedupWindowMs }).toEqual({
    codec: 'json',
    format: 'message',
    outOfOrdernessMs: 1000,
    idleAfterMs: 5000,
    dedupWindowMs: undefined,
  })
  expect(Object.isFrozen(settingsOf(clicks))).toBe(true)
})

test('takes durations and sizes as people write them', () => {
  const settings = settingsOf(
    stream('clicks', {
      retention: { age: '2 days', bytes: '1 GB', records: 10 },
      outOfOrderness: '10 seconds',
      dedupWindow: '1 minute',
    }),
  )
  expect(settings.retention).toEqual({ ageMs: 2 * 86_400_000, bytes: 1024 ** 3, records: 10 })
  expect(settings).toMatchObject({ outOfOrdernessMs: 10_000, dedupWindowMs: 60_000 })
})

test('is known to another copy of the package, and nothing else is taken for it', () => {
  const clicks = stream('clicks')
  expect(Object.getOwnPropertySymbols(clicks).map(brand => Symbol.keyFor(brand))).toContain('stream-node.stream/1')
  expect(isStream({ ...clicks })).toBe(false)
  expect(() => settingsOf({ name: 'clicks' } as never)).toThrow(/must be a value that stream\('name'\) made/)
})

test('shows as what was written, without brands', () => {
  expect(JSON.stringify(stream('clicks'))).toBe('{"kind":"stream","name":"clicks","partitions":6}')
})

test.each([
  ['my clicks', /has a space.*like "my-clicks"/],
  ['my.clicks', /has ".".*like "my-clicks"/],
  ['clicks.>', /has ".".*like "clicks"/],
  ['clicks*', /has "\*".*like "clicks"/],
  ['', /is empty.*like "events"/],
  ['größe', /has "ö".*like "gro-e"/],
  ['été', /has "é".*like "ete"/],
  ['日本', /has "日".*like "events"/],
  ['a'.repeat(201), /has 201 letters, and NATS takes 200/],
  ['KV_clicks', /begins with "KV_".*like "clicks"/],
  ['a\nb', /has "\\n".*like "a-b"/],
])('refuses the name %j, says what is wrong with it and gives a good one', (name, message) => {
  const error = wrong({}, name)
  expect(error.code).toBe('BAD_NAME')
  expect(error.message).toMatch(message)
  const better = /like "(.*)"$/.exec(error.message)?.[1] as string
  expect(stream(better).name).toBe(better)
})

test.each([
  [{ partition: 3 }, 'UNKNOWN_OPTION', /unknown option "partition" of stream "clicks"; did you mean "partitions"/],
  [{ retention: { ages: 1 } }, 'UNKNOWN_OPTION', /retention of stream "clicks"; did you mean "age"/],
  [{ source: { streem: 'x' } }, 'UNKNOWN_OPTION', /did you mean "stream"/],
  [{ partitions: 0 }, 'BAD_OPTION', /partitions of stream "clicks" must be at least 1, but is 0/],
  [{ partitions: 4097 }, 'BAD_OPTION', /at most 4096/],
  [{ partitions: 2.5 }, 'BAD_OPTION', /a whole number, but is 2.5/],
  [{ partitions: '6' }, 'BAD_OPTION', /a whole number, but is "6" \(string\)/],
  [{ outOfOrderness: 'soon' }, 'BAD_OPTION', /outOfOrderness of stream "clicks"/],
  [{ dedupWindow: 50 }, 'BAD_OPTION', /dedupWindow of stream "clicks" must be at least 100/],
  [{ retention: { bytes: '5 XB' } }, 'BAD_OPTION', /retention.bytes/],
  [{ retention: { records: 0 } }, 'BAD_OPTION', /retention.records/],
  [{ retention: null }, 'BAD_OPTION', /retention/],
  [{ replicas: 2 }, 'BAD_OPTION', /replicas of stream "clicks" must be 1, 3 or 5, but is 2/],
  [{ format: 'batches' }, 'BAD_OPTION', /'message' or 'batch'/],
  [{ format: 'batch', id: 'id' }, 'BAD_OPTION', /only whole batches have ids/],
  [{ codec: 'json' }, 'BAD_OPTION', /a codec such as json\(\)/],
  [{ codec: null }, 'BAD_OPTION', /codec of stream "clicks"/],
  [{ codec: { name: 'msgpack', encode: () => new Uint8Array() } }, 'BAD_OPTION', /\{ name, encode, decode \}/],
  [{ codec: { encode: () => new Uint8Array(), decode: () => 1 } }, 'BAD_OPTION', /the name of the codec of stream "cl/],
  [{ validate: () => true }, 'BAD_OPTION', /a Standard Schema/],
  [{ validate: null }, 'BAD_OPTION', /a Standard Schema/],
  [{ key: 7 }, 'BAD_OPTION', /key of stream "clicks" must be a function or the name of a field/],
  [{ key: null }, 'BAD_OPTION', /key of stream "clicks"/],
  [{ time: '' }, 'BAD_OPTION', /time of stream "clicks"/],
  [{ source: { stream: 'ORDERS' }, partitions: 3 }, 'BAD_OPTION', /as one partition/],
  [{ source: { stream: 'a.b' } }, 'BAD_OPTION', /the name of a JetStream stream/],
  [{ source: { stream: 'ORDERS', subject: 'a..b' } }, 'BAD_OPTION', /a subject such as/],
])('refuses %j', (options, code, message) => {
  const error = wrong(options)
  expect(error.code).toBe(code)
  expect(error.message).toMatch(message)
})

test('reads a stream of others as one partition, all of its subjects unless told', () => {
  const orders = stream('orders', { source: { stream: 'ORDERS' } })
  expect(orders.partitions).toBe(1)
  expect(settingsOf(orders).source).toEqual({ stream: 'ORDERS', subject: '>' })
})

test('derives key, time and id by function or by field, and keeps the field', () => {
  const click = { user: 'ann', at: 5, page: 'p1' }
  const byField = settingsOf(stream<Click>('clicks', { key: 'user', time: 'at', id: 'page' }))
  expect([byField.key?.of(click), byField.time?.of(click), byField.id?.of(click)]).toEqual(['ann', 5, 'p1'])
  expect(byField.key?.field).toBe('user')
  const byFunction = settingsOf(stream<Click>('clicks', { key: c => c.page, time: c => new Date(c.at) }))
  expect([byFunction.key?.of(click), byFunction.time?.of(click)]).toEqual(['p1', 5])
  expect(byFunction.key?.field).toBeUndefined()
})

test.each([
  [() => 7 as unknown as string, /the key function of stream "clicks" must give a text as key, but gave 7 \(number\)/],
  [() => undefined as unknown as string, /gave undefined/],
  [() => ({}) as unknown as string, /gave an object/],
  [(c: Click) => (c as unknown as { no: { where: string } }).no.where, /key of stream "clicks"|threw/],
])('names stream and what came when a key function gives no text', (key, message) => {
  const rule = settingsOf(stream<Click>('clicks', { key })).key
  expect(() => rule?.of({ user: 'ann', at: 1, page: '' })).toThrow(expect.objectContaining({ code: 'BAD_KEY' }))
  expect(() => rule?.of({ user: 'ann', at: 1, page: '' })).toThrow(message)
})

test('names the field when there is no text in it', () => {
  const rule = settingsOf(stream('clicks', { key: 'user' })).key
  expect(() => rule?.of({ usr: 'ann' })).toThrow(/the field "user" of stream "clicks" .* gave undefined/)
  expect(() => rule?.of('a text')).toThrow(expect.objectContaining({ code: 'BAD_KEY' }))
  expect(() => rule?.of(null)).toThrow(expect.objectContaining({ code: 'BAD_KEY' }))
})

test.each([[NaN], [Infinity], [new Date(NaN)], ['2026-01-01'], [9e15], [undefined], [1n]])(
  'refuses %s as time',
  time => {
    const rule = settingsOf(stream<Click>('clicks', { time: () => time as number })).time
    expect(() => rule?.of({ user: '', at: 1, page: '' })).toThrow(expect.objectContaining({ code: 'BAD_TIME' }))
  },
)

test('takes its type from a schema', () => {
  const typed = stream('clicks', { validate: z.object({ user: z.string() }), key: value => value.user })
  expect(settingsOf(typed).key?.of({ user: 'ann' })).toBe('ann')
})
