/**
 * What holds for each aggregate: its result is that of a naive computation, values that came in two parts and were
 * merged give what they give all at once, no accumulator is changed in place, and each can be stored.
 */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { foldsOf, type Aggregate, type Fold } from './aggregate.js'
import { collectSet } from './collect-set.js'
import { collect } from './collect.js'
import { count } from './count.js'
import { custom } from './custom.js'
import { distinctCount } from './distinct-count.js'
import { first } from './first.js'
import { histogram } from './histogram.js'
import { last } from './last.js'
import { maxBy } from './max-by.js'
import { max } from './max.js'
import { mean } from './mean.js'
import { median } from './median.js'
import { minBy } from './min-by.js'
import { min } from './min.js'
import { mode } from './mode.js'
import { quantile } from './quantile.js'
import { reduce } from './reduce.js'
import { stddev } from './stddev.js'
import { sum } from './sum.js'
import { topK } from './top-k.js'
import { variance } from './variance.js'

interface Sale {
  readonly n: number
  readonly who: string
}

const n = (sale: Sale) => sale.n
const who = (sale: Sale) => sale.who
const mixed = (sale: Sale) => (sale.n % 2 === 0 ? sale.n : sale.who)

const sales = fc.array(
  fc.record(
    {
      n: fc.oneof(fc.integer({ min: -50, max: 50 }), fc.double({ min: -1e6, max: 1e6, noNaN: true })),
      who: fc.oneof(fc.constantFrom('ann', 'bo', '__proto__', '1'), fc.string({ maxLength: 3 })),
    },
    { noNullPrototype: true },
  ),
  { minLength: 1, maxLength: 300 },
)

const foldOf = (aggregate: Aggregate<Sale, unknown>) => foldsOf<Sale>('a test', { it: aggregate })[0]!.fold

/** Freezes all accumulators, so that one that is changed in place throws. */
function folded(fold: Fold<Sale, unknown, unknown>, values: readonly Sale[], from = fold.zero()): unknown {
  return values.reduce((acc, value) => deepFrozen(fold.add(acc, value)), deepFrozen(from))
}

function deepFrozen<V>(value: V): V {
  if (typeof value !== 'object' || value === null || value instanceof Uint8Array || Object.isFrozen(value)) return value
  for (const inner of Object.values(value)) deepFrozen(inner)
  return Object.freeze(value)
}

/** Plain data only: a copy by structure is the same, and there is nothing of a class in it. */
function mustBePlain(value: unknown): void {
  if (typeof value !== 'object' || value === null || value instanceof Uint8Array) {
    expect(['string', 'number', 'boolean', 'undefined', 'object']).toContain(typeof value)
    return
  }
  expect([Object.prototype, Array.prototype]).toContain(Object.getPrototypeOf(value))
  Object.values(value).forEach(mustBePlain)
}

const order = (a: string | number, b: string | number) =>
  typeof a === typeof b ? (a < b ? -1 : a > b ? 1 : 0) : typeof a === 'number' ? -1 : 1
const exactSum = (all: readonly number[]) => all.reduce((a, b) => a + b, 0)
const scale = (all: readonly number[]) => all.reduce((a, b) => a + Math.abs(b), 0)
const spread = (all: readonly number[]) => {
  const middle = exactSum(all) / all.length
  return exactSum(all.map(x => (x - middle) ** 2)) / all.length
}
const least = (all: readonly Sale[], by: (sale: Sale) => string | number, sign: 1 | -1) =>
  all.reduce((best, sale) => (sign * order(by(sale), by(best)) < 0 ? sale : best))
const frequencies = (all: readonly (string | number)[]) => {
  const times = new Map<string | number, number>()
  for (const one of all) times.set(one, (times.get(one) ?? 0) + 1)
  return [...times]
    .map(([value, count]) => ({ value, count }))
    .sort((a, b) => b.count - a.count || order(a.value, b.value))
}
const inOrder = (all: readonly Sale[]) => all.map(n).sort((a, b) => a - b)

type Naive = (all: readonly Sale[]) => unknown
/** How far apart results may be that are not exact, given the values. */
type Near = (all: readonly Sale[]) => number

const rounding: Near = all => 1e-12 * scale(all.map(n))
const onePercent = (share: number): Near => {
  return all => Math.abs(inOrder(all)[Math.floor(share * (all.length - 1))]!) * (0.01 + 1e-9) + 1e-300
}

