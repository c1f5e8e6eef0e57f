import { createRequire } from 'node:module'
import { expect, test } from 'vitest'
import { typeOf, type Type } from './engine.js'
import { ReadTap } from './read-tap.js'
import { WriteTap } from './write-tap.js'

function read(type: Type, bytes: Uint8Array): unknown {
  const tap = new ReadTap(128)
  tap.open(bytes, 0)
  const value = type._read(tap)
  tap.close()
  return value
}

function write(type: Type, value: unknown): Uint8Array {
  const tap = new WriteTap(128)
  tap.open(new Uint8Array(0))
  type._write(tap, value)
  return tap.finish()
}

const bytesOf = (hex: string) => Buffer.from(hex.replaceAll(' ', ''), 'hex')

test('stands on the version whose inner doors it knows', () => {
  const require = createRequire(import.meta.url)
  expect(require('avsc/package.json')).toMatchObject({ version: '5.7.9' })
  expect(require('../../package.json')).toMatchObject({ dependencies: { avsc: '5.7.9' } })
})

// What the bare library does with each: goes on with an empty buffer for ever, flips the sign, writes the first symbol,
// writes bytes that are no UTF-8, loops for a second.
test('reads bytes after a length that was no number', () => {
  const type = typeOf('bytes', 'number')
  expect(() => read(type, Buffer.concat([Buffer.alloc(160, 0x80), bytesOf('00')]))).toThrow('more than 64 bits')
  expect(read(type, bytesOf('06 616263'))).toEqual(Buffer.from('abc'))
})

test('keeps the sign of long longs', () => {
  const type = typeOf('long', 'number')
  for (const value of [-(2 ** 52) - 1, -(2 ** 53) + 2, -(2 ** 53) + 1])
    expect(read(type, write(type, value))).toBe(value)
})

test('takes no inherited name for a symbol', () => {
  const type = typeOf({ type: 'enum', name: 'E', symbols: ['A', 'B'] }, 'number')
  expect(() => write(type, 'toString')).toThrow('invalid')
  expect(read(type, write(type, 'B'))).toBe('B')
})

test('writes no half of a surrogate pair, short or long', () => {
  const type = typeOf('string', 'number')
  for (const text of ['\ud800', 'a\udc00b', 'x'.repeat(100) + '\ud800'])
    expect(() => write(type, text)).toThrow('surrogate')
})

test.each([
  [
    'an array longer than its bytes',
    { type: 'array', items: 'int' },
    '80808020 00',
    'block of 33554432 items does not fit',
  ],
  ['a map longer than its bytes', { type: 'map', values: 'int' }, 'feffffff0f', 'does not fit'],
  ['a block of the smallest long', { type: 'array', items: 'int' }, 'ffffffffffffffffff01 00', 'does not fit'],
  ['a block with a negative size', { type: 'array', items: 'int' }, '01 01 02 00', 'a block of -1 bytes'],
  ['a block with a size beyond the end', { type: 'array', items: 'int' }, '01 10 02 00', 'a block of 8 bytes'],
  ['a negative length', 'string', '01', 'a length is -1'],
  ['a length beyond the end', 'bytes', '04 00', 'ends in the middle'],
  ['the end inside a long', 'long', '80', 'ends in the middle'],
  ['the end inside a double', 'double', '00000000', 'ends in the middle'],
  ['nothing', 'boolean', '', 'ends in the middle'],
  ['bytes behind the value', 'int', '02 00', 'goes on for 1 bytes'],
  ['a boolean that is neither', 'boolean', '02', 'a boolean is the byte 2'],
  ['an int of 33 bits', 'int', '8080808020', 'more than 32 bits'],
  ['a long of 65 bits', 'long', 'ffffffffffffffffff02', 'more than 64 bits'],
  ['a long beyond 2^53', 'long', 'feffffffffffffffff01', 'beyond 2^53'],
  ['a string that is no UTF-8', 'string', '02 ff', 'not UTF-8'],
  ['a long string that is no UTF-8', 'string', `28 ${'61'.repeat(19)}ff`, 'not UTF-8'],
  ['a branch that is not there', ['null', 'int'], '04', 'union index'],
  ['a symbol that is not there', { type: 'enum', name: 'E', symbols: ['A'] }, '02', 'enum index'],
  ['the key __proto__', { type: 'map', values: 'int' }, '02 12 5f5f70726f746f5f5f 02 00', '__proto__'],
] as const)('refuses %s', (_, schema, hex, message) => {
  expect(() => read(typeOf(schema, 'number'), bytesOf(hex))).toThrow(message)
})

test('reads what other writers may write: blocks with sizes, numbers with padding, the replacement character', () => {
  const list = typeOf({ type: 'array', items: 'int' }, 'number')
  expect(read(list, bytesOf('03 04 02 04 02 06 00'))).toEqual([1, 2, 3])
  expect(read(typeOf('long', 'number'), bytesOf('828000'))).toBe(1)
  expect(read(typeOf('string', 'number'), bytesOf('06 efbfbd'))).toBe('\ufffd')
})

test('reads texts around the lengths at which it changes its way', () => {
  const type = typeOf('string', 'number')
  for (let length = 0; length < 80; length++) {
    for (const letter of ['a', 'é', '€']) {
      const text = 'b'.repeat(length) + letter
      expect(read(type, write(type, text))).toBe(text)
    }
  }
})
