/** What `sync` promises: who may raise it, for whom it then holds, and that `disk` waits for the flush. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type * as Lmdb from 'lmdb'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { systemChance, systemClock } from '../../clock.js'
import { silent } from '../../telemetry/events.js'
import type { Ending, LogStream } from '../log.js'
import type { Ports } from '../ports.js'
import { openEmbedded } from './embedded.js'
import type { EmbeddedOptions } from './embedded.js'

/** The library's commits that end after the flush: how many there were, and what they wait for before they end. */
const flushes = vi.hoisted(() => ({ count: 0, gate: undefined as Promise<void> | undefined }))

vi.mock('lmdb', async original => {
  const lmdb = await original<typeof Lmdb>()
  return {
    ...lmdb,
    open: (options: Parameters<typeof lmdb.open>[0]) => {
      const root = lmdb.open(options)
      const commit = root.childTransaction.bind(root)
      root.childTransaction = async action => {
        expect(options).not.toHaveProperty('noSync', true)
        const result = await commit(action)
        await flushes.gate
        flushes.count++
        return result
      }
      return root
    },
  }
})

let folder: string
const opened: Ports[] = []

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'stream-node-test-'))
  flushes.count = 0
  flushes.gate = undefined
})

afterEach(async () => {
  await Promise.all(opened.splice(0).map(ports => ports.close()))
  rmSync(folder, { recursive: true, force: true })
})

async function open(options: EmbeddedOptions): Promise<LogStream> {
  const ports = await openEmbedded(
    { dataDir: join(folder, 'data'), ...options },
    { clock: systemClock, chance: systemChance, tell: silent },
  )
  opened.push(ports)
  return ports.log.open({ name: 'orders', partitions: 1, retention: {}, replicas: 1, dedupWindowMs: 1000 })
}

const append = (stream: LogStream): Promise<Ending> => stream.append({ partition: 0, payload: Buffer.from('x') })

/** How many flushes an append waited for. */
async function flushesOf(stream: LogStream): Promise<number> {
  const before = flushes.count
  expect(await append(stream)).toMatchObject({ ending: 'stored' })
  return flushes.count - before
}

const kept = () =>
  (JSON.parse(readFileSync(join(folder, 'data', 'stream-node.json'), 'utf8')) as { sync: unknown }).sync

test('acknowledges under disk only after the flush has ended', async () => {
  const stream = await open({ role: 'guest', sync: 'disk' })
  let release = () => {}
  flushes.gate = new Promise(resolve => (release = resolve))
  let ended = false
  const appended = append(stream).then(() => (ended = true))
  await new Promise(resolve => setTimeout(resolve, 60))
  expect(ended).toBe(false)
  release()
  await appended
  expect(flushes.count).toBeGreaterThan(0)
})

test('waits for no flush under os', async () => {
  expect(await flushesOf(await open({ role: 'guest' }))).toBe(0)
})

test('gives a guest the disk it asks for though the process has the folder open with os', async () => {
  const before = await open({ role: 'guest' })
  const guest = await open({ role: 'guest', sync: 'disk' })
  expect(await flushesOf(guest)).toBe(1)
  // An unflushed write of another could tear the file, and what the guest was promised with it.
  expect(await flushesOf(before)).toBe(1)
  expect(await flushesOf(before)).toBe(1)
  expect(kept()).toBe('disk')
})

test('raises a node that is at work too, and whoever comes later', async () => {
  const node = await open({ sync: 'os' })
  expect(await flushesOf(node)).toBe(0)
  await open({ role: 'guest', sync: 'disk' })
  expect(await flushesOf(node)).toBe(1)
  expect(await flushesOf(await open({ role: 'guest' }))).toBe(1)
})

test('gives a guest that asks for os on a folder kept at disk the disk', async () => {
  await open({ sync: 'disk' })
  expect(await flushesOf(await open({ role: 'guest', sync: 'os' }))).toBe(1)
  expect(kept()).toBe('disk')
})

test('lets a node take it back, but not one that is refused', async () => {
  const node = await open({ sync: 'disk' })
  await expect(open({ sync: 'os' })).rejects.toMatchObject({ code: 'DATA_FOLDER_IN_USE' })
  expect(kept()).toBe('disk')
  expect(await flushesOf(node)).toBe(1)
  await opened[0]?.close()
  expect(await flushesOf(await open({ sync: 'os' }))).toBe(0)
  expect(kept()).toBe('os')
  expect(await flushesOf(await open({ role: 'guest' }))).toBe(0)
})
