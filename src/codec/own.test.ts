import { expect, test } from 'vitest'
import { DefinitionError, RecordError } from '../errors.js'
import type { SchemaStore } from './codec.js'
import { ownCodec, type OwnCodec } from './own.js'

const NO_STORE: SchemaStore = { get: () => Promise.resolve(undefined), put: () => Promise.resolve() }
const WHERE = 'stream "s"'

/** Numbers as text, with state of its own, as a library's instance has it. */
class Decimal implements OwnCodec<number> {
  readonly name = 'decimal'
  readonly #base = 10
  encode(value: number): Uint8Array {
    return Buffer.from(value.toString(this.#base))
  }
  decode(bytes: Uint8Array): number {
    const value = Number.parseInt(Buffer.from(bytes).toString(), this.#base)
    if (Number.isNaN(value)) throw new TypeError('no digits')
    return value
  }
}

const opened = <T>(own: OwnCodec<T>) => ownCodec(WHERE, own).open(NO_STORE)
const decimal = (more: Partial<OwnCodec<number>>): OwnCodec<number> => ({
  name: 'decimal',
  encode: value => Buffer.from(String(value)),
  decode: bytes => Number(Buffer.from(bytes).toString()),
  ...more,
})

function caught(run: () => unknown): unknown {
  try {
    return run()
  } catch (thrown) {
    return thrown
  }
}

test('gives back what it was given, by the methods of an instance, and keeps only its name', async () => {
  const codec = ownCodec(WHERE, new Decimal())
  const open = await codec.open(NO_STORE)
  expect(open.decode(open.encode(42))).toBe(42)
  expect(open.ready(Buffer.from('1'))).toBeUndefined()
  expect(codec).toMatchObject({ name: 'decimal', definition: { name: 'decimal' } })
  expect(JSON.stringify(codec.definition)).toBe('{"name":"decimal"}')
})

test('what encode throws is INVALID_VALUE with its cause', async () => {
  const open = await opened(new Decimal())
  const error = caught(() => open.encode(undefined as unknown as number)) as RecordError
  expect(error).toBeInstanceOf(RecordError)
  expect(error).toMatchObject({ code: 'INVALID_VALUE', facts: { path: 'value' } })
  expect(error.message).toMatch(/^value is refused by the codec decimal \(Cannot read properties of undefined/)
  expect(error.cause).toBeInstanceOf(TypeError)
})

test('what decode throws is BAD_BYTES with its cause, whatever was thrown', async () => {
  const open = await opened(new Decimal())
  const error = caught(() => open.decode(Buffer.from('x'))) as RecordError
  expect(error).toBeInstanceOf(RecordError)
  expect(error.code).toBe('BAD_BYTES')
  expect(error.message).toMatch(/^the codec decimal cannot read the record \(no digits\)/)
  expect(error.cause).toBeInstanceOf(TypeError)
  const odd = await opened(
    decimal({
      decode() {
        // eslint-disable-next-line @typescript-eslint/only-throw-error
        throw 'a text'
      },
    }),
  )
  expect(caught(() => odd.decode(Buffer.from('1')))).toMatchObject({ code: 'BAD_BYTES' })
})

test('a RecordError that it throws by itself stays as it is', async () => {
  const own = new RecordError('INVALID_VALUE', 'mine', 'mend')
  const open = await opened(
    decimal({
      encode() {
        throw own
      },
      decode() {
        throw own
      },
    }),
  )
  expect(caught(() => open.encode(1))).toBe(own)
  expect(caught(() => open.decode(Buffer.from('1')))).toBe(own)
})

test('what is no Uint8Array is refused', async () => {
  const open = await opened(decimal({ encode: value => String(value) as unknown as Uint8Array }))
  const error = caught(() => open.encode(7)) as RecordError
  expect(error).toMatchObject({ code: 'INVALID_VALUE' })
  expect(error.message).toMatch(/became "7" \(string\) by the codec decimal, which must give a Uint8Array/)
})

test('one that answers with a promise is a DefinitionError, and its rejection ends nothing', async () => {
  const later = () => Promise.reject(new Error('later')) as never
  const open = await opened(decimal({ encode: later, decode: later }))
  expect(() => open.encode(1)).toThrow(DefinitionError)
  expect(() => open.decode(Buffer.from('1'))).toThrow('decode of the codec decimal is asynchronous')
})

test('a record above bytesMax is not read, nor written', async () => {
  let asked = 0
  const decode = () => ++asked
  const open = await opened(decimal({ decode, bytesMax: 3 }))
  expect(caught(() => open.decode(Buffer.alloc(4)))).toMatchObject({ code: 'TOO_DEEP_OR_LARGE' })
  expect(asked).toBe(0)
  expect(caught(() => open.encode(1234))).toMatchObject({ code: 'TOO_DEEP_OR_LARGE' })
  expect(open.decode(open.encode(123))).toBe(1)
  const eight = await opened(decimal({}))
  expect(caught(() => eight.decode(Buffer.alloc(8 * 1024 * 1024 + 1)))).toMatchObject({ code: 'TOO_DEEP_OR_LARGE' })
})

test.each([
  ['none', undefined, '1 to 64'],
  ['an empty one', '', '1 to 64'],
  ['one with a line end', 'a\nb', '1 to 64'],
  ['one of ours', 'json', 'another than json()'],
])('a name must be there and be its own: %s', (_, name, message) => {
  expect(() => ownCodec(WHERE, decimal({ name: name as string }))).toThrow(message)
})

test('refuses a bytesMax that is no size', () => {
  expect(() => ownCodec(WHERE, decimal({ bytesMax: '3 apples' as never }))).toThrow('bytesMax of the codec decimal')
})