const aggregates: [name: string, aggregate: Aggregate<Sale, unknown>, naive: Naive, near?: Near][] = [
  ['count', count(), all => all.length],
  ['count where', count(sale => sale.n > 0), all => all.filter(sale => sale.n > 0).length],
  ['sum', sum(n), all => exactSum(all.map(n)), rounding],
  ['mean', mean(n), all => exactSum(all.map(n)) / all.length, rounding],
  ['min', min(n), all => Math.min(...all.map(n)) + 0],
  ['max', max(n), all => Math.max(...all.map(n)) + 0],
  ['minBy', minBy(mixed), all => least(all, mixed, 1)],
  ['maxBy', maxBy(mixed), all => least(all, mixed, -1)],
  ['first', first(), all => all[0]],
  ['first of', first(who), all => all[0]!.who],
  ['last', last(), all => all.at(-1)],
  ['last of', last(who), all => all.at(-1)!.who],
  ['collect', collect(), all => all],
  ['collect of', collect(sale => [sale.who]), all => all.map(sale => [sale.who])],
  ['collectSet', collectSet(mixed), all => [...new Set(all.map(mixed))].sort(order)],
  [
    'histogram',
    histogram(n, { buckets: [-10, 0, 10.5] }),
    all =>
      [-10, 0, 10.5, Infinity].map((le, i, bounds) => ({
        le: le === Infinity ? null : le,
        count: all.filter(sale => sale.n <= le && sale.n > (bounds[i - 1] ?? -Infinity)).length,
      })),
  ],
  ['variance', variance(n), all => spread(all.map(n)), all => 1e-9 * spread(all.map(n)) + 1e-9],
  ['stddev', stddev(n), all => Math.sqrt(spread(all.map(n))), all => 1e-9 * Math.sqrt(spread(all.map(n))) + 1e-5],
  ['distinctCount', distinctCount(mixed), all => new Set(all.map(mixed)).size, all => (all.length > 256 ? 20 : 0)],
  ['topK', topK(3, mixed), all => frequencies(all.map(mixed)).slice(0, 3)],
  ['quantile', quantile(0.9, n), all => inOrder(all)[Math.floor(0.9 * (all.length - 1))], onePercent(0.9)],
  ['quantile 0', quantile(0, n), all => inOrder(all)[0], onePercent(0)],
  ['quantile 1', quantile(1, n), all => inOrder(all).at(-1), onePercent(1)],
  ['median', median(n), all => inOrder(all)[Math.floor(0.5 * (all.length - 1))], onePercent(0.5)],
  ['mode', mode(mixed), all => frequencies(all.map(mixed))[0]!.value],
  ['reduce', reduce<Sale, string>((acc, sale) => acc + sale.who, ''), all => all.map(who).join('')],
  [
    'custom',
    custom<Sale, { readonly names: readonly string[] }, string>({
      zero: () => ({ names: [] }),
      add: (acc, sale) => ({ names: [...acc.names, sale.who] }),
      merge: (a, b) => ({ names: [...a.names, ...b.names] }),
      result: acc => acc.names.join(),
    }),
    all => all.map(who).join(),
  ],
]

describe.each(aggregates)('%s', (_, aggregate, naive, near) => {
  const fold = foldOf(aggregate)
  const same = (got: unknown, wanted: unknown, all: readonly Sale[]) => {
    if (near === undefined) expect(got).toEqual(wanted)
    else expect(Math.abs((got as number) - (wanted as number))).toBeLessThanOrEqual(near(all))
  }

  test('gives what a naive computation gives', () => {
    fc.assert(fc.property(sales, all => same(fold.result(folded(fold, all)), naive(all), all)))
  })

  test('gives for two parts, merged, what it gives for all at once', () => {
    if (fold.merge === undefined) return void expect(aggregate.name).toBe('reduce')
    fc.assert(
      fc.property(sales, fc.nat(), fc.nat(), (all, one, other) => {
        const cuts = [one % (all.length + 1), other % (all.length + 1)].sort((a, b) => a - b)
        const parts = [all.slice(0, cuts[0]), all.slice(cuts[0], cuts[1]), all.slice(cuts[1])]
        const accs = parts.map(part => folded(fold, part))
        const merged = accs.reduce((a, b) => deepFrozen(fold.merge!(a, b)))
        same(fold.result(merged), naive(all), all)
        // What was merged goes on as if it had not been.
        same(fold.result(folded(fold, all, merged)), naive([...all, ...all]), [...all, ...all])
      }),
    )
  })

  test('keeps plain data, and gives results that share nothing with it', () => {
    fc.assert(
      fc.property(sales, all => {
        const acc = folded(fold, all)
        mustBePlain(acc)
        const before = structuredClone(acc)
        const result = fold.result(acc)
        if (Array.isArray(result)) result.splice(0, 1, 'changed')
        expect(acc).toEqual(before)
      }),
      { numRuns: 20 },
    )
  })

  test('has a result of nothing that merges with anything', () => {
    if (fold.merge === undefined) return void expect(aggregate.name).toBe('reduce')
    const all = [
      { n: 1, who: 'ann' },
      { n: 4, who: 'bo' },
    ]
    const acc = folded(fold, all)
    same(fold.result(fold.merge(fold.zero(), acc)), naive(all), all)
    same(fold.result(fold.merge(acc, fold.zero())), naive(all), all)
  })
})

