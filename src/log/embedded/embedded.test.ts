import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, describe, expect, test } from 'vitest'
import { systemChance, systemClock } from '../../clock.js'
import type { Clock } from '../../clock.js'
import { silent } from '../../telemetry/events.js'
import type { Ending, LogStream, StreamSpec } from '../log.js'
import type { Ports } from '../ports.js'
import { START } from '../record.js'
import { openEmbedded } from './embedded.js'
import type { EmbeddedOptions } from './embedded.js'
import type { Store } from './store.js'

const temp: string[] = []
const opened: Ports[] = []

afterEach(async () => {
  await Promise.all(opened.splice(0).map(ports => ports.close()))
  for (const folder of temp.splice(0)) rmSync(folder, { recursive: true, force: true })
})

function freshFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'stream-node-test-'))
  temp.push(folder)
  return join(folder, 'data')
}

async function open(options: EmbeddedOptions, clock: Clock = systemClock): Promise<Ports> {
  const ports = await openEmbedded(options, { clock, chance: systemChance, tell: silent })
  opened.push(ports)
  return ports
}

const spec = (more: Partial<StreamSpec> = {}): StreamSpec => ({
  ...{ name: 'orders', partitions: 2, retention: {}, replicas: 1, dedupWindowMs: 20_000 },
  ...more,
})

function append(stream: LogStream, partition: number, text: string, more: { id?: string } = {}): Promise<Ending> {
  return stream.append({ partition, payload: Buffer.from(text), ...more })
}

async function textsOf(stream: LogStream): Promise<string[]> {
  const texts: string[] = []
  for await (const batch of stream.read({ after: START, untilEnd: true })) {
    for (const { payload } of batch.records) texts.push(Buffer.from(payload).toString())
  }
  return texts
}

/** A clock that moves only when told to, its timers with it. */
function handWound(now: number): Clock & { advance(ms: number): void } {
  let timers: { at: number; then: () => void }[] = []
  return {
    now: () => now,
    elapsed: () => now,
    after(ms, then) {
      const timer = { at: now + ms, then }
      timers.push(timer)
      return () => (timers = timers.filter(one => one !== timer))
    },
    soon: then => void setImmediate(then),
    advance(ms) {
      now += ms
      const due = timers.filter(one => one.at <= now)
      timers = timers.filter(one => one.at > now)
      for (const { then } of due) then()
    },
  }
}

describe('options', () => {
  test('refuses an option that nobody reads, with the nearest that exists', async () => {
    const wrong = { datadir: 'x' } as EmbeddedOptions
    await expect(open(wrong)).rejects.toThrow('unknown option "datadir" of the embedded log; did you mean "dataDir"?')
  })

  test('refuses wrong values with what it wants', async () => {
    const wrong = [
      { sync: 'always' },
      { role: 'boss' },
      { dataDir: '' },
      { memory: 'yes' },
      { memory: true, dataDir: 'x' },
    ]
    for (const options of wrong) {
      await expect(open(options as EmbeddedOptions)).rejects.toMatchObject({ code: 'BAD_OPTION' })
    }
  })
})

