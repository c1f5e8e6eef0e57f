/** The codecs, and schemas as they are kept in the log. */
import { avro } from '../../../src/codec/avro.js'
import { bytes } from '../../../src/codec/bytes.js'
import type { Codec, OpenCodec, SchemaStore } from '../../../src/codec/codec.js'
import { movedOn } from '../../../src/codec/codec.js'
import { json } from '../../../src/codec/json.js'
import { ownCodec } from '../../../src/codec/own.js'
import { checkedSchema } from '../../../src/codec/schema.js'
import { DefinitionError, RecordError } from '../../../src/errors.js'
import { JSON_BOMBS, JSON_PIECES, NO_TEXT, ZIGZAGS } from '../pieces.js'
import { sound, text, type Target } from '../target.js'

const kept = new Map<string, string>()
const STORE: SchemaStore = {
  get: fingerprint => Promise.resolve(kept.get(fingerprint)),
  put: (fingerprint, schema) => Promise.resolve(void kept.set(fingerprint, schema)),
}

const HASH = { type: 'fixed', name: 'Hash', size: 4 }
const TREE = {
  type: 'record',
  name: 'Tree',
  fields: [
    ...[
      { name: 'name', type: 'string' },
      { name: 'n', type: 'int' },
      { name: 'at', type: 'long' },
    ],
    ...[
      { name: 'f', type: 'float' },
      { name: 'd', type: 'double' },
      { name: 'yes', type: 'boolean' },
    ],
    { name: 'raw', type: ['null', 'bytes'] },
    { name: 'hash', type: HASH },
    { name: 'side', type: { type: 'enum', name: 'Side', symbols: ['BUY', 'SELL'] } },
    { name: 'tags', type: { type: 'map', values: 'string' } },
    { name: 'either', type: ['int', 'string', { type: 'array', items: 'long' }] },
    { name: 'mixed', type: ['long', 'double', 'Hash'] },
    { name: 'branches', type: { type: 'array', items: ['null', 'Tree'] } },
  ],
}
/** Reads a Tree and skips most of it, so that skipping meets the same bytes. */
const LEAF = {
  type: 'record',
  name: 'Tree',
  fields: [
    { name: 'side', type: { type: 'enum', name: 'Side', symbols: ['SELL', 'BUY'] } },
    { name: 'at', type: 'double' },
    { name: 'more', type: 'string', default: 'none' },
  ],
}
const LEAF_VALUE = {
  ...{ name: 'leaf \u{1f33f}', n: -7, at: 2 ** 41, f: 0.5, d: -0, yes: true, raw: Buffer.from('raw') },
  ...{ hash: Buffer.alloc(4), side: 'SELL', tags: { a: 'x', constructor: 'y' }, either: [1, -1, 2 ** 50] },
  ...{ mixed: { double: 1e300 }, branches: [null] },
}
const TREE_VALUE = { ...LEAF_VALUE, either: 'text', mixed: { long: -3 }, branches: [LEAF_VALUE, null, LEAF_VALUE] }
const JSON_VALUE = {
  name: 'a \u{1f33f} "quoted" \\ \ud800',
  list: [1, -0.5, 1e21, true, null, [], {}],
  deep: { constructor: { prototype: 1 }, toString: 'x' },
}

/** The head of a record in single-object encoding. */
const HEAD_BYTES = 10
/** Arrays and maps of what takes little: counts that lie do most harm there. */
const SMALL = ['int', 'boolean', 'string', { type: 'array', items: 'int' }, { type: 'map', values: 'int' }, TREE]

const onlyRecordErrors = (error: unknown) => error instanceof RecordError

/** That nothing in a value has another prototype than it is born with. `depth`: of what is looked at. */
function plain(value: unknown, depth = 8): void {
  if (typeof value !== 'object' || value === null || depth === 0 || value instanceof Uint8Array) return
  const above: unknown = Object.getPrototypeOf(value)
  sound(above === Object.prototype || above === Array.prototype || above === null, 'a value has a prototype of its own')
  for (const part of Object.values(value)) plain(part, depth - 1)
}

async function avroTarget(
  name: string,
  codec: Codec<unknown>,
  values: readonly unknown[],
  writer = codec,
): Promise<Target> {
  const [reads, writes] = [await codec.open(STORE), await writer.open(STORE)]
  const samples = values.map(value => Uint8Array.from(writes.encode(value)))
  for (const sample of samples) await reads.ready(sample)
  return {
    ...{ name, samples, pieces: [...ZIGZAGS, ...NO_TEXT], keep: HEAD_BYTES, mayThrow: onlyRecordErrors },
    read: given => reads.decode(given),
  }
}

async function smallAvro(items: unknown, kind: 'array' | 'map'): Promise<Target> {
  const codec = await avro({ type: kind, [kind === 'array' ? 'items' : 'values']: items }).open(STORE)
  const head = Buffer.from(codec.encode(kind === 'array' ? [] : {})).subarray(0, HEAD_BYTES)
  const bombs = ZIGZAGS.flatMap(count => [
    Buffer.concat([head, count, Buffer.alloc(100, 0x80)]),
    Buffer.concat([head, count, count, Buffer.alloc(100)]),
    Buffer.concat([head, Buffer.from('80808002', 'hex'), count, Buffer.alloc(1000, 0x02)]),
    Buffer.concat([head, count, Buffer.alloc(100_000)]),
  ])
  const named = typeof items === 'string' ? items : (items as { type: string }).type
  return {
    ...{ name: `avro ${kind} of ${named}`, bombs, keep: HEAD_BYTES, share: 0.2, mayThrow: onlyRecordErrors },
    samples: [Buffer.concat([head, Buffer.from('0402020000', 'hex')])],
    pieces: ZIGZAGS,
    read: given => codec.decode(given),
  }
}

