import fc from 'fast-check'
import { expect, test } from 'vitest'
import { encodeHeaders, LogRecord } from '../log/record.js'
import { decodeBatch, encodeBatch, type Framed } from './batch.js'
import { encodeLetter, encodeResolution, isResolution, letterIn, recordOf, type DeadLetter } from './dead-letters.js'

const PLENTY = 1_000_000
const about = {
  ...{ pipeline: 'p', stage: 0, stream: 'clicks', where: 'step 1 (map) of pipeline "p"', attempts: 2, at: 1000 },
  error: new TypeError('planted'),
}

function letterOf(record: LogRecord, one?: { framed: Framed; index: number }, bytesMax = PLENTY): DeadLetter {
  return letterIn(encodeLetter(record, one, about, bytesMax)) as DeadLetter
}

const payload = fc.uint8Array({ maxLength: 200 })
const headers = fc.dictionary(fc.stringMatching(/^[A-Za-z][A-Za-z-]{0,8}$/), fc.stringMatching(/^[!-~]{0,10}$/))

test('a record comes out of its letter as it went in', () => {
  fc.assert(
    fc.property(payload, headers, fc.nat(), fc.nat(), (bytes, given, position, time) => {
      const record = new LogRecord(3, position, time, encodeHeaders(given), bytes)
      const came = recordOf(letterOf(record)) as LogRecord
      expect(came).toMatchObject({ partition: 3, position, time })
      expect(came.headers()).toEqual(record.headers())
      expect(Buffer.compare(came.payload, bytes)).toBe(0)
    }),
  )
})

test('a record of a batch comes out alone, with the key, time and headers that it had there', () => {
  const framed = fc.record({
    payload,
    key: fc.option(fc.string(), { nil: undefined }),
    headers: fc.option(headers, { nil: undefined }),
  })
  const timed = fc.option(fc.integer({ min: -1e15, max: 1e15 }), { nil: undefined })
  fc.assert(
    fc.property(fc.array(framed, { minLength: 1, maxLength: 5 }), timed, fc.nat(), (some, time, at) => {
      const record = new LogRecord(
        0,
        7,
        50,
        encodeHeaders({ Outer: 'x' }),
        encodeBatch(some.map(one => ({ ...one, time }))),
      )
      const all = decodeBatch(record.payload)
      const index = at % all.length
      const one = { framed: all[index] as Framed, index }
      const letter = letterOf(record, one)
      expect(letter).toMatchObject({ index, time: 50 })
      const [came, ...more] = decodeBatch((recordOf(letter) as LogRecord).payload)
      expect(more).toEqual([])
      expect({ ...came, headers: came?.headers ?? {} }).toEqual({ ...one.framed, headers: one.framed.headers ?? {} })
      // The same from the message itself, where the letter had no room.
      const again = decodeBatch((recordOf(letterOf(record, one, 0), record) as LogRecord).payload)
      expect(again).toEqual([one.framed])
    }),
  )
})

const oddBlocks = [
  'NATS/1.0\r\nBad Name: v\r\n\r\n',
  'NATS/1.0\r\nNäme: v\r\n\r\n',
  'NATS/1.0\r\nSn-Key: a\nb\r\n\r\n',
  'NATS/1.0\r\nSn-Key: a\rb\r\n\r\n',
  'NATS/1.0\r\n__proto__: v\r\nGood: v\r\n\r\n',
  'NATS/1.0\r\nconstructor: v\r\ntoString: v\r\n\r\n',
]
test.each(oddBlocks)('its readers know a letter whose record came with the headers %j, and give them back', block => {
  const record = new LogRecord(0, 1, 1, Buffer.from(block), Buffer.from('{}'))
  const letter = letterOf(record)
  expect(letter).toBeDefined()
  expect((recordOf(letter) as LogRecord).headers()).toEqual(record.headers())
})

test('its readers know every letter, whatever its headers are', () => {
  const text = fc.oneof(
    fc.string(),
    fc.string({ unit: 'binary' }),
    fc.constantFrom('__proto__', 'a b', 'a\r\nb', 'a:b'),
  )
  const block = fc.oneof(
    fc.uint8Array(),
    fc
      .array(fc.tuple(text, text))
      .map(lines => Buffer.from(`NATS/1.0\r\n${lines.map(([name, value]) => `${name}: ${value}\r\n`).join('')}\r\n`)),
  )
  const framed = fc.array(fc.tuple(text, text)).map(pairs => {
    const headers = Object.assign(Object.create(null), Object.fromEntries(pairs)) as Record<string, string>
    return decodeBatch(encodeBatch([{ headers, payload: new Uint8Array(1) }]))[0] as Framed
  })
  fc.assert(
    fc.property(block, framed, (head, one) => {
      const record = new LogRecord(0, 7, 1, head, encodeBatch([one]))
      expect((recordOf(letterOf(record)) as LogRecord).headers()).toEqual(record.headers())
      const [came] = decodeBatch((recordOf(letterOf(record, { framed: one, index: 0 })) as LogRecord).payload)
      expect(came?.headers).toEqual(one.headers)
    }),
  )
})

test('a letter without room for the bytes needs the record itself', () => {
  const record = new LogRecord(1, 9, 50, encodeHeaders({ A: 'b' }), new Uint8Array(5000))
  const letter = letterOf(record, undefined, 1000)
  expect(letter).toMatchObject({ size: 5000, position: 9 })
  expect(letter.bytes).toBeUndefined()
  expect(recordOf(letter)).toBeUndefined()
  expect(recordOf(letter, record)).toBe(record)
})

test('what resolves a letter is told from letters, and both from all else', () => {
  const resolution = { resolves: 17, how: 'dropped', at: 5 } as const
  expect(letterIn(encodeResolution(resolution))).toEqual(resolution)
  expect(isResolution(letterOf(new LogRecord(0, 1, 1, new Uint8Array(0), new Uint8Array(0))))).toBe(false)
  for (const text of [
    '',
    '{',
    'null',
    '[]',
    '{}',
    '{"resolves":-1,"how":"dropped","at":1}',
    '{"resolves":1,"how":"x","at":1}',
  ]) {
    expect(letterIn(Buffer.from(text)), text).toBeUndefined()
  }
  const whole = JSON.parse(
    Buffer.from(
      encodeLetter(new LogRecord(0, 1, 1, new Uint8Array(0), new Uint8Array(1)), undefined, about, PLENTY),
    ).toString(),
  ) as object
  for (const wrong of [
    { position: 'x' },
    { error: null },
    { bytes: 1 },
    { head: 1 },
    { headers: { a: 1 } },
    { attempts: 1.5 },
  ]) {
    expect(letterIn(Buffer.from(JSON.stringify({ ...whole, ...wrong }))), JSON.stringify(wrong)).toBeUndefined()
  }
})
