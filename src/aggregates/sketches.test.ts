/** The bounds that sketches state, far beyond where they are exact. */
import { expect, test } from 'vitest'
import { foldsOf, type Aggregate, type Fold } from './aggregate.js'
import { distinctCount, EXACT_MAX } from './distinct-count.js'
import { hash64 } from './hash.js'
import { quantile, RELATIVE_ERROR } from './quantile.js'
import { topK, type TopKEntry } from './top-k.js'

const foldOf = <T, R>(aggregate: Aggregate<T, R>) =>
  foldsOf<T>('a test', { it: aggregate })[0]!.fold as Required<Fold<T, unknown, R>>

/** Numbers from 0 to 1, the same in every run. */
function chance(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32
  }
}

function* upTo(n: number): Iterable<number> {
  for (let i = 0; i < n; i++) yield i
}

test('distinctCount is exact up to 256 different values, however often they come', () => {
  const fold = foldOf(distinctCount((value: string) => value))
  let acc = fold.zero()
  for (const i of upTo(2 * EXACT_MAX)) acc = fold.add(acc, `user-${i % EXACT_MAX}`)
  expect(fold.result(acc)).toBe(EXACT_MAX)
})

test.each([
  ['texts that share a beginning', (i: number) => `user-${i}`],
  ['whole numbers', (i: number) => i],
  ['fractions', (i: number) => i / 7],
  ['texts that share an end', (i: number) => `${i}@example.org`],
])('distinctCount has a standard error of 1.6 %% at every size: %s', (_, valueOf: (i: number) => string | number) => {
  const fold = foldOf(distinctCount((i: number) => valueOf(i)))
  for (const different of [257, 1000, 4000, 10_000, 50_000]) {
    const errors = [...upTo(8)].map(run => {
      let acc = fold.zero()
      for (const i of upTo(different)) acc = fold.add(acc, run * 1_000_000 + i)
      return fold.result(acc)! / different - 1
    })
    expect(Math.max(...errors.map(Math.abs)), `the worst at ${different}`).toBeLessThan(0.05)
    // Of eight runs the mean square strays itself: twice the stated error is beyond chance.
    expect(Math.sqrt(errors.reduce((a, e) => a + e * e, 0) / 8), `at ${different}`).toBeLessThan(2 * 0.01625)
  }
})

test('distinctCount merges parts as if all had come at once, whether they are exact or sketches', () => {
  const fold = foldOf(distinctCount((value: number) => value))
  const of = (from: number, to: number) => {
    let acc = fold.zero()
    for (let i = from; i < to; i++) acc = fold.add(acc, i)
    return acc
  }
  for (const [a, b] of [
    [of(0, 200), of(150, 400)],
    [of(0, 100), of(50, 400)],
    [of(0, 350), of(300, 400)],
    [of(0, 350), of(30, 400)],
  ]) {
    expect(fold.merge(a, b)).toEqual(of(0, 400))
  }
})

test('the hash of a value stays what it is, since sketches are stored', () => {
  expect(hash64('stream-node')).toMatchInlineSnapshot(`
    [
      251717524,
      2796872746,
    ]
  `)
  expect(hash64('')).toMatchInlineSnapshot(`
    [
      804835096,
      1024606356,
    ]
  `)
  expect(hash64(1)).toMatchInlineSnapshot(`
    [
      2652791881,
      2786280813,
    ]
  `)
  expect(hash64('1')).toMatchInlineSnapshot(`
    [
      1330070825,
      2106943947,
    ]
  `)
})

test('each bit of the hash is moved by any change, about every second time', () => {
  const flips = new Array<number>(64).fill(0)
  const rounds = 4000
  for (const i of upTo(rounds)) {
    const [a, b] = [hash64(`key-${i}`), hash64(`key-${i + 1}`)]
    for (const bit of upTo(64)) {
      const half = bit < 32 ? 0 : 1
      flips[bit]! += ((a[half] ^ b[half]) >>> (bit % 32)) & 1
    }
  }
  for (const flip of flips) expect(Math.abs(flip / rounds - 0.5)).toBeLessThan(0.05)
})

