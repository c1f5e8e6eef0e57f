import { createRequire } from 'node:module'
import { expect, test } from 'vitest'
import { DefinitionError, RecordError, UnavailableError } from '../errors.js'
import { avro, type AvroSchema } from './avro.js'
import { movedOn, type SchemaStore } from './codec.js'
import { fingerprintOf } from './fingerprint.js'
import { checkedSchema } from './schema.js'

class Kept implements SchemaStore {
  readonly schemas = new Map<string, string>()
  gets = 0
  down = false

  get(fingerprint: string): Promise<string | undefined> {
    this.gets++
    if (this.down) return Promise.reject(new UnavailableError('DISCONNECTED', 'the store is away', 'wait'))
    return Promise.resolve(this.schemas.get(fingerprint))
  }

  put(fingerprint: string, schema: string): Promise<void> {
    this.schemas.set(fingerprint, schema)
    return Promise.resolve()
  }
}

function record(...fields: readonly (readonly [name: string, type: unknown, rest?: object])[]): AvroSchema {
  return { type: 'record', name: 'Click', fields: fields.map(([name, type, rest]) => ({ name, type, ...rest })) }
}

function thrownBy(work: () => unknown): RecordError {
  try {
    work()
  } catch (thrown) {
    expect(thrown).toBeInstanceOf(RecordError)
    return thrown as RecordError
  }
  throw new Error('nothing was thrown')
}

// The vectors that the Avro project keeps for all its languages: schema, canonical form, fingerprint as a signed long.
const FOO = { type: 'record', name: 'foo', fields: [] }
const VECTORS: readonly (readonly [schema: AvroSchema, canonical: string, fingerprint: bigint])[] = [
  ['null', '"null"', 7195948357588979594n],
  [{ type: 'boolean' }, '"boolean"', -6970731678124411036n],
  ['int', '"int"', 8247732601305521295n],
  ['long', '"long"', -3434872931120570953n],
  ['float', '"float"', 5583340709985441680n],
  ['double', '"double"', -8181574048448539266n],
  ['bytes', '"bytes"', 5746618253357095269n],
  ['string', '"string"', -8142146995180207161n],
  [['int'], '["int"]', -5232228896498058493n],
  [['int', { type: 'boolean' }], '["int","boolean"]', 5392556393470105090n],
  [FOO, '{"name":"foo","type":"record","fields":[]}', -4824392279771201922n],
  [{ ...FOO, namespace: 'x.y' }, '{"name":"x.y.foo","type":"record","fields":[]}', 5916914534497305771n],
  [
    { ...FOO, name: 'a.b.foo', namespace: 'x.y' },
    '{"name":"a.b.foo","type":"record","fields":[]}',
    -4616218487480524110n,
  ],
  [
    { ...FOO, doc: 'foo', aliases: ['foo', 'bar'] },
    '{"name":"foo","type":"record","fields":[]}',
    -4824392279771201922n,
  ],
  [
    { ...FOO, fields: [{ type: { type: 'boolean' }, name: 'f1' }] },
    '{"name":"foo","type":"record","fields":[{"name":"f1","type":"boolean"}]}',
    7843277075252814651n,
  ],
  [
    {
      ...FOO,
      fields: [
        { type: 'boolean', aliases: [], name: 'f1', default: true },
        { order: 'descending', name: 'f2', doc: 'Hello', type: 'int' },
      ],
    },
    '{"name":"foo","type":"record","fields":[{"name":"f1","type":"boolean"},{"name":"f2","type":"int"}]}',
    -4860222112080293046n,
  ],
  [
    { type: 'enum', name: 'foo', symbols: ['A1'] },
    '{"name":"foo","type":"enum","symbols":["A1"]}',
    -6342190197741309591n,
  ],
  [
    { namespace: 'x.y.z', type: 'enum', name: 'foo', doc: 'foo bar', symbols: ['A1', 'A2'] },
    '{"name":"x.y.z.foo","type":"enum","symbols":["A1","A2"]}',
    -4448647247586288245n,
  ],
  [{ name: 'foo', type: 'fixed', size: 15 }, '{"name":"foo","type":"fixed","size":15}', 1756455273707447556n],
  [{ values: 'string', type: 'map' }, '{"type":"map","values":"string"}', -8732877298790414990n],
]

test.each(VECTORS)('fingerprints %j as the Avro project does', (schema, canonical, fingerprint) => {
  const checked = checkedSchema(schema, 'number')
  expect(checked.canonical).toBe(canonical)
  expect(BigInt.asIntN(64, BigInt(`0x${checked.fingerprint}`))).toBe(fingerprint)
})

