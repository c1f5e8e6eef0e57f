import { expect, test } from 'vitest'
import { DefinitionError } from '../errors.js'
import { foldsOf, type Aggregate } from './aggregate.js'
import { custom } from './custom.js'
import { frozen, kept } from './frozen.js'
import { reduce } from './reduce.js'

class Point {
  constructor(readonly x: number) {}
}

test('a state is frozen all the way down, in place', () => {
  const state = { a: [{ b: 1 }], c: { d: null, e: undefined, f: 'text' } }
  expect(frozen('it', state)).toBe(state)
  for (const part of [state, state.a, state.a[0], state.c]) expect(Object.isFrozen(part)).toBe(true)
})

test('what is frozen already is not looked into', () => {
  let looks = 0
  const inner = Object.freeze({
    get n() {
      return (looks += 1)
    },
  })
  frozen('it', { inner })
  expect(looks).toBe(0)
})

test.each([
  [new Map(), 'state is a Map'],
  [new Set(), 'state is a Set'],
  [{ a: [0, new Date(0)] }, 'state.a[1] is a Date'],
  [{ a: new Point(1) }, 'state.a is a Point'],
  [{ a: () => 1 }, 'state.a is a function'],
  [[1n], 'state[0] is 1 (bigint)'],
  [Symbol('s'), 'state is a symbol'],
  [Promise.resolve(1), 'state is a Promise'],
  [{ a: { b: new Uint8Array(2) } }, 'state.a.b is a Uint8Array; bytes can be changed in place by anyone'],
])('what cannot be stored or frozen is refused, and its place is named: %s', (state, error) => {
  const refused = () => frozen('scan', state)
  expect(refused).toThrow(`scan: ${error}`)
  expect(refused).toThrow(expect.objectContaining({ name: 'DefinitionError', code: 'NOT_STORABLE' }))
})

test('objects without a prototype are plain, those from another realm too', async () => {
  const { runInNewContext } = await import('node:vm')
  const foreign = runInNewContext('({ a: [1, { b: 2 }] })') as { a: [number, object] }
  expect(Object.isFrozen(frozen('it', foreign).a[1])).toBe(true)
  expect(Object.isFrozen(frozen('it', Object.create(null)))).toBe(true)
})

test('a circle is refused, not followed for ever', () => {
  const circle: { self?: unknown } = {}
  circle.self = circle
  expect(() => frozen('it', circle)).toThrow('nested more than 1000 levels deep, or goes in a circle')
})

test('bytes in a value that is kept are copied, and only what holds them', () => {
  const bytes = Buffer.from([1, 2])
  const value = { a: { bytes }, b: { c: 1 } }
  const copy = kept('it', value)
  expect(copy).toEqual({ a: { bytes: new Uint8Array([1, 2]) }, b: { c: 1 } })
  expect(copy.b).toBe(value.b)
  bytes[0] = 9
  expect(copy.a.bytes[0]).toBe(1)
  expect(kept('it', bytes)).not.toBe(bytes)
})

interface Told {
  n: number
  names: string[]
}

test.each<[string, (state: Told) => void]>([
  ['assigns', state => (state.n = 2)],
  ['counts', state => state.n++],
  ['adds a field', state => Object.assign(state, { more: 1 })],
  ['deletes a field', state => delete (state as Partial<Told>).n],
  ['defines a field', state => Object.defineProperty(state, 'more', { value: 1 })],
  ['pushes', state => state.names.push('bo')],
  ['pops', state => state.names.pop()],
  ['shifts', state => state.names.shift()],
  ['unshifts', state => state.names.unshift('bo')],
  ['sorts', state => state.names.sort()],
  ['reverses', state => state.names.reverse()],
  ['splices', state => state.names.splice(0, 1)],
  ['fills', state => state.names.fill('')],
  ['cuts', state => (state.names.length = 0)],
])('a function that %s in place is told to return a new state', (_, change) => {
  const zero = (): Told => ({ n: 1, names: ['cy', 'ann'] })
  const add = (state: Told) => {
    change(state)
    return state
  }
  const both: [string, Aggregate<number, unknown>][] = [
    ['reduce', reduce(add, zero())],
    ['custom', custom({ zero, add, merge: add, result: state => state.n })],
  ]
  for (const [name, aggregate] of both) {
    const { fold } = foldsOf<number>('a test', { mine: aggregate })[0]!
    const changed = () => fold.add(fold.zero(), 1)
    expect(changed).toThrow(`${name} "mine": the function changed its state or its value in place (`)
    expect(changed).toThrow('return a new one, such as { ...state, n: state.n + 1 } or [...state, value]')
    expect(changed).toThrow(DefinitionError)
    expect(changed).toThrow(expect.objectContaining({ code: 'BAD_PIPELINE', cause: expect.any(TypeError) }))
  }
})

test('what else a function throws comes out as it is', () => {
  const own = new TypeError("Cannot read properties of undefined (reading 'a')")
  const fail = () => {
    throw own
  }
  const { fold } = foldsOf<number>('a test', { mine: reduce<number, number>(fail, 0) })[0]!
  expect(() => fold.add(0, 1)).toThrow(own)
})

test('what a merge or a result changes in place is told likewise', () => {
  const aggregate = custom({
    zero: (): { names: string[] } => ({ names: ['bo', 'ann'] }),
    add: (state, name: string) => ({ names: [...state.names, name] }),
    merge: (a, b) => {
      a.names.push(...b.names)
      return a
    },
    result: state => state.names.sort(),
  })
  const { fold } = foldsOf<string>('a test', { mine: aggregate })[0]!
  expect(() => fold.merge!(fold.zero(), fold.zero())).toThrow('changed its state or its value in place')
  expect(() => fold.result(fold.zero())).toThrow('changed its state or its value in place')
})

test('a state that cannot be stored is refused at definition, or at the value that leads to it', () => {
  const set = () => new Set() as never
  expect(() => custom({ zero: set, add: set, merge: set, result: set })).toThrow('custom: state is a Set')
  expect(() => reduce(set, set())).toThrow('reduce: state is a Set')
  const { fold } = foldsOf<number>('a test', { mine: reduce<number, unknown>(() => new Map(), 0) })[0]!
  expect(() => fold.add(0, 1)).toThrow('reduce "mine": state is a Map')
})
