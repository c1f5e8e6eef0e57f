import * as rxjs from 'rxjs'
import { BehaviorSubject, filter, finalize, map, mergeMap, Observable, tap, type OperatorFunction } from 'rxjs'
import * as operators from 'rxjs/operators'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { Segment, Trace } from './segment.js'

type Step = OperatorFunction<unknown, unknown>

/** Deprecated ones, which people use all the same. */
const old = operators as unknown as Readonly<Record<string, (...given: unknown[]) => Step>>

const unheard: unknown[] = []
const hear = (error: unknown) => void unheard.push(error)
beforeEach(() => {
  unheard.length = 0
  rxjs.config.onUnhandledError = hear
  process.on('uncaughtException', hear)
})
afterEach(async () => {
  await new Promise(resolve => setTimeout(resolve, 5))
  process.off('uncaughtException', hear)
  rxjs.config.onUnhandledError = null
  expect(unheard).toEqual([])
})

function made(steps: unknown[], next: (value: unknown) => void = () => {}) {
  const trace = new Trace()
  const came: unknown[] = []
  const called = steps.map((_, index) => `step ${index + 1}`)
  const take = (value: unknown) => {
    next(value)
    came.push(value)
  }
  const segment = new Segment({ operators: steps as Step[], called, of: 'pipeline "p"' }, take, trace)
  return { trace, came, segment }
}

const n = (value: unknown) => value as number

describe('a segment', () => {
  test('gives what its steps give, in the push that it comes from', () => {
    const { segment, came } = made([
      filter(v => n(v) !== 2),
      map(v => n(v) * 10),
      mergeMap(v => [v, n(v) + 1]),
      rxjs.share(),
    ])
    for (const value of [1, 2, 3]) segment.push(value)
    expect(came).toEqual([10, 11, 30, 31])
    expect(segment.waits).toBe(false)
  })

  test.each<[string, unknown]>([
    ['concatMap', rxjs.concatMap(v => [v])],
    ['switchMap', rxjs.switchMap(v => rxjs.of(v))],
    ['exhaustMap', rxjs.exhaustMap(v => rxjs.of(v))],
    [
      'expand',
      rxjs.pipe(
        rxjs.expand(v => (n(v) > 100 ? [] : [n(v) + 100])),
        filter(v => n(v) < 100),
      ),
    ],
    [
      'connect',
      rxjs.connect(shared =>
        rxjs.merge(shared.pipe(filter(v => n(v) % 2 === 0)), shared.pipe(filter(v => n(v) % 2 === 1))),
      ),
    ],
    ['share', rxjs.share()],
    [
      'a diamond by hand',
      (source: Observable<unknown>) =>
        rxjs.merge(source.pipe(filter(v => n(v) % 2 === 0)), source.pipe(filter(v => n(v) % 2 === 1))),
    ],
    [
      'an operator by hand',
      (source: Observable<unknown>) => new Observable(subscriber => source.subscribe(subscriber)),
    ],
  ])('%s needs nothing between two pushes', (_, step) => {
    const { segment, came } = made([step])
    for (let i = 0; i < 10; i++) segment.push(i)
    expect(came).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9])
    expect(segment.waits).toBe(false)
  })

  test('throws what a step throws, says which step it was, and goes on with the next value', () => {
    const { segment, came, trace } = made([
      filter(() => true),
      map(v => {
        if (v === 2) throw new Error('no twos')
        return v
      }),
      tap(() => {}),
    ])
    segment.push(1)
    expect(() => segment.push(2)).toThrow('no twos')
    expect(trace.where).toBe('step 2 of pipeline "p"')
    segment.push(3)
    expect(came).toEqual([1, 3])
  })

  test('names all its steps where it cannot say which one threw', () => {
    const byHand = (source: Observable<unknown>) =>
      source.pipe(map(v => v)).pipe(
        map(() => {
          throw new Error('by hand')
        }),
      )
    const { segment, trace } = made([tap(() => {}), byHand])
    expect(() => segment.push(1)).toThrow('by hand')
    expect(trace.where).toBe('step 1, step 2 of pipeline "p"')
  })

  test('keeps what is thrown behind it from its steps, and drops what else came of that value', () => {
    const seen: unknown[] = []
    const errors: unknown[] = []
    const { segment, came, trace } = made(
      [tap({ error: error => errors.push(error) }), mergeMap(v => [v, n(v) + 1, n(v) + 2])],
      value => {
        seen.push(value)
        if (value === 11) throw new Error('behind')
      },
    )
    expect(() => segment.push(10)).toThrow('behind')
    expect(trace.where).toBeUndefined()
    segment.push(20)
    expect(seen).toEqual([10, 11, 20, 21, 22])
    expect(came).toEqual([10, 20, 21, 22])
    expect(errors).toEqual([])
  })

  test('survives callbacks that throw when it is torn down', () => {
    const { segment, came } = made([
      finalize(() => {
        throw new Error('at the end')
      }),
      map(v => {
        if (v === 1) throw new Error('at one')
        return v
      }),
    ])
    expect(() => segment.push(1)).toThrow('at one')
    segment.push(2)
    expect(came).toEqual([2])
    expect(() => segment.stop()).not.toThrow()
  })

  test('hears nothing of a step that throws after it was let go', () => {
    let later: rxjs.Subscriber<unknown> | undefined
    const keeps = (source: Observable<unknown>) =>
      new Observable(subscriber => {
        later = subscriber
        return source.subscribe(value => subscriber.next(value))
      })
    const { segment, trace } = made([
      keeps,
      map(v => {
        if (v === 'late') throw new Error('too late')
        return v
      }),
    ])
    segment.push('early')
    segment.stop()
    later?.next('late')
    later?.error(new Error('later still'))
    expect(trace.misuse).toBeUndefined()
  })
})

