/** What a reader and a writer are told when bytes of the data file have changed under the log. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { systemChance, systemClock } from '../../clock.js'
import { DefinitionError } from '../../errors.js'
import { silent } from '../../telemetry/events.js'
import type { LogStream } from '../log.js'
import type { Ports } from '../ports.js'
import { START } from '../record.js'
import { openEmbedded } from './embedded.js'
import { decodeEntry, decodeTail, encodeTail, freshTail, RecordCodec } from './layout.js'
import { Pulse } from './pulse.js'
import { damaged, guarded } from './table.js'

let folder: string
const opened: Ports[] = []

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'stream-node-test-'))
})

afterEach(async () => {
  await Promise.all(opened.splice(0).map(ports => ports.close()))
  rmSync(folder, { recursive: true, force: true })
})

async function open(): Promise<LogStream> {
  const around = { clock: systemClock, chance: systemChance, tell: silent }
  const ports = await openEmbedded({ dataDir: join(folder, 'data') }, around)
  opened.push(ports)
  return ports.log.open({ name: 'orders', partitions: 1, retention: {}, replicas: 1, dedupWindowMs: 1000 })
}

/** Writes some records and closes; the last of them is the needle. */
async function filled(): Promise<Buffer> {
  const stream = await open()
  for (const text of ['a', 'b', 'needle in the file']) {
    await stream.append({ partition: 0, payload: Buffer.from(text) })
  }
  await opened.splice(0)[0]?.close()
  return readFileSync(join(folder, 'data', 'data.mdb'))
}

const badLog = { name: 'IntegrityError', code: 'BAD_LOG' }
const mend = /the embedded log is damaged: .*; stop what runs on its data folder and put the folder back from a copy/

test('tells a reader and a writer of a record that cannot be one', async () => {
  const data = await filled()
  for (let at = data.indexOf('needle'); at >= 0; at = data.indexOf('needle', at + 1)) data.fill(0xff, at - 4, at)
  writeFileSync(join(folder, 'data', 'data.mdb'), data)
  const stream = await open()
  const reading = stream.read({ after: START }).next()
  await expect(reading).rejects.toMatchObject(badLog)
  await expect(reading).rejects.toThrow(mend)
  const ending = await stream.append({ partition: 0, payload: Buffer.from('c') })
  expect(ending).toMatchObject({ ending: 'unknown', error: badLog })
  await expect(stream.last(0)).rejects.toMatchObject(badLog)
})

test('does not open a file whose tables are gone', async () => {
  const data = await filled()
  writeFileSync(join(folder, 'data', 'data.mdb'), data.fill(0, 2 * 4096))
  await expect(open()).rejects.toMatchObject({ code: 'BAD_DATA_FOLDER' })
})

test('says of whatever a read throws that the log is damaged, once', () => {
  const thrown = Object.assign(new Error('MDB_PAGE_NOTFOUND: Requested page not found'), { code: -30797 })
  const fail = () => {
    throw thrown
  }
  const table = guarded({ get: fail, getRange: fail, putSync: fail, removeSync: fail })
  expect(() => table.get(1)).toThrow(mend)
  expect(() => [...table.getRange({ start: 1, end: 2 })]).toThrow(mend)
  // A write is undone with its transaction, which needs to know what the library said.
  expect(() => table.putSync(1, 1)).toThrow(thrown)
  expect(damaged(damaged(thrown)).cause).toBe(thrown)
})

test('refuses a tail of another length', () => {
  expect(() => decodeTail(encodeTail(freshTail()).subarray(8))).toThrow(mend)
})

test('wakes who waits for something that can no longer be looked at', async () => {
  const pulse = new Pulse(systemClock, () => {})
  const changed = () => {
    throw new DefinitionError('BAD_OPTION', 'any', 'any')
  }
  await new Promise<void>(woken => pulse.wait(1, changed, woken))
  pulse.close()
})

test('tells of an entry of a bucket, a tail or a record that is too short to be one', () => {
  for (const decode of [
    () => decodeEntry('k', new Uint8Array(16)),
    () => decodeTail(Buffer.alloc(3)),
    () => new RecordCodec().decode(Buffer.alloc(19), 19),
  ]) {
    expect(decode).toThrow(mend)
  }
})