test.each([
  ['min', min(n)],
  ['max', max(n)],
  ['mean', mean(n)],
  ['variance', variance(n)],
  ['stddev', stddev(n)],
  ['minBy', minBy(n)],
  ['maxBy', maxBy(n)],
  ['first', first<Sale>()],
  ['last', last<Sale>()],
  ['median', median(n)],
  ['mode', mode(n)],
])('%s of nothing is undefined', (_, aggregate) => {
  const fold = foldOf(aggregate)
  expect(fold.result(fold.zero())).toBeUndefined()
})

test('sum and mean lose nothing to rounding on the way', () => {
  const all = [1, 1e100, 1, -1e100].map(n => ({ n, who: '' }))
  expect(foldOf(sum(n)).result(folded(foldOf(sum(n)), all))).toBe(2)
  expect(foldOf(mean(n)).result(folded(foldOf(mean(n)), all))).toBe(0.5)
  const tenths = Array.from({ length: 10 }, () => ({ n: 0.1, who: '' }))
  expect(foldOf(sum(n)).result(folded(foldOf(sum(n)), tenths))).toBe(1)
  // Whole numbers need no second number.
  expect(
    folded(foldOf(sum(n)), [
      { n: 2 ** 52, who: '' },
      { n: 1, who: '' },
    ]),
  ).toBe(2 ** 52 + 1)
})

test('variance is right where the mean is large', () => {
  const all = [1e9 + 4, 1e9 + 7, 1e9 + 13, 1e9 + 16].map(n => ({ n, who: '' }))
  expect(foldOf(variance(n)).result(folded(foldOf(variance(n)), all))).toBe(22.5)
})

test('values that are kept are frozen, with copies of bytes', () => {
  const bytes = new Uint8Array([1, 2])
  const value = { deep: { list: [{ bytes }] } }
  for (const make of [first, last, collect]) {
    const { fold } = foldsOf<unknown>('a test', { it: make<unknown>() })[0]!
    const acc = fold.add(fold.zero(), value)
    bytes[0] = 9
    const result = fold.result(acc)
    const got = (make === collect ? (result as unknown[])[0] : result) as typeof value
    expect(got).toEqual({ deep: { list: [{ bytes: new Uint8Array([1, 2]) }] } })
    expect(Object.isFrozen(got.deep.list[0])).toBe(true)
    bytes[0] = 1
  }
  const { fold } = foldsOf<unknown>('a test', { it: last<unknown>() })[0]!
  expect(() => fold.add(fold.zero(), { at: new Date(0) })).toThrow('last "it": state.at is a Date; keep plain objects')
})

test.each([
  ['sum', sum<unknown>(of => of as number)],
  ['mean', mean<unknown>(of => of as number)],
  ['min', min<unknown>(of => of as number)],
  ['max', max<unknown>(of => of as number)],
  ['histogram', histogram<unknown>(of => of as number, { buckets: [1] })],
  ['variance', variance<unknown>(of => of as number)],
  ['stddev', stddev<unknown>(of => of as number)],
  ['quantile', quantile<unknown>(0.5, of => of as number)],
  ['median', median<unknown>(of => of as number)],
])('%s says by name what is not a number', (name, aggregate) => {
  const { fold } = foldsOf<unknown>('a test', { total: aggregate })[0]!
  const say = (given: unknown) => () => fold.add(fold.zero(), given)
  expect(say(undefined)).toThrow(`${name} "total": the function gave undefined, not a number; give a finite number`)
  expect(say('12')).toThrow(`${name} "total": the function gave "12" (string), not a number`)
  expect(say(null)).toThrow(`${name} "total": the function gave null, not a number`)
  expect(say(12n)).toThrow(`${name} "total": the function gave 12 (bigint), not a number`)
  expect(say(NaN)).toThrow(`${name} "total": the function gave NaN, not a finite number`)
  expect(say(-Infinity)).toThrow(`${name} "total": the function gave -Infinity, not a finite number`)
  expect(say(undefined)).toThrow(expect.objectContaining({ name: 'RecordError', code: 'STEP_FAILED' }))
})

