/** `dlq` and `reset` as people meet them, on both logs. */
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

/** Copies numbers, but for those that the condition holds for. */
const keeping = (fails: string) => `
  import { map } from 'rxjs'
  import { pipeline, stream } from 'stream-node'
  const numbers = stream<{ user: string; n: number }>('numbers', { key: 'user' })
  const flow = pipeline('keep', { onError: { budget: false } }).from(numbers).pipe(map(one => {
    if (${fails}) throw new TypeError('planted at ' + one.n)
    return one
  }))
  export default flow.to(flow.as('kept', { key: 'user' }))`

describe.each(['embedded', 'JetStream'] as const)('on the %s log', kind => {
  let server: TestServer | undefined
  beforeAll(async () => {
    if (kind === 'JetStream') server = await startServer()
  })
  afterAll(() => server?.stop())

  async function scene() {
    const cwd = mkdtempSync(join(tmpdir(), 'operating-'))
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
    const run = (...args: string[]) => start(...args).ended
    const put = async (from: number, to: number) => {
      const ran = await command.run(['publish', 'numbers', '--create', '--key-field', 'user'], {
        ...{ cwd, env },
        stdin: numbers(from, to),
      })
      expect(ran).toMatchObject({ code: 0 })
    }
    const write = (fails: string) => writeFileSync(join(cwd, 'keep.ts'), keeping(fails))
    const recordsOf = async (stream: string) => {
      const { stdout } = await run('tail', stream, '-o', 'jsonl')
      const lines = stdout.split('\n').filter(line => line !== '')
      return lines.map(line => JSON.parse(line) as { key: string; value: { user: string; n: number; count: number } })
    }
    const keptNumbers = async () => (await recordsOf('kept')).map(({ value }) => value.n).sort((a, b) => a - b)
    const letters = async () => {
      const { code, stdout } = await run('dlq', 'ls', 'keep', '-o', 'jsonl')
      expect(code).toBe(0)
      const lines = stdout.split('\n').filter(line => line !== '')
      return lines.map(line => JSON.parse(line) as { at: string; letter: { attempts: number; position: number } })
    }
    /** Starts a node and waits until all its partitions run. */
    const node = async (file: string, ...flags: string[]) => {
      const started = start('run', file, ...flags)
      await saysToErr(started, /"msg":"running /)
      return started
    }
    const stop = async (started: Started) => {
      started.process.kill('SIGTERM')
      expect(await started.ended).toMatchObject({ code: 0 })
    }
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
    return { cwd, start, run, put, write, recordsOf, keptNumbers, letters, node, stop, holds, open }
  }

  const all = (to: number) => Array.from({ length: to }, (_, n) => n)

  test('letters are listed and shown, retried once their pipeline was mended, and dropped', async () => {
    const { run, put, write, keptNumbers, letters, node, stop } = await scene()
    await put(0, 100)
    write('one.n % 25 === 1')
    expect(await run('run', 'keep.ts', '--until-caught-up')).toMatchObject({ code: 0 })

    const listed = await run('dlq', 'ls')
    expect(listed.stdout).toMatch(
      /^pipeline +letters +first +last +such as +where +error\nkeep +4 +2\S+Z +2\S+Z +\d\/\d+ +step 1 \(map\) of pipeline "keep" +TypeError: planted at \d+\n$/,
    )
    expect(listed.stderr).toMatch(/4 dead letters of pipeline "keep" open\n$/)
    const some = await letters()
    expect(some).toHaveLength(4)
    expect((await run('dlq', 'ls', 'keep', '--error', 'planted at 51')).stderr).toMatch(/^1 dead letter /)
    const place = some[0]?.at ?? ''
    const shown = await run('dlq', 'show', 'keep', place)
    expect(shown.stdout).toMatch(
      new RegExp(
        `^letter      ${place} of pipeline "keep": open\nrecord      stream "numbers", partition \\d, position \\d+, of 2`,
      ),
    )
    expect(shown.stdout).toMatch(/^value +{"user":"u\d","n":\d+}$/m)
    expect(JSON.parse((await run('dlq', 'show', 'keep', place, '-o', 'json')).stdout)).toMatchObject({
      ...{ at: place, letter: { attempts: 1 }, value: { n: expect.any(Number) as number } },
    })

    expect(await run('dlq', 'retry', 'keep', '--all')).toMatchObject({
      ...{ code: 3, stderr: expect.stringMatching(/no node runs on .*\[NOBODY_THERE\]\n$/) as string },
    })
    write('one.n === 51 || one.n === 76')
    const first = await node('keep.ts')
    // No owner could answer for a partition that is not there.
    expect(await run('dlq', 'retry', 'keep', '9/1', '--timeout', '5s')).toMatchObject({
      ...{ code: 1, stdout: '9/1\trefused: no letter stands there\n' },
    })
    const retried = await run('dlq', 'retry', 'keep', '--all')
    expect(retried.stdout.split('\n').sort().join('\n')).toMatch(
      /^(\n\d\/\d+\t(retried|failed again: .*planted at (51|76)[^\n]*)){4}$/,
    )
    expect(retried).toMatchObject({ code: 1, stderr: expect.stringMatching(/2 failed again/) as string })
    expect(await keptNumbers()).toEqual(all(100).filter(n => n !== 51 && n !== 76))
    const again = await letters()
    expect(again.map(({ letter }) => letter.attempts)).toEqual([2, 2])
    await stop(first)

    write('false')
    const second = await node('keep.ts')
    expect(await run('dlq', 'drop', 'keep', again[0]?.at ?? '')).toMatchObject({
      code: 0,
      stdout: `${again[0]?.at}\tdropped\n`,
    })
    expect(await run('dlq', 'retry', 'keep', '--all')).toMatchObject({ code: 0, stdout: `${again[1]?.at}\tretried\n` })
    const repeated = await run('dlq', 'retry', 'keep', ...again.map(({ at }) => at))
    expect(repeated.code).toBe(0)
    expect(repeated.stdout).toMatch(/^(\d\/\d+\tresolved already[^\n]*\n){2}$/)
    expect(await keptNumbers()).toHaveLength(99)
    expect(await run('dlq', 'ls')).toMatchObject({
      code: 0,
      stdout: '',
      stderr: 'no dead letter of pipeline "keep" is open\n',
    })
    await stop(second)
  }, 120_000)

  test('a node that is killed while it retries does nothing twice and leaves nothing out', async () => {
    const { start, run, put, write, keptNumbers, letters, node, stop } = await scene()
    await put(0, 1000)
    write('one.n % 2 === 1')
    expect(await run('run', 'keep.ts', '--until-caught-up')).toMatchObject({ code: 0 })
    expect(await letters()).toHaveLength(500)
    write('false')
    for (let deaths = 0; deaths < 2; deaths++) {
      const victim = await node('keep.ts')
      const retry = start('dlq', 'retry', 'keep', '--all', '-o', 'jsonl')
      await retry.says('"retried"')
      victim.process.kill('SIGKILL')
      retry.process.kill('SIGKILL')
      await Promise.all([victim.ended, retry.ended])
    }
    const last = await node('keep.ts')
    expect(await run('dlq', 'retry', 'keep', '--all')).toMatchObject({ code: 0 })
    expect(await letters()).toEqual([])
    expect(await keptNumbers()).toEqual(all(1000))
    await stop(last)
  }, 120_000)

  test('a reset makes the same results anew, and says before what it does', async () => {
    const { run, put, holds, recordsOf, node, stop } = await scene()
    await put(0, 1000)
    const until = () => run('run', 'numbers.ts', '--until-caught-up')
    expect(await until()).toMatchObject({ code: 0 })
    await holds(1000)

    const unsure = await run('reset', 'double')
    expect(unsure).toMatchObject({ code: 2, stdout: '' })
    expect(unsure.stderr).toMatch(
      /goes: all that its 6 partitions remember \(double-0-ledger\)\n {2}stays: doubles, which get/,
    )
    expect(unsure.stderr).toMatch(/nothing was done, .*add --yes \[USAGE\]\n$/)
    expect(await run('reset', 'doubles', '--yes')).toMatchObject({
      ...{ code: 1, stderr: expect.stringMatching(/did you mean "double"\? \[NO_SUCH_PIPELINE\]\n$/) as string },
    })
    const west = await node('numbers.ts', '--name', 'west')
    expect(await run('reset', 'double', '--yes')).toMatchObject({
      ...{
        code: 1,
        stderr: expect.stringMatching(/node "west" \(process \d+\) runs .*\[PIPELINE_RUNS\]\n$/) as string,
      },
    })
    await stop(west)

    // With its outputs kept, each stands there once more.
    expect(await run('reset', 'double', '--yes')).toMatchObject({ code: 0 })
    expect(await until()).toMatchObject({ code: 0 })
    expect(await recordsOf('doubles')).toHaveLength(1000)
    // And whoever reads them took them as new.
    expect(await recordsOf('counts')).toHaveLength(1000)

    expect(await run('reset', 'double', '--outputs', '--yes')).toMatchObject({ code: 0 })
    const downstream = await until()
    expect(downstream).toMatchObject({
      code: 4,
      stderr: expect.stringMatching(/"count" is halted.*STREAM_RECREATED/) as string,
    })
    expect(await run('reset', 'count', '--outputs', '--yes')).toMatchObject({ code: 0 })
    expect(await until()).toMatchObject({ code: 0 })
    await holds(1000)
    await put(1000, 1200)
    expect(await until()).toMatchObject({ code: 0 })
    await holds(1200)
  }, 120_000)

  test('a reset can begin at the end, and brings a halted pipeline back to work', async () => {
    const { run, put, recordsOf, open } = await scene()
    await put(0, 100)
    const until = () => run('run', 'numbers.ts', '--until-caught-up')
    expect(await until()).toMatchObject({ code: 0 })
    const ports = await open()
    await ports.log.drop('double-0-ledger')
    await ports.close()
    expect(await until()).toMatchObject({ code: 4 })
    expect(await run('reset', 'double', '--from', 'end', '--yes')).toMatchObject({
      ...{
        code: 0,
        stderr: expect.stringMatching(/its next run reads its sources from where they end now\n/) as string,
      },
    })
    await put(100, 200)
    expect(await until()).toMatchObject({ code: 0 })
    const doubles = (await recordsOf('doubles')).map(({ value }) => value.n)
    expect(doubles.sort((a, b) => a - b)).toEqual(all(200).filter(n => n % 2 === 0))
  }, 120_000)

  test('letters that a reset has deleted are none, and it says what becomes of outputs and letters', async () => {
    const { run, put, write, recordsOf } = await scene()
    await put(0, 10)
    write('one.n === 1')
    const reset = (...flags: string[]) => run('reset', 'keep', '--yes', ...flags)
    expect(await run('run', 'keep.ts', '--until-caught-up')).toMatchObject({ code: 0 })
    const kept = await reset('--from', 'end')
    expect(kept.stderr).toContain('  stays: kept, which gets the results of what comes from now on\n')
    expect(kept.stderr).toContain('  stays: keep-dead-letters, whose letters can then be dropped, but not retried\n')
    const late = await reset('--outputs')
    expect(late.stderr).toContain('goes: the records of keep-dead-letters\n')
    expect(late.stderr).toContain('  no output goes, for its ledgers name none\n')
    expect(await recordsOf('kept')).toHaveLength(9)
    for (const of of [[], ['keep']]) {
      const stderr = `no dead letter of pipeline "keep" is open\n`
      expect(await run('dlq', 'ls', ...of)).toMatchObject({ code: 0, stdout: '', stderr })
    }
  }, 60_000)

  test('a letter of the life before a reset is not retried, but can be dropped', async () => {
    const { run, put, write, letters, keptNumbers, node, stop } = await scene()
    await put(0, 10)
    write('one.n === 1')
    expect(await run('run', 'keep.ts', '--until-caught-up')).toMatchObject({ code: 0 })
    expect(await run('reset', 'keep', '--yes')).toMatchObject({ code: 0 })
    write('false')
    const again = await node('keep.ts')
    const [old] = await letters()
    const place = old?.at ?? ''
    expect(await run('dlq', 'retry', 'keep', place)).toMatchObject({
      ...{
        code: 1,
        stdout: expect.stringMatching(/\trefused: it is of the pipeline before it was begun anew/) as string,
      },
    })
    expect(await run('dlq', 'drop', 'keep', place)).toMatchObject({ code: 0 })
    expect(await letters()).toEqual([])
    // All but the one from before, and all from now.
    const wanted = [...all(10).filter(n => n !== 1), ...all(10)].sort((a, b) => a - b)
    await expect.poll(keptNumbers, { timeout: 20_000 }).toEqual(wanted)
    await stop(again)
  }, 60_000)
})

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
