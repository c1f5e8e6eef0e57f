import { expect, test } from 'vitest'
import { boundedJson } from './bounded-json.js'

const read = (text: string, depthMax?: number) => boundedJson(Buffer.from(text), depthMax)

test('gives what the bytes say', () => {
  expect(read('{"a":[1,{"b":null}],"constructor":"x"}')).toEqual({ a: [1, { b: null }], constructor: 'x' })
  expect(read('[[1]]', 2)).toEqual([[1]])
})

test('refuses what is nested deeper, a little or without end', () => {
  const deep = expect.objectContaining({ code: 'TOO_DEEP_OR_LARGE' }) as Error
  expect(() => read('[[[1]]]', 2)).toThrow(deep)
  for (const levels of [1000, 1_000_000]) expect(() => read('['.repeat(levels) + ']'.repeat(levels))).toThrow(deep)
})

test('refuses a key that changes prototypes, however it is written', () => {
  for (const key of ['__proto__', '\\u005f_proto__']) {
    expect(() => read(`{"a":[{"${key}":{}}]}`)).toThrow('there is a key "__proto__"')
  }
})

test('refuses what is no JSON', () => {
  for (const text of ['', '{', 'undefined', '\u0000']) expect(() => read(text)).toThrow(SyntaxError)
})
