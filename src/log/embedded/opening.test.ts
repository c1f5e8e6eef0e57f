/** What is committed while another process opens the data file is told only when it is sure to be there. */
import { mkdtempSync, readdirSync, readlinkSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { execFile, spawnSync } from 'node:child_process'
import { promisify } from 'node:util'
import { open } from 'lmdb'
import { afterAll, expect, inject, test, vi } from 'vitest'
import { pause, systemChance, systemClock } from '../../clock.js'
import { Opening, OPENINGS } from './opening.js'
import { Store, type Sync } from './store.js'
import { damaged } from './table.js'

/** The numbers of which processes are ours, as the system says. */
const SPACE = process.platform === 'linux' ? readlinkSync('/proc/self/ns/pid').replace(/\D/g, '') : ''

const temp = mkdtempSync(join(tmpdir(), 'stream-node-test-'))
const stores: Store[] = []
afterAll(async () => {
  for (const store of stores) await store.close()
  rmSync(temp, { recursive: true, force: true })
})

let folders = 0
function scene(sync: Sync = 'os') {
  const folder = mkdtempSync(join(temp, `data-${folders++}-`))
  const clock = { ...systemClock, ahead: 0, elapsed: () => systemClock.elapsed() + clock.ahead }
  const opening = new Opening(folder, clock, systemChance)
  const store = new Store(folder, sync, { opening, clock: systemClock, name: `store-${folders}` })
  stores.push(store)
  const place = join(folder, OPENINGS)
  const rename = (name: string) => renameSync(join(place, readdirSync(place)[0] as string), join(place, name))
  return {
    ...{ folder, clock, opening, store },
    files: () => readdirSync(place),
    /** As another process does when it begins to open the data file, and when it has. */
    begin: (name = 'theirs', pid: number | string = process.pid, space = SPACE) =>
      rename(`opening.${pid}.${space}.${name}`),
    end: (name = 'theirs') => rename(`opened.${name}`),
  }
}

/** The number of a process that has ended. */
const deadPid = () => spawnSync(process.execPath, ['--version']).pid

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
  const { opening } = scene()
  const before = opening.last
  expect(before).toBeDefined()
  expect(opening.run(() => opening.last)).toBeUndefined()
  const after = opening.last
  expect(after).toBeDefined()
  expect(after).not.toBe(before)
  const fails = () => {
    throw new Error('planted')
  }
  expect(() => opening.run(fails)).toThrow('planted')
  expect(opening.last).toBeDefined()
  expect(opening.last).not.toBe(after)
})

test('gives the same as long as nobody opens the file, and to all the same', () => {
  const { opening, folder } = scene()
  const { last } = opening
  expect(opening.last).toBe(last)
  expect(new Opening(folder, systemClock, systemChance).last).toBe(last)
})

test('goes on where the place was left empty, or taken away', () => {
  const { opening, folder, files } = scene()
  const place = join(folder, OPENINGS)
  for (const file of files()) rmSync(join(place, file))
  expect(opening.last).toBe('')
  expect(opening.run(() => files())).toHaveLength(1)
  rmSync(place, { recursive: true })
  expect(opening.last).toBe('')
  expect(opening.run(() => files())).toHaveLength(1)
  expect(readdirSync(folder).filter(name => name.startsWith(OPENINGS))).toEqual([OPENINGS])
})

test('says what the folder does not let us do, instead of waiting for it', () => {
  const folder = mkdtempSync(join(temp, 'data-'))
  writeFileSync(join(folder, OPENINGS), '')
  const opening = new Opening(folder, systemClock, systemChance)
  expect(() => opening.run(() => 'opened')).toThrow('ENOTDIR')
})

test('does not wait for a process that died while it opened the file, and takes its opening for one', () => {
  const { opening, begin } = scene()
  const before = opening.last
  begin('theirs', deadPid())
  expect(opening.run(() => 'opened')).toBe('opened')
  const between = opening.last
  begin('theirs', deadPid())
  expect(opening.last).toBeUndefined()
  expect([before, between, undefined]).not.toContain(opening.last)
})

