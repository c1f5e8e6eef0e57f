/** What stands around a record: headers, batches, the names of outputs; kept definitions and dead letters. */
import { avro } from '../../../src/codec/avro.js'
import type { SchemaStore } from '../../../src/codec/codec.js'
import { RecordError } from '../../../src/errors.js'
import type { Bucket } from '../../../src/log/bucket.js'
import { encodeHeaders, LogRecord } from '../../../src/log/record.js'
import { encodeBatch } from '../../../src/stream/batch.js'
import { encodeLetter, encodeResolution, letterIn, recordOf } from '../../../src/stream/dead-letters.js'
import { keyParts } from '../../../src/stream/key.js'
import { KeptStreams, streamFrom } from '../../../src/stream/kept.js'
import { outHeader, outOf } from '../../../src/stream/output-id.js'
import { settingsOf, stream, type Stream } from '../../../src/stream/stream.js'
import { Wire } from '../../../src/stream/wire.js'
import { HEADER_PIECES, JSON_BOMBS, JSON_PIECES, NO_TEXT, VARINTS } from '../pieces.js'
import { isTyped, sound, text, type Target } from '../target.js'

const NO_SCHEMAS: SchemaStore = { get: () => Promise.resolve(undefined), put: () => Promise.resolve() }

interface Click {
  readonly user: string
  readonly at: number
}

const clicks = stream<Click>('clicks', { key: 'user', time: 'at', id: 'user' })
const batches = stream<Click>('batches', { key: 'user', format: 'batch' })
const plain = stream<Click>('plain')

async function wireOf<T>(of: Stream<T>): Promise<Wire<T>> {
  return new Wire(of, await settingsOf(of).codec.open(NO_SCHEMAS), { recordBytesMax: 1024 * 1024 })
}

/** Reads a message both ways that there are, and looks at all that its records say of themselves. */
function walk<T>(wire: Wire<T>, from: LogRecord): number {
  let count = 0
  const faults: RecordError[] = []
  wire.read(
    from,
    record => {
      count++
      const { key, time, id, headers } = record
      sound(key === undefined || typeof key === 'string', 'a key is no text')
      sound(Number.isSafeInteger(time), 'a time is no whole number')
      sound(id === undefined || typeof id === 'string', 'an id is no text')
      sound(
        Object.values(headers).every(value => typeof value === 'string'),
        'a header is no text',
      )
      if (key !== undefined) keyParts(key)
    },
    error => faults.push(error),
  )
  for (const fault of faults) sound(isTyped(fault), 'a record is told as bad by no error of ours')
  let parts = 0
  try {
    for (const one of wire.framesIn(from) ?? [undefined]) {
      const value = wire.valueIn(from, one)
      wire.keyIn(from, value, one)
      wire.timeIn(from, value, one)
      parts++
    }
  } catch (error) {
    if (!(error instanceof RecordError)) throw error
    sound(faults.length > 0, 'a record is bad part by part, and well as a whole')
  }
  sound(faults.length > 0 || parts === count, 'a message has other records part by part than as a whole')
  return count
}

const value = text('{"user":"ann","at":5}')
const [clicksWire, batchWire, plainWire] = [await wireOf(clicks), await wireOf(batches), await wireOf(plain)]

const headers: Target = {
  name: 'headers',
  samples: [
    encodeHeaders({ 'Sn-Key': 'a%2Fb%C3%A9', 'Sn-Time': '-12', traceparent: '00-1' }, 'order-1'),
    encodeHeaders({ 'Sn-Out': outHeader(12, '0123abcd'), 'Sn-Key': 'x' }, 'p/i/0.1>2/13'),
    encodeHeaders({ 'x-user': 'Zoë' }),
  ],
  pieces: [...HEADER_PIECES, ...NO_TEXT],
  bombs: [
    ...[
      'A: b\r\n',
      ':',
      '\r\n',
      ' ',
      '\r\nSn-Out:',
      '\r\nSn-Out: 1 ',
      'NATS/1.0\r\nNats-Msg-Id:',
      '%E0',
      '\r\nSn-Key: %',
    ],
  ].map(piece => text(`NATS/1.0\r\n${piece.repeat(Math.floor(60_000 / piece.length))}\r\n\r\n`)),
  read(head) {
    const from = new LogRecord(0, 7, 1234, head, value)
    walk(clicksWire, from)
    walk(plainWire, from)
    const out = outOf(from, 'clicks')
    sound(out === undefined || (Number.isSafeInteger(out.n) && out.n > 0), 'an output has no number')
    return out
  },
}

const payloads: Target = {
  name: 'records',
  samples: [value, text('{"user":"","at":0}')],
  pieces: [...JSON_PIECES, ...NO_TEXT, ...['"user":{"toString":1}', '"at":"x"', '"at":1e300', '"user":null'].map(text)],
  bombs: JSON_BOMBS,
  read: payload => walk(clicksWire, new LogRecord(0, 7, 1234, new Uint8Array(0), payload)),
}

