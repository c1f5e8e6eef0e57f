/**
 * What TypeScript makes of programs that users write with aggregates and the steps that have memory. `tsc` does the
 * checking: a wrong program that compiles fails at its `@ts-expect-error`.
 */
import { of, type OperatorFunction } from 'rxjs'
import { expectTypeOf, test } from 'vitest'
import {
  aggregate,
  collect,
  collectSet,
  count,
  custom,
  distinct,
  distinctCount,
  first,
  histogram,
  last,
  max,
  maxBy,
  mean,
  median,
  min,
  minBy,
  mode,
  quantile,
  reduce,
  scan,
  stddev,
  sum,
  topK,
  variance,
  type Aggregate,
  type HistogramBucket,
  type TopKEntry,
} from 'stream-node'

interface Click {
  user: string
  page: 'home' | 'shop'
  ms: number
  at: Date
}
declare const click: Click

/** A program that is compiled and never run. */
const program: (run: () => unknown) => void = () => {}
/** A flow as pipelines have it: what goes in is known, what comes out is inferred. */
declare function piped<A>(step: OperatorFunction<Click, A>): A
declare function piped<A, B>(one: OperatorFunction<Click, A>, two: OperatorFunction<A, B>): B

test('aggregates know the values of their flow and give their results by name', () => {
  program(() => {
    const result = piped(aggregate({ clicks: count(), meanMs: mean(c => c.ms) }))
    expectTypeOf(result).toEqualTypeOf<{ key: string; clicks: number; meanMs: number }>()
    const all = piped(
      aggregate(
        {
          count: count(c => c.ms > 10),
          sum: sum(c => c.ms),
          min: min(c => c.ms),
          max: max(c => c.ms),
          minBy: minBy(c => c.user),
          maxBy: maxBy(c => c.ms),
          first: first(),
          firstUser: first(c => c.user),
          last: last(),
          lastPage: last(c => c.page),
          collect: collect(),
          users: collect(c => c.user),
          pages: collectSet(c => c.page),
          histogram: histogram(c => c.ms, { buckets: [1, 10] }),
          stddev: stddev(c => c.ms),
          variance: variance(c => c.ms),
          different: distinctCount(c => c.user),
          top: topK(3, c => c.page),
          p99: quantile(0.99, c => c.ms),
          median: median(c => c.ms),
          mode: mode(c => c.page),
          longest: reduce((acc, c) => Math.max(acc, c.user.length), 0),
        },
        { emit: 'turn' },
      ),
    )
    expectTypeOf(all).toEqualTypeOf<{
      key: string
      count: number
      sum: number
      min: number
      max: number
      minBy: Click
      maxBy: Click
      first: Click
      firstUser: string
      last: Click
      lastPage: 'home' | 'shop'
      collect: Click[]
      users: string[]
      pages: ('home' | 'shop')[]
      histogram: HistogramBucket[]
      stddev: number
      variance: number
      different: number
      top: TopKEntry<'home' | 'shop'>[]
      p99: number
      median: number
      mode: 'home' | 'shop'
      longest: number
    }>()
  })
})

test('an aggregate may be made before, for the values it says, and used for those and more', () => {
  const perMs = mean((value: { ms: number }) => value.ms)
  expectTypeOf(perMs).toEqualTypeOf<Aggregate<{ ms: number }, number>>()
  program(() => {
    expectTypeOf(piped(aggregate({ perMs }))).toEqualTypeOf<{ key: string; perMs: number }>()
    expectTypeOf(of(click).pipe(aggregate({ n: count() }))).toExtend<{ subscribe: unknown }>()
  })
  const perSize = mean((value: { size: number }) => value.size)
  // @ts-expect-error clicks have no size
  program(() => piped(aggregate({ perSize })))
})

test('an aggregate that does not fit the values or the result does not compile', () => {
  // @ts-expect-error no such field
  program(() => piped(aggregate({ sum: sum(c => Number(c.size)) })))
  // @ts-expect-error a text is not summed
  program(() => piped(aggregate({ sum: sum(c => c.user) })))
  // @ts-expect-error a date is neither text nor number
  program(() => piped(aggregate({ dates: collectSet(c => c.at) })))
  // @ts-expect-error the key of the result is the key
  program(() => piped(aggregate({ key: count() })))
  // @ts-expect-error the window of a result is its window
  program(() => piped(aggregate({ window: count() })))
  // @ts-expect-error final says whether more follows
  program(() => piped(aggregate({ final: count() })))
  // @ts-expect-error count is to be called
  program(() => piped(aggregate({ n: count })))
  // @ts-expect-error a number is no aggregate
  program(() => piped(aggregate({ n: 1 })))
  // @ts-expect-error no such moment
  program(() => piped(aggregate({ n: count() }, { emit: 'batch' })))
  // @ts-expect-error where are the bounds?
  program(() => piped(aggregate({ h: histogram(c => c.ms) })))
  const total = scan((acc: number, value: Click) => acc + value.ms, 0)
  // @ts-expect-error the step after gets results, not clicks
  program(() => piped(aggregate({ n: count() }), total))
})

test("an aggregate of one's own has a state that can be stored", () => {
  program(() => {
    const spread = custom({
      zero: () => ({ low: Infinity, high: -Infinity }),
      add: (acc, c: Click) => ({ low: Math.min(acc.low, c.ms), high: Math.max(acc.high, c.ms) }),
      merge: (a, b) => ({ low: Math.min(a.low, b.low), high: Math.max(a.high, b.high) }),
      result: acc => acc.high - acc.low,
    })
    expectTypeOf(spread).toEqualTypeOf<Aggregate<Click, number>>()
    expectTypeOf(piped(aggregate({ spread }))).toEqualTypeOf<{ key: string; spread: number }>()
  })
  program(() =>
    custom<Click, Set<string>, number>({
      // @ts-expect-error a Set cannot be stored
      zero: () => new Set<string>(),
      add: (acc, c) => acc.add(c.user),
      merge: (a, b) => new Set([...a, ...b]),
      result: acc => acc.size,
    }),
  )
  // @ts-expect-error it cannot merge
  program(() => custom({ zero: () => 0, add: (acc: number, c: Click) => acc + c.ms, result: (acc: number) => acc }))
})

test('scan gives its state, distinct what it takes', () => {
  program(() => {
    expectTypeOf(piped(scan((acc, c) => acc + c.ms, 0))).toEqualTypeOf<number>()
    expectTypeOf(piped(scan((acc, c) => ({ n: acc.n + c.ms }), { n: 0 }, { within: '1 minute' }))).toEqualTypeOf<{
      n: number
    }>()
    expectTypeOf(piped(distinct(c => c.user, { within: '1 minute' }))).toEqualTypeOf<Click>()
    expectTypeOf(
      piped(
        distinct(c => c.ms, { within: 'forever' }),
        aggregate({ n: count() }),
      ),
    ).toEqualTypeOf<{ key: string; n: number }>()
  })
  // @ts-expect-error for how long?
  program(() => piped(distinct(c => c.user)))
  // @ts-expect-error a whole click is no text
  program(() => piped(distinct(c => c, { within: 1000 })))
  // @ts-expect-error no such field
  program(() => piped(distinct(c => Number(c.name), { within: 1000 })))
  // @ts-expect-error no such field
  program(() => piped(scan((acc, c) => acc + Number(c.size), 0)))
  // @ts-expect-error no such option
  program(() => piped(scan((acc, c) => acc + c.ms, 0, { for: '1 minute' })))
  // @ts-expect-error an array of texts is not the state
  program(() => piped(scan((acc: number[], c) => [...acc, c.user], [])))
})
