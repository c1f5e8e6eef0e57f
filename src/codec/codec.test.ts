import { expect, test } from 'vitest'
import { RecordError } from '../errors.js'
import { avro } from './avro.js'
import { bytes } from './bytes.js'
import { codecOf, movedOn, type CodecDefinition, type SchemaStore } from './codec.js'
import { json } from './json.js'

const WHERE = 'stream "s"'
const NO_STORE: SchemaStore = { get: () => Promise.resolve(undefined), put: () => Promise.resolve() }

test.each([[json()], [bytes()], [avro('string')]])(
  'builds the same codec from its definition, by way of text',
  async codec => {
    const definition = JSON.parse(JSON.stringify(codec.definition)) as CodecDefinition
    const again = codecOf(WHERE, definition)
    expect(again.name).toBe(codec.name)
    expect(again.definition).toEqual(codec.definition)
    const value = codec.name === 'bytes' ? Buffer.from([1]) : 'x'
    const written = (await again.open(NO_STORE)).encode(value)
    expect(await codec.open(NO_STORE).then(open => open.decode(written))).toEqual(value)
  },
)

test('builds a codec from a definition with options of the reader', async () => {
  const long = await codecOf(WHERE, { name: 'avro', schema: 'long' }, { longs: 'bigint' }).open(NO_STORE)
  expect(long.decode(long.encode(1n))).toBe(1n)
  const small = await codecOf(WHERE, { name: 'json' }, { longs: 'bigint', bytesMax: 1 }).open(NO_STORE)
  expect(() => small.encode(10)).toThrow('bytesMax')
})

test('names the stream and the codec that only code knows, and the schema that is not there', () => {
  expect(() => codecOf(WHERE, { name: 'msgpack' })).toThrow(
    expect.objectContaining({
      code: 'CODEC_DIFFERS',
      message: expect.stringMatching(/^stream "s" is written with the codec "msgpack", which only the code/) as string,
    }),
  )
  expect(() => codecOf(WHERE, { name: 'avro' })).toThrow(expect.objectContaining({ code: 'NO_SCHEMA' }))
})

test.each([
  [
    'json',
    'msgpack',
    'is written with json(), but is to be opened with the codec "msgpack"; give its definition codec: json()',
  ],
  [
    'msgpack',
    'json',
    'is written with the codec "msgpack", but is to be opened with json(); give its definition the codec "msgpack"',
  ],
  ['msgpack', 'cbor', 'is written with the codec "msgpack", but is to be opened with the codec "cbor"'],
])('tells %s and %s apart', (kept, mine, message) => {
  expect(() => movedOn(WHERE, { name: kept }, { name: mine }, 'read')).toThrow(message)
  expect(movedOn(WHERE, { name: kept }, { name: kept }, 'write')).toBe(false)
})

test('refuses an unknown option and a wrong one', () => {
  expect(() => json({ bytemax: 1 } as object)).toThrow('did you mean "bytesMax"?')
  expect(() => json({ depthMax: 0 })).toThrow('at least 1')
  expect(() => avro('int', { longs: 'string' as 'number' })).toThrow("'number' or 'bigint'")
  expect(json({ bytesMax: '2 MB' }).name).toBe('json')
})

test('gives the bytes themselves, and takes nothing else', async () => {
  const open = await bytes().open(NO_STORE)
  const some = new Uint8Array([0, 255])
  expect(open.decode(open.encode(some))).toBe(some)
  expect(() => open.encode('text' as unknown as Uint8Array)).toThrow(RecordError)
})
