import { expect, test } from 'vitest'
import { fnv1a, partitionOf } from './partitioner.js'

test.each([
  ['', 0x811c9dc5],
  ['a', 0xe40c292c],
  ['foobar', 0xbf9cf968],
  ['hello', 0x4f9f2cab],
])('hashes %j as FNV-1a does', (text, hash) => expect(fnv1a(text)).toBe(hash))

test('hashes the UTF-8 bytes of a text, wherever it stops being ASCII', () => {
  for (const text of ['é', 'Zürich', 'naïve', '東京', 'a😀b', '😀', 'plain then ✓']) {
    let hash = 0x811c9dc5
    for (const byte of new TextEncoder().encode(text))
      hash = Number(((BigInt(hash ^ byte) & 0xffffffffn) * 0x01000193n) & 0xffffffffn)
    expect(fnv1a(text), text).toBe(hash >>> 0)
  }
})

test('keeps the answers it has always given', () => {
  const keys = ['user-1', 'user-2', 'eu/42', 'Zürich', '東京', '']
  expect(keys.map(key => partitionOf(key, 6))).toEqual([4, 1, 0, 2, 1, 1])
  expect(keys.map(key => partitionOf(key, 1))).toEqual([0, 0, 0, 0, 0, 0])
})

test('spreads keys evenly', () => {
  const counts = new Array<number>(6).fill(0)
  for (let i = 0; i < 60_000; i++) counts[partitionOf(`user-${i}`, 6)]! += 1
  for (const count of counts) expect(Math.abs(count - 10_000)).toBeLessThan(500)
})

test('refuses what is no count of partitions or no key, instead of giving no number', () => {
  for (const wrong of [0, -1, 1.5, NaN, Infinity, '6' as unknown as number]) {
    expect(() => partitionOf('a', wrong), String(wrong)).toThrow(
      /the count of partitions must be a whole number from 1/,
    )
  }
  expect(() => partitionOf(7 as unknown as string, 6)).toThrow('the key must be a text, but is 7 (number)')
})