test('takes a process of another container for alive, whatever its number says here, for ten seconds', () => {
  const { opening, begin, clock, files } = scene()
  begin('theirs', deadPid(), '1')
  expect([opening.last, opening.last]).toEqual([undefined, undefined])
  clock.ahead += 9_000
  expect([opening.last, opening.last]).toEqual([undefined, undefined])
  expect(files()).toEqual([expect.stringMatching(/^opening\./)])
  clock.ahead += 2_000
  expect(opening.run(() => 'opened')).toBe('opened')
})

test('does not end what another process has begun since it was taken for dead', () => {
  const { opening, begin, end, files } = scene()
  opening.run(() => {
    end('ours')
    begin('theirs')
  })
  expect(files()).toEqual([expect.stringMatching(/^opening\..*theirs$/)])
  expect(opening.last).toBeUndefined()
})

test('does not end what another process begins while it takes one for dead', () => {
  const { opening, begin, end, clock, files } = scene()
  begin('first', process.pid, '1')
  expect(opening.last).toBeUndefined()
  clock.ahead += 11_000
  const { elapsed } = clock
  clock.elapsed = () => {
    end('first')
    begin('second')
    clock.elapsed = elapsed
    return elapsed()
  }
  expect(opening.last).toBeUndefined()
  expect(files()).toEqual([expect.stringMatching(/^opening\..*second$/)])
})

test('lets one process after the other open the file, also for the first time', async () => {
  const folder = mkdtempSync(join(temp, 'data-'))
  const room = join(folder, 'room')
  const program = `
    import { mkdirSync, rmdirSync } from 'node:fs'
    import { systemChance, systemClock } from ${JSON.stringify(join(inject('compiled'), 'clock.js'))}
    import { Opening } from ${JSON.stringify(join(inject('compiled'), 'log/embedded/opening.js'))}
    const opening = new Opening(${JSON.stringify(folder)}, systemClock, systemChance)
    for (let time = 0; time < 20; time++) {
      opening.run(() => {
        mkdirSync(${JSON.stringify(room)})
        rmdirSync(${JSON.stringify(room)})
      })
    }`
  const run = () => promisify(execFile)(process.execPath, ['--input-type=module', '-e', program])
  await expect(Promise.all([run(), run(), run()])).resolves.toHaveLength(3)
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
  const answer = told(store.write(() => begin()))
  await turns()
  expect(answer.how).toBe('open')
  end()
  await expect.poll(() => answer.how).toBe('done')
})

test.each(['os', 'disk'] as const)(
  'asks about an opening that began and ended amid a transaction, on %s',
  async sync => {
    const { store, opening } = scene(sync)
    const looked = vi.spyOn(store.tails, 'get')
    const there = told(store.write(() => opening.run(() => {})))
    await expect.poll(() => there.how).toBe('done')
    expect(looked).toHaveBeenCalledTimes(1)
    looked.mockReturnValue(Buffer.from('a transaction of another process'))
    const gone = told(store.write(() => opening.run(() => {})))
    await expect.poll(() => gone.how).toBe('TIMED_OUT')
    const quiet = told(store.write(() => {}))
    await expect.poll(() => quiet.how).toBe('done')
  },
)

test.each(['os', 'disk'] as const)('goes on when it cannot look whether a transaction is there, on %s', async sync => {
  const { store, begin, end } = scene(sync)
  const looked = vi.spyOn(store.tails, 'get').mockImplementationOnce(() => {
    throw damaged(new Error('planted'))
  })
  const answer = told(store.write(() => begin()))
  await turns()
  expect(answer.how).toBe('open')
  end()
  await expect.poll(() => answer.how).toBe('BAD_LOG')
  expect(looked).toHaveBeenCalledTimes(1)
  const next = told(store.write(() => store.catalog.putSync('a', 1)))
  await expect.poll(() => next.how).toBe('done')
})

test.each(['os', 'disk'] as const)(
  'does not tell that a transaction is there which was written over, on %s',
  async sync => {
    const { folder, store, begin, end } = scene(sync)
    const answer = told(store.write(() => begin()))
    await turns()
    const others = open({ path: folder, noSubdir: false, maxDbs: 16, encoding: 'binary' })
    const tails = others.openDB<Buffer, number>({ name: 'tails', keyEncoding: 'uint32', encoding: 'binary' })
    tails.putSync(0xffffffff, Buffer.from('a transaction of another process'))
    end()
    await expect.poll(() => answer.how).toBe('TIMED_OUT')
    await others.close()
  },
)
