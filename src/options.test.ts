import { expect, test } from 'vitest'
import { badOption, knownOptions } from './options.js'

const circle: { self?: unknown } = {}
circle.self = circle

test.each<[unknown, string]>([
  ['six', '"six" (string)'],
  [5n, '5 (bigint)'],
  [undefined, 'undefined (undefined)'],
  [Symbol('x'), 'a symbol (symbol)'],
  [circle, '[object Object] (object)'],
  ['x'.repeat(100), `"${'x'.repeat(56)}... (string)`],
])('shows what was given, whatever it is: case %#', (given, shown) => {
  expect(badOption('partitions', 'a whole number', given).message).toBe(
    `partitions must be a whole number, but is ${shown}; change partitions`,
  )
})

test('neither repeats nor compares a name without end', () => {
  const name = 'a'.repeat(1_000_000)
  expect(() => knownOptions('a thing', { [name]: 1 }, ['partitions'])).toThrow(
    /^unknown option "a{97}\.\.\." of a thing; it takes partitions$/,
  )
})
