import { expect, test } from 'vitest'
import { DefinitionError, RecordError } from '../errors.js'
import { avro } from './avro.js'
import { bytes } from './bytes.js'
import { codecOf, type CodecDefinition, type SchemaStore } from './codec.js'
import { json } from './json.js'

const NO_STORE: SchemaStore = { get: () => Promise.resolve(undefined), put: () => Promise.resolve() }

test.each([[json()], [bytes()], [avro('string')]])(
  'builds the same codec from its definition, by way of text',
  async codec => {
    const definition = JSON.parse(JSON.stringify(codec.definition)) as CodecDefinition
    const again = codecOf(definition)
    expect(again.name).toBe(codec.name)
    expect(again.definition).toEqual(codec.definition)
    const value = codec.name === 'bytes' ? Buffer.from([1]) : 'x'
    const written = (await again.open(NO_STORE)).encode(value)
    expect(await codec.open(NO_STORE).then(open => open.decode(written))).toEqual(value)
  },
)

test('builds a codec from a definition with options of the reader', async () => {
  const long = await codecOf({ name: 'avro', schema: 'long' }, { longs: 'bigint' }).open(NO_STORE)
  expect(long.decode(long.encode(1n))).toBe(1n)
  const small = await codecOf({ name: 'json' }, { longs: 'bigint', bytesMax: 1 }).open(NO_STORE)
  expect(() => small.encode(10)).toThrow('bytesMax')
})

test('names the codec that does not exist and the nearest that does', () => {
  expect(() => codecOf({ name: 'jsno' } as unknown as CodecDefinition)).toThrow('did you mean "json"?')
  expect(() => codecOf({} as CodecDefinition)).toThrow(DefinitionError)
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
