/** A data folder that is taken away under a log at work: what is noticed, and that nothing is acknowledged after it. */
import { cpSync, mkdirSync, mkdtempSync, renameSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { systemChance, systemClock } from '../../clock.js'
import type { IntegrityError } from '../../errors.js'
import type { Event } from '../../telemetry/events.js'
import type { LogStream } from '../log.js'
import type { Ports } from '../ports.js'
import { openEmbedded } from './embedded.js'
import type { EmbeddedOptions } from './embedded.js'

let base: string
let dataDir: string
let ahead = 0
let events: Event[]
const opened: Ports[] = []
const clock = { ...systemClock, elapsed: () => systemClock.elapsed() + ahead }

beforeEach(() => {
  base = mkdtempSync(join(tmpdir(), 'stream-node-test-'))
  dataDir = join(base, 'data')
  events = []
})
afterEach(async () => {
  await Promise.all(opened.splice(0).map(ports => ports.close()))
  rmSync(base, { recursive: true, force: true })
})

async function open(options: EmbeddedOptions = {}): Promise<Ports> {
  const ports = await openEmbedded({ dataDir, ...options }, { clock, chance: systemChance, tell: e => events.push(e) })
  opened.push(ports)
  return ports
}

const orders = (ports: Ports): Promise<LogStream> =>
  ports.log.open({ name: 'orders', partitions: 1, retention: {}, replicas: 1, dedupWindowMs: 20_000 })
const append = (stream: LogStream) => stream.append({ partition: 0, payload: Buffer.from('x') })
const lost = () => expect.objectContaining({ code: 'LOG_REWOUND', facts: { dataDir } }) as IntegrityError

const faults: Record<string, () => void> = {
  'the folder is deleted': () => rmSync(dataDir, { recursive: true }),
  'the folder is moved': () => renameSync(dataDir, join(base, 'elsewhere')),
  'the folder is replaced by a copy': () => {
    cpSync(dataDir, join(base, 'copy'), { recursive: true, filter: source => !source.endsWith('.sock') })
    rmSync(dataDir, { recursive: true })
    renameSync(join(base, 'copy'), dataDir)
  },
  'the folder is replaced by an empty one': () => {
    rmSync(dataDir, { recursive: true })
    mkdirSync(dataDir)
  },
  'the data file is deleted': () => rmSync(join(dataDir, 'data.mdb')),
}
const cases = Object.keys(faults).flatMap(fault => (['os', 'disk'] as const).map(sync => ({ fault, sync })))

test.each(cases)('acknowledges nothing once it noticed that $fault ($sync)', async ({ fault, sync }) => {
  const ports = await open({ sync })
  const stream = await orders(ports)
  const bucket = await ports.bucket({ name: 'entries' })
  expect(await append(stream)).toMatchObject({ ending: 'stored' })
  faults[fault]?.()
  ahead += 1000
  const endings = await Promise.all([append(stream), append(stream)])
  expect(endings).toEqual([1, 2].map(() => ({ ending: 'unknown', error: lost() })))
  expect(endings[0]).toMatchObject({
    error: { message: expect.stringContaining(`data folder ${dataDir} was`) as string },
  })
  expect(await append(stream)).toEqual({ ending: 'unknown', error: lost() })
  expect(await bucket.put('a', Buffer.from('b'))).toEqual({ ending: 'unknown', error: lost() })
  await expect(ports.log.drop('orders')).rejects.toEqual(lost())
  await ports.close()
  expect(events).toEqual([{ type: 'log.error', error: lost() }])
})

test.each(['node', 'guest'] as const)(
  'a %s that closes hears that its folder is gone, and closes all the same',
  async role => {
    const ports = await open({ role })
    expect(await append(await orders(ports))).toMatchObject({ ending: 'stored' })
    rmSync(dataDir, { recursive: true })
    await ports.close()
    expect(events).toEqual([{ type: 'log.error', error: lost() }])
  },
)

test('what another makes in the place of a lost folder is left alone', async () => {
  const ports = await open()
  await append(await orders(ports))
  rmSync(dataDir, { recursive: true })
  const next = await open()
  const stream = await orders(next)
  expect(await append(stream)).toMatchObject({ position: 1 })
  await ports.close()
  ahead += 1000
  expect(await append(stream)).toMatchObject({ ending: 'stored', position: 2 })
})

test('a process that goes to work in another folder loses nothing', async () => {
  const home = process.cwd()
  process.chdir(base)
  try {
    const ports = await open({ dataDir: 'data' })
    const stream = await orders(ports)
    for (const elsewhere of [tmpdir(), home]) {
      process.chdir(elsewhere)
      ahead += 1000
      expect(await append(stream)).toMatchObject({ ending: 'stored' })
    }
    await ports.close()
  } finally {
    process.chdir(home)
  }
  expect(events).toEqual([])
})
