/**
 * The embedded log against bare LMDB: the same records under keys of the same shape, the same batching and the same
 * sync, ours and rival in turn. The figure of each case is its median pair.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { open } from 'lmdb'
import type { RootDatabase } from 'lmdb'
import { systemChance, systemClock } from '../src/clock.js'
import { openEmbedded } from '../src/log/embedded/embedded.js'
import type { Ending, LogStream } from '../src/log/log.js'
import { START } from '../src/log/record.js'
import { silent } from '../src/telemetry/events.js'
import { contest, type Case } from './case.js'

const PARTITIONS = 6
const BATCH = 1000
const PAYLOAD = new Uint8Array(84).fill(120)

export interface EmbeddedBenchOptions {
  readonly pairs?: number
  readonly records?: number
}

type Sync = 'os' | 'disk'

/** Records per second. */
type Run = () => Promise<number>

/** Measures every case; takes about a second for a pair of 100,000 records. */
export async function* embeddedCases({
  pairs = 7,
  records = 100_000,
}: EmbeddedBenchOptions = {}): AsyncGenerator<Case> {
  const folder = mkdtempSync(join(tmpdir(), 'stream-node-bench-'))
  let count = 0
  const fresh = () => join(folder, `${count++}`)
  try {
    for (const sync of ['os', 'disk'] as const) {
      for (const ids of [false, true]) {
        const name = `embedded append, 84 B, sync ${sync}${ids ? ', with ids' : ''}`
        const ours = () => appendOurs(fresh(), sync, records, ids)
        const rivalName = ids ? 'lmdb put of the same bytes, 1000 a commit' : 'lmdb put, 1000 a commit'
        yield await compare(name, rivalName, pairs, ours, () => appendBare(fresh(), sync, records, ids))
      }
    }
    yield* reads(fresh(), fresh(), pairs, records)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

async function compare(name: string, rivalName: string, pairs: number, ours: Run, rival: Run): Promise<Case> {
  await ours()
  await rival()
  return contest({ case: name, rivalName, unit: 'records/s', ours, rival }, pairs)
}

async function appendOurs(dataDir: string, sync: Sync, records: number, ids: boolean): Promise<number> {
  const { stream, close } = await openOurs(dataDir, sync)
  const rate = await timed(records, () => fillOurs(stream, records, ids))
  await close()
  return rate
}

async function openOurs(dataDir: string, sync: Sync): Promise<{ stream: LogStream; close: () => Promise<void> }> {
  const ports = await openEmbedded({ dataDir, sync }, { clock: systemClock, chance: systemChance, tell: silent })
  const spec = { name: 'bench', partitions: PARTITIONS, retention: {}, replicas: 1, dedupWindowMs: 20_000 }
  return { stream: await ports.log.open(spec), close: () => ports.close() }
}

async function fillOurs(stream: LogStream, records: number, ids: boolean): Promise<void> {
  for (let done = 0; done < records; done += BATCH) {
    await new Promise<void>((resolve, reject) => {
      let left = BATCH
      const ended = ({ ending }: Ending) => {
        if (ending !== 'stored') reject(new Error(`ended ${ending}`))
        if (--left === 0) resolve()
      }
      for (let i = 0; i < BATCH; i++) {
        const partition = i % PARTITIONS
        stream.send(
          ids ? { partition, payload: PAYLOAD, id: `bench/${done + i}` } : { partition, payload: PAYLOAD },
          ended,
        )
      }
    })
  }
}

async function appendBare(path: string, sync: Sync, records: number, ids: boolean): Promise<number> {
  const db = openBare(path, sync)
  const rate = await timed(records, () => fillBare(db, records, ids))
  await db.close()
  return rate
}

const openBare = (path: string, sync: Sync): RootDatabase<Buffer, Buffer> =>
  open<Buffer, Buffer>({
    path,
    noSubdir: false,
    noSync: sync === 'os',
    overlappingSync: false,
    encoding: 'binary',
    keyEncoding: 'binary',
  })

/** With ids: the header block that holds one is made and stored with each record, though nobody looks for repeats. */
async function fillBare(db: RootDatabase<Buffer, Buffer>, records: number, ids: boolean): Promise<void> {
  const key = Buffer.alloc(12)
  const value = Buffer.from(PAYLOAD)
  for (let done = 0; done < records; done += BATCH) {
    let committed: Promise<boolean> | undefined
    for (let i = 0; i < BATCH; i++) {
      key.writeUInt16BE(i % PARTITIONS, 4)
      key.writeUInt32BE(done + i, 8)
      const head = ids ? [Buffer.from(`NATS/1.0\r\nNats-Msg-Id: bench/${done + i}\r\n\r\n`), value] : undefined
      committed = db.put(key, head === undefined ? value : Buffer.concat(head))
    }
    await committed
  }
}

async function* reads(ourFolder: string, bareFolder: string, pairs: number, records: number): AsyncGenerator<Case> {
  const { stream, close } = await openOurs(ourFolder, 'os')
  const db = openBare(bareFolder, 'os')
  await fillOurs(stream, records, false)
  await fillBare(db, records, false)
  const all = async (partition?: number) => {
    let count = 0
    for await (const batch of stream.read({
      after: START,
      untilEnd: true,
      ...(partition !== undefined && { partition }),
    })) {
      for (const record of batch.records) if (record.payload.length === PAYLOAD.length) count++
    }
    return count
  }
  const bare = (from: number, to: number) => {
    let count = 0
    const range = { start: prefix(from), end: prefix(to) }
    for (const { value } of db.getRange(range)) if (value.length === PAYLOAD.length) count++
    return Promise.resolve(count)
  }
  const wholeBare = () => rated(() => bare(0, PARTITIONS))
  yield await compare(
    'embedded read, one partition',
    'lmdb getRange',
    pairs,
    () => rated(() => all(2)),
    () => rated(() => bare(2, 3)),
  )
  yield await compare('embedded read, all partitions in order', 'lmdb getRange', pairs, () => rated(all), wholeBare)
  await close()
  await db.close()
}

function prefix(partition: number): Buffer {
  const key = Buffer.alloc(6)
  key.writeUInt16BE(partition, 4)
  return key
}

async function timed(records: number, work: () => Promise<void>): Promise<number> {
  const start = systemClock.elapsed()
  await work()
  return (records / (systemClock.elapsed() - start)) * 1000
}

async function rated(read: () => Promise<number>): Promise<number> {
  const start = systemClock.elapsed()
  const count = await read()
  return (count / (systemClock.elapsed() - start)) * 1000
}
