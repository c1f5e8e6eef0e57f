/** The codecs against bare `avsc` and bare `JSON`, interleaved in pairs; the figure of each case is its median pair. */
import { createRequire } from 'node:module'
import { avro, json, type AvroSchema, type Codec } from '../src/index.js'
import { contest, type Case } from './case.js'

/** 84 bytes of JSON, as in the benchmarks of the log. */
const SMALL = { user: 'user-004217', page: '/products/1234', ms: 318, at: 1_760_000_000_123, bot: false }
const LARGE = {
  order: 'o-20260801-77',
  lines: Array.from({ length: 50 }, (_, n) => ({ ...SMALL, ms: n, price: n * 1.1 })),
}

const CLICK = {
  type: 'record',
  name: 'Click',
  fields: [
    { name: 'user', type: 'string' },
    { name: 'page', type: 'string' },
    { name: 'ms', type: 'int' },
    { name: 'at', type: 'long' },
    { name: 'bot', type: 'boolean' },
  ],
}
const LINE = { ...CLICK, name: 'Line', fields: [...CLICK.fields, { name: 'price', type: 'double' }] }
const ORDER = {
  type: 'record',
  name: 'Order',
  fields: [
    { name: 'order', type: 'string' },
    { name: 'lines', type: { type: 'array', items: LINE } },
  ],
}

/** The schema library without anything of ours. */
interface Bare {
  toBuffer(value: unknown): Buffer
  fromBuffer(bytes: Buffer): unknown
}
const { Type } = createRequire(import.meta.url)('avsc') as { Type: { forSchema(schema: AvroSchema): Bare } }

const KEPT = new Map<string, string>()
const STORE: Parameters<Codec<unknown>['open']>[0] = {
  get: fingerprint => Promise.resolve(KEPT.get(fingerprint)),
  put: (fingerprint, schema) => Promise.resolve(void KEPT.set(fingerprint, schema)),
}

export interface CodecBenchOptions {
  readonly pairs?: number
  readonly pairMs?: number
}

/** Measures every case; takes about `cases × pairs × 2 × pairMs`. */
export async function* codecCases({ pairs = 9, pairMs = 150 }: CodecBenchOptions = {}): AsyncGenerator<Case> {
  const measure: Measure = async (name, rivalName, ours, rival) => {
    // Both are warm before the first pair counts.
    speed(ours, pairMs)
    speed(rival, pairMs)
    const of = { case: name, rivalName, unit: 'values/s' }
    return contest({ ...of, ours: () => speed(ours, pairMs), rival: () => speed(rival, pairMs) }, pairs)
  }
  for (const [size, value, schema] of [
    ['84 B', SMALL, CLICK],
    ['5 kB', LARGE, ORDER],
  ] as const) {
    yield* await jsonCases(measure, size, value)
    yield* await avroCases(measure, size, value, schema)
  }
}

type Measure = (name: string, rivalName: string, ours: () => unknown, rival: () => unknown) => Promise<Case>

async function jsonCases(measure: Measure, size: string, value: object): Promise<Case[]> {
  const codec = await opened(json())
  const encoder = new TextEncoder()
  const decoder = new TextDecoder()
  const bytes = new Uint8Array(codec.encode(value))
  return [
    await measure(
      `json encode, ${size}`,
      'JSON.stringify + Buffer.from',
      () => codec.encode(value),
      () => Buffer.from(JSON.stringify(value)),
    ),
    await measure(
      `json encode, ${size}`,
      'JSON.stringify + TextEncoder',
      () => codec.encode(value),
      () => encoder.encode(JSON.stringify(value)),
    ),
    await measure(
      `json decode, ${size}`,
      'TextDecoder + JSON.parse',
      () => codec.decode(bytes),
      () => JSON.parse(decoder.decode(bytes)),
    ),
  ]
}

async function avroCases(measure: Measure, size: string, value: object, schema: AvroSchema): Promise<Case[]> {
  const codec = await opened(avro(schema))
  const bare = Type.forSchema(schema)
  const ours = codec.encode(value)
  const theirs = bare.toBuffer(value)
  return [
    await measure(
      `avro encode, ${size}`,
      'avsc toBuffer',
      () => codec.encode(value),
      () => bare.toBuffer(value),
    ),
    await measure(
      `avro decode, ${size}`,
      'avsc fromBuffer',
      () => codec.decode(ours),
      () => bare.fromBuffer(theirs),
    ),
  ]
}

function opened(codec: Codec<unknown>) {
  return codec.open(STORE)
}

function speed(work: () => unknown, ms: number): number {
  const began = performance.now()
  for (let done = 0; ;) {
    for (let i = 0; i < 200; i++) sink = work()
    done += 200
    const elapsed = performance.now() - began
    if (elapsed >= ms) return Math.round((done / elapsed) * 1000)
  }
}

/** What the work gives goes here, so that no compiler may leave it out. */
export let sink: unknown