test.each([
  ['minBy', minBy<unknown>(of => of as number)],
  ['maxBy', maxBy<unknown>(of => of as number)],
  ['collectSet', collectSet<unknown, number>(of => of as number)],
  ['distinctCount', distinctCount<unknown>(of => of as number)],
  ['topK', topK<unknown, number>(3, of => of as number)],
  ['mode', mode<unknown, number>(of => of as number)],
])('%s says by name what is neither a text nor a number', (name, aggregate) => {
  const { fold } = foldsOf<unknown>('a test', { it: aggregate })[0]!
  const say = (given: unknown) => () => fold.add(fold.zero(), given)
  expect(say(undefined)).toThrow(`${name} "it": the function gave undefined, not a text or a number`)
  expect(say({})).toThrow(`${name} "it": the function gave an object, not a text or a number`)
  expect(say(NaN)).toThrow(`${name} "it": the function gave NaN, not a text or a finite number`)
})

describe('definitions are checked at once', () => {
  const no = undefined as never
  const wrong: [error: string, define: () => unknown][] = [
    ['the function of count must be a function, but is "who" (string)', () => count('who' as never)],
    ...[sum, mean, min, max, minBy, maxBy, stddev, variance, median, mode, collectSet, distinctCount].map(
      (make): [string, () => unknown] => [
        `the function of ${make.name} must be a function`,
        () => (make as (of: never) => unknown)(no),
      ],
    ),
    ['the function of first must be a function', () => first(1 as never)],
    ['the function of last must be a function', () => last(1 as never)],
    ['the function of collect must be a function', () => collect(1 as never)],
    ['the function of reduce must be a function', () => reduce(no, 0)],
    ['the share of quantile must be a number from 0 to 1, but is 99 (number)', () => quantile(99, n)],
    ['the share of quantile must be a number from 0 to 1', () => quantile(NaN, n)],
    ['k of topK must be a whole number', () => topK(1.5, who)],
    ['k of topK must be at least 1', () => topK(0, who)],
    ['unknown option "bucket" of histogram; did you mean "buckets"?', () => histogram(n, { bucket: [1] } as never)],
    ['buckets of histogram must be 1 to 1000 rising finite numbers', () => histogram(n, { buckets: [] })],
    ['buckets of histogram must be 1 to 1000 rising finite numbers', () => histogram(n, { buckets: [2, 2] })],
    ['buckets of histogram must be 1 to 1000 rising finite numbers', () => histogram(n, { buckets: [1, Infinity] })],
    ['unknown option "zeros" of custom; did you mean "zero"?', () => custom({ zeros: () => 0 } as never)],
    [
      'merge of custom must be a function',
      () => custom({ zero: () => 0, add: (a: number) => a, result: (a: number) => a } as never),
    ],
    ['the aggregates of a pipeline must be an object', () => foldsOf('a pipeline', [count()] as never)],
    ['the aggregates of a pipeline must be at least one', () => foldsOf('a pipeline', {})],
    [
      '"n" of a pipeline must be an aggregate, but is a function; call it: count(',
      () => foldsOf('a pipeline', { n: count as never }),
    ],
    ['"n" of a pipeline must be an aggregate, but is 1 (number)', () => foldsOf('a pipeline', { n: 1 as never })],
    ...['key', 'window', 'final', '__proto__'].map((name): [string, () => unknown] => [
      `an aggregate of a pipeline is named "${name}"`,
      () => foldsOf('a pipeline', Object.fromEntries([[name, count()]])),
    ]),
  ]
  test.each(wrong)('%s', (error, define) => {
    expect(define).toThrow(error)
    expect(define).toThrow(expect.objectContaining({ name: 'DefinitionError' }))
  })
})
