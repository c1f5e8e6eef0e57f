/**
 * What TypeScript makes of programs that users write with streams and the client. `tsc` does the checking: a wrong
 * program that compiles fails at its `@ts-expect-error`.
 */
import { expectTypeOf, test } from 'vitest'
import { z } from 'zod'
import {
  avro,
  bytes,
  connect,
  json,
  key,
  stream,
  type Client,
  type OwnCodec,
  type Published,
  type Source,
  type Stream,
  type StreamRecord,
  type Target,
} from 'stream-node'

interface Click {
  user: string
  page: string
  at: number
  when: Date
  tags: string[]
}

const clicks = stream<Click>('clicks')
const clickCodec = {
  name: 'clicks',
  encode: (value: Click) => Buffer.from(value.user),
  decode: (bytes: Uint8Array): Click => JSON.parse(Buffer.from(bytes).toString()) as Click,
}
declare const client: Client
declare const click: Click

/** A program that is compiled and never run. */
const program: (run: () => unknown) => void = () => {}

test('a stream has the type that is given, that its key function names, that its codec or its schema has', () => {
  expectTypeOf(stream<Click>('a')).toEqualTypeOf<Stream<Click>>()
  expectTypeOf(stream<Click>('a', { key: c => c.user, time: c => c.when })).toEqualTypeOf<Stream<Click>>()
  expectTypeOf(stream('a', { key: (c: Click) => c.user })).toEqualTypeOf<Stream<Click>>()
  expectTypeOf(stream('a', { codec: json<Click>() })).toEqualTypeOf<Stream<Click>>()
  expectTypeOf(stream('a', { codec: bytes() })).toEqualTypeOf<Stream<Uint8Array>>()
  expectTypeOf(stream('a', { codec: avro<Click>({ type: 'record', name: 'Click', fields: [] }) })).toEqualTypeOf<
    Stream<Click>
  >()
  expectTypeOf(stream('a', { codec: clickCodec, key: c => c.user, time: 'at' })).toEqualTypeOf<Stream<Click>>()
  expectTypeOf(stream('a')).toEqualTypeOf<Stream<unknown>>()
  const schema = z.object({ user: z.string(), n: z.coerce.number() })
  expectTypeOf(stream('a', { validate: schema, key: v => v.user })).toEqualTypeOf<Stream<{ user: string; n: number }>>()
  expectTypeOf(stream('a', { validate: schema, key: 'user', time: 'n' })).toEqualTypeOf<
    Stream<{ user: string; n: number }>
  >()
})

test("a codec of one's own has a name and two functions of the type of the stream", () => {
  expectTypeOf(clickCodec).toExtend<OwnCodec<Click>>()
  expectTypeOf(stream<Click>('a', { codec: clickCodec })).toEqualTypeOf<Stream<Click>>()
  const inPlace = stream<Click>('a', {
    codec: {
      name: 'in-place',
      bytesMax: '1 MB',
      encode(value) {
        expectTypeOf(value).toEqualTypeOf<Click>()
        return new Uint8Array()
      },
      decode(bytes) {
        expectTypeOf(bytes).toEqualTypeOf<Uint8Array>()
        return { user: '', page: '', at: 0, when: new Date(), tags: [] }
      },
    },
  })
  expectTypeOf(inPlace).toEqualTypeOf<Stream<Click>>()
  // @ts-expect-error it has no name
  program(() => stream<Click>('a', { codec: { encode: clickCodec.encode, decode: clickCodec.decode } }))
  // @ts-expect-error it cannot read
  program(() => stream<Click>('a', { codec: { name: 'clicks', encode: clickCodec.encode } }))
  // @ts-expect-error it gives text
  program(() => stream<Click>('a', { codec: { ...clickCodec, encode: (value: Click) => value.user } }))
  // @ts-expect-error it answers later
  program(() => stream<Click>('a', { codec: { ...clickCodec, decode: () => Promise.resolve(click) } }))
  // @ts-expect-error it is one for another type
  program(() => stream<{ user: number }>('a', { codec: clickCodec }))
})

test('a field may be a key, a time or an id when its type fits', () => {
  program(() => stream<Click>('a', { key: 'user', time: 'at', id: 'page' }))
  program(() => stream<Click>('a', { time: 'when' }))
  program(() => stream('a', { key: 'anything' }))
  program(() => stream<Click | (Click & { bot: true })>('a', { key: 'user' }))
  // @ts-expect-error no such field
  program(() => stream<Click>('a', { key: 'usr' }))
  // @ts-expect-error a number is no key
  program(() => stream<Click>('a', { key: 'at' }))
  // @ts-expect-error a list is no key
  program(() => stream<Click>('a', { key: 'tags' }))
  // @ts-expect-error a text is no time
  program(() => stream<Click>('a', { time: 'user' }))
  // @ts-expect-error a number is no id
  program(() => stream<Click>('a', { id: 'at' }))
  // @ts-expect-error the schema has no such field
  program(() => stream('a', { validate: z.object({ user: z.string() }), key: 'usr' }))
})

