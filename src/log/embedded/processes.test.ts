/** What the embedded log promises across processes: real ones, killed without warning. */
import { spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { afterAll, afterEach, describe, expect, inject, test } from 'vitest'
import { reaped } from '../../../test/reaper.js'
import { pause, systemChance, systemClock } from '../../clock.js'
import { UnavailableError } from '../../errors.js'
import { silent } from '../../telemetry/events.js'
import type { LogStream } from '../log.js'
import type { Ports } from '../ports.js'
import { START } from '../record.js'
import { openEmbedded } from './embedded.js'
import type { EmbeddedOptions } from './embedded.js'

const SPEC = { name: 'orders', partitions: 3, retention: {}, replicas: 1, dedupWindowMs: 60_000 }
const surroundings = { clock: systemClock, chance: systemChance, tell: silent }
const temp = mkdtempSync(join(tmpdir(), 'stream-node-test-'))
const program = inject('compiled')
const opened: Ports[] = []
const children: ChildProcess[] = []

afterEach(async () => {
  await Promise.all(opened.splice(0).map(ports => ports.close()))
})
afterAll(() => {
  for (const child of children) child.kill('SIGKILL')
  rmSync(temp, { recursive: true, force: true })
})

let folders = 0
const freshFolder = () => join(temp, `data-${folders++}`)

async function open(dataDir: string, options: EmbeddedOptions = {}): Promise<Ports> {
  const ports = await openEmbedded({ dataDir, ...options }, surroundings)
  opened.push(ports)
  return ports
}

interface Child {
  readonly process: ChildProcess
  /** The next line it says; undefined when it has ended. */
  line(): Promise<string | undefined>
  /** Ends it without warning and gives what it had said and nobody took. */
  kill(): Promise<string[]>
}

/**
 * Runs a script in a process of its own; it finds `ports`, `stream`, `say`, `payload` and `append` there, which appends until
 * it is known how that ended: as one does where another process may open the folder at that moment.
 */
function start(options: EmbeddedOptions, script: string, fileBlocksMax = 'unlimited'): Child {
  const source = `
    import { openEmbedded } from ${JSON.stringify(join(program, 'log/embedded/embedded.js'))}
    import { systemChance, systemClock } from ${JSON.stringify(join(program, 'clock.js'))}
    const ports = await openEmbedded(${JSON.stringify(options)}, { clock: systemClock, chance: systemChance, tell() {} })
    const stream = await ports.log.open(${JSON.stringify(SPEC)})
    const say = text => process.stdout.write(text + '\\n')
    const payload = text => new TextEncoder().encode(text)
    const append = async record => {
      for (;;) {
        const ended = await stream.append(record)
        if (ended.ending !== 'unknown') return ended
      }
    }
    ${script}`
  const shell = ['-c', `ulimit -f ${fileBlocksMax} && exec "$0" --input-type=module -e "$1"`, process.execPath, source]
  const process_ = reaped(
    spawn('sh', shell, { stdio: ['ignore', 'pipe', fileBlocksMax === 'unlimited' ? 'inherit' : 'ignore'] }),
  )
  children.push(process_)
  const said: string[] = []
  let [wake, ended]: [() => void, boolean] = [() => {}, false]
  const closed = new Promise<void>(resolve => {
    createInterface({ input: process_.stdout })
      .on('line', line => {
        said.push(line)
        wake()
      })
      .on('close', () => {
        ended = true
        wake()
        resolve()
      })
  })
  return {
    process: process_,
    async line() {
      while (said.length === 0 && !ended) await new Promise<void>(resolve => (wake = resolve))
      return said.shift()
    },
    async kill() {
      process_.kill('SIGKILL')
      await closed
      return said.splice(0)
    },
  }
}

async function textsAndPositions(stream: LogStream): Promise<Map<string, number>> {
  const all = new Map<string, number>()
  for await (const batch of stream.read({ after: START, untilEnd: true })) {
    for (const { payload, position } of batch.records) {
      const text = Buffer.from(payload).toString()
      expect(all.has(text), `${text} is there twice`).toBe(false)
      all.set(text, position)
    }
  }
  return all
}

const WRITER = (round: number) => `
  for (let n = 0; ; n += 40) {
    const batch = Array.from({ length: 40 }, (_, i) => n + i)
    const endings = await Promise.all(batch.map(i =>
      stream.append({ partition: i % 3, payload: payload('${round}/' + i), id: '${round}/' + i })))
    say(endings.map((ended, i) => '${round}/' + (n + i) + ' ' + ended.position).join('\\n'))
  }`

describe.concurrent('killed without warning', () => {
  for (const sync of ['os', 'disk'] as const) {
    test(`loses nothing that it acknowledged, 20 times over, and opens again (sync ${sync})`, async () => {
      const dataDir = freshFolder()
      const acknowledged: string[] = []
      for (let round = 0; round < 20; round++) {
        const child = start({ dataDir, sync }, WRITER(round))
        acknowledged.push((await child.line()) ?? 'it said nothing')
        await pause(systemClock, systemChance.fraction() * 40)
        acknowledged.push(...(await child.kill()))
      }
      const ports = await openEmbedded({ dataDir, sync }, surroundings)
      try {
        const stream = await ports.log.open(SPEC)
        const there = await textsAndPositions(stream)
        const lost = acknowledged.filter(line => there.get(line.split(' ')[0] as string) !== Number(line.split(' ')[1]))
        expect(lost).toEqual([])
        expect(acknowledged.length).toBeGreaterThan(20 * 40)
        const repeat = await stream.append({ partition: 0, payload: Buffer.from('again'), id: '19/0' })
        expect(repeat).toMatchObject({ ending: 'stored', repeat: true, position: there.get('19/0') })
      } finally {
        await ports.close()
      }
    }, 90_000)
  }
})

describe('a full disk', () => {
  for (const sync of ['os', 'disk'] as const) {
    test(`refuses what does not fit, keeps what was stored, and goes on after a purge (sync ${sync})`, async () => {
      const dataDir = freshFolder()
      const script = `
        const put = n => stream.append({ partition: 0, payload: new Uint8Array(20000).fill(n), id: 'n' + n })
        let [n, ended] = [0, undefined]
        do ended = await put(n++)
        while (ended.ending === 'stored' && n < 2000)
        say([ended.why, ended.error?.code, n].join(' '))
        say([(await put(n)).why, (await stream.extent()).last].join(' '))
        const last = (await stream.extent()).last
        await stream.purge(0, last)
        say((await put(n)).ending)
        await ports.close()
        say('closed')`
      const child = start({ dataDir, sync }, script, '4000')
      const [why, code, count] = ((await child.line()) ?? '').split(' ')
      expect([why, code]).toEqual(['full', 'LOG_FULL'])
      expect(Number(count)).toBeGreaterThan(20)
      expect(await child.line()).toBe(`full ${Number(count) - 1}`)
      expect([await child.line(), await child.line()]).toEqual(['stored', 'closed'])
      const stream = await (await open(dataDir)).log.open(SPEC)
      expect([...(await textsAndPositions(stream)).values()]).toEqual([Number(count) - 1, Number(count)])
    }, 30_000)
  }
})

describe('several processes on one folder', () => {
  test('tells a second node the name, the process and the time of the first, and lets it in when that is dead', async () => {
    const dataDir = freshFolder()
    const first = start({ dataDir, name: 'alpha' }, `say('up'); setInterval(() => {}, 1000)`)
    expect(await first.line()).toBe('up')
    const refused = open(dataDir, { name: 'beta' })
    await expect(refused).rejects.toMatchObject({
      code: 'DATA_FOLDER_IN_USE',
      facts: { name: 'alpha', pid: first.process.pid },
    })
    await expect(refused).rejects.toThrow(/"alpha".*process \d+.*since 20/)
    await first.kill()
    await (await open(dataDir, { name: 'beta' })).close()
    await open(dataDir, { name: 'gamma' })
    expect(readdirSync(dataDir).filter(name => name.endsWith('.sock'))).toHaveLength(1)
  }, 20_000)

  test('keeps one order and one record for an id while a node and two guests write', async () => {
    const dataDir = freshFolder()
    const script = (who: string) => `
      say('up')
      const endings = []
      for (let n = 0; n < 400; n++) {
        endings.push(await append({ partition: n % 3, payload: payload('${who} ' + n), id: '${who}/' + n }))
        endings.push(await append({ partition: 0, payload: payload('shared ' + n), id: 'shared/' + n }))
      }
      const bad = endings.find(ended => ended.ending !== 'stored')
      if (bad) throw bad.error
      say(JSON.stringify(endings.map(ended => [ended.position, ended.repeat])))
      await ports.close()`
    const ports = await open(dataDir)
    const stream = await ports.log.open(SPEC)
    const guests = ['one', 'two'].map(who => start({ dataDir, role: 'guest' }, script(who)))
    for (const guest of guests) expect(await guest.line()).toBe('up')
    const first: number[] = []
    for (let n = 0; n < 400; n++) {
      const ended = await stream.append({ partition: 0, payload: Buffer.from(`shared ${n}`), id: `shared/${n}` })
      if (ended.ending === 'stored' && !ended.repeat) first.push(ended.position)
    }
    for (const guest of guests) {
      const endings = JSON.parse((await guest.line()) ?? '') as [number, boolean][]
      first.push(...endings.filter(([, repeat]) => !repeat).map(([position]) => position))
    }
    const there = await textsAndPositions(stream)
    expect([...there.values()]).toEqual([...first].sort((a, b) => a - b))
    expect(there.size).toBe(1200)
  }, 30_000)

  test('lets one of racing processes win each compare-and-set', async () => {
    const dataDir = freshFolder()
    const script = `
      say('up')
      let last = 0
      const won = []
      for (let tries = 0; won.length < 60; tries++) {
        const ended = await append({ partition: 1, payload: payload('x'), id: process.pid + '/' + tries, expect: last })
        if (ended.ending === 'stored') won.push([last, ended.position])
        last = (await stream.last(1))?.position ?? 0
      }
      say(JSON.stringify(won))
      await ports.close()`
    const racers = [0, 1, 2].map(() => start({ dataDir, role: 'guest' }, script))
    for (const racer of racers) expect(await racer.line()).toBe('up')
    const won: [number, number][] = []
    for (const racer of racers) won.push(...(JSON.parse((await racer.line()) ?? '') as [number, number][]))
    won.sort((a, b) => a[1] - b[1])
    expect(won).toHaveLength(180)
    expect(won.map(([before]) => before)).toEqual([0, ...won.slice(0, -1).map(([, position]) => position)])
  }, 30_000)

  test('lets a reader hear within 20 ms or so what another process appends', async () => {
    const dataDir = freshFolder()
    const stream = await (await open(dataDir)).log.open(SPEC)
    const reader = stream.read({ after: START })
    start(
      { dataDir, role: 'guest' },
      `for (let n = 0; n < 20; n++) {
        await new Promise(resolve => setTimeout(resolve, 30))
        await stream.append({ partition: n % 3, payload: payload(String(Date.now())) })
      }`,
    )
    const delays: number[] = []
    while (delays.length < 20) {
      const { value: batch } = await reader.next()
      for (const { payload } of batch?.records ?? []) delays.push(Date.now() - Number(Buffer.from(payload).toString()))
    }
    delays.sort((a, b) => a - b)
    // Half of them, since the machine may be busy with other tests.
    expect(delays[10]).toBeLessThan(25)
  }, 20_000)

  test('reads and writes on while another process makes the log grow far', async () => {
    const dataDir = freshFolder()
    const stream = await (await open(dataDir)).log.open(SPEC)
    const reader = stream.read({ after: START })
    start(
      { dataDir, role: 'guest' },
      `for (let n = 0; n < 400; n++) await stream.append({ partition: n % 3, payload: new Uint8Array(100_000) })`,
    )
    let [theirs, ours, last] = [0, 0, 0]
    while (theirs < 400 || ours < 100) {
      const { value: batch } = await reader.next()
      for (const { position, payload } of batch?.records ?? []) {
        expect(position).toBe(last + 1)
        last = position
        if (payload.length < 100_000) ours++
        else if (++theirs % 4 === 0) {
          expect(await stream.append({ partition: 2, payload: Buffer.from('here') })).toMatchObject({
            ending: 'stored',
          })
        }
      }
    }
    await reader.return()
  }, 20_000)

  test('tells a watcher what another process puts', async () => {
    const dataDir = freshFolder()
    const bucket = await (await open(dataDir)).bucket({ name: 'members', replicas: 1 })
    const watch = bucket.watch()
    expect(await watch.next()).toEqual({ done: false, value: [] })
    start(
      { dataDir, role: 'guest' },
      `await (await ports.bucket({ name: 'members', replicas: 1 })).put('a.b', payload('here'))`,
    )
    const { value } = await watch.next()
    expect(value?.map(entry => [entry.key, Buffer.from(entry.value ?? []).toString()])).toEqual([['a.b', 'here']])
  }, 20_000)
})

describe('signals between processes', () => {
  const echo = (who: string) => `
    await ports.signals.serve('echo', asked => payload('${who}: ' + new TextDecoder().decode(asked)))
    say('up')
    setInterval(() => {}, 1000)`

  const ask = async (ports: Ports) =>
    Buffer.from(await ports.signals.request('echo', Buffer.from('hi'), { timeoutMs: 5000 })).toString()

  test('tells at once that nobody is there when no process serves', async () => {
    const guest = await open(freshFolder(), { role: 'guest' })
    const before = systemClock.elapsed()
    await expect(ask(guest)).rejects.toMatchObject({ code: 'NOBODY_THERE' })
    expect(systemClock.elapsed() - before).toBeLessThan(500)
  })

  test('goes on through another process when the one that passed signals on is killed', async () => {
    const dataDir = freshFolder()
    const hub = start({ dataDir }, echo('first'))
    expect(await hub.line()).toBe('up')
    const second = start({ dataDir, role: 'guest' }, echo('second'))
    expect(await second.line()).toBe('up')
    const guest = await open(dataDir, { role: 'guest' })
    expect(new Set([await ask(guest), await ask(guest)])).toEqual(new Set(['first: hi', 'second: hi']))
    await hub.kill()
    expect(await eventually(() => ask(guest))).toBe('second: hi')
    expect(await ask(guest)).toBe('second: hi')
  }, 20_000)

  test('rejects what was asked of a process that is killed, and finds nobody after that', async () => {
    const dataDir = freshFolder()
    const guest = await open(dataDir, { role: 'guest' })
    await expect(ask(guest)).rejects.toMatchObject({ code: 'NOBODY_THERE' })
    const server = start(
      { dataDir },
      `await ports.signals.serve('echo', () => { say('asked'); return new Promise(() => {}) })
      say('up')`,
    )
    expect(await server.line()).toBe('up')
    const asking = ask(guest)
    const ended = expect(asking).rejects.toMatchObject({ code: 'DISCONNECTED' })
    expect(await server.line()).toBe('asked')
    await server.kill()
    await ended
    await expect(ask(guest)).rejects.toMatchObject({ code: 'NOBODY_THERE' })
  }, 20_000)
})

/** What it gives once the processes have found each other again. */
async function eventually<T>(attempt: () => Promise<T>): Promise<T> {
  for (let tries = 0; ; tries++) {
    try {
      return await attempt()
    } catch (error) {
      if (!(error instanceof UnavailableError) || tries > 100) throw error
      await pause(systemClock, 20)
    }
  }
}
