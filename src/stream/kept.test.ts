import { afterEach, beforeEach, expect, test } from 'vitest'
import { systemChance, systemClock } from '../clock.js'
import { avro } from '../codec/avro.js'
import { DefinitionError } from '../errors.js'
import { openEmbedded } from '../log/embedded/embedded.js'
import type { Bucket } from '../log/bucket.js'
import type { Ports } from '../log/ports.js'
import { silent, type Event } from '../telemetry/events.js'
import { bucketOf, KeptStreams, streamFrom } from './kept.js'
import { Streams } from './open.js'
import { settingsOf, stream } from './stream.js'

let ports: Ports
let bucket: Bucket
let kept: KeptStreams
const parts = { chance: systemChance, tell: silent, replicas: 1 }

beforeEach(async () => {
  ports = await openEmbedded({ memory: true }, { clock: systemClock, ...parts })
  bucket = await ports.bucket({ name: 'stream-node', replicas: 1 })
  kept = new KeptStreams(() => Promise.resolve(bucket))
})
afterEach(() => ports.close())

const written = async (name: string) => {
  const value = (await bucket.get(`streams.${name}`))?.value
  return value === undefined ? undefined : (JSON.parse(Buffer.from(value).toString()) as Record<string, unknown>)
}
const write = (name: string, text: string) => bucket.put(`streams.${name}`, Buffer.from(text))
const code = (wanted: string) => expect.objectContaining({ code: wanted }) as Error

test('is written at the first use, as the reference has it', async () => {
  await kept.settle(stream<{ user: string }>('clicks', { key: 'user', time: () => 0 }), 'read')
  expect(await written('clicks')).toEqual({
    ...{ version: 1, partitions: 6, format: 'message', codec: { name: 'json' } },
    ...{ key: { field: 'user' }, time: { function: true } },
  })
})