async function simple<T>(name: string, codec: Codec<T>, values: readonly T[]): Promise<Target> {
  const open: OpenCodec<T> = await codec.open(STORE)
  return {
    ...{
      name,
      samples: values.map(value => Uint8Array.from(open.encode(value))),
      pieces: [...JSON_PIECES, ...NO_TEXT],
    },
    // What a codec of a user costs is the user's.
    ...{ bombs: codec.name === 'mine' ? [] : JSON_BOMBS, mayThrow: onlyRecordErrors },
    read(given) {
      const value = open.decode(given)
      if (codec.name === 'json') plain(value)
      return value
    },
  }
}

/** Records that hold each other twice, so deep that who walks them all never comes back. */
function doubling(levels: number, last: object): string {
  let schema: object = { type: 'record', name: 'R0', ...last }
  for (let level = 1; level <= levels; level++) {
    const fields = [
      { name: 'a', type: schema },
      { name: 'b', type: `R${level - 1}` },
    ]
    schema = { type: 'record', name: `R${level}`, fields }
  }
  return JSON.stringify(schema)
}

const SCHEMA_BOMBS = [
  ...[20, 40, 100].flatMap(levels => [
    doubling(levels, { fields: [] }),
    doubling(levels, { fields: [{ name: 'n', type: 'int' }] }),
    doubling(levels, { fields: [{ name: 'n', type: 'null' }] }),
  ]),
  '{"type":"array","items":'.repeat(200) + '"int"' + '}'.repeat(200),
  '{"type":"array","items":'.repeat(10_000) + '"int"' + '}'.repeat(10_000),
  JSON.stringify({ type: 'record', name: 'Self', fields: [{ name: 'self', type: 'Self' }] }),
  JSON.stringify({ type: 'record', name: 'Wide', fields: wide(1000, 'int') }),
  JSON.stringify({ type: 'record', name: 'Hollow', fields: wide(1000, 'null') }),
  JSON.stringify({ type: 'record', name: 'A', fields: [{ name: 'b', type: 'Nobody' }] }),
  JSON.stringify({ type: 'fixed', name: 'Large', size: 2 ** 40 }),
  JSON.stringify({ type: 'fixed', name: 'Less', size: -1 }),
  JSON.stringify({ type: 'enum', name: 'E', symbols: Array.from({ length: 5000 }, (_, i) => `S${i}`) }),
  JSON.stringify(Array.from({ length: 300 }, (_, i) => ({ type: 'fixed', name: `F${i}`, size: 1 }))),
  'a'.repeat(1_000_000),
  ...JSON_BOMBS.map(bomb => Buffer.from(bomb).toString()),
]

function wide(count: number, type: string): object[] {
  return Array.from({ length: count }, (_, i) => ({ name: `f${i}`, type }))
}

const reader = await avro(TREE).open(STORE, 'read')
const WRITTEN = [Buffer.alloc(0), Buffer.alloc(64), Buffer.alloc(64, 0x02), Buffer.alloc(300, 0x80)]

/** A schema as the log keeps it is checked, resolved into ours, and records are read under it. */
async function readUnder(given: Uint8Array): Promise<void> {
  const schema = Buffer.from(given).toString()
  const { fingerprint } = checkedSchema(schema, 'number')
  kept.set(fingerprint, schema)
  const head = Buffer.concat([Buffer.from('c301', 'hex'), Buffer.from(fingerprint, 'hex').reverse()])
  const codec = await avro(schema).open(STORE, 'read')
  for (const written of WRITTEN) {
    const record = Buffer.concat([head, written])
    await reader.ready(record)
    for (const reads of [codec, reader]) ending(() => reads.decode(record))
  }
  kept.delete(fingerprint)
  for (const use of ['read', 'write'] as const) {
    ending(() => movedOn('stream "s"', { name: 'avro', schema }, { name: 'avro', schema: TREE }, use))
  }
}

/** Passes over what is ours: the input is judged by the worst that it does. */
function ending(work: () => unknown): void {
  try {
    work()
  } catch (error) {
    if (!(error instanceof RecordError) && !(error instanceof DefinitionError)) throw error
  }
}

const schemas: Target = {
  name: 'schemas',
  samples: [TREE, LEAF, { type: 'map', values: ['null', 'string'] }, ['null', HASH]].map(schema =>
    text(JSON.stringify(schema)),
  ),
  pieces: [
    ...JSON_PIECES,
    ...['"Tree"', '"size":0', '"size":-1', '"null"', '"type":"record"', '"prototype"'].map(text),
  ],
  bombs: SCHEMA_BOMBS.map(text),
  share: 0.1,
  slow: { ms: 500, why: 'a schema is compiled once, not for each record; here also twice, and held against another' },
  read: readUnder,
}

export const codecs: readonly Target[] = [
  await simple<unknown>('json', json(), [JSON_VALUE, [], 'x', 0]),
  await simple<Uint8Array>('bytes', bytes(), [Buffer.from('x')]),
  await simple<object>(
    'a codec of a user',
    ownCodec('stream "s"', {
      name: 'mine',
      encode: (value: object) => Buffer.from(JSON.stringify(value)),
      decode: bytes => JSON.parse(String(bytes)) as object,
    }),
    [JSON_VALUE],
  ),
  await avroTarget('avro', avro(TREE), [LEAF_VALUE, TREE_VALUE]),
  await avroTarget('avro, skipping', avro(LEAF), [TREE_VALUE], avro(TREE)),
  await avroTarget('avro with bigint', avro(TREE, { longs: 'bigint' }), [LEAF_VALUE], avro(TREE)),
  ...(await Promise.all(SMALL.flatMap(items => [smallAvro(items, 'array'), smallAvro(items, 'map')]))),
  schemas,
]
