/** What is committed while another process opens the data file is told only when it is sure to be there. */
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { spawnSync } from 'node:child_process'
import { open } from 'lmdb'
import { afterAll, expect, test } from 'vitest'
import { pause, systemClock } from '../../clock.js'
import { Opening, OPENING_FILE } from './opening.js'
import { Store, type Sync } from './store.js'

const temp = mkdtempSync(join(tmpdir(), 'stream-node-test-'))
const stores: Store[] = []
afterAll(async () => {
  for (const store of stores) await store.close()
  rmSync(temp, { recursive: true, force: true })
})

let folders = 0
function scene(sync: Sync = 'os') {
  const folder = mkdtempSync(join(temp, `data-${folders++}-`))
  const opening = new Opening(folder, systemClock)
  const store = new Store(folder, sync, { opening, clock: systemClock, name: `store-${folders}` })
  stores.push(store)
  const file = join(folder, OPENING_FILE)
  return {
    ...{ folder, opening, store, file },
    /** As another process does when it begins to open the data file, and when it has. */
    begin: () => writeFileSync(file, `${process.pid}`),
    end: () => rmSync(file),
  }
}

/** Long enough for a transaction of a tick. */
const turns = async () => {
  for (let turn = 0; turn < 10; turn++) await pause(systemClock, 1)
}

/** How a write ends, so far. */
function told(write: Promise<unknown>): { readonly how: string } {
  const answer = { how: 'open' }
  write.then(
    () => (answer.how = 'done'),
    (error: unknown) => (answer.how = (error as { code: string }).code),
  )
  return answer
}

test('says that a file is being opened while it is, also when that fails', () => {
  const { opening, file } = scene()
  expect(opening.isUnderWay).toBe(false)
  expect(opening.run(() => [opening.isUnderWay, existsSync(file)])).toEqual([true, true])
  expect(opening.isUnderWay).toBe(false)
  const fails = () => {
    throw new Error('planted')
  }
  expect(() => opening.run(fails)).toThrow('planted')
  expect(opening.isUnderWay).toBe(false)
})

test('does not wait for a process that died while it opened the file', () => {
  const { opening, file } = scene()
  const { pid } = spawnSync(process.execPath, ['--version'])
  writeFileSync(file, `${pid}`)
  expect(opening.isUnderWay).toBe(false)
  expect(opening.run(() => 'opened')).toBe('opened')
})

test.each(['os', 'disk'] as const)('begins no transaction while the file is being opened, on %s', async sync => {
  const { store, begin, end } = scene(sync)
  begin()
  const answer = told(store.write(() => store.catalog.putSync('a', 1)))
  await turns()
  expect([answer.how, store.catalog.get('a')]).toEqual(['open', undefined])
  end()
  await expect.poll(() => answer.how).toBe('done')
  store.refresh()
  expect(store.catalog.get('a')).toBe(1)
})

test.each(['os', 'disk'] as const)('tells of a transaction once the file is open, on %s', async sync => {
  const { store, begin, end } = scene(sync)
  const answer = told(store.write(begin))
  await turns()
  expect(answer.how).toBe('open')
  end()
  await expect.poll(() => answer.how).toBe('done')
})

test.each(['os', 'disk'] as const)(
  'does not tell that a transaction is there which was written over, on %s',
  async sync => {
    const { folder, store, begin, end } = scene(sync)
    const answer = told(store.write(begin))
    await turns()
    const others = open({ path: folder, noSubdir: false, maxDbs: 16, encoding: 'binary' })
    const tails = others.openDB<Buffer, number>({ name: 'tails', keyEncoding: 'uint32', encoding: 'binary' })
    tails.putSync(0xffffffff, Buffer.from('a transaction of another process'))
    end()
    await expect.poll(() => answer.how).toBe('TIMED_OUT')
    await others.close()
  },
)
