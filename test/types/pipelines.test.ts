/**
 * What TypeScript makes of pipelines that users write. `tsc` does the checking: a wrong program that compiles fails at
 * its `@ts-expect-error`.
 */
import { concatMap, filter, ignoreElements, map, mergeMap, tap, type OperatorFunction } from 'rxjs'
import { expectTypeOf, test } from 'vitest'
import {
  pipeline,
  RetryableError,
  scan,
  stream,
  type Flow,
  type OutputOf,
  type Pipeline,
  type Stream,
} from 'stream-node'
import type { DeadLetter, OnError, Resolution } from 'stream-node'

interface Click {
  user: string
  page: string
  ms: number
  bot: boolean
}
interface View {
  user: string
  views: number
}

const clicks = stream<Click>('clicks', { key: 'user' })
const views = stream<View>('views', { key: 'user' })
const texts = stream<string>('texts')
const numbers = stream<number>('numbers')

/** A program that is compiled and never run. */
const program: (run: () => unknown) => void = () => {}

test('a flow has the type of what the last step gives, and as() the stream that takes it', () => {
  const flow = pipeline('p')
    .from(clicks)
    .pipe(
      filter(click => !click.bot),
      map(click => ({ user: click.user, seconds: click.ms / 1000 })),
    )
  expectTypeOf(flow).toEqualTypeOf<Flow<{ user: string; seconds: number }>>()
  expectTypeOf(flow.as('out', { key: v => v.user, time: 'seconds' })).toEqualTypeOf<
    Stream<{ user: string; seconds: number }>
  >()
  expectTypeOf(flow.to(flow.as('out'))).toEqualTypeOf<Pipeline<{ user: string; seconds: number }>>()
  expectTypeOf<OutputOf<typeof flow>>().toEqualTypeOf<{ user: string; seconds: number }>()
  expectTypeOf(pipeline('p').from(clicks)).toEqualTypeOf<Flow<Click>>()
  expectTypeOf(pipeline('p').from(clicks).pipe()).toEqualTypeOf<Flow<Click>>()
})

test('what becomes of bad records is said in words that exist, and their dead letters are a stream', () => {
  const rules = { onError: { retry: { attempts: 5, backoff: '1 second' }, then: 'skip', budget: false } } as const
  const flow = pipeline('p', rules).from(clicks)
  expectTypeOf(flow.to(flow.as('out')).deadLetters).toEqualTypeOf<Stream<DeadLetter | Resolution>>()
  expectTypeOf<OnError['then']>().toEqualTypeOf<'deadLetter' | 'skip' | 'pause' | 'stop' | undefined>()
  program(() => {
    // @ts-expect-error -- nothing is parked
    pipeline('p', { onError: { then: 'park' } })
    // @ts-expect-error -- a budget is so many in such a time
    pipeline('p', { onError: { budget: { records: 5 } } })
    throw new RetryableError('busy', { cause: new Error('it') })
  })
})

test('several sources flow as the union of what they give', () => {
  expectTypeOf(pipeline('p').from(clicks, views)).toEqualTypeOf<Flow<Click | View>>()
  expectTypeOf(pipeline('p').from(texts, numbers, clicks)).toEqualTypeOf<Flow<string | number | Click>>()
})

test('a step narrows, changes and keeps types through twelve steps, and pipes can follow pipes', () => {
  const add = map((n: number) => n + 1)
  const twelve = pipeline('p')
    .from(texts)
    .pipe(
      map(text => text.length),
      add,
      add,
      add,
      add,
      add,
      add,
      add,
      tap(n => n.toFixed()),
      filter(n => n > 3),
      mergeMap(n => [n, String(n)]),
      filter(either => typeof either === 'string'),
    )
  expectTypeOf(twelve).toEqualTypeOf<Flow<string>>()
  expectTypeOf(twelve.pipe(map(text => text.length)).pipe(map(n => [n]))).toEqualTypeOf<Flow<number[]>>()
  const ours = pipeline('p')
    .from(clicks)
    .pipe(
      scan((sum, click) => sum + click.ms, 0),
      concatMap(sum => [{ sum }]),
    )
  expectTypeOf(ours).toEqualTypeOf<Flow<{ sum: number }>>()
})

test('an operator of several, written once, fits where its types do', () => {
  const slow: OperatorFunction<Click, View> = source =>
    source.pipe(
      filter(click => click.ms > 100),
      map(({ user }) => ({ user, views: 1 })),
    )
  expectTypeOf(pipeline('p').from(clicks).pipe(slow).to(views)).toEqualTypeOf<Pipeline<View>>()
  // @ts-expect-error it takes clicks
  program(() => pipeline('p').from(texts).pipe(slow))
})

test('a target takes what fits it, and a function chooses among such', () => {
  const flow = pipeline('p').from(clicks)
  const users = stream<{ user: string }>('users')
  program(() => flow.to(users))
  program(() => flow.to(click => (click.bot ? users : undefined)))
  program(() => flow.to(click => (click.bot ? [users, stream<Click>('bots')] : clicks)))
  // @ts-expect-error a click has no views
  program(() => flow.to(views))
  // @ts-expect-error a click is no text
  program(() => flow.to(texts))
  // @ts-expect-error a click has no views
  program(() => flow.to(click => (click.bot ? views : undefined)))
  // @ts-expect-error a name is no stream
  program(() => flow.to('views'))
  // @ts-expect-error it has to go somewhere
  program(() => flow.to())
})

test('wrong steps do not compile', () => {
  const flow = pipeline('p').from(clicks)
  // @ts-expect-error no such field
  program(() => flow.pipe(tap(click => void click.usr)))
  const ms = map((click: Click) => click.ms)
  const someText = filter((text: string) => text !== '')
  // @ts-expect-error the step before gives numbers
  program(() => flow.pipe(ms, someText))
  // @ts-expect-error a function of values is no operator
  program(() => flow.pipe((click: Click) => click.ms))
  // @ts-expect-error the operator itself, not called
  program(() => flow.pipe(ignoreElements))
  // @ts-expect-error nothing is no operator
  program(() => flow.pipe(undefined))
})

test('wrong definitions do not compile', () => {
  // @ts-expect-error a name is needed
  program(() => pipeline())
  // @ts-expect-error no such option
  program(() => pipeline('p', { parallel: 3 }))
  // @ts-expect-error a source is needed
  program(() => pipeline('p').from())
  // @ts-expect-error a name is no stream
  program(() => pipeline('p').from('clicks'))
  // @ts-expect-error what a pipeline gives is read from the stream that it writes
  program(() => pipeline('p').from(pipeline('q').from(clicks).to(stream<Click>('out'))))
  // @ts-expect-error a flow with no target is no pipeline yet
  program((): Pipeline<Click> => pipeline('p').from(clicks))
  // @ts-expect-error steps come after the sources
  program(() => pipeline('p').pipe)
})
