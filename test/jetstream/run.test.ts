/** `run` and `status` as people meet them, on both logs: what goes in comes out once, in order, however often it is stopped. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { systemChance, systemClock } from '../../src/clock.js'
import { openEmbedded } from '../../src/log/embedded/embedded.js'
import { openJetStream } from '../../src/log/jetstream/jetstream.js'
import { silent } from '../../src/telemetry/events.js'
import { theCommand, type Started } from '../command.js'
import { startServer, type TestServer } from '../nats-server/server.js'
import { doublesOf, numbers, writeNumbers } from '../run.js'

const command = theCommand()
const around = { clock: systemClock, chance: systemChance, tell: silent }

describe.each(['embedded', 'JetStream'] as const)('on the %s log', kind => {
  let server: TestServer | undefined
  beforeAll(async () => {
    if (kind === 'JetStream') server = await startServer()
  })
  afterAll(() => server?.stop())

  /** A folder with `numbers.ts`, and a log of its own on the embedded kind; on the server, streams that are gone before. */
  async function scene() {
    const cwd = mkdtempSync(join(tmpdir(), 'run-'))
    onTestFinished(() => rmSync(cwd, { recursive: true, force: true }))
    writeNumbers(cwd)
    const env = server === undefined ? {} : { NATS_URL: server.url }
    const open = async () =>
      server === undefined
        ? openEmbedded({ dataDir: join(cwd, '.stream-node'), role: 'guest' }, around)
        : openJetStream({ servers: server.url }, around)
    if (server !== undefined) {
      const ports = await open()
      for (const name of await ports.log.names()) await ports.log.drop(name)
      const bucket = await ports.bucket({ name: 'stream-node' })
      for (const key of await bucket.keys()) await bucket.delete(key)
      await ports.close()
    }
    const start = (...args: string[]): Started => {
      const started = command.start(args, { cwd, env })
      onTestFinished(() => void started.process.kill('SIGKILL'))
      return started
    }
    const put = async (from: number, to: number) => {
      const flags = ['--create', '--key-field', 'user']
      const ran = await command.run(['publish', 'numbers', ...flags], { cwd, env, stdin: numbers(from, to) })
      expect(ran).toMatchObject({ code: 0 })
    }
    const recordsOf = async (stream: string) => {
      const { stdout } = await start('tail', stream, '-o', 'jsonl').ended
      const lines = stdout.split('\n').filter(line => line !== '')
      return lines.map(line => JSON.parse(line) as { key: string; value: { user: string; count: number } })
    }
    /** Every output is there once and in order, and the counts at the end are right. */
    const holds = async (to: number) => {
      const doubles = await recordsOf('doubles')
      expect(doubles).toHaveLength(to / 2)
      const counts = await recordsOf('counts')
      for (const user of [0, 2, 4, 6, 8]) {
        const values = doubles.map(({ value }) => value).filter(value => value.user === `u${user}`)
        expect(values).toEqual(doublesOf(user, to))
        const ofUser = counts.filter(({ key }) => key === `u${user}`).map(({ value }) => value.count)
        expect(ofUser).toEqual(values.map((_, i) => i + 1))
      }
    }
    return { cwd, start, put, recordsOf, holds, open }
  }

  test('runs a file until all is caught up, through pipelines that follow each other, and again', async () => {
    const { start, put, holds } = await scene()
    await put(0, 1000)
    const until = () => start('run', 'numbers.ts', '--until-caught-up').ended
    const first = await until()
    expect(first).toMatchObject({ code: 0, stdout: '' })
    const lines = first.stderr
      .trimEnd()
      .split('\n')
      .map(line => JSON.parse(line) as Record<string, unknown>)
    const running = lines.filter(({ msg }) => !/^made stream "\w+", which was not there$/.test(String(msg)))
    expect(running.length).toBeLessThan(lines.length)
    expect(running[0]).toMatchObject({
      level: 'info',
      msg: expect.stringMatching(/^running count, double with 12 partitions on /),
    })
    expect(lines.at(-1)).toMatchObject({ level: 'info', msg: 'stopped' })
    await holds(1000)
    expect(await until()).toMatchObject({ code: 0 })
    await holds(1000)
    await put(1000, 1400)
    expect(await start('run', 'numbers.ts', '--drain').ended).toMatchObject({ code: 0 })
    await holds(1400)
  }, 60_000)

  test('loses and repeats nothing when it is stopped or killed in the middle of the load', async () => {
    const { start, put, holds, recordsOf } = await scene()
    await put(0, 80_000)
    const codes: unknown[] = []
    for (const signal of ['SIGTERM', 'SIGKILL', 'SIGINT'] as const) {
      const node = start('run', 'numbers.ts', '--log-level', 'debug')
      await committed(node)
      node.process.kill(signal)
      const ended = await node.ended
      codes.push(ended.code ?? ended.signal)
    }
    expect(codes).toEqual([0, 'SIGKILL', 0])
    expect((await recordsOf('doubles')).length).toBeLessThan(40_000)
    expect(await start('run', 'numbers.ts', '--until-caught-up').ended).toMatchObject({ code: 0 })
    await holds(80_000)
  }, 120_000)

  test('says from a second terminal how it stands, and that nobody runs when nobody does', async () => {
    const { start, put } = await scene()
    await put(0, 100)
    expect(await start('status').ended).toMatchObject({
      code: 3,
      stderr: expect.stringMatching(/no node runs on .*\[NOBODY_THERE\]\n$/),
    })
    const node = start('run', 'numbers.ts', '--name', 'west')
    await running(node)
    const statuses = async () => {
      const { code, stdout } = await start('status', '-o', 'jsonl').ended
      expect(code).toBe(0)
      const lines = stdout.trimEnd().split('\n')
      return lines.map(line => JSON.parse(line) as { positions: object; lag?: number; outbox: number })
    }
    await expect.poll(async () => (await statuses()).filter(({ lag = 0 }) => lag > 0), { timeout: 20_000 }).toEqual([])
    const all = await statuses()
    expect(all).toHaveLength(12)
    expect(all[0]).toMatchObject({
      ...{ node: 'west', pipeline: 'count', stage: 0, partition: 0, state: 'running', fence: 1 },
      ...{ positions: { doubles: expect.any(Number) }, outbox: 0, rows: expect.any(Number) },
    })
    const text = await start('status').ended
    expect(text.stderr).toMatch(/^node "west" \(process \d+\) on .*, since \d{4}-/)
    expect(text.stdout).toMatch(
      /^node +pipeline +partition +state +fence +number +position +behind +outbox +rows +letters +restarts +error\n/,
    )
    expect(text.stdout).toMatch(/^west +double +5 +running +1 +\d+ +\d+ +/m)
    const [whole] = JSON.parse((await start('status', '-o', 'json').ended).stdout) as { name: string; pid: number }[]
    expect(whole).toMatchObject({ name: 'west', pid: node.process.pid })
    node.process.kill('SIGTERM')
    expect(await node.ended).toMatchObject({ code: 0, stdout: '' })
    expect(await start('status').ended).toMatchObject({ code: 3 })
  }, 60_000)

  /** A pipeline with a step that throws at one record. */
  const bad = (options: string) => `
    import { map } from 'rxjs'
    import { pipeline, stream } from 'stream-node'
    const numbers = stream<{ user: string; n: number }>('numbers', { key: 'user' })
    const flow = pipeline('bad', ${options}).from(numbers).pipe(map(one => {
      if (one.n === 41) throw new TypeError('planted')
      return one
    }))
    export default flow.to(flow.as('good', { key: 'user' }))`

  test('lets a record at which a step throws go to the dead letters, once, and nothing else', async () => {
    const { cwd, start, put, recordsOf } = await scene()
    writeFileSync(join(cwd, 'bad.ts'), bad('{}'))
    await put(0, 100)
    const ran = await start('run', 'bad.ts', '--until-caught-up').ended
    expect(ran).toMatchObject({ code: 0, stdout: '' })
    expect(ran.stderr).toMatch(/"msg":"a record went to the dead letters: step 1 \(map\) of pipeline .*: planted; /)
    expect(await start('run', 'bad.ts', '--until-caught-up').ended).toMatchObject({ code: 0 })
    const good = await recordsOf('good')
    expect(good.map(({ value }) => (value as unknown as { n: number }).n).sort((a, b) => a - b)).toEqual(
      Array.from({ length: 100 }, (_, n) => n).filter(n => n !== 41),
    )
    const letters = await recordsOf('bad-dead-letters')
    expect(letters.map(({ value }) => value)).toMatchObject([
      { pipeline: 'bad', stream: 'numbers', error: { name: 'TypeError', message: 'planted' }, attempts: 1 },
    ])
  }, 60_000)

  test('runs the other partitions on when one is to stop at such a record, and fails at the end with the place', async () => {
    const { cwd, start, put, recordsOf } = await scene()
    writeFileSync(join(cwd, 'bad.ts'), bad(`{ onError: { then: 'stop' } }`))
    await put(0, 100)
    const ran = await start('run', 'bad.ts', '--until-caught-up').ended
    expect(ran).toMatchObject({ code: 1, stdout: '' })
    expect(ran.stderr).toMatch(/stream-node: partition \d of pipeline "bad" failed: .*planted/)
    const good = await recordsOf('good')
    expect(good.filter(({ key }) => key === 'u1')).toHaveLength(4)
    expect(good.filter(({ key }) => key === 'u0')).toHaveLength(10)
  }, 60_000)

  test('halts with code 4 when the log has taken back what was acknowledged', async () => {
    const { start, put, open } = await scene()
    await put(0, 100)
    expect(await start('run', 'numbers.ts', '--until-caught-up').ended).toMatchObject({ code: 0 })
    const ports = await open()
    await ports.log.drop('double-0-ledger')
    await ports.close()
    const ran = await start('run', 'numbers.ts', '--until-caught-up').ended
    expect(ran.stderr).toMatch(/stream-node: partition \d of pipeline "double" is halted: .*\[\w+\]\n$/)
    expect(ran).toMatchObject({ code: 4, stdout: '' })
  }, 60_000)

  if (kind === 'embedded') {
    test('lets no second node onto a folder, and names the first', async () => {
      const { start } = await scene()
      const first = start('run', 'numbers.ts', '--name', 'first')
      await running(first)
      const second = await start('run', 'numbers.ts').ended
      expect(second).toMatchObject({
        code: 1,
        stderr: expect.stringMatching(/the node "first" \(process \d+\).*\[DATA_FOLDER_IN_USE\]\n$/),
      })
      first.process.kill('SIGTERM')
      expect(await first.ended).toMatchObject({ code: 0 })
    }, 60_000)
  } else {
    test('ends well when another node takes over, and says so; but has not caught up then', async () => {
      const { start, put, holds } = await scene()
      await put(0, 1000)
      const first = start('run', 'numbers.ts', '--name', 'first')
      await running(first)
      const second = start('run', 'numbers.ts', '--name', 'second')
      const ended = await first.ended
      expect(ended).toMatchObject({
        code: 0,
        stderr: expect.stringContaining('another node has taken over all partitions'),
      })
      expect(await start('run', 'numbers.ts', '--until-caught-up').ended).toMatchObject({ code: 0 })
      expect(await second.ended).toMatchObject({ code: 0 })
      await holds(1000)
    }, 60_000)

    test('ends at once at a second signal, when the log keeps it from ending well', async () => {
      const own = await startServer()
      const { start } = await scene()
      const node = start('run', 'numbers.ts', '--server', own.url)
      try {
        await running(node)
        own.freeze()
        node.process.kill('SIGTERM')
        const first = await Promise.race([node.ended, new Promise(resolve => setTimeout(resolve, 300, 'waits'))])
        node.process.kill('SIGTERM')
        expect([0, 143]).toContain((await node.ended).code)
        if (first === 'waits') expect((await node.ended).code).toBe(143)
      } finally {
        own.thaw()
        await own.stop()
      }
    }, 60_000)
  }
})

/** Resolves when the node says that it runs. */
const running = (node: Started) => saysToErr(node, /"msg":"running /)
/** Resolves when a first commit with outputs is told. */
const committed = (node: Started) => saysToErr(node, /"outputs":[1-9].*"msg":"committed"/)

function saysToErr(node: Started, pattern: RegExp): Promise<void> {
  let text = ''
  return new Promise((resolve, reject) => {
    node.process.stderr.on('data', chunk => {
      text += String(chunk)
      if (pattern.test(text)) resolve()
    })
    void node.ended.then(({ code }) => reject(new Error(`ended with ${code} before ${String(pattern)}\n${text}`)))
  })
}