test.each([
  ['small whole numbers', (random: () => number) => Math.floor(random() * 100)],
  ['a long tail', (random: () => number) => random() ** -3],
  ['both signs', (random: () => number) => (random() - 0.5) * 1e9],
  ['all magnitudes', (random: () => number) => (random() < 0.5 ? -1 : 1) * 10 ** (random() * 590 - 290)],
  ['the edges', (random: () => number) => [Number.MAX_VALUE, -Number.MAX_VALUE, 0, 1, -1][Math.floor(random() * 5)]!],
])('quantile is within 1 %% of the true number, also when merged: %s', (_, next: (random: () => number) => number) => {
  const random = chance(7)
  const all = Array.from({ length: 20_000 }, () => next(random))
  const sorted = all.toSorted((a, b) => a - b)
  for (const q of [0, 0.01, 0.25, 0.5, 0.75, 0.9, 0.99, 0.999, 1]) {
    const fold = foldOf(quantile(q, (value: number) => value))
    const acc = all.reduce((so, value) => fold.add(so, value), fold.zero())
    const parts = [all.slice(0, 5000), all.slice(5000)].map(part =>
      part.reduce((so, value) => fold.add(so, value), fold.zero()),
    )
    const wanted = sorted[Math.floor(q * (sorted.length - 1))]!
    const got = fold.result(acc)!
    expect(Math.abs(got / (wanted || 1) - (wanted === 0 ? 0 : 1)), `${q}`).toBeLessThanOrEqual(RELATIVE_ERROR + 1e-9)
    expect(fold.result(fold.merge(parts[0], parts[1]))).toBe(got)
  }
})

/** Few come often, most come seldom: about as words do. */
function words(random: () => number, different: number): string {
  return `w${Math.floor(different ** random())}`
}

test.each([1, 4])(
  'topK is too low by n / 100 at most, never too high, and finds all that came more often: %i parts',
  parts => {
    for (const seed of upTo(5)) {
      const random = chance(seed)
      const fold = foldOf(topK(10, (word: string) => word))
      const accs = Array.from({ length: parts }, () => fold.zero())
      const truth = new Map<string, number>()
      const n = 40_000
      for (const i of upTo(n)) {
        const word = words(random, 20_000)
        truth.set(word, (truth.get(word) ?? 0) + 1)
        accs[i % parts] = fold.add(accs[i % parts], word)
      }
      const found = fold.result(accs.reduce((a, b) => fold.merge(a, b)))!
      expect(found).toHaveLength(10)
      for (const { value, count } of found) {
        expect(count).toBeLessThanOrEqual(truth.get(value)!)
        expect(count).toBeGreaterThanOrEqual(truth.get(value)! - n / 100)
      }
      const least = found.at(-1)!.count
      for (const [word, times] of truth) {
        if (times > least + n / 100) expect(found.map(entry => entry.value)).toContain(word)
      }
    }
  },
)

test('topK keeps a bounded number of counters, and is exact while there are few different values', () => {
  const fold = foldOf(topK(2, (value: number) => value))
  let acc = fold.zero()
  for (const i of upTo(50_000)) acc = fold.add(acc, i)
  expect(JSON.stringify(acc).length).toBeLessThan(200 * 12)
  let few = fold.zero()
  for (const i of upTo(50_000)) few = fold.add(few, i % 3 === 0 ? 7 : i % 200)
  const top = fold.result(few) as TopKEntry<number>[]
  const times = (wanted: number) => [...upTo(50_000)].filter(i => (i % 3 === 0 ? 7 : i % 200) === wanted).length
  expect(top.map(({ value, count }) => count === times(value))).toEqual([true, true])
  expect(top[0]!.value).toBe(7)
})
