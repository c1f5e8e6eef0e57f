import { expect, test } from 'vitest'
import { Ids } from './ids.js'
import type { IsAt } from './ids.js'

/** Ids over a log that is a plain map from places to ids. */
function idsOver(generationMs = 1000) {
  const log = new Map<string, string>()
  const asked = { times: 0 }
  const isAt: IsAt = (partition, position, id) => {
    asked.times++
    return log.get(`${partition}/${position}`) === id
  }
  const ids = new Ids(generationMs, 0, 'a secret', isAt)
  const note = (id: string, partition: number, position: number) => {
    log.set(`${partition}/${position}`, id)
    ids.note(id, partition, position)
  }
  return { ids, note, log, asked }
}

test('finds each of very many ids where it was noted, and none that was not', () => {
  const { ids, note, asked } = idsOver()
  for (let n = 1; n <= 50_000; n++) note(`client/${n}`, n % 4096, n * 1_000_003)
  for (let n = 1; n <= 50_000; n++) expect(ids.find(`client/${n}`)).toBe(n * 1_000_003)
  asked.times = 0
  for (let n = 1; n <= 50_000; n++) expect(ids.find(`other/${n}`)).toBeUndefined()
  // The log is asked only where two hashes are the same, so hardly ever.
  expect(asked.times).toBeLessThan(10)
})

test('finds positions beyond 32 bits', () => {
  const { ids, note } = idsOver()
  note('far', 4095, 2 ** 48 - 2)
  note('round', 0, 2 ** 32)
  expect([ids.find('far'), ids.find('round')]).toEqual([2 ** 48 - 2, 2 ** 32])
})

test('takes no id for known whose record is not the one at its place', () => {
  const { ids, note, log } = idsOver()
  note('a', 1, 7)
  log.set('1/7', 'b')
  expect(ids.find('a')).toBeUndefined()
})

test('knows an id for a window of two generations, and drops it within three', () => {
  const { ids, note } = idsOver(1000)
  ids.age(999)
  note('late', 0, 1)
  ids.age(2999)
  expect(ids.find('late')).toBe(1)
  ids.age(3000)
  expect(ids.find('late')).toBeUndefined()
})

test('drops everything after a long silence', () => {
  const { ids, note } = idsOver(1000)
  note('a', 0, 1)
  ids.age(1_000_000)
  note('b', 0, 2)
  expect([ids.find('a'), ids.find('b')]).toEqual([undefined, 2])
  ids.age(1_000_999)
  expect(ids.find('b')).toBe(2)
})
