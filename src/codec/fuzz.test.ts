/**
 * Every decoder against bytes from nowhere: valid samples, flipped bits, cuts at every byte, lying lengths, deep nesting.
 * Each input must end in a value or a `RecordError`, soon, and change no prototype. A million inputs a codec with
 * `STREAM_NODE_LONG=1`; the seed in the failure message repeats a run.
 */
import { expect, test } from 'vitest'
import { RecordError } from '../errors.js'
import { avro } from './avro.js'
import type { Codec, OpenCodec, SchemaStore } from './codec.js'
import { json } from './json.js'

const LONG = process.env['STREAM_NODE_LONG'] === '1'
const ROUNDS = LONG ? 1_000_000 : 4000
const SEED = Number(process.env['STREAM_NODE_SEED'] ?? 20_260_801)
const INPUT_MS = 10

const kept = new Map<string, string>()
const STORE: SchemaStore = {
  get: fingerprint => Promise.resolve(kept.get(fingerprint)),
  put: (fingerprint, schema) => Promise.resolve(void kept.set(fingerprint, schema)),
}

const TREE = {
  type: 'record',
  name: 'Tree',
  fields: [
    { name: 'name', type: 'string' },
    { name: 'n', type: 'int' },
    { name: 'at', type: 'long' },
    { name: 'f', type: 'float' },
    { name: 'd', type: 'double' },
    { name: 'yes', type: 'boolean' },
    { name: 'raw', type: ['null', 'bytes'] },
    { name: 'hash', type: { type: 'fixed', name: 'Hash', size: 4 } },
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
  ...{
    name: 'leaf \u{1f33f}',
    n: -7,
    at: 2 ** 41,
    f: 0.5,
    d: -0,
    yes: true,
    raw: Buffer.from('raw'),
    hash: Buffer.alloc(4),
  },
  ...{
    side: 'SELL',
    tags: { a: 'x', constructor: 'y' },
    either: [1, -1, 2 ** 50],
    mixed: { double: 1e300 },
    branches: [null],
  },
}
const TREE_VALUE = { ...LEAF_VALUE, either: 'text', mixed: { long: -3 }, branches: [LEAF_VALUE, null, LEAF_VALUE] }
const JSON_VALUE = {
  name: 'a \u{1f33f} "quoted" \\ \ud800',
  list: [1, -0.5, 1e21, true, null, [], {}],
  deep: { constructor: { prototype: 1 }, toString: 'x' },
}

/** A seeded generator (mulberry32), so that a failure can be walked again. */
function chance(seed: number): (below: number) => number {
  let state = seed
  return below => {
    state = (state + 0x6d2b79f5) | 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return Math.floor((((t ^ (t >>> 14)) >>> 0) / 2 ** 32) * below)
  }
}

/** Zigzag varints of -1, 0, 2^31 - 1, 2^53, 2^63 - 1, -2^63, one that never ends and one of 146 bytes. */
const LENGTHS = [
  ...[
    '01',
    '00',
    'feffffff0f',
    '8080808080808020',
    'feffffffffffffffff01',
    'ffffffffffffffffff01',
    'ffffffffffffffffffff',
  ],
  '80'.repeat(145) + '00',
].map(hex => Buffer.from(hex, 'hex'))
const JSON_PIECES = [
  '{"__proto__":{"polluted":1}}',
  '"\\u005f_proto__":1',
  '[[[[',
  '}}',
  '1e999',
  '\\ud800',
  'NaN',
  '\ufeff',
].map(text => Buffer.from(text))

function mutated(sample: Uint8Array, pieces: readonly Uint8Array[], keep: number, next: (below: number) => number) {
  let bytes = Buffer.from(sample)
  for (let times = next(3) + 1; times > 0; times--) {
    const at = keep + next(Math.max(1, bytes.length - keep))
    const kind = next(5)
    if (kind === 0) bytes[at] = (bytes[at] ?? 0) ^ (1 << next(8))
    else if (kind === 1) bytes[at] = next(256)
    else if (kind === 2) bytes = bytes.subarray(0, at)
    else {
      const piece = pieces[next(pieces.length)] as Uint8Array
      bytes = Buffer.concat([bytes.subarray(0, at), piece, bytes.subarray(at + (kind === 3 ? piece.length : 0))])
    }
  }
  return bytes
}

const PROTOTYPES: readonly object[] = [Object, Array, Function, String, Number, Map, Uint8Array].map(
  kind => kind.prototype as object,
)
const names = () => JSON.stringify(PROTOTYPES.map(prototype => Reflect.ownKeys(prototype).map(String)))
const before = names()

let slow: string[] = []

/** Ends in a value or a `RecordError`; a slow one gets two more tries, since the machine may have been busy. */
function feed(codec: OpenCodec<unknown>, bytes: Uint8Array): unknown {
  for (let tries = 3; tries > 0; tries--) {
    const began = performance.now()
    let value: unknown
    try {
      value = codec.decode(bytes)
    } catch (thrown) {
      if (!(thrown instanceof RecordError)) throw new Error(`no RecordError for ${hex(bytes)}`, { cause: thrown })
    }
    if (performance.now() - began <= INPUT_MS) return value
  }
  slow.push(hex(bytes))
  return undefined
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes.subarray(0, 400)).toString('hex')
}