test('fingerprints a canonical form whose schema we would refuse', () => {
  expect(BigInt.asIntN(64, BigInt(`0x${fingerprintOf('{"type":"array","items":"null"}')}`))).toBe(-589620603366471059n)
  expect(BigInt.asIntN(64, BigInt(`0x${fingerprintOf('[]')}`))).toBe(-1241056759729112623n)
})

test('writes single-object encoding: C3 01, the fingerprint little-endian, the body', async () => {
  const codec = await avro<string>('string').open(new Kept())
  expect(Buffer.from(codec.encode('foo')).toString('hex')).toBe('c301c70345637248018f06666f6f')
})

test('writes the body as the bare library does', async () => {
  const { Type } = createRequire(import.meta.url)('avsc') as {
    Type: { forSchema: (schema: AvroSchema) => { toBuffer(value: unknown): Buffer } }
  }
  const schema = record(
    ['text', 'string'],
    ['flag', 'boolean'],
    ['int', 'int'],
    ['long', 'long'],
    ['float', 'float'],
    ['double', 'double'],
    ['map', { type: 'map', values: ['null', 'string'] }],
    ['list', { type: 'array', items: { type: 'enum', name: 'Side', symbols: ['BUY', 'SELL'] } }],
    ['left', 'string', { default: 'héllo' }],
  )
  const codec = await avro(schema).open(new Kept())
  const value = { flag: true, float: 1.5, double: -0.1, map: { a: null, b: 'x' }, list: ['SELL', 'BUY'] }
  for (const long of [0, -1, 63, 64, -64, -65, 2 ** 31, -(2 ** 31), 2 ** 40, 2 ** 52]) {
    for (const text of ['', 'a', 'é', '€', '😀', 'x'.repeat(40), 'x'.repeat(41), 'é'.repeat(500), 'x'.repeat(20_000)]) {
      const given = { ...value, text, long, int: Math.max(-(2 ** 31), Math.min(long, 2 ** 31 - 1)) }
      const body = Buffer.from(codec.encode(given)).subarray(10)
      expect(body.equals(Type.forSchema(schema).toBuffer(given))).toBe(true)
      expect({ ...(codec.decode(codec.encode(given)) as object) }).toMatchObject({ ...given, left: 'héllo' })
    }
  }
})

test('gives back every safe integer, and refuses a long beyond', async () => {
  const codec = await avro<number>('long').open(new Kept())
  for (const edge of [2 ** 27, 2 ** 28, 2 ** 30, 2 ** 52, Number.MAX_SAFE_INTEGER]) {
    for (const value of [edge - 1, edge, -edge + 1, -edge]) expect(codec.decode(codec.encode(value))).toBe(value)
  }
  expect(thrownBy(() => codec.encode(2 ** 53)).code).toBe('INVALID_VALUE')
  const big = await avro<bigint>('long', { longs: 'bigint' }).open(new Kept())
  expect(thrownBy(() => codec.decode(big.encode(2n ** 53n))).message).toContain("{ longs: 'bigint' }")
})

test('gives back all 64 bits as bigint, also beside null', async () => {
  const codec = await avro<{ n: bigint | null }>(record(['n', ['null', 'long']]), { longs: 'bigint' }).open(new Kept())
  for (const n of [0n, -1n, 2n ** 53n + 1n, 2n ** 63n - 1n, -(2n ** 63n), null]) {
    expect(codec.decode(codec.encode({ n })).n).toBe(n)
  }
  expect(thrownBy(() => codec.encode({ n: 2n ** 63n })).message).toContain('value.n')
})

test('reads -0 of a double as it was, and of a long as 0', async () => {
  const double = await avro<number>('double').open(new Kept())
  expect(double.decode(double.encode(-0))).toBe(-0)
  expect(double.decode(double.encode(NaN))).toBeNaN()
  const long = await avro<number>('long').open(new Kept())
  expect(long.decode(long.encode(-0))).toBe(0)
})