const framed: Target = {
  name: 'batches',
  samples: [
    encodeBatch([{ payload: value }]),
    encodeBatch([
      { key: 'ann', time: 5, headers: { traceparent: '00-1', __proto__: 'x' }, payload: value },
      { key: 'é', time: -5, payload: value },
      { time: 6, payload: text('{') },
    ]),
  ],
  pieces: [...VARINTS, ...NO_TEXT],
  bombs: [
    ...VARINTS.map(count => Buffer.concat([Buffer.of(1, 0), count, Buffer.alloc(4000)])),
    ...VARINTS.map(count => Buffer.concat([Buffer.of(1, 7, 3), count, Buffer.alloc(4000)])),
    Buffer.concat([Buffer.of(1, 4), Buffer.from('8040', 'hex'), Buffer.alloc(20_000)]),
  ],
  read: payload => walk(batchWire, new LogRecord(0, 7, 1234, new Uint8Array(0), payload)),
}

/** A bucket with one entry, which takes whatever is written. */
export function bucketWith(stored: Uint8Array): Bucket {
  const entry = { key: 'k', value: stored, revision: 1, time: 0 }
  const bucket: Pick<Bucket, 'get' | 'put'> = {
    get: () => Promise.resolve(entry),
    put: () => Promise.resolve({ ending: 'stored', position: 2, repeat: false }),
  }
  return bucket as Bucket
}

const kept: Target = {
  name: 'kept definitions',
  samples: [
    {
      version: 1,
      partitions: 6,
      format: 'message',
      codec: { name: 'json' },
      key: { field: 'user' },
      time: { function: true },
    },
    {
      version: 1,
      partitions: 1,
      format: 'message',
      codec: { name: 'bytes' },
      source: { stream: 'ORDERS', subject: 'orders.>' },
    },
    {
      version: 1,
      partitions: 6,
      format: 'batch',
      codec: { name: 'avro', schema: { type: 'record', name: 'R', fields: [] } },
    },
  ].map(definition => text(JSON.stringify(definition))),
  pieces: [
    ...JSON_PIECES,
    ...['"version":2,', '"partitions":0,', '"partitions":4097,', '"field":"__proto__"', '"name":"toString"'].map(text),
  ],
  bombs: JSON_BOMBS,
  share: 0.3,
  async read(bytes) {
    const bucket = bucketWith(bytes)
    const streams = new KeptStreams(() => Promise.resolve(bucket))
    const found = await streams.find('clicks')
    if (found !== undefined) settingsOf(streamFrom('clicks', found))
    const others = stream('clicks', { codec: avro({ type: 'record', name: 'R', fields: [] }) })
    for (const use of ['read', 'write'] as const) {
      await typed(streams.verify(clicks, use))
      await typed(streams.verify(others, use))
    }
    await typed(streams.settle(clicks, 'write'))
    await typed(streams.settle(others, 'write'))
  },
}

/** Passes over errors of ours, so that what comes after them is tried too. */
async function typed(work: Promise<unknown>): Promise<void> {
  await work.catch((error: unknown) => {
    if (!isTyped(error)) throw error
  })
}

const given = { pipeline: 'p', stage: 0, stream: 'clicks', where: 'step 1', attempts: 1, at: 5 }
const LETTER_BYTES_MAX = 1_000_000

const deadLetters: Target = {
  name: 'dead letters',
  samples: [
    encodeLetter(
      new LogRecord(0, 7, 1234, encodeHeaders({ a: 'b' }, 'x'), value),
      undefined,
      { ...given, error: new Error('no', { cause: new Error('because') }) },
      LETTER_BYTES_MAX,
    ),
    encodeLetter(
      new LogRecord(0, 7, 1234, new Uint8Array(0), value),
      { framed: { key: 'k', time: 1, headers: { a: 'b' }, payload: value }, index: 0 },
      { ...given, error: 'thrown', where: undefined },
      LETTER_BYTES_MAX,
    ),
    encodeResolution({ resolves: 7, how: 'dropped', at: 5 }),
  ],
  pieces: [
    ...[...JSON_PIECES, ...NO_TEXT],
    ...[
      '"bytes":5,',
      '"bytes":{"length":1e9},',
      '"error":null,',
      '"headers":[],',
      '"headers":{"a":"b\\r\\nSn-Key: x"},',
    ].map(text),
    ...['"head":"AQQB",', '"head":"TkFUUy8xLjANCg==",'].map(text),
    ...['"headers":{"a: x\\r\\nb":"c"},', '"index":4294967295,', '"ownTime":0.5,'].map(text),
  ],
  bombs: JSON_BOMBS,
  mayThrow: error => error instanceof RecordError,
  read(bytes) {
    const letter = letterIn(bytes)
    if (letter === undefined || 'resolves' in letter) return letter
    sound(Number.isSafeInteger(letter.position) && letter.position >= 0, 'a letter says nothing of its place')
    sound(typeof letter.error.message === 'string', 'a letter does not say why')
    const record = recordOf(letter, new LogRecord(0, 7, 1234, new Uint8Array(0), framed.samples[1] as Uint8Array))
    if (record !== undefined && letter.index === undefined && letter.bytes !== undefined && letter.head === undefined) {
      const [told, has] = [letter.headers ?? {}, record.headers()]
      sound(
        Object.keys(has).every(name => Object.hasOwn(told, name)),
        'a record has headers that its letter does not tell',
      )
    }
    return record
  },
}

export const streams: readonly Target[] = [headers, payloads, framed, kept, deadLetters]
