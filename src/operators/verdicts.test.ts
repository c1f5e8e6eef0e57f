import * as rxjs from 'rxjs'
import { from, interval, of, type Observable, type OperatorFunction } from 'rxjs'
import * as all from 'rxjs/operators'
import { describe, expect, test } from 'vitest'
import { probe } from './probe.js'
import { objectionTo, verdicts } from './verdicts.js'

type Make = (...given: never[]) => OperatorFunction<unknown, unknown>

/** Fails when it is subscribed to: nothing of the user's may run. */
const untouched = new rxjs.Observable<never>(() => {
  throw new Error('was subscribed to')
})
const never = (): never => {
  throw new Error('was called')
}

/** What an operator is made with where a function does not do. */
const given: Readonly<Record<string, readonly unknown[]>> = {
  ...{ auditTime: [10], bufferCount: [2], bufferTime: [10, 5], debounceTime: [10], delay: [10], windowTime: [10, 5] },
  ...{ elementAt: [3], sampleTime: [10], skip: [2], skipLast: [2], take: [2], takeLast: [2], throttleTime: [10] },
  ...{ buffer: [untouched], combineLatest: [untouched], combineLatestWith: [untouched], concat: [untouched] },
  ...{ concatWith: [untouched], merge: [untouched], mergeWith: [untouched], onErrorResumeNext: [untouched] },
  ...{ bufferToggle: [untouched, never], windowToggle: [untouched, never], race: [untouched], raceWith: [untouched] },
  ...{ sample: [untouched], sequenceEqual: [untouched], skipUntil: [untouched], takeUntil: [untouched] },
  ...{ startWith: ['a'], endWith: ['a'], subscribeOn: [rxjs.asyncScheduler], observeOn: [rxjs.asyncScheduler] },
  ...{ timeout: [10], timeoutWith: [10, untouched], window: [untouched], windowCount: [2] },
  ...{ withLatestFrom: [untouched], zip: [untouched], zipWith: [untouched], pluck: ['user'], mapTo: ['a'] },
  ...{ concatMapTo: [untouched], mergeMapTo: [untouched], switchMapTo: [untouched], repeat: [3], retry: [3] },
  ...{ repeatWhen: [never], share: [], shareReplay: [1], count: [], combineAll: [], combineLatestAll: [], zipAll: [] },
  ...{ concatAll: [], mergeAll: [], switchAll: [], exhaust: [], exhaustAll: [], dematerialize: [], refCount: [] },
  ...{ defaultIfEmpty: [], ignoreElements: [], isEmpty: [], materialize: [], pairwise: [], toArray: [], publish: [] },
  ...{ publishBehavior: ['a'], publishLast: [], publishReplay: [1], throwIfEmpty: [], timeInterval: [], timestamp: [] },
  ...{ distinctUntilChanged: [], distinct: [], multicast: [() => new rxjs.Subject()], connect: [(s: unknown) => s] },
  ...{ distinctUntilKeyChanged: ['user'], bufferWhen: [() => untouched], scan: [never, 0], reduce: [never, 0] },
  ...{ mergeScan: [never, 0], switchScan: [never, 0], first: [], last: [], single: [], max: [], min: [] },
}

/** Those whose chain looks like that of another: they are found when a turn is on, or harm none but themselves. */
const unseen: Readonly<Record<string, string>> = {
  delay: 'mergeMap: a turn finds that it waits',
  delayWhen: 'mergeMap: a turn finds that it waits',
  endWith: 'nothing: its end never comes',
  multicast: 'nothing: found when it is set up, for nobody connects',
  onErrorResumeNext: 'nothing: a turn finds that it begins the flow again',
  publish: 'nothing: found when it is set up',
  publishBehavior: 'nothing: found when it is set up',
  publishLast: 'nothing: found when it is set up',
  publishReplay: 'nothing: found when it is set up',
  skip: 'filter: it drops a few records after each start',
}

