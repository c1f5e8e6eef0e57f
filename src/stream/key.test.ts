import fc from 'fast-check'
import { expect, test } from 'vitest'
import { key, keyParts } from './key.js'

test('one plain part is the key itself', () => expect(key('ann')).toBe('ann'))

test('joins parts so that they can be read', () => expect(key('eu', 42, true)).toBe('eu/42/true'))

test('gives back the very parts that were joined, whatever stands in them', () => {
  const part = fc.oneof(fc.string(), fc.constantFrom('/', '%', '%2F', '%25', '', '%252F', 'a/b'))
  fc.assert(
    fc.property(fc.array(part, { minLength: 1 }), parts => {
      const [first = '', ...more] = parts
      expect(keyParts(key(first, ...more))).toEqual(parts)
    }),
  )
})

test('gives different keys for different parts', () => {
  const keys = [key('a', 'b'), key('a/b'), key('a', '', 'b'), key('a%2Fb'), key('', 'a/b'), key('ab')]
  expect(new Set(keys).size).toBe(keys.length)
})

test.each([[undefined], [null], [NaN], [{}], [Symbol('s')]])('refuses %s as a part, saying what came', given => {
  // @ts-expect-error only texts, numbers and booleans are parts
  expect(() => key('a', given)).toThrow(expect.objectContaining({ code: 'BAD_KEY' }))
})
