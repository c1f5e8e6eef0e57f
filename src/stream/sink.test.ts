import { expect, test } from 'vitest'
import { DefinitionError } from '../errors.js'
import { isSink, sink, sinkNamed, sinkSettingsOf, targetName, type SinkOptions } from './sink.js'
import { isStream, stream } from './stream.js'

const write = () => {}

test('is a frozen value that prints as what was written', () => {
  const rows = sink<{ n: number }>('rows', { write })
  expect([Object.isFrozen(rows), isSink(rows), isStream(rows), isSink(stream('rows'))]).toEqual([
    true,
    true,
    false,
    false,
  ])
  expect(JSON.stringify(rows)).toBe('{"kind":"sink","name":"rows"}')
  expect(Object.keys(rows)).toEqual(['kind', 'name'])
})

test('has all its options set', () => {
  const { codec, ...settings } = sinkSettingsOf(sink('rows', { write }))
  expect(codec.name).toBe('json')
  expect(settings).toEqual({ write, batchRecords: 100, batchBytes: 1024 * 1024, timeoutMs: 30_000 })
  const asked = sink('rows', { write, batch: { records: 7, bytes: '2 KB' }, timeout: '1 minute' })
  expect(sinkSettingsOf(asked)).toMatchObject({ batchRecords: 7, batchBytes: 2048, timeoutMs: 60_000 })
})

test.each<[what: string, options: object, message: RegExp]>([
  ['nothing to write with', {}, /write of sink "rows" must be a function of records, but is undefined/],
  ['a text', { write: 'rows.txt' }, /write of sink "rows" must be a function of records/],
  ['an unknown option', { write, timout: 5 }, /unknown option "timout" of sink "rows"; did you mean "timeout"\?/],
  ['an unknown option of batch', { write, batch: { count: 5 } }, /unknown option "count" of batch of sink "rows"/],
  ['a batch that is a number', { write, batch: 5 }, /the options of batch of sink "rows" must be an object/],
  ['no records', { write, batch: { records: 0 } }, /batch.records of sink "rows" must be at least 1/],
  ['no bytes', { write, batch: { bytes: 0 } }, /batch.bytes of sink "rows" must be at least 1/],
  ['no time', { write, timeout: 0 }, /timeout of sink "rows" must be at least 1/],
  ['more time than a timer takes', { write, timeout: '30 days' }, /timeout of sink "rows" must be at most 2147483647/],
  ['no codec', { write, codec: 'json' }, /codec of sink "rows" must be a codec such as json\(\)/],
])('refuses %s, with the mend', (_, options, message) => {
  const make = () => sink('rows', options as SinkOptions<unknown>)
  expect(make).toThrow(DefinitionError)
  expect(make).toThrow(message)
})

test('refuses names that streams may not have either', () => {
  expect(() => sink('my rows', { write })).toThrow(/sink name "my rows" has a space/)
})

test('is called what no stream is called', () => {
  expect([targetName(sink('rows', { write })), targetName(stream('rows'))]).toEqual(['sink:rows', 'rows'])
  expect([sinkNamed('sink:rows'), sinkNamed('rows'), sinkNamed('sink')]).toEqual(['rows', undefined, undefined])
})