describe('the data folder', () => {
  test('keeps what it holds from one opening to the next', async () => {
    const dataDir = join(freshFolder(), 'made', 'on the way')
    const first = await open({ dataDir })
    const before = await first.log.open(spec())
    await append(before, 0, 'a', { id: 'a' })
    await first.close()
    const second = await open({ dataDir })
    const stream = await second.log.open(spec())
    expect(stream.incarnation).toBe(before.incarnation)
    expect(await textsOf(stream)).toEqual(['a'])
    expect(await append(stream, 1, 'again', { id: 'a' })).toEqual({ ending: 'stored', position: 1, repeat: true })
    expect(await append(stream, 1, 'b')).toEqual({ ending: 'stored', position: 2, repeat: false })
  })

  test('remembers ids of purged records from one opening to the next', async () => {
    const dataDir = freshFolder()
    const first = await open({ dataDir })
    const before = await first.log.open(spec())
    await append(before, 0, 'a', { id: 'a' })
    await before.purge(0, 2)
    await first.close()
    const stream = await (await open({ dataDir })).log.open(spec())
    expect(await append(stream, 0, 'again', { id: 'a' })).toEqual({ ending: 'stored', position: 1, repeat: true })
    expect(await stream.extent()).toMatchObject({ first: 2, last: 1 })
  })

  test('refuses a second node, in the same process too, and lets guests in', async () => {
    const dataDir = freshFolder()
    await open({ dataDir, name: 'alpha' })
    await open({ dataDir, role: 'guest' })
    await expect(open({ dataDir })).rejects.toMatchObject({
      code: 'DATA_FOLDER_IN_USE',
      facts: { name: 'alpha', pid: process.pid },
    })
  })

  test('is free again when the node has closed, and nothing of it listens on', async () => {
    const dataDir = freshFolder()
    const first = await open({ dataDir })
    await first.close()
    expect(readdirSync(dataDir).sort()).toEqual(['data.mdb', 'lock.mdb', 'openings', 'stream-node.json'])
    await open({ dataDir })
  })

  test('writes as safely as before when nobody says how, and a guest as the node does', async () => {
    const dataDir = freshFolder()
    await (await open({ dataDir, sync: 'disk' })).close()
    await (await open({ dataDir })).close()
    await (await open({ dataDir, role: 'guest', sync: 'os' })).close()
    const kept: unknown = JSON.parse(readFileSync(join(dataDir, 'stream-node.json'), 'utf8'))
    expect(kept).toEqual({ format: 1, sync: 'disk', written: true })
  })

  test('refuses a folder that holds something else, and leaves it alone', async () => {
    const dataDir = freshFolder()
    mkdirSync(dataDir)
    writeFileSync(join(dataDir, 'thesis.txt'), 'mine')
    await expect(open({ dataDir })).rejects.toThrow(/holds something else; name a folder that is empty/)
    expect(readdirSync(dataDir)).toEqual(['thesis.txt'])
  })

  test('refuses a path that is a file, or that cannot be made', async () => {
    const file = freshFolder()
    writeFileSync(file, '')
    await expect(open({ dataDir: file })).rejects.toMatchObject({ code: 'BAD_DATA_FOLDER' })
    await expect(open({ dataDir: join(file, 'below') })).rejects.toMatchObject({ code: 'BAD_DATA_FOLDER' })
  })

  test('refuses a folder of a newer format, and one whose format file is none of ours', async () => {
    const dataDir = freshFolder()
    await (await open({ dataDir })).close()
    for (const [text, message] of [
      ['{"format":2,"sync":"os"}', /newer stream-node \(format 2; this one knows 1\)/],
      ['{"format":"x"}', /none of ours/],
      ['\0\0\0', /none of ours/],
      ['null', /none of ours/],
    ] as const) {
      writeFileSync(join(dataDir, 'stream-node.json'), text)
      await expect(open({ dataDir })).rejects.toThrow(message)
      await expect(open({ dataDir })).rejects.toMatchObject({ code: 'BAD_DATA_FOLDER' })
    }
  })

  test('refuses garbage in place of the data, and data that has been cut off', async () => {
    const dataDir = freshFolder()
    const ports = await open({ dataDir })
    const stream = await ports.log.open(spec())
    for (let n = 0; n < 30; n++) await stream.append({ partition: 0, payload: new Uint8Array(100_000) })
    await ports.close()
    const data = join(dataDir, 'data.mdb')
    const whole = readFileSync(data)
    const flipped = Buffer.from(whole).fill(0xa5, 0, 4096)
    for (const [bytes, message] of [
      [Buffer.alloc(65_536, 0x5a), /holds something else/],
      [Buffer.from('short'), /holds something else/],
      [flipped, /holds something else/],
      [whole.subarray(0, 3 * 4096), /has been cut off/],
    ] as const) {
      writeFileSync(data, bytes)
      await expect(open({ dataDir })).rejects.toThrow(message)
    }
    writeFileSync(data, whole)
    expect(await textsOf(await (await open({ dataDir })).log.open(spec()))).toHaveLength(30)
  })

  test('opens when it was left half made: no data file yet or an empty one, a draft of the format', async () => {
    for (const started of [false, true]) {
      const dataDir = freshFolder()
      mkdirSync(dataDir)
      writeFileSync(join(dataDir, 'stream-node.json.4711'), '{"form')
      writeFileSync(join(dataDir, 'stream-node.json'), '{"format":1,"sync":"os","written":false}')
      if (started) writeFileSync(join(dataDir, 'data.mdb'), '')
      await open({ dataDir })
    }
  })

  test('refuses a folder whose data file is gone or empty, to a guest too, and makes no new one', async () => {
    const dataDir = freshFolder()
    await (await open({ dataDir, role: 'guest' })).close()
    const data = join(dataDir, 'data.mdb')
    truncateSync(data, 0)
    await expect(open({ dataDir })).rejects.toThrow(/the log is gone; put it back from a copy, or delete the folder/)
    rmSync(data)
    await expect(open({ dataDir, role: 'guest' })).rejects.toMatchObject({ code: 'BAD_DATA_FOLDER' })
    expect(readdirSync(dataDir)).not.toContain('data.mdb')
  })

  test.runIf(process.platform === 'linux')('refuses a path that a file system will never take', async () => {
    for (const dataDir of ['/proc/nope', '/proc/nope/below']) {
      await expect(open({ dataDir })).rejects.toMatchObject({ code: 'BAD_DATA_FOLDER' })
    }
  })
})