test('wrong options do not compile', () => {
  // @ts-expect-error a key is text
  program(() => stream<Click>('a', { key: c => c.at }))
  // @ts-expect-error a time is a number or a Date
  program(() => stream<Click>('a', { time: c => c.user }))
  // @ts-expect-error no such option
  program(() => stream<Click>('a', { partition: 3 }))
  // @ts-expect-error a count is a number
  program(() => stream<Click>('a', { partitions: '3' }))
  // @ts-expect-error no such unit
  program(() => stream<Click>('a', { outOfOrderness: '3 fortnights' }))
  // @ts-expect-error sizes have other units than times
  program(() => stream<Click>('a', { retention: { bytes: '3 seconds' } }))
  // @ts-expect-error three copies or one or five
  program(() => stream<Click>('a', { replicas: 2 }))
  // @ts-expect-error no such format
  program(() => stream<Click>('a', { format: 'batches' }))
  // @ts-expect-error the codec of another type
  program(() => stream<Click>('a', { codec: bytes() }))
  // @ts-expect-error the schema of another type
  program(() => stream<Click>('a', { validate: z.object({ user: z.number() }) }))
  // @ts-expect-error a definition does not change
  program(() => (clicks.partitions = 3))
  // @ts-expect-error nothing is a key
  program(() => key())
  // @ts-expect-error a Date is no part of a key: say which text of it
  program(() => key('a', new Date()))
})

test('a stream may be read as what its values are, and written as what fits', () => {
  expectTypeOf(clicks).toExtend<Source<{ user: string }>>()
  expectTypeOf(clicks).toExtend<Target<Click & { more: 1 }>>()
  expectTypeOf(clicks).not.toExtend<Source<{ user: number }>>()
  expectTypeOf(clicks).not.toExtend<Target<{ user: string }>>()
  expectTypeOf(clicks).not.toExtend<Stream<{ user: string }>>()
  expectTypeOf((value: string) => value).not.toExtend<Target<string>>()
  expectTypeOf((value: string) => value).not.toExtend<Source<string>>()
})

test('the client takes values of the stream and nothing else', () => {
  program(() => client.publish(clicks, click, { id: 'a', key: key('a', 1), time: new Date(), headers: { a: 'b' } }))
  program(() => client.publishAll(clicks, [click], { id: c => c.page, key: (c, index) => `${c.user}${index}` }))
  program(async function () {
    expectTypeOf(await client.publish(clicks, click)).toEqualTypeOf<Published>()
  })
  async function* later() {
    yield await Promise.resolve(click)
  }
  program(() => client.publishAll(clicks, later()))
  program(() => client.publishAll(clicks, new Set([click])))
  // @ts-expect-error half a click is none
  program(() => client.publish(clicks, { user: 'ann' }))
  // @ts-expect-error many at once need publishAll
  program(() => client.publish(clicks, [click]))
  // @ts-expect-error one alone needs publish
  program(() => client.publishAll(clicks, click))
  // @ts-expect-error numbers are no clicks
  program(() => client.publishAll(clicks, [1, 2]))
  // @ts-expect-error no such option
  program(() => client.publish(clicks, click, { keys: 'a' }))
  // @ts-expect-error headers are texts
  program(() => client.publish(clicks, click, { headers: { a: 1 } }))
  // @ts-expect-error one id for many records is no id
  program(() => client.publishAll(clicks, [click], { id: 'a' }))
  // @ts-expect-error a name is no stream
  program(() => client.publish('clicks', click))
  // @ts-expect-error a function is no stream
  program(() => client.publish((value: Click) => value, click))
})

test('the client gives records of the stream', () => {
  program(async () => {
    for await (const record of client.read(clicks, { from: 'end', follow: true })) {
      expectTypeOf(record).toEqualTypeOf<StreamRecord<Click>>()
      expectTypeOf(record.value.user).toEqualTypeOf<string>()
      expectTypeOf(record.key).toEqualTypeOf<string | undefined>()
      expectTypeOf(record.time).toEqualTypeOf<number>()
    }
    for await (const { records } of client.read(clicks).batches()) {
      expectTypeOf(records).toEqualTypeOf<readonly StreamRecord<Click>[]>()
    }
    expectTypeOf(await client.stream('clicks')).toEqualTypeOf<Stream<unknown>>()
  })
  // @ts-expect-error no such place
  program(() => client.read(clicks, { from: 'begin' }))
  // @ts-expect-error a record does not change
  program(async () => ((await client.read(clicks).next()).value!.value = click))
})

test('one kind of log is chosen, with the options of that kind', () => {
  program(() => connect())
  program(() => connect({ servers: ['nats://a', 'nats://b'], creds: '~/me.creds', timeout: '2 seconds' }))
  program(() => connect({ dataDir: './data', sync: 'disk' }))
  program(() => connect({ memory: true, onEvent: event => event.type }))
  // @ts-expect-error no such option
  program(() => connect({ server: 'nats://a' }))
  // @ts-expect-error true or nothing
  program(() => connect({ memory: 'yes' }))
  // @ts-expect-error no such way to sync
  program(() => connect({ dataDir: './data', sync: 'always' }))
  // @ts-expect-error options of two kinds of log
  program(() => connect({ servers: 'nats://a', dataDir: './data' }))
  // @ts-expect-error options of two kinds of log
  program(() => connect({ dataDir: './data', user: 'ann' }))
  // @ts-expect-error options of two kinds of log
  program(() => connect({ memory: true, sync: 'disk' }))
})
