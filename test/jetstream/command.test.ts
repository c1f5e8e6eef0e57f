/** The command as people meet it: a process with pipes, signals and an exit code, on both logs. */
import { spawnSync } from 'node:child_process'
import {
  closeSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  readdirSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { connect } from '../../src/client/connect.js'
import { systemChance, systemClock } from '../../src/clock.js'
import { openEmbedded } from '../../src/log/embedded/embedded.js'
import { openJetStream } from '../../src/log/jetstream/jetstream.js'
import { stream } from '../../src/stream/stream.js'
import { silent } from '../../src/telemetry/events.js'
import { theCommand, type Ran, type RunOptions, type Started } from '../command.js'
import { startServer, type TestServer } from '../nats-server/server.js'

const command = theCommand()
const folder = mkdtempSync(join(tmpdir(), 'command-data-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))
let server: TestServer
beforeAll(async () => {
  server = await startServer()
})
afterAll(() => server.stop())

let counter = 0
const fresh = (name: string) => `${name}-${++counter}`
const lines = (text: string) => text.split('\n').filter(line => line !== '')
const objects = (text: string) => lines(text).map(line => JSON.parse(line) as Record<string, unknown>)
const values = (ran: Ran) => objects(ran.stdout).map(({ value }) => value)

/** One readable line with the mend and the code, no trace, no path of ours. */
function failedWith(ran: Ran, code: number, bracket: string, what: string | RegExp = ''): void {
  expect(ran.stderr).toMatch(what)
  expect(ran.code).toBe(code)
  expect(ran.stderr.trimEnd().split('\n').at(-1)).toMatch(new RegExp(`^stream-node: .*[;?] ?.*\\[${bracket}\\]$`))
  expect(ran.stderr).not.toContain('    at ')
}

describe.each(['embedded', 'JetStream'])('on the %s log', kind => {
  const env = () => (kind === 'embedded' ? { STREAM_NODE_DATA_DIR: join(folder, 'data') } : { NATS_URL: server.url })
  const run = (args: readonly string[], options: RunOptions = {}) =>
    command.run(args, { env: env(), cwd: folder, ...options })
  const start = (args: readonly string[], options: RunOptions = {}): Started => {
    const started = command.start(args, { env: env(), cwd: folder, ...options })
    onTestFinished(() => void started.process.kill('SIGKILL'))
    return started
  }
  const writeRaw = async (name: string, payload: Uint8Array) => {
    const around = { clock: systemClock, chance: systemChance, tell: silent }
    const ports =
      kind === 'embedded'
        ? await openEmbedded({ dataDir: join(folder, 'data'), role: 'guest' }, around)
        : await openJetStream({ servers: server.url }, around)
    const log = await ports.log.find(name)
    expect(await log?.append({ partition: 0, payload })).toMatchObject({ ending: 'stored' })
    await ports.close()
  }
  const made = async (name: string, ...more: readonly string[]) => {
    const stream = fresh(name)
    const ran = await run(['publish', stream, '--create', '--key-field', 'user', ...more])
    expect(ran).toMatchObject({ code: 0, stdout: '' })
    return stream
  }

  test('gives back what was published, in order per key, with key and time', async () => {
    const stream = fresh('round')
    const sent = Array.from({ length: 50 }, (_, i) => ({ user: `u${i % 3}`, at: 1000 + i }))
    const stdin = sent.map(value => JSON.stringify(value)).join('\n')
    const flags = ['--create', '--partitions', '3', '--key-field', 'user', '--time-field', 'at', '-o', 'jsonl']
    const published = await run(['publish', stream, ...flags], { stdin })
    expect(published.code).toBe(0)
    expect(published.stderr).toContain('published 50 records')
    expect(
      objects(published.stdout)
        .map(({ line }) => line)
        .sort((a, b) => Number(a) - Number(b)),
    ).toEqual(sent.map((_, i) => i + 1))
    const tailed = await run(['tail', stream, '-o', 'jsonl'])
    expect(tailed).toMatchObject({ code: 0, stderr: '' })
    const records = objects(tailed.stdout)
    expect(records).toHaveLength(50)
    for (const user of ['u0', 'u1', 'u2']) {
      const got = records.filter(({ key }) => key === user)
      expect(got.map(({ value }) => value)).toEqual(sent.filter(value => value.user === user))
      expect(got.map(({ time }) => time)).toEqual(sent.filter(value => value.user === user).map(({ at }) => at))
      expect(new Set(got.map(({ partition }) => partition)).size).toBe(1)
    }
    const whole = await run(['tail', stream, '-o', 'json'])
    expect(JSON.parse(whole.stdout)).toEqual(records)
    const text = await run(['tail', stream, '--key', 'u1', '--limit', '2'])
    expect(lines(text.stdout)).toHaveLength(2)
    expect(text.stdout).toMatch(/^1970-01-01T00:00:01\.001Z\t\d\/\d+\tu1\t\{"user":"u1","at":1001\}\n/)
  })

  test('stores a record once under one id, and says that it was there', async () => {
    const stream = await made('ids')
    const once = ['publish', stream, '{"user":"a"}', '--id', 'one', '-o', 'jsonl']
    const [first, second] = [await run(once), await run(once)]
    expect(objects(first.stdout)).toMatchObject([{ repeat: false }])
    expect(objects(second.stdout)).toMatchObject([{ ...objects(first.stdout)[0], repeat: true }])
    expect(second.stderr).toContain('there already')
    const field = await run(['publish', stream, '--id-field', 'n', '-o', 'json'], {
      stdin: '{"user":"b","n":"x"}\n'.repeat(3),
    })
    expect(JSON.parse(field.stdout)).toEqual({ stream, records: 3, repeats: 2 })
    expect(values(await run(['tail', stream, '-o', 'jsonl']))).toEqual([{ user: 'a' }, { user: 'b', n: 'x' }])
  })

  test('names the bad line, keeps the good ones before it, and says how many they are', async () => {
    const stream = await made('bad')
    const cases: [string, RegExp, string][] = [
      [
        '{"user":"a"}\n\n{"user":"b"}\r\n{"user":\n{"user":"c"}\n',
        /line 4: it is not JSON.*2 records before it are published/,
        'BAD_BYTES',
      ],
      [
        '{"user":"a"}\n{"user":7}\n{"user":"c"}\n',
        /line 2: the field "user".*1 record before it is published/,
        'BAD_KEY',
      ],
      ['{"user":"a","__proto__":1}\n', /line 1: .*nothing was published/, 'INVALID_VALUE'],
      ['{"user":"\u0001"}\n', /line 1: it is not JSON/, 'BAD_BYTES'],
    ]
    for (const [stdin, message, code] of cases) failedWith(await run(['publish', stream], { stdin }), 1, code, message)
    expect(values(await run(['tail', stream, '-o', 'jsonl']))).toEqual([{ user: 'a' }, { user: 'b' }, { user: 'a' }])
  })

  test('takes lines as they stand with the codec bytes', async () => {
    const stream = fresh('bytes')
    const stdin = 'one\n\u001b[31mtwo\n'
    await run(['publish', stream, '--create', '--codec', 'bytes', '--key', 'k'], { stdin })
    const text = (await run(['tail', stream])).stdout
    expect(lines(text).map(line => line.split('\t')[3])).toEqual(['one', '\\u001b[31mtwo'])
    expect(values(await run(['tail', stream, '-o', 'jsonl', '--limit', '1']))).toEqual([
      Buffer.from('one').toString('base64'),
    ])
  })

  test('begins where it is told to', async () => {
    const stream = fresh('from')
    const answers = await run(['publish', stream, '1', '2', '3', '--create', '-o', 'jsonl'])
    const positions = objects(answers.stdout)
      .map(({ position }) => Number(position))
      .sort((a, b) => a - b)
    const from = async (place: string) => values(await run(['tail', stream, '--from', place, '-o', 'jsonl']))
    expect(await from('start')).toHaveLength(3)
    expect(await from(String(positions[1]))).toHaveLength(2)
    expect(await from('2020-01-01')).toHaveLength(3)
    failedWith(await run(['tail', stream, '--from', '9999']), 1, 'NO_SUCH_POSITION')
  })

  test('follows until SIGINT, and then ends well', async () => {
    const stream = await made('follow')
    const tail = start(['tail', stream, '--from', 'end', '-o', 'jsonl'])
    // It begins at the end there is, so records are sent until one comes.
    for (let i = 0; !tail.stdout().includes('seen') && i < 50; i++) {
      await run(['publish', stream, '{"user":"a","it":"seen"}'])
    }
    tail.process.kill('SIGINT')
    expect(await tail.ended).toMatchObject({ code: 0, signal: null, stderr: '' })
    const json = start(['tail', stream, '--follow', '-o', 'json'])
    await json.says('seen')
    json.process.kill('SIGTERM')
    const ended = await json.ended
    expect(ended.code).toBe(0)
    expect(JSON.parse(ended.stdout)).not.toHaveLength(0)
  })

  test('ends quietly when the reader of its pipe goes', async () => {
    const stream = await made('pipe')
    await run(['publish', stream], { stdin: `{"user":"a","pad":"${'x'.repeat(1000)}"}\n`.repeat(2000) })
    for (const more of [[], ['--follow'], ['-o', 'json']]) {
      const tail = start(['tail', stream, ...more])
      tail.process.stdout.once('data', () => tail.process.stdout.destroy())
      expect(await tail.ended).toMatchObject({ code: 0, signal: null, stderr: '' })
    }
  })

  test('publishes what it took when its input is interrupted, and says that it is not all', async () => {
    const stream = await made('interrupted')
    const publish = start(['publish', stream, '-o', 'jsonl'], { stdin: endless() })
    await publish.says('"line":1000,')
    publish.process.kill('SIGINT')
    const { code, stderr, stdout } = await publish.ended
    expect(code).toBe(1)
    expect(stderr).toContain('interrupted: the rest of the input was not published')
    const count = Number(/published ([\d,]+) records/.exec(stderr)?.[1]?.replaceAll(',', ''))
    expect(lines(stdout)).toHaveLength(count)
    expect(lines((await run(['tail', stream, '-o', 'jsonl'])).stdout)).toHaveLength(count)
  })

  test('takes 100,000 records from stdin and gives them back, and its memory does not grow with them', async () => {
    const stream = await made('many')
    const peakOf = async (count: number) => {
      // With a small heap what could be freed is freed, and what is held shows.
      const started = start(['publish', stream], {
        stdin: numbered(count),
        env: { ...env(), NODE_OPTIONS: SMALL_HEAP },
      })
      const peak = await peakKb(started)
      expect((await started.ended).stderr).toContain(`published ${count.toLocaleString('en-US')} records`)
      return peak
    }
    const fewKb = await peakOf(10_000)
    expect((await peakOf(100_000)) - fewKb).toBeLessThan(48 * 1024)
    const tailed = await run(['tail', stream, '-o', 'jsonl', '--key', 'u7'])
    expect(values(tailed)).toHaveLength(110_000 / 100)
    expect(lines((await run(['tail', stream])).stdout)).toHaveLength(110_000)
  })

  test('lists the streams and shows one', async () => {
    const stream = await made('shown', '--partitions', '2')
    await run(['publish', stream, '{"user":"a"}'])
    const list = await run(['describe'])
    expect(list.stdout).toMatch(new RegExp(`^${stream} +2 +json +field user +\\d+ to \\d+$`, 'm'))
    const shown = JSON.parse((await run(['describe', stream, '-o', 'json'])).stdout) as object
    expect(shown).toMatchObject({ name: stream, partitions: 2, key: { field: 'user' }, codec: { name: 'json' } })
    expect((await run(['describe', stream])).stdout).toMatch(/^partitions +2$/m)
    const all = objects((await run(['describe', '-o', 'jsonl'])).stdout)
    expect(all.map(({ name }) => name)).toContain(stream)
  })

  test('leaves out what it cannot read, names it, and fails at the end', async () => {
    const stream = await made('unreadable', '--partitions', '1')
    await run(['publish', stream, '{"user":"a"}'])
    await writeRaw(stream, Buffer.from('{"user":'))
    await run(['publish', stream, '{"user":"b"}'])
    const tailed = await run(['tail', stream, '-o', 'jsonl'])
    expect(values(tailed)).toEqual([{ user: 'a' }, { user: 'b' }])
    expect(tailed.code).toBe(1)
    expect(tailed.stderr).toMatch(new RegExp(`stream "${stream}", partition 0, position \\d+: .*not JSON`))
    expect(tailed.stderr).toContain('1 record could not be read and was left out')
  })

  test('asks for the key where only a program knows it', async () => {
    const name = fresh('function')
    const client = await connect(kind === 'embedded' ? { dataDir: join(folder, 'data') } : { servers: server.url })
    await client.publish(stream<{ user: string }>(name, { key: value => value.user }), { user: 'a' })
    await client.close()
    failedWith(await run(['publish', name, '{"user":"b"}']), 1, 'BAD_KEY', '--key-field')
    await run(['publish', name, '{"user":"b"}', '--key-field', 'user'])
    const none = await run(['tail', name, '--key', 'a'])
    expect(none).toMatchObject({ code: 0, stdout: '' })
    expect(values(await run(['tail', name, '--key', 'b', '-o', 'jsonl']))).toEqual([{ user: 'b' }])
  })

  test('says what stream there is not, and what differs', async () => {
    const stream = await made('known')
    const typo = stream.replace('known', 'knwon')
    failedWith(await run(['tail', typo]), 1, 'NO_SUCH_STREAM', `did you mean "${stream}"?`)
    failedWith(await run(['describe', typo]), 1, 'NO_SUCH_STREAM')
    failedWith(await run(['publish', typo, '1']), 1, 'NO_SUCH_STREAM', '--create makes a new one')
    failedWith(
      await run(['publish', stream, '1', '--create', '--partitions', '7']),
      1,
      'STREAM_DIFFERS',
      /6 partitions, not 7/,
    )
    failedWith(await run(['publish', stream, '1', '--create', '--codec', 'bytes']), 1, 'CODEC_DIFFERS')
    failedWith(await run(['publish', stream, '1', '--create', '--key-field', 'name']), 1, 'STREAM_DIFFERS')
    failedWith(await run(['publish', 'no.dots', '1', '--create']), 2, 'BAD_NAME')
  })
})

test('lists the streams there are though one was deleted, and makes none anew', async () => {
  const dataDir = join(folder, 'deleted')
  for (const name of ['gone', 'there']) await command.run(['publish', name, '1', '--create', '--data-dir', dataDir])
  const ports = await openEmbedded({ dataDir }, { clock: systemClock, chance: systemChance, tell: silent })
  onTestFinished(() => ports.close())
  await ports.log.drop('gone')
  const { code, stdout, stderr } = await command.run(['describe', '-o', 'jsonl', '--data-dir', dataDir])
  expect([code, stdout.split('\n').length, stdout]).toEqual([0, 2, expect.stringContaining('"there"')])
  expect(stderr).toContain('stream "gone" was deleted')
  for (const verb of ['tail', 'describe']) {
    failedWith(await command.run([verb, 'gone', '--data-dir', dataDir]), 1, 'NO_SUCH_STREAM', 'was deleted')
  }
  expect(await ports.log.names()).toEqual(['there'])
})

test('works on the embedded log beside a running node, and its records reach the node', async () => {
  const dataDir = join(folder, 'shared')
  const around = { clock: systemClock, chance: systemChance, tell: silent }
  const node = await openEmbedded({ dataDir, role: 'node' }, around)
  onTestFinished(() => node.close())
  const spec = { name: 'beats', partitions: 1, retention: {}, replicas: 1, dedupWindowMs: 20_000 }
  const env = { STREAM_NODE_DATA_DIR: dataDir }
  const published = await command.run(['publish', 'beats', '1', '2', '--create', '--partitions', '1'], { env })
  expect(published).toMatchObject({ code: 0 })
  const log = await node.log.open(spec)
  const { value: batch } = await log.read({ partition: 0, after: 0, untilEnd: true }).next()
  expect(batch?.records.map(({ payload }) => Buffer.from(payload).toString())).toEqual(['1', '2'])
  const tail = command.start(['tail', 'beats', '--follow', '-o', 'jsonl'], { env })
  onTestFinished(() => void tail.process.kill('SIGKILL'))
  await tail.says('"value":2')
  expect(await log.append({ partition: 0, payload: Buffer.from('3') })).toMatchObject({ ending: 'stored' })
  await tail.says('"value":3')
})

describe('called wrongly', () => {
  test.each([
    [['publsh'], 'USAGE', /did you mean publish\?/],
    [[], 'USAGE', /no verb is given/],
    [['tail'], 'USAGE', /missing required argument 'stream'/],
    [['tail', 's', '--folow'], 'UNKNOWN_OPTION', /did you mean --follow\?/],
    [['tail', 's', '-o', 'yaml'], 'USAGE', /text, json, jsonl/],
    [['tail', 's', '--limit', '0'], 'USAGE', /--limit must be/],
    [['tail', 's', '--limit', 'x'], 'USAGE', /--limit must be/],
    [['tail', 's', '--partition', '-1'], 'USAGE', /--partition must be|argument missing/],
    [['tail', 's', '--from', 'yesterday'], 'USAGE', /--from must be a place/],
    [['publish', 's', '1', '2', '--id', 'x'], 'USAGE', /--id is for one value/],
    [['publish', 's', '1', '--key', 'a', '--key-field', 'b'], 'USAGE', /--key and --key-field/],
    [['publish', 's', '1', '--partitions', '3'], 'USAGE', /add --create/],
    [['publish', 's', '1', '--create', '--partitions', '5000'], 'USAGE', /from 1 to 4096/],
    [['publish', 's', '1', '--create', '--codec', 'xml'], 'USAGE', /json or bytes/],
    [['publish', 's', '1', '--time', 'soon'], 'USAGE', /--time must be a time/],
    [['describe', '--server', 'a', '--data-dir', 'b'], 'USAGE', /leave one of them out/],
    [['describe', '--server', 'http://a'], 'USAGE', /use nats:\/\/ or tls:\/\//],
    [['describe', '--server', 'a', '--timeout', 'soon'], 'USAGE', /--timeout must be/],
    [['status', '--timeout', 'soon'], 'USAGE', /--timeout must be a duration/],
    [['run', '--watchdog', '5000'], 'USAGE', /--watchdog must be .* write it like '10s'/],
    [['describe', '--creds', 'a'], 'USAGE', /--creds is given, but no server/],
  ] as const)('%j', async (args, code, message) => {
    failedWith(await command.run(args, { cwd: folder }), 2, code, message)
  })
})

describe('where it cannot go', () => {
  test('says that no server is there', async () => {
    failedWith(await command.run(['describe', '--server', '127.0.0.1:9']), 3, 'NO_SERVER', '127.0.0.1:9')
  })

  test.skipIf(!existsSync('/dev/full'))('says that its output cannot be written', async () => {
    const full = openSync('/dev/full', 'w')
    onTestFinished(() => closeSync(full))
    const { status, stderr } = spawnSync(process.execPath, [command.main, '--help'], {
      stdio: ['ignore', full, 'pipe'],
    })
    expect(String(stderr)).toMatch(/^stream-node: stdout cannot be written .*\[STDOUT\]\n$/)
    expect(status).toBe(1)
  })

  test('says that the credentials are wrong, without showing them', async () => {
    const guarded = await startServer({ config: 'authorization { user: ann, password: right }' })
    onTestFinished(() => guarded.stop())
    const env = { NATS_URL: guarded.url, NATS_USER: 'ann', NATS_PASSWORD: 'planted-wrong' }
    const ran = await command.run(['describe'], { env })
    failedWith(ran, 3, 'BAD_CREDENTIALS', 'as user "ann"')
    expect(ran.stderr).not.toContain('planted-wrong')
    const url = guarded.url.replace('//', '//ann:planted-wrong@')
    const inUrl = await command.run(['describe', '-s', url])
    failedWith(inUrl, 3, 'BAD_CREDENTIALS')
    expect(inUrl.stderr).not.toContain('planted-wrong')
    const right = await command.run(['describe', '--password', 'right'], { env })
    expect(right.code).toBe(0)
  })

  test('says that the server has no JetStream', async () => {
    const plain = await startServer({ jetstream: false })
    onTestFinished(() => plain.stop())
    failedWith(await command.run(['describe'], { env: { NATS_URL: plain.url } }), 3, 'NO_JETSTREAM')
  })

  test('says that the data folder holds garbage', async () => {
    const garbage = join(folder, 'garbage')
    mkdirSync(garbage)
    for (const name of ['data.mdb', 'log.mdb', 'lock.mdb', 'node.json'])
      writeFileSync(join(garbage, name), 'garbage'.repeat(5000))
    failedWith(await command.run(['describe', '--data-dir', garbage]), 78, 'BAD_DATA_FOLDER', 'garbage')
    const file = join(folder, 'file')
    writeFileSync(file, 'x')
    failedWith(await command.run(['describe', '--data-dir', file]), 78, 'BAD_DATA_FOLDER')
  })

  test('does not take a folder that is not there for an empty log', async () => {
    const dataDir = join(folder, 'nowhere')
    for (const verb of [['describe'], ['tail', 's'], ['publish', 's', '1']]) {
      failedWith(await command.run([...verb, '--data-dir', dataDir]), 78, 'BAD_DATA_FOLDER', 'there is no log in')
      expect(existsSync(dataDir)).toBe(false)
    }
  })

  test('says which setting of the environment is wrong', async () => {
    for (const env of [{ NATS_URL: 'http://x' }, { NATS_CONTEXT: 'missing' }, { NATS_URL: 'x', NATS_TIMEOUT: '5' }]) {
      failedWith(await command.run(['describe'], { env: { HOME: folder, ...env } }), 78, 'BAD_OPTION')
    }
  })

  test('gives up on a server that stopped answering, and says how far it came', async () => {
    const frozen = await startServer()
    onTestFinished(() => frozen.stop())
    const env = { NATS_URL: frozen.url, NATS_TIMEOUT: '10s' }
    await command.run(['publish', 'stuck', '1', '--create'], { env })
    const publish = command.start(['publish', 'stuck', '-o', 'jsonl', '--timeout', '1s'], { env, stdin: endless() })
    onTestFinished(() => void publish.process.kill('SIGKILL'))
    await publish.says('"line":100,')
    frozen.freeze()
    const ran = await publish.ended
    expect(ran.code).toBe(5)
    expect(ran.stderr).toMatch(
      /stopped: .* within 1000 ms; .*; [\d,]+ records before it are published \[TIMED_OUT\]\n$/,
    )
  })

  test('ends at once at the second signal', async () => {
    const frozen = await startServer()
    onTestFinished(() => frozen.stop())
    const env = { NATS_URL: frozen.url }
    await command.run(['publish', 'stuck', '1', '--create'], { env })
    const publish = command.start(['publish', 'stuck', '-o', 'jsonl'], { env, stdin: endless() })
    onTestFinished(() => void publish.process.kill('SIGKILL'))
    await publish.says('"line":100,')
    frozen.freeze()
    publish.process.kill('SIGINT')
    await sleep(300)
    publish.process.kill('SIGINT')
    expect(await publish.ended).toMatchObject({ code: 130 })
  })
})

describe('the help', () => {
  const verbs = ['publish', 'tail', 'describe']
  const page = readFileSync(join(import.meta.dirname, '../../docs/cli.md'), 'utf8')
  const flagsIn = (text: string) => new Set(text.match(/--[a-z][a-z-]+/g))

  test('goes to stdout, has examples and the names of the environment, and tells of every verb', async () => {
    const help = await command.run(['--help'])
    expect(help).toMatchObject({ code: 0, stderr: '' })
    for (const verb of verbs) expect(help.stdout).toMatch(new RegExp(`^  ${verb} `, 'm'))
    for (const name of page.match(/(?:NATS|STREAM_NODE)_[A-Z_]+/g) ?? []) expect(help.stdout).toContain(name)
    for (const verb of verbs) expect((await command.run([verb, '--help'])).stdout).toMatch(/^Examples:/m)
    expect((await command.run(['--version'])).stdout).toMatch(/^\d+\.\d+\.\d+\n$/)
  })

  test('and its page have the same flags, verb by verb', async () => {
    const sections = page.split(/^## /m)
    const section = (title: string) => sections.find(text => text.startsWith(`${title}\n`)) ?? ''
    const rows = (title: string) =>
      flagsIn(
        lines(section(title))
          .filter(line => line.startsWith('| `-'))
          .map(line => line.split('|')[1])
          .join(),
      )
    const global = rows('Flags of every verb')
    for (const verb of verbs) {
      const { stdout } = await command.run([verb, '--help'])
      const shown = flagsIn(
        lines(stdout)
          .filter(line => /^ {2}-/.test(line))
          .map(line => line.slice(0, 28))
          .join('\n'),
      )
      expect([...shown].sort()).toEqual([...new Set([...global, ...rows(verb)])].sort())
    }
    for (const [code] of page.matchAll(/^\| (\d+) \|/gm)) expect(code).toBeDefined()
  })

  test('loads nothing but the parser', () => {
    const loaded = imports(command.main, new Set())
    expect([...loaded].filter(name => !name.startsWith('.') && !name.startsWith('node:'))).toEqual(['commander'])
    expect(readdirSync(join(command.main, '..')).length).toBeGreaterThan(5)
  })
})

/** What a module and what it imports name in static imports. */
function imports(path: string, seen: Set<string>): Set<string> {
  for (const [, name = ''] of readFileSync(path, 'utf8').matchAll(/^(?:import|export)[^;]*?from '([^']+)'/gm)) {
    const next = name.startsWith('.') ? join(path, '..', name) : name
    if (seen.has(name.startsWith('.') ? `.${next}` : name)) continue
    seen.add(name.startsWith('.') ? `.${next}` : name)
    if (name.startsWith('.')) imports(next, seen)
  }
  return seen
}

function* endless(): Generator<string> {
  for (let i = 0; ; i++) yield `{"user":"u${i % 10}"}\n`.repeat(10)
}

const SMALL_HEAP = '--max-old-space-size=64'
/** So that 100,000 records are twice what memory may grow by. */
const PAD = 'x'.repeat(900)

function* numbered(count: number): Generator<string> {
  for (let i = 0; i < count; i += 1000) {
    let text = ''
    for (let n = i; n < i + 1000; n++) text += `{"user":"u${n % 100}","n":${n},"pad":"${PAD}"}\n`
    yield text
  }
}

/** The most memory of its own that a process held, in kB; waits for its end. Files that it maps do not count. */
async function peakKb(started: Started): Promise<number> {
  let peak = 0
  const look = setInterval(() => {
    try {
      const status = readFileSync(`/proc/${started.process.pid}/status`, 'utf8')
      peak = Math.max(peak, Number(/^RssAnon:\s+(\d+)/m.exec(status)?.[1] ?? 0))
    } catch {
      // It has ended.
    }
  }, 20)
  await started.ended
  clearInterval(look)
  return peak
}