const names = Object.keys(all) as (keyof typeof all)[]
const made = (name: keyof typeof all) => (all[name] as unknown as Make)(...((given[name] ?? [never]) as never[]))
const objections = (step: OperatorFunction<unknown, unknown>) =>
  probe(step).names.flatMap(name => objectionTo(name) ?? [])

test('every operator that rxjs exports has a verdict, and there is none for others', () => {
  expect(Object.keys(verdicts).sort()).toEqual([...names].sort())
  for (const [name, { verdict, why, mend }] of Object.entries(verdicts)) {
    expect(verdict === 'as is' || (Boolean(why) && Boolean(mend)), name).toBe(true)
  }
})

describe('each operator is known by its name before it runs, without a call or a subscription', () => {
  test.each(names.filter(name => verdicts[name]?.verdict === 'as is'))('%s is taken', name => {
    const { names, unreadable } = probe(made(name))
    expect(unreadable).toBe(false)
    expect(names).toHaveLength(1)
    expect(objections(made(name))).toEqual([])
  })

  test.each(names.filter(name => verdicts[name]?.verdict !== 'as is' && !(name in unseen)))('%s is refused', name => {
    const probed = probe(made(name))
    expect(probed.unreadable).toBe(false)
    const [objection] = objections(made(name))
    const told = { exhaust: 'exhaustAll', combineAll: 'combineLatestAll' }[name as string] ?? name
    expect(objection?.what).toMatch(new RegExp(`\\b${told}\\b`))
  })

  test.each(Object.keys(unseen) as (keyof typeof all)[])('%s cannot be told by its name', name => {
    expect(objections(made(name))).toEqual([])
  })
})

test('leaves no timer behind', () => {
  const timers = () => process.getActiveResourcesInfo().filter(what => what === 'Timeout').length
  const before = timers()
  for (const name of names) probe(made(name))
  probe(rxjs.windowTime(10, 5, 3))
  expect(timers()).toBe(before)
})

test('reads the steps of an operator that users put together, in whatever way', () => {
  const piped = rxjs.pipe(
    rxjs.map((v: unknown) => v),
    rxjs.scan(never, 0),
  )
  expect(probe(piped).names).toEqual(['map', 'scan'])
  const inFunction = (source: Observable<unknown>) => source.pipe(rxjs.filter(Boolean), rxjs.take(3))
  expect(probe(inFunction).names).toEqual(['filter', 'take'])
  const foreign = (source: Observable<unknown>) => from(source).pipe(rxjs.map(v => v))
  expect(probe(foreign)).toEqual({ names: [], unreadable: false })
  const byHand = (source: Observable<unknown>) =>
    new rxjs.Observable(subscriber => source.subscribe(value => subscriber.next(value)))
  expect(probe(byHand)).toEqual({ names: [], unreadable: false })
})

test('says what a function gave that is no operator', () => {
  expect(probe(() => undefined as never)).toMatchObject({ wrong: undefined })
  expect(probe(((value: { user: { name: string } }) => value.user.name) as never).wrong).toBeInstanceOf(TypeError)
  expect(typeof probe(rxjs.ignoreElements as never).wrong).toBe('function')
})

test('says that it cannot read operators that are not in the files of rxjs', () => {
  const bundled = (source: { lift(subscribe: (this: unknown, source: { subscribe: unknown }) => void): never }) =>
    source.lift(function (source) {
      void source.subscribe
    })
  expect(probe(bundled as never)).toEqual({ names: [], unreadable: true })
})

test('a wrong argument does not hide the operator', () => {
  expect(probe(rxjs.takeUntil(5 as never)).names).toEqual(['takeUntil'])
  expect(probe(rxjs.withLatestFrom(5 as never)).names).toEqual(['withLatestFrom'])
})

test('promises and intervals given to an operator are not waited for', () => {
  const step = rxjs.merge(of(1), interval(1))
  expect(step).toBeDefined()
  expect(
    probe(
      rxjs.mergeWith(
        Promise.reject(new Error('unheard')).catch(() => 1),
        interval(1),
      ),
    ).names,
  ).toEqual(['merge'])
})
