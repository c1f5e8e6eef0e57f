import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { OctetReader, OctetWriter } from '../codec/octets.js'
import { notStorable, readPlain, readText, sizeOf, writePlain, writeText, type Storable } from './plain.js'

class Fault extends Error {}
const reader = (bytes: Uint8Array) => new OctetReader(bytes, what => new Fault(what))

function bytesOf(value: unknown): Uint8Array {
  const out = new OctetWriter(16)
  expect(writePlain(out, value)).toBe(true)
  return out.done()
}

function roundTrip(value: unknown): unknown {
  const from = reader(bytesOf(value))
  const back = readPlain(from)
  expect(from.left).toBe(0)
  return back
}

const text = fc.string({
  unit: fc.oneof(
    fc.string({ unit: 'binary', minLength: 1, maxLength: 1 }),
    fc.constantFrom('\ud800', '\udfff', '\ufffd', '\u0000', 'é', '😀'),
  ),
})
const key = text.filter(name => name !== '__proto__')
const leaf = fc.oneof(
  fc.constantFrom(
    null,
    undefined,
    true,
    false,
    0,
    -0,
    NaN,
    Infinity,
    -Infinity,
    2 ** 53,
    -(2 ** 53),
    2 ** 53 - 1,
    5e-324,
  ),
  fc.integer(),
  fc.double(),
  text,
  fc.uint8Array({ maxLength: 20 }),
  fc.uint8Array({ maxLength: 20 }).map(bytes => Buffer.from(bytes)),
)
const holed = (items: unknown[]) => {
  const array = [...items]
  if (array.length > 0) Reflect.deleteProperty(array, array.length >> 1)
  return array
}
const value = fc.letrec(tie => ({
  any: fc.oneof({ depthSize: 'small' }, leaf, tie('array'), tie('object'), tie('bare'), tie('holed')),
  array: fc.array(tie('any'), { maxLength: 5 }),
  holed: fc.array(tie('any'), { maxLength: 5 }).map(holed),
  object: fc.dictionary(key, tie('any'), { maxKeys: 5, noNullPrototype: true }),
  bare: fc
    .dictionary(key, tie('any'), { maxKeys: 3 })
    .map(entries => Object.assign(Object.create(null), entries) as object),
})).any

/** Unlike toStrictEqual it tells a Buffer from a Uint8Array, objects by their prototypes and keys by their order. */
function same(a: unknown, b: unknown): boolean {
  if (typeof a !== 'object' || a === null || typeof b !== 'object' || b === null) return Object.is(a, b)
  if (Object.getPrototypeOf(a) !== Object.getPrototypeOf(b)) return false
  if (a instanceof Uint8Array) return Buffer.compare(a, b as Uint8Array) === 0
  const keys = Object.keys(a)
  if (Array.isArray(a) && a.length !== (b as unknown[]).length) return false
  if (keys.join('\n') !== Object.keys(b).join('\n')) return false
  return keys.every(name => same((a as Record<string, unknown>)[name], (b as Record<string, unknown>)[name]))
}

describe('what can be stored', () => {
  test('comes back exactly, whatever it is made of', () => {
    fc.assert(
      fc.property(value, given => {
        expect(sizeOf(given)).toBeGreaterThan(0)
        expect(same(roundTrip(given), given)).toBe(true)
      }),
      { numRuns: 2000 },
    )
  })

  test('keeps texts that UTF-8 does not carry', () => {
    fc.assert(
      fc.property(text, given => {
        const out = new OctetWriter(0)
        writeText(out, given)
        expect(readText(reader(out.done()))).toBe(given)
      }),
    )
  })

  test('takes few bytes', () => {
    expect(bytesOf(7)).toHaveLength(2)
    expect(bytesOf('click')).toHaveLength(7)
    expect(bytesOf([3, 7.25])).toHaveLength(2 + 2 + 9)
    expect(bytesOf({ count: 3, sum: 7.25 })).toHaveLength(2 + '{"count":3,"sum":7.25}'.length)
  })

  test('does not keep the entry in memory that bytes were read from', () => {
    const entry = bytesOf([new Uint8Array(3), Buffer.alloc(3)])
    for (const part of readPlain(reader(entry)) as Uint8Array[]) {
      expect(part.buffer).not.toBe(entry.buffer)
      expect(part.buffer.byteLength).toBe(3)
    }
  })

  test('may be nested as deep as a codec reads, with room around it', () => {
    let deep: unknown = 1
    for (let i = 0; i < 1050; i++) deep = i % 2 === 0 ? [deep] : { a: deep }
    expect(same(roundTrip(deep), deep)).toBe(true)
    expect(same(roundTrip([deep, undefined]), [deep, undefined])).toBe(true)
  })
})

