/**
 * What TypeScript makes of programs that users write with sinks. `tsc` does the checking: a wrong program that compiles
 * fails at its `@ts-expect-error`.
 */
import { expectTypeOf, test } from 'vitest'
import {
  avro,
  json,
  pipeline,
  sink,
  stream,
  type Client,
  type Pipeline,
  type Sink,
  type SinkRecord,
  type Source,
  type Target,
} from 'stream-node'

interface Row {
  user: string
  count: number
}

const rows = stream<Row>('rows')
const flow = pipeline('p').from(rows)
const table = sink<Row>('table', { write: () => {} })
declare const client: Client
declare function insert(rows: readonly Row[]): Promise<{ inserted: number }>

/** A program that is compiled and never run. */
const program: (run: () => unknown) => void = () => {}

test('a sink has the type that is given, that its write takes, or that its codec has', () => {
  expectTypeOf(table).toEqualTypeOf<Sink<Row>>()
  expectTypeOf(sink('a', { write: (records: readonly SinkRecord<Row>[]) => void records })).toEqualTypeOf<Sink<Row>>()
  expectTypeOf(sink('a', { codec: json<Row>(), write: () => {} })).toEqualTypeOf<Sink<Row>>()
  expectTypeOf(
    sink('a', { codec: avro<Row>({ type: 'record', name: 'Row', fields: [] }), write: () => {} }),
  ).toEqualTypeOf<Sink<Row>>()
  expectTypeOf(sink('a', { write: () => {} })).toEqualTypeOf<Sink<unknown>>()
})

test('write gets records and a signal, and gives a promise or nothing', () => {
  program(() =>
    sink<Row>('a', {
      async write(records, { signal }) {
        expectTypeOf(records).toEqualTypeOf<readonly SinkRecord<Row>[]>()
        expectTypeOf(signal).toEqualTypeOf<AbortSignal>()
        for (const { id, value, key, time } of records) {
          expectTypeOf(id).toEqualTypeOf<string>()
          expectTypeOf(value).toEqualTypeOf<Row>()
          expectTypeOf(key).toEqualTypeOf<string | undefined>()
          expectTypeOf(time).toEqualTypeOf<number>()
        }
        await insert(records.map(({ value }) => value))
      },
      batch: { records: 10, bytes: '64 KB' },
      timeout: '5 seconds',
    }),
  )
  program(() => sink<Row>('a', { write: records => insert(records.map(({ value }) => value)) }))
  // @ts-expect-error nobody would wait for these
  program(() => sink<Row>('a', { write: records => records.map(({ value }) => insert([value])) }))
  // @ts-expect-error a count is no promise
  program(() => sink<Row>('a', { write: records => records.length }))
  // @ts-expect-error it gets many
  program(() => sink<Row>('a', { write: (record: SinkRecord<Row>) => void record }))
  // @ts-expect-error a record does not change
  program(() => sink<Row>('a', { write: ([record]) => void (record!.id = 'other') }))
})

test('wrong options do not compile', () => {
  // @ts-expect-error somebody has to write
  program(() => sink<Row>('a'))
  // @ts-expect-error somebody has to write
  program(() => sink<Row>('a', {}))
  // @ts-expect-error no such option
  program(() => sink<Row>('a', { write: () => {}, partitions: 3 }))
  // @ts-expect-error a count is a number
  program(() => sink<Row>('a', { write: () => {}, batch: { records: '3' } }))
  // @ts-expect-error sizes have other units than times
  program(() => sink<Row>('a', { write: () => {}, batch: { bytes: '3 seconds' } }))
  // @ts-expect-error the codec of another type
  program(() => sink<Row>('a', { write: () => {}, codec: json<{ user: number }>() }))
})

test('it takes what fits it', () => {
  expectTypeOf(table).toExtend<Target<Row & { more: 1 }>>()
  expectTypeOf(table).not.toExtend<Target<{ user: string }>>()
  expectTypeOf(table).not.toExtend<Source<unknown>>()
  expectTypeOf(flow.to(table)).toEqualTypeOf<Pipeline<Row>>()
  const users = sink<{ user: string }>('users', { write: () => {} })
  const views = sink<{ views: number }>('views', { write: () => {} })
  program(() => flow.to(users))
  program(() => flow.to(({ count }) => (count > 1 ? [users, rows] : undefined), { sinks: [users] }))
  // @ts-expect-error a row has no views
  program(() => flow.to(views))
  // @ts-expect-error a row has no views
  program(() => flow.to(({ count }) => (count > 1 ? views : undefined), { sinks: [users] }))
  // @ts-expect-error a row has no views
  program(() => flow.to(() => undefined, { sinks: [views] }))
  // @ts-expect-error streams need not be named
  program(() => flow.to(() => rows, { sinks: [rows] }))
  // @ts-expect-error no such option
  program(() => flow.to(() => rows, { streams: [rows] }))
})

test('a sink is neither read nor published to', () => {
  // @ts-expect-error what is in it nobody knows
  program(() => client.read(table))
  // @ts-expect-error what is in it nobody knows
  program(() => pipeline('p').from(table))
  // @ts-expect-error only a pipeline writes to it
  program(() => client.publish(table, { user: 'ann', count: 1 }))
  // @ts-expect-error only a pipeline writes to it
  program(() => client.publishAll(table, [{ user: 'ann', count: 1 }]))
})