describe('finds out what no turn can run', () => {
  test.each<[string, unknown, string]>([
    ['take', rxjs.take(2), 'the flow ended there'],
    ['first', rxjs.first(), 'the flow ended there'],
    ['takeWhile', rxjs.takeWhile(v => n(v) < 1), 'the flow ended there'],
    ['elementAt', rxjs.elementAt(1), 'the flow ended there'],
    ['find', rxjs.find(v => v === 1), 'the flow ended there'],
    [
      'catchError',
      rxjs.pipe(
        map(failing),
        rxjs.catchError((_, again) => again),
      ),
      'the flow ended there',
    ],
    ['retry', rxjs.pipe(map(failing), rxjs.retry()), 'the flow ended there'],
    [
      'onErrorResumeNext',
      rxjs.pipe(map(failing), source => (old['onErrorResumeNext'] as (next: unknown) => Step)(rxjs.of(1))(source)),
      'the flow ended there',
    ],
    ['repeat', rxjs.pipe(rxjs.take(1), rxjs.repeat()), 'the flow ended there'],
  ])('%s, in the push at which it shows', (_, step, what) => {
    const { segment, trace } = made([step])
    const push = () => {
      for (let i = 0; i < 5; i++) segment.push(i)
    }
    expect(push).toThrow(what)
    expect(trace.misuse?.code).toBe('BAD_PIPELINE')
    expect(trace.misuse?.message).toContain('step 1 of pipeline "p"')
  })

  function failing(value: unknown): unknown {
    if (value === 1) throw new Error('one')
    return value
  }

  test.each<[string, unknown]>([
    ['delay', rxjs.delay(1)],
    ['delayWhen', rxjs.delayWhen(() => rxjs.timer(1))],
    ['debounceTime', rxjs.debounceTime(1)],
    ['mergeMap of a promise', mergeMap(v => Promise.resolve(v))],
    ['concatMap of a promise', rxjs.concatMap(v => Promise.resolve(v))],
    ['switchMap of a promise', rxjs.switchMap(v => Promise.resolve(v))],
    ['mergeMap of what never ends', mergeMap(() => new BehaviorSubject(1))],
  ])('%s, by what is in flight after a push', async (_, step) => {
    const { segment, trace } = made([map(v => v), step, map(v => v)])
    segment.push(1)
    expect(segment.waits).toBe(true)
    expect(segment.refuseWaiting().message).toContain('something is waited for there beyond the turn')
    await new Promise(resolve => setTimeout(resolve, 3))
    expect(trace.misuse?.code).toBe('BAD_PIPELINE')
    segment.stop()
  })

  test.each<[string, unknown]>([
    [
      'by a timer of its own',
      (source: Observable<unknown>) =>
        new Observable(subscriber => source.subscribe(value => void setTimeout(() => subscriber.next(value)))),
    ],
    [
      'by a promise behind subjects',
      rxjs.pipe(
        rxjs.share(),
        mergeMap(v => Promise.resolve(v)),
        rxjs.share(),
      ),
    ],
  ])('a value that comes between two pushes %s, and is not given on', async (_, step) => {
    const { segment, trace, came } = made([step])
    segment.push(1)
    await new Promise(resolve => setTimeout(resolve, 3))
    expect(came).toEqual([])
    expect(trace.misuse?.message).toContain('at another time than in the turn of its record')
  })

  test.each<[string, unknown, string]>([
    ['publishBehavior', old['publishBehavior']?.(1), 'a value came from there before a record did'],
    ['publishLast', old['publishLast']?.(), 'nothing there takes what flows in'],
    ['publishReplay', old['publishReplay']?.(1), 'nothing there takes what flows in'],
    ['startWith', rxjs.startWith(1), 'a value came from there before a record did'],
    ['an empty flow', () => rxjs.EMPTY, 'the flow ends there before a record comes'],
    ['a failing flow', () => rxjs.throwError(() => new Error('from the start')), 'cannot be set up: from the start'],
  ])('%s, when it is set up', (_, step, what) => {
    expect(() => made([step])).toThrow(what)
  })
})