test.each([
  ['user', 12, 'value.user is 12 (number), and the schema wants string'],
  ['user', undefined, 'value.user is undefined'],
  ['user', 'a\ud800', 'value.user has half of a surrogate pair'],
  ['counts', { a: [1, 'x'] }, 'value.counts.a[1] is "x" (string), and the schema wants int'],
  ['counts', { 'b c': 1 }, 'value.counts["b c"] is 1 (number), and the schema wants array'],
  ['counts', JSON.parse('{"__proto__":[]}') as unknown, 'is a key that may change prototypes'],
  ['side', 'toString', 'value.side is "toString" (string), and the schema wants enum Side'],
  ['side', ['BUY'], 'value.side is an array'],
  ['maybe', new Date(0), 'value.maybe is a Date, and the schema wants one of null, bytes'],
])('names the place of a value that does not fit: %s', async (name, value, message) => {
  const codec = await avro(
    record(
      ['user', 'string'],
      ['counts', { type: 'map', values: { type: 'array', items: 'int' } }],
      ['side', { type: 'enum', name: 'Side', symbols: ['BUY', 'SELL'] }],
      ['maybe', ['null', 'bytes']],
    ),
  ).open(new Kept())
  const good = { user: 'u', counts: {}, side: 'BUY', maybe: null }
  expect(() => codec.encode(good)).not.toThrow()
  const error = thrownBy(() => codec.encode({ ...good, [name]: value }))
  expect(error.code).toBe('INVALID_VALUE')
  expect(error.message).toContain(message)
})

test('takes a plain Uint8Array for bytes and fixed, also in a union, and gives a Buffer of its own', async () => {
  const fixed = { type: 'fixed', name: 'Hash', size: 2 }
  const codec = await avro(record(['a', 'bytes'], ['b', ['null', 'bytes']], ['c', fixed])).open(new Kept())
  const some = new Uint8Array([1, 2])
  const bytes = codec.encode({ a: some, b: some, c: some })
  const value = codec.decode(bytes) as { a: Buffer; b: Buffer }
  bytes.fill(0)
  expect(value).toEqual({ a: Buffer.from(some), b: Buffer.from(some), c: Buffer.from(some) })
})

test('gives maps without inherited names', async () => {
  const codec = await avro<Record<string, number>>({ type: 'map', values: 'int' }).open(new Kept())
  const counts = codec.decode(codec.encode({ toString: 1 }))
  expect(counts['constructor']).toBeUndefined()
  expect(Object.entries(counts)).toEqual([['toString', 1]])
})

test('never writes again to bytes it gave, whatever comes next', async () => {
  const codec = await avro<string>('string').open(new Kept())
  const texts = Array.from({ length: 400 }, (_, n) => `${n}`.repeat((n % 90) * 7 + 1))
  const given = texts.map(text => {
    const bytes = codec.encode(text)
    thrownBy(() => codec.encode(12 as unknown as string))
    return bytes
  })
  expect(given.map(bytes => codec.decode(bytes))).toEqual(texts)
})

test('encodes a value whose getter encodes another', async () => {
  const codec = await avro<{ a: string; b: string }>(record(['a', 'string'], ['b', 'string'])).open(new Kept())
  let inner: Uint8Array | undefined
  const outer = codec.encode({
    a: 'outer',
    get b() {
      inner = codec.encode({ a: 'inner', b: 'y' })
      return 'x'
    },
  })
  expect({ ...codec.decode(outer) }).toEqual({ a: 'outer', b: 'x' })
  expect({ ...codec.decode(inner as Uint8Array) }).toEqual({ a: 'inner', b: 'y' })
})

test('keeps its schema by its fingerprint, in canonical form', async () => {
  const kept = new Kept()
  await avro({ ...FOO, doc: 'for people' }).open(kept)
  expect([...kept.schemas]).toEqual([
    [fingerprintOf('{"name":"foo","type":"record","fields":[]}'), '{"name":"foo","type":"record","fields":[]}'],
  ])
})

test('reads records of an older schema as the newer one, once the schema is fetched', async () => {
  const kept = new Kept()
  const old = await avro(record(['user', 'string'], ['page', 'string'], ['ms', 'int'])).open(kept)
  const now = await avro(
    record(['who', 'string', { aliases: ['user'] }], ['ms', 'double'], ['bot', 'boolean', { default: false }]),
  ).open(kept)
  const bytes = old.encode({ user: 'u', page: '/', ms: 3 })
  expect(thrownBy(() => now.decode(bytes)).code).toBe('UNKNOWN_SCHEMA')
  const gets = kept.gets
  await Promise.all([now.ready(bytes), now.ready(bytes)])
  expect(kept.gets).toBe(gets + 1)
  expect(now.ready(bytes)).toBeUndefined()
  expect({ ...(now.decode(bytes) as object) }).toEqual({ who: 'u', ms: 3, bot: false })
})