describe('what cannot be stored', () => {
  class Account {
    balance = 1
  }
  class List extends Array<number> {}
  const circle: unknown[] = []
  circle.push({ back: circle })
  let deep: unknown = 1
  for (let i = 0; i < 2000; i++) deep = [deep]

  test.each([
    ['a Map', { seen: new Map() }, 'value.seen is a Map, which no ledger can hold'],
    ['a Set', [1, new Set()], 'value[1] is a Set, which'],
    ['a Date', { at: [new Date(0)] }, 'value.at[0] is a Date, which'],
    ['an instance', new Account(), 'value is an instance of Account, which'],
    ['a list of one’s own', new List(), 'value is an instance of List, which'],
    ['a function', { f: () => 1 }, 'value.f is a function, which'],
    ['a symbol', [Symbol('s')], 'value[0] is a symbol, which'],
    ['a bigint', { 'big one': 1n }, 'value["big one"] is 1 (bigint), which'],
    ['other bytes', [new Float64Array(1)], 'value[0] is a Float64Array, which'],
    ['a circle', circle, 'value[0].back holds itself'],
    ['a key that changes prototypes', JSON.parse('{"a":{"__proto__":1}}'), 'value.a.__proto__ is a key'],
    ['too many levels', deep, 'is nested more than 1100 levels deep'],
  ])('is refused with its place: %s', (_, given: unknown, says) => {
    expect(sizeOf(given)).toBe(-1)
    expect(sizeOf([given])).toBe(-1)
    expect(writePlain(new OctetWriter(0), given)).toBe(false)
    const error = notStorable(given, 'the row "k" of the table "t"')
    expect(error.code).toBe('NOT_STORABLE')
    expect(error.message).toContain('in the row "k" of the table "t", ')
    expect(error.message).toContain(says)
  })
})

describe('bytes that were not written here', () => {
  /** A value or the reader's fault, and the world as it was. */
  function survives(bytes: Uint8Array): void {
    try {
      const given = readPlain(reader(bytes))
      expect(sizeOf(given)).toBeGreaterThan(0)
    } catch (error) {
      expect(error).toBeInstanceOf(Fault)
    }
    expect(Object.getPrototypeOf({})).toBe(Object.prototype)
    expect(Object.keys(Object.prototype)).toEqual([])
  }

  test('give a value or the fault of the reader, whatever they are', () => {
    fc.assert(fc.property(fc.uint8Array({ maxLength: 60 }), survives), { numRuns: 3000 })
    fc.assert(
      fc.property(fc.nat(15), fc.uint8Array({ maxLength: 60 }), (tag, rest) => survives(Uint8Array.of(tag, ...rest))),
      { numRuns: 5000 },
    )
  })

  test('give a value or the fault of the reader when one byte is another', () => {
    fc.assert(
      fc.property(value, fc.nat(), fc.nat(255), (given, at, byte) => {
        const bytes = bytesOf(given)
        bytes[at % bytes.length] = byte
        survives(bytes)
      }),
      { numRuns: 3000 },
    )
  })

  const jsonOf = (json: string) =>
    Buffer.concat([Buffer.from([10, ...varint(Buffer.byteLength(json))]), Buffer.from(json)])
  const varint = (value: number): number[] => (value > 127 ? [(value % 128) | 128, ...varint(value >> 7)] : [value])

  test.each([
    ['the key __proto__ in JSON', jsonOf('{"a":[{"__proto__":{}}]}'), /__proto__/],
    ['the key __proto__ behind escapes', jsonOf('{"\\u005f_proto__":{}}'), /__proto__/],
    ['the key __proto__ in parts', Uint8Array.of(12, 1, 10, ...Buffer.from('__proto__'), 0), /__proto__/],
    ['no JSON', jsonOf('{'), /not JSON/],
    ['JSON that is too deep', jsonOf('['.repeat(1e5) + ']'.repeat(1e5)), /too deep/],
    ['parts that are too deep', new Uint8Array(1e5).fill(1).map((_, i) => (i % 2 === 0 ? 11 : 1)), /too deep/],
    ['more parts than bytes', Uint8Array.of(11, 255, 255, 255, 127), /parts/],
    ['half a character', Uint8Array.of(7, 0, 1, 65), /within a character/],
    ['a hole outside of an array', Uint8Array.of(14), /unknown kind 14/],
    ['nothing', Uint8Array.of(), /too early/],
  ])('are refused: %s', (_, bytes, says) => {
    const read = () => readPlain(reader(bytes))
    expect(read).toThrow(Fault)
    expect(read).toThrow(says)
  })
})

test('says at compile time what state may be', () => {
  const stored = <S>(state: S & Storable<S>) => state
  stored({ count: 1, last: undefined, tags: ['a'], bytes: new Uint8Array(1) })
  // @ts-expect-error a Map cannot be stored
  stored({ seen: new Map<string, number>() })
  // @ts-expect-error nor a Date, at any depth
  stored({ at: [new Date(0)] })
  // @ts-expect-error nor a function
  stored({ f: () => 1 })
  expect(stored('text')).toBe('text')
})

test('does not believe arrays within arrays that promise more parts together than there are bytes', () => {
  const levels = 500
  const promise = Buffer.concat(Array.from({ length: levels }, () => Buffer.from('0bc08d06', 'hex')))
  const from = reader(Buffer.concat([promise, Buffer.alloc(100_000, 14)]))
  expect(() => readPlain(from)).toThrow(/says that a value has 100032 parts, and has \d+ bytes for them/)
})
