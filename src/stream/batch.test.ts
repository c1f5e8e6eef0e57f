import fc from 'fast-check'
import { expect, test } from 'vitest'
import { RecordError } from '../errors.js'
import { BATCH_RECORDS_MAX, decodeBatch, encodeBatch, type Framed } from './batch.js'

const text = (value: string) => new Uint8Array(Buffer.from(value))
const plain = (records: readonly Framed[]) =>
  records.map(({ key, time, headers, payload }) => ({
    key,
    time,
    headers: headers && { ...headers },
    payload: [...payload],
  }))

const header = fc.stringMatching(/^[A-Za-z-]{1,8}$/)
const framed = (timed: boolean): fc.Arbitrary<Framed> =>
  fc.record({
    key: fc.option(fc.string({ unit: 'grapheme' }), { nil: undefined }),
    time: timed ? fc.maxSafeInteger().map(time => Math.floor(time / 4)) : fc.constant(undefined),
    headers: fc.option(
      fc.dictionary(header, fc.string({ unit: 'grapheme' }), { minKeys: 1, maxKeys: 3, noNullPrototype: true }),
      { nil: undefined },
    ),
    payload: fc.uint8Array({ maxLength: 300 }),
  })

test('gives back what was framed, keys that are empty or absent told apart', () => {
  const batches = fc.boolean().chain(timed => fc.array(framed(timed), { minLength: 1, maxLength: 20 }))
  fc.assert(
    fc.property(batches, records => {
      expect(plain(decodeBatch(encodeBatch(records)))).toEqual(plain(records))
    }),
    { numRuns: 500 },
  )
})

test('is framed byte by byte as the reference has it', () => {
  const records = [
    { key: 'a', time: 3, payload: text('x') },
    { key: undefined, time: 1, headers: { h: 'v' }, payload: text('') },
  ]
  expect([...encodeBatch(records)]).toEqual([
    ...[1, 7, 2],
    ...[2, 0x61, 6, 0, 1, 0x78],
    ...[0, 3, 1, 1, 0x68, 1, 0x76, 0],
  ])
})

const good = encodeBatch([
  { key: 'ann', time: 1_700_000_000_000, headers: { traceparent: '00-1' }, payload: text('{"a":1}') },
  { key: 'bob', time: 1_700_000_000_005, payload: text('{"a":2}') },
])

const outcome = (bytes: Uint8Array) => {
  try {
    return decodeBatch(bytes)
  } catch (error) {
    if (error instanceof RecordError && error.code === 'BAD_BYTES') return error.message
    throw error
  }
}

test('refuses it cut short anywhere, and with a byte too many', () => {
  for (let length = 0; length < good.length; length++) expect(outcome(good.subarray(0, length))).toBeTypeOf('string')
  expect(outcome(Buffer.concat([good, Buffer.of(0)]))).toMatch(/1 bytes follow/)
})

test.each([
  ['an unknown version', [2, 0, 1, 0], /version 2/],
  ['an unknown flag', [1, 8, 1, 0], /flags 8/],
  ['no records', [1, 0, 0], /0 records/],
  ['more records than bytes', [1, 0, 0xff, 0xff, 3, 0], /has 65535 records, and has 1 bytes/],
  ['more records than any batch has', [1, 0, 0xff, 0xff, 0x7f], /has 2097151 records/],
  ['a length beyond the end', [1, 0, 1, 5, 1], /5 bytes follow, and 1 do/],
  ['a length that no number holds', [1, 0, 1, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1], /too l/],
  ['a length that never ends', [1, 0, 1, ...new Array<number>(40).fill(0x80), 0], /too long/],
  ['a key that is no UTF-8', [1, 1, 1, 3, 0xc3, 0x28, 0], /not UTF-8/],
  ['more headers than bytes', [1, 4, 1, 0xff, 0xff, 0xff, 0x7f], /too many headers/],
])('refuses %s', (_, bytes, message) => expect(outcome(Uint8Array.from(bytes))).toMatch(message))

test('a replacement character that was written is read', () => {
  expect(decodeBatch(encodeBatch([{ key: '\ufffd', payload: text('') }]))[0]?.key).toBe('\ufffd')
})

test('a header named __proto__ is a header and nothing else', () => {
  const headers = Object.assign(Object.create(null) as Record<string, string>, { ['__proto__']: 'x' })
  const back = decodeBatch(encodeBatch([{ headers, payload: text('') }]))[0]?.headers as object
  expect(Object.keys(back)).toEqual(['__proto__'])
  expect(({} as Record<string, unknown>)['x']).toBeUndefined()
})

test('takes any bytes for records or BAD_BYTES, never anything else', () => {
  const flips = fc.array(fc.tuple(fc.nat(good.length - 1), fc.nat(255)), { minLength: 1, maxLength: 4 })
  fc.assert(
    fc.property(flips, changes => {
      const bytes = Uint8Array.from(good)
      for (const [at, value] of changes) bytes[at] = value
      outcome(bytes)
    }),
    { numRuns: 20_000 },
  )
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 64 }), tail => void outcome(Uint8Array.of(1, tail.length & 7, ...tail))),
    {
      numRuns: 20_000,
    },
  )
})

test('a small message never becomes many records', () => {
  const bytes = new Uint8Array(1_000_000)
  bytes.set([1, 0, 0xc0, 0x84, 0x3d])
  expect(outcome(bytes)).toMatch(/has 1000000 records/)
  expect(() => encodeBatch(new Array<Framed>(BATCH_RECORDS_MAX + 1).fill({ payload: text('') }))).toThrow(
    /a batch of 65537/,
  )
})
