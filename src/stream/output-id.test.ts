import fc from 'fast-check'
import { expect, test } from 'vitest'
import { encodeHeaders, LogRecord } from '../log/record.js'
import { OUT_HEADER, outHeader, outOf, outputId, outputWriter } from './output-id.js'

const written = (head: Uint8Array) => new LogRecord(0, 7, 0, head, new Uint8Array(0))
const withHeaders = (headers: Record<string, string>, id?: string) => written(encodeHeaders(headers, id))
const writer = outputWriter({ pipeline: 'daily-sums', incarnation: 'x7Q', stage: 0, partition: 3 }, 1)
const id = outputId(writer, 12)

test('writes ids and header as the reference has them', () => {
  expect(id).toBe('daily-sums/x7Q/0.3>1/12')
  expect(outHeader(9, '00c0ffee')).toBe('1 9 00c0ffee')
})

test('reads back what was written, wherever it stands among other headers', () => {
  const name = fc.stringMatching(/^[A-Za-z0-9_-]{1,12}$/)
  const digits = fc.nat({ max: 4096 })
  const numbers = fc.integer({ min: 1, max: 999_999_999_999_999 })
  const others = fc.dictionary(fc.constantFrom('a', 'Sn-Key', 'traceparent', 'x-Sn-Out'), fc.string({ unit: 'binary' }))
  fc.assert(
    fc.property(
      fc.tuple(name, name, digits, digits, digits, numbers, fc.nat(), fc.stringMatching(/^[0-9a-f]{8}$/), others),
      ([pipeline, incarnation, stage, partition, target, n, confirmed, entry, headers]) => {
        const from = outputWriter({ pipeline, incarnation, stage, partition }, target)
        const clean = Object.fromEntries(Object.entries(headers).map(([key, v]) => [key, v.replace(/[\r\n]/g, '')]))
        const record = withHeaders({ ...clean, [OUT_HEADER]: outHeader(confirmed, entry) }, outputId(from, n))
        expect(outOf(record)).toEqual({ writer: from, n, confirmed, entry })
        const other = new LogRecord(0, 1, 0, encodeHeaders(clean, outputId(from, n)), new Uint8Array(0))
        expect(outOf(other)).toBeUndefined()
      },
    ),
    { numRuns: 500 },
  )
})

test('reads a header without a space, or with more, as other clients write them', () => {
  const block = `NATS/1.0\r\nSn-Out:1 9 00c0ffee  \r\nNats-Msg-Id:   ${id} \r\n\r\n`
  expect(outOf(written(Buffer.from(block)))).toEqual({ writer, n: 12, confirmed: 9, entry: '00c0ffee' })
})

test.each([
  ['no header of ours', {}, id],
  ['no id', { [OUT_HEADER]: '1 9 00c0ffee' }, undefined],
  ["a client's id", { [OUT_HEADER]: '1 9 00c0ffee' }, 'abc/12'],
  ['number 0', { [OUT_HEADER]: '1 9 00c0ffee' }, `${writer}/0`],
  ['a number in other digits than ours', { [OUT_HEADER]: '1 9 00c0ffee' }, `${writer}/012`],
  ['a number beyond all', { [OUT_HEADER]: '1 9 00c0ffee' }, `${writer}/1${'0'.repeat(15)}`],
  ['nothing before the target', { [OUT_HEADER]: '1 9 00c0ffee' }, '>1/12'],
  ['no target', { [OUT_HEADER]: '1 9 00c0ffee' }, 'p/x/0.3>/12'],
  ['another text', { [OUT_HEADER]: 'yes' }, id],
  ['half an entry', { [OUT_HEADER]: '1 9 00c0ff' }, id],
  ['more than an entry', { [OUT_HEADER]: '1 9 00c0ffee00' }, id],
  ['something behind', { [OUT_HEADER]: '1 9 00c0ffee x' }, id],
  ['a number below 0', { [OUT_HEADER]: '1 -9 00c0ffee' }, id],
  ['only a user header that speaks of it', { note: 'Sn-Out: 1 9 00c0ffee' }, id],
])("takes a record with %s for somebody else's", (_, headers, name) => {
  expect(outOf(withHeaders(headers, name))).toBeUndefined()
})

test('refuses an output of a later wire version and says where it stands', () => {
  for (const version of ['2', '10', '01']) {
    expect(() => outOf(withHeaders({ [OUT_HEADER]: `${version} what ever` }, id))).toThrow(
      expect.objectContaining({
        code: 'BAD_LOG',
        message: expect.stringMatching(new RegExp(`position 7 .*wire version ${version},.*later one`)) as string,
      }),
    )
  }
})

test('makes something of any header block, or nothing, but never fails', () => {
  const pieces = fc.constantFrom(
    'NATS/1.0\r\n',
    '\r\nSn-Out:',
    '\r\nNats-Msg-Id:',
    ' ',
    '1',
    '9',
    '/',
    '>',
    'ab',
    '\r\n',
  )
  fc.assert(
    fc.property(fc.array(pieces, { maxLength: 30 }), parts => {
      let out
      try {
        out = outOf(written(Buffer.from(parts.join(''))))
      } catch (error) {
        expect(error).toMatchObject({ code: 'BAD_LOG' })
      }
      if (out !== undefined) expect(out.n).toBeGreaterThan(0)
    }),
    { numRuns: 3000 },
  )
})
