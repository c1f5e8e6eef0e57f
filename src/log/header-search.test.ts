import fc from 'fast-check'
import { expect, test } from 'vitest'
import { HeaderSearch } from './header-search.js'
import { encodeHeaders, LogRecord } from './record.js'

const found = (name: string, head: Uint8Array) => {
  const at = new HeaderSearch(name).in(head)
  if (at < 0) return undefined
  const text = Buffer.from(head).toString()
  return text.slice(at, text.indexOf('\r\n', at)).trim()
}

test('finds what a search through the text finds', () => {
  const name = fc.stringMatching(/^[ab:-]{0,3}[ab-]$/).map(text => text.replaceAll(':', 'c'))
  const headers = fc.dictionary(name, fc.stringMatching(/^[ab:c -]{0,20}$/), { noNullPrototype: true })
  fc.assert(
    fc.property(headers, name, fc.option(fc.stringMatching(/^[ab-]{1,5}$/), { nil: undefined }), (given, asked, id) => {
      const head = encodeHeaders(given, id)
      expect(found(asked, head)).toBe(new LogRecord(0, 1, 0, head, head).header(asked))
    }),
    { numRuns: 2000 },
  )
})

test('finds the first of two, and no value that looks like a header', () => {
  expect(found('a', Buffer.from('NATS/1.0\r\nb: a: 1\r\naa: 2\r\na:3\r\na: 4\r\n\r\n'))).toBe('3')
  expect(found('a', Buffer.from('NATS/1.0\r\nb: a: 1\r\naa: 2\r\n\r\n'))).toBeUndefined()
  expect(found('a', new Uint8Array(0))).toBeUndefined()
})