describe('streams', () => {
  test('makes none with several replicas or with no partitions', async () => {
    const { log } = await open({ memory: true })
    for (const wrong of [{ replicas: 3 }, { partitions: 0 }, { partitions: 4097 }, { partitions: 1.5 }]) {
      await expect(log.open(spec(wrong))).rejects.toMatchObject({ code: 'BAD_OPTION' })
    }
    await expect(log.open(spec({ name: 'a.b' }))).rejects.toMatchObject({ code: 'BAD_NAME' })
    expect(await log.names()).toEqual([])
  })

  test('keeps exactly as many records as retention says, the newest, over all partitions', async () => {
    const stream = await (await open({ memory: true })).log.open(spec({ retention: { records: 10 } }))
    for (let n = 0; n < 35; n++) await append(stream, n % 2, `${n}`)
    expect(await textsOf(stream)).toEqual(Array.from({ length: 10 }, (_, n) => `${n + 25}`))
    expect(await stream.extent()).toMatchObject({ first: 26, last: 35 })
  })

  test('keeps no more bytes than retention says', async () => {
    const stream = await (await open({ memory: true })).log.open(spec({ retention: { bytes: 1000 } }))
    await Promise.all(Array.from({ length: 50 }, (_, n) => append(stream, n % 2, 'x'.repeat(100))))
    expect(await textsOf(stream)).toHaveLength(10)
  })

  test('lets go of old records when their time is over, though nobody appends', async () => {
    const clock = handWound(1_000_000)
    const stream = await (await open({ memory: true }, clock)).log.open(spec({ retention: { ageMs: 10_000 } }))
    await append(stream, 0, 'old')
    clock.advance(6000)
    await append(stream, 1, 'young')
    clock.advance(5000)
    await new Promise(resolve => setTimeout(resolve, 50))
    expect(await textsOf(stream)).toEqual(['young'])
    expect((await stream.extent()).first).toBe(2)
  })

  test('takes an id anew when the window is long over', async () => {
    const clock = handWound(1_000_000)
    const stream = await (await open({ memory: true }, clock)).log.open(spec({ dedupWindowMs: 1000 }))
    await append(stream, 0, 'x', { id: 'one' })
    clock.advance(900)
    expect(await append(stream, 0, 'x', { id: 'one' })).toMatchObject({ repeat: true })
    for (const wait of [1600, 100_000]) {
      clock.advance(wait)
      expect(await append(stream, 0, 'x', { id: 'one' })).toMatchObject({ repeat: false })
    }
  })

  test('takes an id anew when the window passed while nobody had the log open', async () => {
    const dataDir = freshFolder()
    const ids = spec({ dedupWindowMs: 1000, retention: { records: 1 } })
    const clock = handWound(1_000_000)
    const before = await open({ dataDir }, clock)
    const stream = await before.log.open(ids)
    await append(stream, 0, 'trimmed', { id: 'one' })
    await append(stream, 0, 'there', { id: 'two' })
    await before.close()
    clock.advance(2000)
    const anew = await (await open({ dataDir }, clock)).log.open(ids)
    for (const id of ['one', 'two']) expect(await append(anew, 0, 'anew', { id })).toMatchObject({ repeat: false })
  })

  test('knows an id that another process has just taken, however long this one was idle', async () => {
    const dataDir = freshFolder()
    const ids = spec({ dedupWindowMs: 1000 })
    const clock = handWound(1_000_000)
    const [idle, busy] = [await open({ dataDir, role: 'guest' }, clock), await open({ dataDir, role: 'guest' }, clock)]
    const [here, there] = [await idle.log.open(ids), await busy.log.open(ids)]
    await append(here, 0, 'x', { id: 'first' })
    clock.advance(60_000)
    await append(there, 1, 'x', { id: 'taken' })
    expect(await append(here, 0, 'x', { id: 'taken' })).toMatchObject({ position: 2, repeat: true })
  })

  test('lets go of ids by a clock that only grows, though the other one is put back', async () => {
    const clock = handWound(1_000_000)
    let back = 0
    const stopped: Clock = { ...clock, now: () => clock.now() - back }
    const stream = await (await open({ memory: true }, stopped)).log.open(spec({ dedupWindowMs: 1000 }))
    await append(stream, 0, 'x', { id: 'one' })
    back = 3_600_000
    clock.advance(10_000)
    expect(await append(stream, 0, 'x', { id: 'one' })).toMatchObject({ repeat: false })
  })

  test('answers every append of a transaction that came to nothing before its turn', async () => {
    const ports = await open({ memory: true })
    const stream = await ports.log.open(spec())
    const { store } = ports as unknown as { store: Store }
    const broken = () => {
      throw new Error('a broken disk')
    }
    store.enqueue({ run: broken, done: () => {}, failed: () => {} })
    expect(await append(stream, 0, 'x')).toMatchObject({ ending: 'unknown' })
    expect(await append(stream, 0, 'y')).toMatchObject({ ending: 'stored', position: 1 })
  })

  test('finds no stream and no entry by a name that none can have', async () => {
    const ports = await open({ memory: true })
    const bucket = await ports.bucket({ name: 'facts' })
    for (const name of ['', 'a.*', 'x'.repeat(10_000)]) {
      expect(await ports.log.find(name)).toBeUndefined()
      expect(await bucket.get(name)).toBeUndefined()
      await ports.log.drop(name)
    }
  })

  test('never gives a record an older time than the one before, though the clock is put back', async () => {
    let now = 5000
    const clock = { ...systemClock, now: () => now }
    const stream = await (await open({ memory: true }, clock)).log.open(spec())
    await append(stream, 0, 'a')
    now = 1000
    await append(stream, 1, 'b')
    expect([(await stream.last(0))?.time, (await stream.last(1))?.time]).toEqual([5000, 5000])
  })

  test('refuses an append to a stream that was dropped, and one beyond the bound in flight', async () => {
    const { log } = await open({ memory: true })
    const stream = await log.open(spec())
    const endings: Promise<Ending>[] = []
    while (stream.room() === undefined) endings.push(append(stream, 0, 'x'))
    expect(await append(stream, 0, 'too many')).toMatchObject({ ending: 'refused', why: 'unavailable' })
    expect(new Set((await Promise.all(endings)).map(({ ending }) => ending))).toEqual(new Set(['stored']))
    await log.drop('orders')
    expect(await append(stream, 0, 'x')).toMatchObject({ ending: 'refused', why: 'denied' })
    await expect(stream.extent()).rejects.toMatchObject({ code: 'STREAM_RECREATED' })
  })

  test('holds values that stay as they were while the log goes on', async () => {
    const stream = await (await open({ memory: true })).log.open(spec())
    const payload = Buffer.from('as it was')
    const stored = stream.append({ partition: 0, payload })
    payload.fill('!')
    await stored
    const record = await stream.last(0)
    for (let n = 0; n < 300; n++) await stream.append({ partition: 0, payload: Buffer.alloc(5000, '?') })
    await stream.purge(0, 200)
    await textsOf(stream)
    expect(Buffer.from(record?.payload ?? []).toString()).toBe('as it was')
  })
})

describe('in memory', () => {
  test('leaves nothing behind', async () => {
    const before = new Set(readdirSync(tmpdir()).filter(name => /^stream-node-[^t]/.test(name)))
    const ports = await open({ memory: true })
    const stream = await ports.log.open(spec())
    await append(stream, 0, 'x')
    expect(await textsOf(stream)).toEqual(['x'])
    await ports.close()
    const after = readdirSync(tmpdir()).filter(name => /^stream-node-[^t]/.test(name) && !before.has(name))
    expect(after).toEqual([])
  })

  test('keeps two logs apart', async () => {
    const [one, other] = [await open({ memory: true }), await open({ memory: true })]
    await append(await one.log.open(spec()), 0, 'x')
    expect(await other.log.names()).toEqual([])
    await one.signals.serve('here', payload => payload)
    await expect(other.signals.request('here', Buffer.from(''), { timeoutMs: 1000 })).rejects.toMatchObject({
      code: 'NOBODY_THERE',
    })
  })
})