test('skips fields of the writer that the reader does not have, whatever they hold', async () => {
  const kept = new Kept()
  const inner = { type: 'record', name: 'Inner', fields: [{ name: 'b', type: 'bytes' }] }
  const old = await avro(
    record(
      ['list', { type: 'array', items: inner }],
      ['map', { type: 'map', values: ['null', 'double'] }],
      ['last', 'int'],
    ),
  ).open(kept)
  const now = await avro(record(['last', 'int'])).open(kept)
  const bytes = old.encode({ list: [{ b: Buffer.from('x') }, { b: Buffer.alloc(0) }], map: { a: null, b: 1 }, last: 7 })
  await now.ready(bytes)
  expect({ ...(now.decode(bytes) as object) }).toEqual({ last: 7 })
})

test('says what stands between a record and its reader', async () => {
  const kept = new Kept()
  const old = await avro(record(['user', 'string'])).open(kept)
  const now = await avro(record(['user', 'int'])).open(kept)
  const bytes = old.encode({ user: 'u' })
  await now.ready(bytes)
  const error = thrownBy(() => now.decode(bytes))
  expect(error.code).toBe('INCOMPATIBLE_SCHEMA')
  expect(error.message).toContain('cannot read "string" as "int"')
})

test('says that a schema is not kept, and does not ask for it again', async () => {
  const kept = new Kept()
  const codec = await avro('string').open(kept)
  const bytes = (await avro('int').open(new Kept())).encode(1)
  await codec.ready(bytes)
  expect(thrownBy(() => codec.decode(bytes)).facts).toEqual({ fingerprint: '7275d51a3f395c8f' })
  expect(codec.ready(bytes)).toBeUndefined()
})

test('asks again after the store was away', async () => {
  const kept = new Kept()
  const codec = await avro('long').open(kept)
  const bytes = (await avro('int').open(kept)).encode(1)
  kept.down = true
  await expect(codec.ready(bytes)).rejects.toThrow('the store is away')
  kept.down = false
  await codec.ready(bytes)
  expect(codec.decode(bytes)).toBe(1)
})

test.each([
  ['another schema', '"string"', 'is another one'],
  ['no schema', '{{', 'cannot be used'],
  ['a bomb', '{"type":"array","items":"null"}', 'takes no bytes'],
  ['a forbidden key', '{"__proto__":{"type":"int"}}', '__proto__'],
])('does not trust the store: %s', async (_, text, message) => {
  const kept = new Kept()
  const bytes = (await avro('int').open(kept)).encode(1)
  for (const fingerprint of kept.schemas.keys()) kept.schemas.set(fingerprint, text)
  const codec = await avro('long').open(new Kept())
  const reader = await avro('long').open(kept)
  await Promise.all([reader.ready(bytes), codec.ready(bytes)])
  const error = thrownBy(() => reader.decode(bytes))
  expect(error.code).toBe('UNKNOWN_SCHEMA')
  expect(error.message).toContain(message)
})

test.each([
  ['nothing', undefined, 'NO_SCHEMA', 'got no schema'],
  ['text that is no JSON', '{"type":', 'BAD_SCHEMA', 'cannot be read'],
  ['an unknown type', { type: 'strin' }, 'BAD_SCHEMA', 'strin'],
  ['a record without a name', { type: 'record', fields: [] }, 'BAD_SCHEMA', 'missing name'],
  ['an array of null', { type: 'array', items: 'null' }, 'BAD_SCHEMA', 'takes no bytes'],
  ['a map of empty records', { type: 'map', values: FOO }, 'BAD_SCHEMA', 'takes no bytes'],
  [
    'an array of fixed 0',
    { type: 'array', items: { type: 'fixed', name: 'F', size: 0 } },
    'BAD_SCHEMA',
    'takes no bytes',
  ],
  [
    'a record of itself',
    { type: 'record', name: 'R', fields: [{ name: 'r', type: 'R' }] },
    'BAD_SCHEMA',
    'holds itself',
  ],
  ['a field "constructor"', record(['constructor', 'int']), 'BAD_SCHEMA', '"constructor"'],
  ['a symbol "toString"', { type: 'enum', name: 'E', symbols: ['toString'] }, 'BAD_SCHEMA', '"toString"'],
  ['a namespace "prototype"', { ...FOO, namespace: 'a.prototype' }, 'BAD_SCHEMA', 'prototype'],
  ['a key "__proto__"', '{"type":"string","__proto__":{}}', 'BAD_SCHEMA', '__proto__'],
  ['a wrong default', record(['a', 'int', { default: 'x' }]), 'BAD_SCHEMA', 'default'],
  ['a schema nested 100,000 deep', '['.repeat(1e5) + ']'.repeat(1e5), 'BAD_SCHEMA', 'nested'],
])('refuses %s when it is defined', (_, schema, code, message) => {
  try {
    avro(schema as AvroSchema)
    expect.unreachable()
  } catch (thrown) {
    expect(thrown).toBeInstanceOf(DefinitionError)
    expect(thrown).toMatchObject({ code })
    expect((thrown as Error).message).toContain(message)
  }
})