test('of two that differ and come together one is kept and the other refused', async () => {
  const both = [3, 4].map(partitions => kept.settle(stream('clicks', { partitions }), 'write'))
  const endings = await Promise.allSettled(both)
  expect(endings.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected'])
  expect(endings.find(({ status }) => status === 'rejected')).toMatchObject({ reason: { code: 'STREAM_DIFFERS' } })
})

test('many that say the same at once all agree', async () => {
  const same = Array.from({ length: 10 }, () => kept.settle(stream('clicks', { key: 'user' }), 'write'))
  expect(await Promise.all(same)).toEqual(new Array(10).fill(undefined))
})

test('a writer adds what is not known yet, and leaves what it does not know', async () => {
  await write('clicks', '{"version":1,"partitions":6,"format":"message","codec":{"name":"json"},"later":[1]}')
  await kept.settle(stream('clicks', { key: () => 'k' }), 'write')
  expect(await written('clicks')).toMatchObject({ key: { function: true }, later: [1] })
  await kept.settle(stream('clicks', { key: 'user' }), 'read')
  expect(await written('clicks')).toMatchObject({ key: { function: true } })
  await kept.settle(stream('clicks', { key: 'user' }), 'write')
  expect(await written('clicks')).toMatchObject({ key: { field: 'user' }, later: [1] })
  await kept.settle(stream('clicks'), 'write')
  expect(await written('clicks')).toMatchObject({ key: { field: 'user' } })
})

test('a writer brings the schema up to date, a reader with an old one does not', async () => {
  const schema = (...names: string[]) => ({
    ...{ type: 'record', name: 'Click' },
    fields: names.map(name => ({ name, type: 'string', default: '' })),
  })
  await kept.settle(stream('clicks', { codec: avro(schema('a')) }), 'write')
  await kept.settle(stream('clicks', { codec: avro(schema('a', 'b')) }), 'write')
  await kept.settle(stream('clicks', { codec: avro(schema('a')) }), 'read')
  expect(JSON.stringify(await written('clicks'))).toContain('"b"')
})

test('gives back the stream, without what only its program knows', async () => {
  await kept.settle(stream<{ user: string }>('clicks', { key: 'user', time: () => 0, partitions: 3 }), 'write')
  const found = await kept.find('clicks')
  const clicks = streamFrom('clicks', found!)
  expect(clicks.partitions).toBe(3)
  expect(settingsOf(clicks).key?.of({ user: 'ann' })).toBe('ann')
  expect(settingsOf(clicks)).toMatchObject({ time: undefined, byName: { keyInCode: false } })
  expect(await kept.find('other')).toBeUndefined()
  expect(await kept.names()).toEqual(['clicks'])
})

test.each([
  ['no JSON', '{'],
  ['null', 'null'],
  ['a list', '[]'],
  ['no version', '{"partitions":6,"format":"message","codec":{"name":"json"}}'],
  ['partitions that are none', '{"version":1,"partitions":"6","format":"message","codec":{"name":"json"}}'],
  ['no codec', '{"version":1,"partitions":6,"format":"message","codec":null}'],
  ['a key rule that is none', '{"version":1,"partitions":6,"format":"message","codec":{"name":"json"},"key":"user"}'],
  [
    'a field that is no text',
    '{"version":1,"partitions":6,"format":"message","codec":{"name":"json"},"key":{"field":1}}',
  ],
])('an entry with %s is BAD_LOG and says where it is', async (_, text) => {
  await write('clicks', text)
  for (const ask of [() => kept.find('clicks'), () => kept.settle(stream('clicks'), 'write')]) {
    await expect(ask()).rejects.toThrow(code('BAD_LOG'))
    await expect(ask()).rejects.toThrow(/streams\.clicks/)
  }
  expect((await bucket.get('streams.clicks'))?.revision).toBe(1)
})

test('an entry of a later version asks for a newer program', async () => {
  await write('clicks', '{"version":2}')
  await expect(kept.find('clicks')).rejects.toThrow(/version 2.*use a newer stream-node/)
})

test('a definition that differs makes no stream, and a stream that differs leaves no definition', async () => {
  const streams = new Streams(ports, parts)
  await kept.settle(stream('gone', { partitions: 3 }), 'write')
  await expect(streams.open(stream('gone'), 'write')).rejects.toThrow(code('STREAM_DIFFERS'))
  expect(await ports.log.find('gone')).toBeUndefined()
  await ports.log.open({ name: 'bare', partitions: 3, retention: {}, replicas: 1, dedupWindowMs: 1000 })
  await expect(streams.open(stream('bare'), 'write')).rejects.toThrow(code('STREAM_DIFFERS'))
  expect(await written('bare')).toBeUndefined()
})

test('a name whose stream was deleted is no stream, and is not made anew', async () => {
  const streams = new Streams(ports, parts)
  await streams.open(stream('clicks'), 'write')
  const byName = await streams.named('clicks')
  await streams.open(byName, 'read')
  await ports.log.drop('clicks')
  await expect(streams.open(byName, 'read')).rejects.toThrow(code('NO_SUCH_STREAM'))
  expect(await ports.log.find('clicks')).toBeUndefined()
})

test('a name whose stream was deleted is told as that, not as a slip', async () => {
  const streams = new Streams(ports, parts)
  await streams.open(stream('clicks'), 'write')
  await ports.log.drop('clicks')
  const error = await streams.kept.missing('clicks')
  expect(error).toMatchObject({ code: 'NO_SUCH_STREAM' })
  expect(error.message).toMatch(/"clicks" was deleted, and only its definition is still kept/)
})

test('refuses a name that no stream can have', async () => {
  const streams = new Streams(ports, parts)
  for (const name of ['', 'a.*', 'x'.repeat(10_000)]) {
    await expect(streams.named(name)).rejects.toThrow(code('BAD_NAME'))
  }
})

test('the bucket gets as many copies as the first stream asks for, and stays as it is later', async () => {
  const asked: unknown[] = []
  let made: number | undefined
  const cluster: Pick<Ports, 'bucket'> = {
    async bucket({ replicas }) {
      asked.push(replicas)
      made ??= replicas ?? 1
      if (replicas !== undefined && replicas !== made) throw new DefinitionError('STREAM_DIFFERS', 'differs', '')
      return bucket
    },
  }
  const open = async (replicas?: 1 | 3 | 5) => {
    const definitions = new KeptStreams(bucketOf(cluster, 1))
    await definitions.settle(stream('clicks', replicas === undefined ? {} : { replicas }), 'write')
    await definitions.names()
  }
  await open(3)
  await open()
  expect(asked).toEqual([3, 1, undefined])
})

test('asks for the bucket again when it could not be opened', async () => {
  let away = true
  const definitions = new KeptStreams(
    bucketOf({ bucket: () => (away ? Promise.reject(new Error('away')) : Promise.resolve(bucket)) }, 1),
  )
  await expect(definitions.names()).rejects.toThrow('away')
  away = false
  expect(await definitions.names()).toEqual([])
})

test('tells, and goes on, where definitions may not be written', async () => {
  const events: Event[] = []
  const error = new Error('the server forbids publish "$KV.x"') as never
  const shut: Ports = {
    ...ports,
    bucket: () =>
      Promise.resolve({
        ...bucketLike(bucket),
        put: () => Promise.resolve({ ending: 'refused', why: 'denied', error }),
      }),
  }
  const streams = new Streams({ ...shut, log: ports.log }, { ...parts, tell: event => events.push(event) })
  const open = await streams.open(stream('clicks'), 'write')
  expect(open.stream.name).toBe('clicks')
  const what = 'the definition of stream "clicks" could not be kept: the server forbids publish "$KV.x"'
  expect(events).toMatchObject([
    { type: 'stream.made', stream: 'clicks' },
    { type: 'log.warning', what },
  ])
  const schema = streams.open(stream('in-avro', { codec: avro('string') }), 'write')
  await expect(schema).rejects.toThrow(/^schema \w{16} could not be kept in the bucket stream-node: the server forbids/)
})

test('a stream of others is opened without a look at what has its own name', async () => {
  const looked: string[] = []
  const log: Ports['log'] = {
    description: '',
    recordBytesMax: 1000,
    open: spec => ports.log.open(spec),
    find: name => (looked.push(name), ports.log.find(name)),
    names: () => ports.log.names(),
    drop: name => ports.log.drop(name),
  }
  const streams = new Streams({ ...ports, bucket: of => ports.bucket(of), log }, parts)
  await streams.open(stream('ours'), 'write')
  const theirs = stream('theirs', { source: { stream: 'ours', subject: '>' } })
  await streams.open(theirs, 'read')
  await streams.open(await streams.named('theirs'), 'read')
  expect(looked).toEqual(['ours'])
})

function bucketLike(of: Bucket): Bucket {
  return {
    get: key => of.get(key),
    put: (...args) => of.put(...args),
    delete: (...args) => of.delete(...args),
    keys: prefix => of.keys(prefix),
    watch: prefix => of.watch(prefix),
  }
}

test('does not read what is nested so deep that it could not be written again, nor a key that changes prototypes', async () => {
  const deep = `{"version":1,"partitions":6,"format":"message","codec":{"name":"json"},"x":${'['.repeat(20_000)}${']'.repeat(20_000)}}`
  await write('deep', deep)
  await expect(kept.settle(stream('deep'), 'write')).rejects.toThrow(code('BAD_LOG'))
  await write('proto', '{"version":1,"partitions":6,"format":"message","codec":{"name":"json"},"__proto__":{"key":1}}')
  await expect(kept.find('proto')).rejects.toThrow(/there is a key "__proto__".*; look at the entry streams\.proto/)
})