interface Target {
  readonly name: string
  readonly codec: Codec<unknown>
  /** Writes the samples, when that is another than the one that reads. */
  readonly writer?: Codec<unknown>
  readonly samples: readonly unknown[]
  readonly pieces: readonly Uint8Array[]
  /** Bytes at the front that most inputs keep, lest all of them fail at the door. */
  readonly keep: number
}

const TARGETS: readonly Target[] = [
  { name: 'json', codec: json(), samples: [JSON_VALUE, [], 'x', 0], pieces: JSON_PIECES, keep: 0 },
  { name: 'avro', codec: avro(TREE), samples: [LEAF_VALUE, TREE_VALUE], pieces: LENGTHS, keep: 10 },
  { name: 'avro, skipping', codec: avro(LEAF), writer: avro(TREE), samples: [TREE_VALUE], pieces: LENGTHS, keep: 10 },
  {
    name: 'avro with bigint',
    codec: avro(TREE, { longs: 'bigint' }),
    writer: avro(TREE),
    samples: [LEAF_VALUE],
    pieces: LENGTHS,
    keep: 10,
  },
]

test.each(TARGETS)(
  '$name ends every input in a value or a typed error, soon',
  { timeout: LONG ? 1_800_000 : 30_000 },
  async target => {
    const writer = await (target.writer ?? target.codec).open(STORE)
    const codec = await target.codec.open(STORE)
    const samples = target.samples.map(value => writer.encode(value))
    for (const sample of samples) await codec.ready(sample)
    slow = []
    const next = chance(SEED)

    for (const sample of samples) {
      expect(feed(codec, sample)).toBeDefined()
      for (let cut = 0; cut < sample.length; cut++) feed(codec, sample.subarray(0, cut))
      for (let at = target.keep; at < sample.length; at++) {
        for (const piece of target.pieces) {
          feed(codec, Buffer.concat([sample.subarray(0, at), piece, sample.subarray(at)]))
          feed(codec, Buffer.concat([sample.subarray(0, at), piece, sample.subarray(at + 1)]))
        }
      }
    }
    for (let i = 0; i < ROUNDS; i++) {
      const sample = samples[next(samples.length)] as Uint8Array
      feed(codec, mutated(sample, target.pieces, next(20) === 0 ? 0 : target.keep, next))
    }

    expect(slow, `inputs of over ${INPUT_MS} ms, seed ${SEED}`).toEqual([])
    expect(names()).toBe(before)
    // What came before has left nothing behind: the library's own pool could be broken for good by one such input.
    for (const [n, sample] of samples.entries()) {
      if (target.writer === undefined)
        expect(JSON.stringify(codec.decode(sample))).toBe(JSON.stringify(target.samples[n]))
    }
  },
)

test('json ends bombs of a megabyte early', async () => {
  const codec = await json().open(STORE)
  slow = []
  const million = 1_000_000
  for (const bomb of [
    '['.repeat(million),
    '['.repeat(million / 2) + ']'.repeat(million / 2),
    '{"a":'.repeat(million / 5) + '1' + '}'.repeat(million / 5),
    '['.repeat(8000) + ']'.repeat(8000),
    '"' + '['.repeat(100) + '",'.repeat(100),
  ]) {
    expect(feed(codec, Buffer.from(bomb))).toBeUndefined()
  }
  expect(slow.map(text => text.slice(0, 20))).toEqual([])
})

test('avro ends bombs early, whatever is promised to follow', async () => {
  slow = []
  for (const items of [
    'int',
    'boolean',
    'string',
    { type: 'array', items: 'int' },
    { type: 'map', values: 'int' },
    TREE,
  ]) {
    for (const [kind, inner] of [
      ['array', 'items'],
      ['map', 'values'],
    ] as const) {
      const codec = await avro({ type: kind, [inner]: items }).open(STORE)
      const head = Buffer.from(codec.encode(kind === 'array' ? [] : {})).subarray(0, 10)
      for (const count of LENGTHS) {
        feed(codec, Buffer.concat([head, count, Buffer.alloc(100, 0x80)]))
        feed(codec, Buffer.concat([head, count, count, Buffer.alloc(100)]))
        feed(codec, Buffer.concat([head, Buffer.from('80808002', 'hex'), count, Buffer.alloc(1000, 0x02)]))
      }
    }
  }
  expect(slow).toEqual([])
})
