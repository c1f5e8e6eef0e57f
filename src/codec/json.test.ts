import { expect, test } from 'vitest'
import { RecordError } from '../errors.js'
import type { SchemaStore } from './codec.js'
import { json } from './json.js'

const NO_STORE: SchemaStore = { get: () => Promise.resolve(undefined), put: () => Promise.resolve() }
const open = await json().open(NO_STORE)

function thrownBy(work: () => unknown): RecordError {
  try {
    work()
  } catch (thrown) {
    expect(thrown).toBeInstanceOf(RecordError)
    return thrown as RecordError
  }
  throw new Error('nothing was thrown')
}

class Point {
  constructor(
    readonly x: number,
    readonly y: number,
  ) {}
}

test.each([
  [{ a: 1, b: [true, null, 'x', { c: -1.5e-7 }] }],
  ['half a pair \ud800, a whole one \u{1f33f}'],
  [{ '\udc00': '\u0000' }],
  [{ constructor: { prototype: 1 }, toString: 2, prototype: 3 }],
  [null],
  [[]],
  [''],
])('gives back %j', value => {
  expect(open.decode(open.encode(value))).toEqual(value)
})

test('writes what JSON.stringify writes, as UTF-8', () => {
  const value = {
    a: 'é€',
    at: new Date(0),
    gone: undefined,
    point: new Point(1, 2),
    bare: Object.assign(Object.create(null), { a: 1 }) as object,
  }
  expect(Buffer.from(open.encode(value)).toString()).toBe(JSON.stringify(value))
})

test('gives -0 back as 0', () => {
  expect(open.decode(open.encode(-0))).toBe(0)
})

const circle: { list: unknown[] } = { list: [] }
circle.list.push({ up: circle })

test.each([
  ['undefined at the top', undefined, 'value is undefined'],
  ['a function at the top', () => 1, 'value is a function'],
  ['NaN', { a: [1, NaN] }, 'value.a[1] is NaN (number), which JSON does not carry'],
  ['Infinity', { a: { 'b-c': -Infinity } }, 'value.a["b-c"] is -Infinity (number)'],
  ['BigInt', { n: 5n }, 'value.n is 5 (bigint)'],
  ['a function', { on: { click() {} } }, 'value.on.click is a function'],
  ['a symbol', { s: Symbol('x') }, 'value.s is a symbol'],
  ['undefined in an array', { list: [1, undefined] }, 'value.list[1] is undefined'],
  ['a hole in an array', { list: [1, , 2] }, 'value.list[1] is undefined'], // eslint-disable-line no-sparse-arrays
  ['a Map', { m: new Map([[1, 2]]) }, 'value.m is a Map'],
  ['an Error', { e: new Error('x') }, 'value.e is an Error'],
  ['bytes', { b: new Uint8Array(2) }, 'value.b is a Uint8Array'],
  ['an invalid date', { at: new Date(NaN) }, 'value.at is an invalid date'],
  ['a toJSON that gives a BigInt', { a: { toJSON: () => ({ n: 1n }) } }, 'value.a.n is 1 (bigint)'],
  ['a toJSON that throws', { a: { toJSON: () => Buffer.alloc(-1) } }, 'value.a throws in its toJSON'],
  ['a circle', circle, 'value.list[0].up holds itself'],
  ['the key __proto__', JSON.parse('{"a":{"__proto__":1}}') as object, 'value.a.__proto__ is a key'],
])('refuses %s and names the place', (_, value, message) => {
  const error = thrownBy(() => open.encode(value))
  expect(error.code).toBe('INVALID_VALUE')
  expect(error.message).toContain(message)
  expect(error.facts['path']).toBe(/^value\S*/.exec(message)?.[0])
})

test.each([
  ['nothing', '', 'empty'],
  ['text that is no JSON', '{"a":', 'is not JSON'],
  ['two values', '1 2', 'is not JSON'],
  ['a byte order mark', '\ufeff1', 'is not JSON'],
  ['invalid UTF-8', Buffer.from([0x22, 0xff, 0x22]), 'not UTF-8'],
  ['a lone surrogate in UTF-8', Buffer.from([0x22, 0xed, 0xa0, 0x80, 0x22]), 'not UTF-8'],
  ['the key __proto__', '{"a":[{"__proto__":{"admin":true}}]}', '"__proto__"'],
  ['the key __proto__ behind escapes', '{"\\u005f_pr\\u006Fto__":1}', '"__proto__"'],
  ['the key __proto__ in a large record', `{"pad":[${'{},'.repeat(300)}{"__proto__":1}]}`, '"__proto__"'],
])('refuses to read %s', (_, given, message) => {
  const error = thrownBy(() => open.decode(Buffer.from(given as string)))
  expect(error.code).toBe('BAD_BYTES')
  expect(error.message).toContain(message)
})

test('reads text that only speaks of __proto__', () => {
  expect(open.decode(Buffer.from('{"say":"__proto__ \\u005f"}'))).toEqual({ say: '__proto__ _' })
})

const nested = (levels: number, [opening, inside, closing]: readonly [string, string, string]) =>
  Buffer.from(opening.repeat(levels) + inside + closing.repeat(levels))

test.each([[['[', '', ']']], [['{"a":', '1', '}']], [['[{"b":"]}","a":', '2', '}]']]] as const)(
  'reads up to depthMax levels of %j and no more',
  async shape => {
    const codec = await json({ depthMax: 200 }).open(NO_STORE)
    const levels = shape[0].startsWith('[{') ? 100 : 200
    // The padding takes the text over every threshold at which another way of looking begins.
    for (const pad of [0, 20_000]) {
      const wrap = (levels: number) => Buffer.concat([Buffer.alloc(pad, ' '), nested(levels, shape)])
      const value = codec.decode(wrap(levels))
      expect(Buffer.from(codec.encode(value)).toString()).toBe(wrap(levels).toString().trim())
      expect(thrownBy(() => codec.decode(wrap(levels + 1))).code).toBe('TOO_DEEP_OR_LARGE')
    }
    const deep = JSON.parse(nested(levels + 1, shape).toString()) as unknown
    expect(thrownBy(() => codec.encode(deep)).code).toBe('TOO_DEEP_OR_LARGE')
  },
)

test('refuses records above bytesMax, both ways', async () => {
  const codec = await json({ bytesMax: 10 }).open(NO_STORE)
  expect(codec.decode(codec.encode('12345678'))).toBe('12345678')
  expect(thrownBy(() => codec.encode('123456789')).code).toBe('TOO_DEEP_OR_LARGE')
  expect(thrownBy(() => codec.decode(Buffer.from('"123456789"'))).code).toBe('TOO_DEEP_OR_LARGE')
})
