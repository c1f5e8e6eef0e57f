import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { RecordError } from '../errors.js'
import { encodeHeaders, LogRecord } from '../log/record.js'
import { deadLettersOf, encodeLetter, type DeadLetter, type GivenUp } from './dead-letters.js'
import { settingsOf } from './stream.js'

const given: GivenUp = {
  ...{ pipeline: 'p', stage: 0, stream: 'clicks' },
  ...{ error: new TypeError('no'), where: 'step 1 (map) of pipeline "p"', attempts: 2, at: 5000 },
}

const headers = { 'Nats-Msg-Id': 'r7', 'Sn-Key': 'ann', traceparent: '00-1' }

function recordOf(payload: Uint8Array, with_: Record<string, string> = headers): LogRecord {
  return new LogRecord(3, 70, 4000, encodeHeaders(with_), payload)
}

function letterOf(record: LogRecord, about: Partial<GivenUp> = {}, bytesMax = 1 << 20): DeadLetter {
  const encoded = encodeLetter(record, undefined, { ...given, ...about }, bytesMax)
  expect(encoded.length).toBeLessThanOrEqual(bytesMax)
  return JSON.parse(Buffer.from(encoded).toString()) as DeadLetter
}

test('a letter says what came, from where, and why it was given up', () => {
  expect(letterOf(recordOf(Buffer.from('{"n":1}')))).toEqual({
    ...{ pipeline: 'p', stage: 0, stream: 'clicks', partition: 3, position: 70, time: 4000, headers },
    ...{ bytes: Buffer.from('{"n":1}').toString('base64'), size: 7, attempts: 2, at: 5000 },
    error: { name: 'TypeError', message: 'no', where: 'step 1 (map) of pipeline "p"' },
  })
})

test('of a message that holds many it is about the one at fault, with what its publisher said beside it', () => {
  const framed = { key: 'ann', time: -5, headers: { a: 'b' }, payload: Buffer.from('x') }
  const encoded = encodeLetter(recordOf(Buffer.from('all of them')), { framed, index: 4 }, given, 1 << 20)
  expect(JSON.parse(Buffer.from(encoded).toString())).toMatchObject({
    ...{ position: 70, time: 4000, index: 4, key: 'ann', ownTime: -5, headers: { a: 'b' } },
    ...{ bytes: Buffer.from('x').toString('base64'), size: 1 },
  })
})

test('the bytes are those that came, whatever they are', () => {
  fc.assert(
    fc.property(fc.uint8Array(), payload => {
      const { bytes, size } = letterOf(recordOf(payload))
      expect(new Uint8Array(Buffer.from(bytes as string, 'base64'))).toEqual(payload)
      expect(size).toBe(payload.length)
    }),
  )
})

test('what has no headers has none in its letter', () => {
  const letter = letterOf(recordOf(Buffer.from('1'), {}))
  expect(letter).not.toHaveProperty('headers')
  expect(letter).not.toHaveProperty('head')
})

test('a header that cannot stand beside the others is kept in the block as it came', () => {
  const block = Buffer.from('NATS/1.0\r\nGood: v\r\nBad Name: w\r\n\r\n')
  const letter = letterOf(new LogRecord(3, 70, 4000, block, Buffer.from('1')))
  expect(letter).toMatchObject({ headers: { Good: 'v' }, head: block.toString('base64') })
})

describe('what was thrown', () => {
  test('has its code where it is one of ours, and what caused it, the nearest first', () => {
    const cause = new Error('nearer', { cause: new RangeError('deeper', { cause: 'a text' }) })
    const error = new RecordError('BAD_BYTES', 'the bytes are wrong', 'see who writes', { cause })
    expect(letterOf(recordOf(Buffer.from('1')), { error, where: undefined }).error).toEqual({
      ...{ name: 'RecordError', code: 'BAD_BYTES', message: 'the bytes are wrong; see who writes' },
      causes: ['nearer', 'deeper', 'a text'],
    })
  })

  const circle = new Error('round')
  circle.cause = circle
  const hostile = {
    toString() {
      throw new Error('no text')
    },
  }
  test.each<[string, unknown, object]>([
    ['a text', 'just a text', { name: 'string', message: 'just a text' }],
    ['nothing', undefined, { name: 'undefined', message: 'undefined' }],
    [
      'an object without a text',
      Object.create(null),
      { name: 'object', message: 'something was thrown that has no text' },
    ],
    ['an object whose text fails', hostile, { name: 'object', message: 'something was thrown that has no text' }],
    ['an error without a message', Object.assign(new Error(), { message: undefined }), { message: 'undefined' }],
    ['an error with no text as its name', Object.assign(new Error('x'), { name: 7 }), { name: '7', message: 'x' }],
    ['a circle', circle, { message: 'round', causes: Array(10).fill('round') as string[] }],
  ])('may be %s', (_, error, told) => {
    expect(letterOf(recordOf(Buffer.from('1')), { error }).error).toMatchObject(told)
  })

  test('is cut short where it is very long', () => {
    const { error } = letterOf(recordOf(Buffer.from('1')), { error: new Error('x'.repeat(100_000)) })
    expect(error.message).toMatch(/^x+\.\.\.$/)
    expect(error.message.length).toBeLessThan(5000)
  })
})

describe('a letter that would be larger than a record may be', () => {
  const large = Buffer.alloc(2000, 'y')
  const places = { pipeline: 'p', stage: 0, stream: 'clicks', partition: 3, position: 70, time: 4000, size: 2000 }

  test('leaves out the bytes, and then whatever is not needed to find the record again', () => {
    const without = letterOf(recordOf(large), {}, 1000)
    expect(without).toMatchObject({ ...places, headers, error: { message: 'no' } })
    expect(without).not.toHaveProperty('bytes')
    const bare = letterOf(recordOf(large, { long: 'z'.repeat(5000) }), {}, 1000)
    expect(bare).toMatchObject({ ...places, error: { message: 'no' } })
    expect(bare).not.toHaveProperty('headers')
  })

  test('fits the smallest log there may be, however long everything is', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 3000 }), fc.string({ unit: 'binary' }), (message, where) => {
        const error = Object.assign(new Error(message, { cause: new Error(message) }), { name: message })
        const about = { error, where: where.repeat(100), pipeline: 'p'.repeat(180), stream: 's'.repeat(200) }
        const letter = letterOf(recordOf(large, { a: 'b'.repeat(9000) }), about, 2000)
        expect(letter).toMatchObject({ ...places, pipeline: about.pipeline, stream: about.stream })
      }),
      { numRuns: 30 },
    )
  })
})

test('the stream of dead letters has a partition for each of the sources', () => {
  const letters = deadLettersOf('p'.repeat(180), 7)
  expect([letters.name, letters.partitions]).toEqual([`${'p'.repeat(180)}-dead-letters`, 7])
  expect(settingsOf(letters)).toMatchObject({ key: undefined, id: undefined, format: 'message' })
})