test('takes a schema as JSON text, and keeps no tie to the object it was given', () => {
  const schema = { type: 'fixed', name: 'F', size: 4 }
  const codec = avro(schema)
  schema.size = 5
  expect(codec.definition).toEqual({ name: 'avro', schema: { type: 'fixed', name: 'F', size: 4 } })
  expect(avro('{"type":"fixed","name":"F","size":4}').definition).toEqual(codec.definition)
})

test('writes unions that JavaScript cannot tell apart as { branch: value }', async () => {
  const codec = await avro(['string', 'int', 'long']).open(new Kept())
  expect(thrownBy(() => codec.encode(1)).code).toBe('INVALID_VALUE')
  expect({ ...(codec.decode(codec.encode({ long: 1 })) as object) }).toEqual({ long: 1 })
  expect(thrownBy(() => codec.encode({ toString: 1 })).code).toBe('INVALID_VALUE')
})

const LIST = record(['next', ['null', 'Click'], { default: null }])
const nested = (levels: number) => {
  let value: object | null = null
  for (let i = 0; i < levels; i++) value = { next: value }
  return value
}

test('refuses values deeper than depthMax, both ways', async () => {
  const shallow = await avro(LIST, { depthMax: 10 }).open(new Kept())
  const deep = await avro(LIST).open(new Kept())
  expect(shallow.decode(shallow.encode(nested(10)))).toEqual(nested(10))
  expect(thrownBy(() => shallow.encode(nested(11))).code).toBe('TOO_DEEP_OR_LARGE')
  expect(thrownBy(() => shallow.decode(deep.encode(nested(11)))).code).toBe('TOO_DEEP_OR_LARGE')
  const bomb = Buffer.concat([Buffer.from(deep.encode(nested(1))).subarray(0, 10), Buffer.alloc(1e6, 2)])
  expect(thrownBy(() => deep.decode(bomb)).code).toBe('TOO_DEEP_OR_LARGE')
})

test('refuses a circle with an error', async () => {
  const codec = await avro(LIST).open(new Kept())
  const circle: { next?: object } = {}
  circle.next = circle
  expect(thrownBy(() => codec.encode(circle)).code).toBe('TOO_DEEP_OR_LARGE')
})

test('refuses records above bytesMax, both ways', async () => {
  const codec = await avro('string', { bytesMax: 20 }).open(new Kept())
  expect(codec.decode(codec.encode('123456789'))).toBe('123456789')
  expect(thrownBy(() => codec.encode('1234567890')).code).toBe('TOO_DEEP_OR_LARGE')
  expect(thrownBy(() => codec.decode(new Uint8Array(21))).code).toBe('TOO_DEEP_OR_LARGE')
})

test('puts nothing into the store to read', async () => {
  const kept = new Kept()
  await avro('string').open(kept, 'read')
  expect(kept.schemas.size).toBe(0)
})

test('knows when a stream has moved on to a newer schema, and when it cannot', () => {
  const one = avro(record(['a', 'int'])).definition
  const two = avro(record(['a', 'long'], ['b', 'int', { default: 1 }])).definition
  const other = avro(record(['c', 'int'])).definition
  for (const use of ['read', 'write'] as const) {
    expect(movedOn('stream "s"', one, one, use)).toBe(false)
    expect(movedOn('stream "s"', one, two, use)).toBe(true)
    expect(() => movedOn('stream "s"', one, other, use)).toThrow('no matching field for default-less Click.c')
    expect(() => movedOn('stream "s"', one, { name: 'json' }, use)).toThrow('written with avro()')
  }
})

test('lets a writer of the former schema go on, and refuses a reader of it', () => {
  const former = avro(record(['a', 'int'])).definition
  const now = avro(record(['a', 'long'])).definition
  expect(movedOn('stream "s"', now, former, 'write')).toBe(false)
  expect(() => movedOn('stream "s"', now, former, 'read')).toThrow(DefinitionError)
})
