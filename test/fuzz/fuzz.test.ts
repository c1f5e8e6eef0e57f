/**
 * Everything that reads bytes from outside, against bytes from nowhere: each input must end in a value or an error of
 * ours, soon, in memory that is in proportion, and change no prototype; none may end the process. Far more of them run
 * in the long form; `npm run fuzz` repeats one.
 */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, expect, test } from 'vitest'
import { buildFuzz, fuzz, told } from './crew.js'
import { decodersIn } from './decoders.js'
import { foundIn, holes, type Hole } from './holes.js'

const SEED = 1
const INPUTS = 8000
const root = join(import.meta.dirname, '../..')

/** What reads and is not fuzzed, and why that is well. */
const LEFT_OUT: Readonly<Record<string, string>> = {
  'src/cli/dlq-show.ts bytesOf': 'shows the base64 of a letter that was read, and fails at none',
  'src/log/jetstream/bucket.ts entryOf': 'likewise that of an answer of the server, as recordOf of leader.ts does',
  'src/state/entry.ts writeState': 'writes',
  'src/telemetry/logger.ts lineForPeople': 'reads what the logger wrote just before',
}

let entry: string
beforeAll(() => {
  entry = buildFuzz('fuzz')
}, 60_000)

test('ends every input in a value or an error of ours, soon', { timeout: 120_000 }, async () => {
  const report = await fuzz(entry, { seed: SEED, inputs: INPUTS }, 2)
  expect(report.findings, told(report.findings, SEED)).toEqual([])
  expect(report.inputs).toBeGreaterThan(INPUTS)
})

test('reaches every function of src/ that reads what comes from outside', { timeout: 60_000 }, async () => {
  const report = await fuzz(entry, { seed: SEED, inputs: 600, covering: true })
  const paths = readdirSync(join(root, 'src'), { recursive: true, encoding: 'utf8' }).map(path => `src/${path}`)
  const files = paths
    .filter(path => path.endsWith('.ts'))
    .map(path => [path, readFileSync(join(root, path), 'utf8')] as const)
  const decoders = decodersIn(new Map(files))
  expect(decoders.length).toBeGreaterThan(30)
  const missed = decoders.filter(name => !report.called.has(name) && !Object.hasOwn(LEFT_OUT, name))
  expect(missed, 'add a target to test/fuzz/targets that feeds these, or say here why not').toEqual([])
  const idle = Object.keys(LEFT_OUT).filter(name => !decoders.includes(name) || report.called.has(name))
  expect(idle, 'these need not be left out').toEqual([])
})

test('finds a decoder by what it uses, and by what it is called', () => {
  const source = `
      const fromText = (text: string) => JSON.parse(text)
      export function readThing(bytes: Uint8Array) { return bytes }
      export function readAll(log: Log) { return log }
      class Store { get size() { return this.buffer.readUInt32LE(0) } #open(b: Buffer) { return b.map(() => decodeURIComponent('')) } }
      export const held = { take(x: string) { return Buffer.from(x, 'base64') } }`
  const names = decodersIn(
    new Map([
      ['src/a.ts', source],
      ['src/a.test.ts', source],
      ['test/a.ts', source],
    ]),
  )
  expect(names).toEqual(['fromText', 'readThing', 'size', '#open', 'take'].map(name => `src/a.ts ${name}`))
})

test('would notice an error that is none of ours; the long form tries every hole', { timeout: 60_000 }, async () => {
  const [hole] = holes
  expect(await foundIn(hole as Hole)).toMatch((hole as Hole).finds)
})
