/** `doctor` and the look that it takes, on both logs: each thing that can be found is made on purpose, and found. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { once } from 'node:events'
import { createConnection, createServer, type AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { jetstreamManager, type JetStreamManager, type StreamConfig } from '@nats-io/jetstream'
import { connect as dial, nanos } from '@nats-io/transport-node'
import { map } from 'rxjs'
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { pipeline, startNode, stream, type Definition, type StreamOptions } from 'stream-node'
import { systemChance, systemClock, type Clock } from '../../src/clock.js'
import { openEmbedded } from '../../src/log/embedded/embedded.js'
import type { Finding, StreamUse } from '../../src/log/examiner.js'
import { needsOf } from '../../src/log/jetstream/granted.js'
import { openJetStream } from '../../src/log/jetstream/jetstream.js'
import type { JetStreamOptions } from '../../src/log/jetstream/settings.js'
import type { Ports } from '../../src/log/ports.js'
import { LogRecord } from '../../src/log/record.js'
import { checkup, NODE_SIGNALS } from '../../src/node/checkup.js'
import { encodeWitness, lifeIn, witnessKey } from '../../src/state/witness.js'
import { encodeLetter, encodeResolution } from '../../src/stream/dead-letters.js'
import { silent } from '../../src/telemetry/events.js'
import { theCommand } from '../command.js'
import { startServer, type ServerOptions, type TestServer } from '../nats-server/server.js'
import { administrator, permissionsUnder, user, type Permission } from './permissions.js'

const command = theCommand()
const around = { clock: systemClock, chance: systemChance, tell: silent }

interface Click {
  user: string
}

/** A pipeline of its own for each test, so that one server does for all. */
let pipelines = 0
function flow(source: StreamOptions<Click> = {}, target: StreamOptions<Click> = {}) {
  const at = ++pipelines
  const clicks = stream<Click>(`clicks-${at}`, { key: 'user', partitions: 2, ...source })
  const views = stream<Click>(`views-${at}`, { key: 'user', partitions: 2, ...target })
  const definition: Definition = pipeline(`view-${at}`)
    .from(clicks)
    .pipe(map(click => click))
    .to(views)
  return { definition, clicks, views, ledger: `view-${at}-0-ledger`, letters: `view-${at}-dead-letters` }
}

/** What was found by a check, of the stream, or of the log as a whole. */
function found(findings: readonly Finding[], check: string, stream?: string): Finding[] {
  return findings.filter(finding => finding.check === check && finding.stream === stream)
}

const like = (pattern: RegExp): unknown => expect.stringMatching(pattern)
const wrongs = (findings: readonly Finding[]) => findings.filter(({ level }) => level === 'wrong')

describe.each(['embedded', 'JetStream'] as const)('on the %s log', kind => {
  let server: TestServer | undefined
  const folder = mkdtempSync(join(tmpdir(), 'doctor-'))
  const dataDir = join(folder, 'data')
  const log = () => (server === undefined ? { dataDir } : { servers: server.url })
  const env = () => (server === undefined ? { STREAM_NODE_DATA_DIR: dataDir } : { NATS_URL: server.url })
  beforeAll(async () => {
    if (kind === 'JetStream') server = await startServer()
    const ports = await open()
    await ports.close()
  })
  afterAll(async () => {
    await server?.stop()
    rmSync(folder, { recursive: true, force: true })
  })

  const open = (): Promise<Ports> =>
    server === undefined
      ? openEmbedded({ dataDir, role: 'guest' }, around)
      : openJetStream({ servers: server.url }, around)

  async function withPorts<T>(work: (ports: Ports) => Promise<T>): Promise<T> {
    const ports = await open()
    try {
      return await work(ports)
    } finally {
      await ports.close()
    }
  }

  const look = (...definitions: Definition[]) =>
    withPorts(ports => checkup(ports, definitions.length === 0 ? undefined : definitions))

  /** Runs it once, so that all its streams and its ledger are there. */
  async function ran(definition: Definition, clicks?: ReturnType<typeof flow>['clicks']): Promise<void> {
    const node = await startNode({ definitions: [definition], ...log() })
    if (clicks !== undefined) {
      const { connect } = await import('stream-node')
      const client = await connect(log())
      for (const user of ['ann', 'bob', 'cid', 'eve']) await client.publish(clicks, { user })
      await client.close()
    }
    await node.caughtUp()
    await node.stop()
  }

  test('finds nothing wrong where a pipeline has run as it is, and says of its streams what they are', async () => {
    const { definition, clicks, views, ledger } = flow()
    await ran(definition, clicks)
    const findings = await look(definition)
    expect(wrongs(findings)).toEqual([])
    expect(found(findings, 'retention', clicks.name)).toMatchObject([{ level: 'ok', what: 'nothing is dropped' }])
    expect(found(findings, 'dedup window', views.name)).toMatchObject([{ level: 'ok', what: like(/20 seconds/) }])
    expect(found(findings, 'ledger', ledger)).toMatchObject([{ level: 'ok', what: '2 ledgers as far as vouched for' }])
    expect(found(findings, 'compare-and-set')).toMatchObject([{ level: 'ok' }])
    const all = await look()
    expect(wrongs(all)).toEqual([])
    expect(found(all, 'ledger', ledger)).toMatchObject([{ level: 'ok' }])
    for (const { what, means, mend } of all)
      expect([what, means ?? '-', mend ?? '-'].join('')).not.toContain('undefined')
  })

  test('makes nothing that is not there', async () => {
    const { definition, clicks, ledger } = flow()
    const names = () => withPorts(({ log }) => log.names())
    const before = await names()
    const findings = await look(definition)
    for (const name of [clicks.name, ledger]) {
      expect(found(findings, 'stream', name)).toMatchObject([{ level: 'ok', what: like(/^not there yet/) }])
    }
    expect(await names()).toEqual(before)
  })

  test('finds records that may be dropped before they are read, and outputs before their owner knows', async () => {
    const { definition, clicks, views } = flow({ retention: { age: '1 minute' } }, { retention: { records: 500 } })
    await ran(definition)
    const findings = await look(definition)
    expect(found(findings, 'retention', clicks.name)).toMatchObject([
      { level: 'weak', what: 'what is older than 1 minute is dropped, read or not', means: like(/^P1: .*OVERRUN/) },
    ])
    expect(found(findings, 'retention', views.name)).toMatchObject([
      { level: 'weak', what: 'what is beyond 500 records is dropped, read or not', means: like(/^P2: /) },
    ])
    expect(wrongs(findings)).toEqual([])
  })

  test('finds a window in which a pipeline does not write, one that is short, and one that is long', async () => {
    const levels = ['500 ms', '5 seconds', '1 minute', '1 hour'].map(async dedupWindow => {
      const { definition, views } = flow({}, { dedupWindow: dedupWindow as '5 seconds' })
      await withPorts(({ log }) =>
        log.open({ name: views.name, partitions: 2, retention: {}, replicas: 1, dedupWindowMs: msOf(dedupWindow) }),
      )
      return found(await look(definition), 'dedup window', views.name)[0]
    })
    expect(await Promise.all(levels)).toMatchObject([
      { level: 'wrong', means: like(/BAD_OPTION/) },
      { level: 'weak', means: like(/2.5 seconds/) },
      { level: 'ok' },
      { level: 'weak', means: like(/remembers every id/) },
    ])
  })

  test('finds a stream that is not as the definition has it', async () => {
    const { definition, clicks, views, ledger } = flow({}, { dedupWindow: '30 seconds' })
    await withPorts(async ({ log }) => {
      const spec = { partitions: 3, retention: {}, replicas: 1, dedupWindowMs: 20_000 }
      await log.open({ ...spec, name: clicks.name })
      await log.open({ ...spec, name: views.name, partitions: 2 })
      await log.open({ ...spec, name: ledger, partitions: 2, retention: { records: 10 } })
    })
    const findings = await look(definition)
    expect(found(findings, 'definition', clicks.name)).toMatchObject([
      { level: 'wrong', what: 'partitions 3 where 2 is asked for', means: like(/STREAM_DIFFERS/) },
    ])
    expect(found(findings, 'definition', views.name)).toMatchObject([
      { level: 'wrong', what: 'dedupWindowMs 20000 where 30000 is asked for' },
    ])
    expect(found(findings, 'retention', ledger)).toMatchObject([{ level: 'wrong', means: like(/^P1, P6/) }])
  })

  test('finds a definition that differs from the one that is kept', async () => {
    const { definition, clicks, views } = flow()
    await ran(definition)
    const other: Definition = pipeline('another')
      .from(stream<Click>(clicks.name, { partitions: 2, key: 'user', format: 'batch' }))
      .pipe()
      .to(views)
    expect(found(await look(other), 'definition', clicks.name)).toMatchObject([
      { level: 'wrong', what: like(/format/) },
    ])
  })

  test('finds the source of others that is not there', async () => {
    const orders = stream<Click>(`orders-${++pipelines}`, { key: 'user', source: { stream: 'GONE' } })
    const { views } = flow({}, { partitions: 1 })
    const definition: Definition = pipeline(`orders-${pipelines}`).from(orders).pipe().to(views)
    expect(found(await look(definition), 'stream', orders.name)).toMatchObject([
      { level: 'wrong', what: like(/"GONE"/) },
    ])
  })

  test('finds ledgers that end before their witness, are gone, or have none', async () => {
    const { definition, clicks, ledger } = flow()
    const name = ledger.replace('-0-ledger', '')
    await ran(definition, clicks)
    await withPorts(async ports => {
      const bucket = await ports.bucket({ name: 'stream-node' })
      const key = witnessKey(name, 0, 0)
      const incarnation = lifeIn((await bucket.get(key))!.value!)!
      await bucket.put(key, encodeWitness({ incarnation, fence: 1, number: 1000, hash: '' }))
    })
    expect(found(await look(definition), 'ledger', ledger)).toMatchObject([
      {
        level: 'wrong',
        what: like(/^the ledger of partition 0 ends with message \d+, and message 1000 was acknowledged$/),
        means: like(/^P6/),
        mend: like(/restore/),
      },
    ])
    const first = await withPorts(async ({ log }) => {
      const stream = (await log.find(ledger))!
      const { value } = await stream.read({ after: 0, partition: 0, untilEnd: true }).next()
      await log.drop(ledger)
      return value!.records[0]!
    })
    const gone = (await look(definition)).filter(({ check }) => check === 'ledger').map(({ what }) => what)
    expect(gone).toEqual([like(/^the ledger of partition 0 is gone/), like(/^the ledger of partition 1 is gone/)])
    await withPorts(async ports => {
      const spec = { name: ledger, partitions: 2, retention: {}, replicas: 1, dedupWindowMs: 20_000 }
      await (await ports.log.open(spec)).append({ partition: 0, payload: first.payload })
      await forgetWitnesses(ports, name)
    })
    expect(found(await look(), 'ledger', ledger)).toMatchObject([
      { level: 'wrong', what: 'partition 0 has a ledger, and nothing vouches for it' },
    ])
    await withPorts(({ log }) => log.drop(ledger))
  })

  test('finds a ledger whose end is not what was written', async () => {
    const { definition, clicks, ledger } = flow()
    await ran(definition, clicks)
    await withPorts(async ({ log }) => {
      await (await log.find(ledger))!.append({ partition: 1, payload: Buffer.from('\x01 no message at all') })
    })
    expect(found(await look(definition), 'ledger', ledger)).toMatchObject([
      { level: 'wrong', what: like(/cannot be believed/) },
    ])
    await withPorts(async ports => {
      await ports.log.drop(ledger)
      await forgetWitnesses(ports, ledger.replace('-0-ledger', ''))
    })
  })

  test('counts the dead letters that wait, and not those that are done with', async () => {
    const { definition, letters } = flow()
    await withPorts(async ({ log }) => {
      const record = new LogRecord(0, 7, 0, new Uint8Array(0), Buffer.from('{'))
      const about = { pipeline: 'p', stage: 0, stream: 's', error: new Error('planted'), where: undefined, attempts: 1 }
      const letter = encodeLetter(record, undefined, { ...about, at: 1 }, 10_000)
      const to = await log.open({ name: letters, partitions: 2, retention: {}, replicas: 1, dedupWindowMs: 20_000 })
      const first = await to.append({ partition: 0, payload: letter })
      await to.append({ partition: 1, payload: letter })
      await to.append({ partition: 0, payload: letter })
      const resolves = first.ending === 'stored' ? first.position : 0
      await to.append({ partition: 0, payload: encodeResolution({ resolves, how: 'dropped', at: 1 }) })
    })
    const { level, what, mend } = found(await look(definition), 'dead letters', letters)[0]!
    expect({ level, what }).toEqual({ level: 'weak', what: '2 dead letters wait for a decision' })
    expect(mend).toContain(`stream-node dlq ls ${letters.replace('-dead-letters', '')}`)
  })

  test('says it from the shell, as text with the mend, as JSON, and by its exit code', async () => {
    const { definition, clicks, views, ledger } = flow()
    const cwd = mkdtempSync(join(tmpdir(), 'doctor-run-'))
    onTestFinished(() => rmSync(cwd, { recursive: true, force: true }))
    const file = (partitions: number) =>
      writeFileSync(
        join(cwd, 'flow.ts'),
        `import { pipeline, stream } from 'stream-node'
         const clicks = stream('${clicks.name}', { key: 'user', partitions: ${partitions} })
         const views = stream('${views.name}', { key: 'user', partitions: ${partitions} })
         export default pipeline('${ledger.replace('-0-ledger', '')}').from(clicks).pipe().to(views)`,
      )
    await ran(definition, clicks)
    const run = (...args: string[]) => command.run(['doctor', ...args], { cwd, env: env() })

    file(2)
    const well = await run('flow.ts')
    expect(well).toMatchObject({ code: 0, stderr: expect.stringMatching(/0 wrong, \d+ weak, \d+ unknown, \d+ ok\n$/) })
    expect(well.stdout).toMatch(/^ok {7}\S.*: .+$/m)
    expect(well.stdout).toMatch(/^weak {5}replicas: .*\n {9}means: P6: .*\n {9}mend: /m)
    const lines = (await run('flow.ts', '-o', 'jsonl')).stdout.trimEnd().split('\n')
    expect(lines.map(line => JSON.parse(line) as Finding)).toContainEqual(
      expect.objectContaining({ check: 'ledger', stream: ledger, level: 'ok' }),
    )

    file(3)
    const ill = await run('flow.ts')
    expect(ill).toMatchObject({ code: 1 })
    expect(ill.stdout).toMatch(
      new RegExp(`^wrong {4}definition: partitions 2 where 3 is asked for \\(.*${clicks.name}.*\\)\\n {9}means: `, 'm'),
    )
    const whole = await run('flow.ts', '-o', 'json')
    expect(whole.code).toBe(1)
    const {
      log: name,
      wrong,
      findings,
    } = JSON.parse(whole.stdout) as { log: string; wrong: number; findings: Finding[] }
    expect(name).toMatch(kind === 'embedded' ? /^embedded log in / : /^JetStream /)
    expect(wrong).toBe(findings.filter(({ level }) => level === 'wrong').length)

    expect(await run('none.ts')).toMatchObject({ code: 2, stdout: '' })
    const away = kind === 'embedded' ? ['--data-dir', join(cwd, 'none')] : ['--server', '127.0.0.1:9']
    const gone = await command.run(['doctor', ...away], { cwd })
    expect(gone).toMatchObject({ code: kind === 'embedded' ? 78 : 3, stdout: '' })
  }, 60_000)
})

async function forgetWitnesses(ports: Ports, pipeline: string): Promise<void> {
  const bucket = await ports.bucket({ name: 'stream-node' })
  for (const partition of [0, 1]) await bucket.delete(witnessKey(pipeline, 0, partition))
}

function msOf(text: string): number {
  const [count = '', unit = ''] = text.split(' ')
  return Number(count) * ({ ms: 1, seconds: 1000, minute: 60_000, hour: 3_600_000 }[unit] ?? NaN)
}

describe('of a data folder', () => {
  async function scene(sync?: 'os' | 'disk') {
    const folder = mkdtempSync(join(tmpdir(), 'doctor-folder-'))
    onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
    const dataDir = join(folder, 'data')
    const node = await openEmbedded({ dataDir, name: 'west', ...(sync !== undefined && { sync }) }, around)
    onTestFinished(() => node.close())
    return { dataDir, node }
  }
  const lookAt = async (dataDir: string) => {
    const ports = await openEmbedded({ dataDir, role: 'guest' }, around)
    return checkup(ports, undefined).finally(() => ports.close())
  }

  test('says what the sync level is worth, where it is, who runs on it, and that it is the one copy', async () => {
    const { dataDir, node } = await scene()
    const findings = await lookAt(dataDir)
    expect(found(findings, 'sync')).toMatchObject([{ level: 'weak', what: like(/^'os'/), mend: like(/'disk'/) }])
    const about = new RegExp(`^${dataDir}, format 1, .*the node "west" \\(process ${process.pid}\\) has been running`)
    expect(found(findings, 'folder')).toMatchObject([{ level: 'ok', what: like(about) }])
    expect(found(findings, 'replicas')).toMatchObject([{ level: 'weak', what: 'the folder is the one copy' }])
    expect(found(findings, 'disk')).toHaveLength(1)
    await node.close()
    expect(found(await lookAt(dataDir), 'folder')).toMatchObject([{ what: like(/no node runs on it$/) }])
  })

  test('finds nothing to say against a folder that writes to the disk', async () => {
    const { dataDir } = await scene('disk')
    expect(found(await lookAt(dataDir), 'sync')).toMatchObject([{ level: 'ok' }])
  })

  test('finds a log in memory', async () => {
    const ports = await openEmbedded({ memory: true }, around)
    const findings = await checkup(ports, undefined).finally(() => ports.close())
    expect(wrongs(findings)).toMatchObject([{ check: 'folder', what: 'the log is in memory' }])
  })
})

describe('of a server', () => {
  const serverWith = async (options: ServerOptions = {}) => {
    const server = await startServer(options)
    onTestFinished(() => server.stop())
    return server
  }
  const lookAt = async (
    options: JetStreamOptions,
    definitions?: readonly Definition[],
    clock: Clock = systemClock,
  ): Promise<readonly Finding[]> => {
    const ports = await openJetStream({ timeout: 3000, ...options }, { ...around, clock })
    return checkup(ports, definitions).finally(() => ports.close())
  }
  const manager = async (url: string): Promise<JetStreamManager> => {
    const nc = await dial({ servers: url, ...administrator })
    onTestFinished(() => nc.close())
    return jetstreamManager(nc)
  }
  const probes = async (jsm: JetStreamManager) =>
    (await jsm.streams.info('KV_stream-node', { subjects_filter: '$KV.stream-node.probe' })).state.subjects ?? {}

  test('tries nothing on a server where nothing is yet, makes no bucket, and says what no client is told', async () => {
    const { url, version } = await serverWith()
    const findings = await lookAt({ servers: url }, [flow().definition])
    expect(found(findings, 'compare-and-set')).toMatchObject([{ level: 'ok', what: like(/^not tried/) }])
    expect(found(findings, 'server')[0]!.what).toContain(`nats-server ${version} at 127.0.0.1:`)
    expect(found(findings, 'sync')).toMatchObject([{ level: version.startsWith('2.9.') ? 'weak' : 'unknown' }])
    expect(found(findings, 'disk')).toMatchObject([{ level: 'unknown', mend: like(/max_file_store/) }])
    expect(found(findings, 'round trip')).toMatchObject([{ level: 'ok', what: like(/^an answer takes [\d.]+ ms$/) }])
    expect(wrongs(findings)).toEqual([])
    expect(await (await manager(url)).streams.list().next()).toEqual([])
  })

  test('leaves no entry of its test where there was none, and one where there was one', async () => {
    const { url } = await serverWith()
    const ports = await openJetStream({ servers: url }, around)
    await ports.bucket({ name: 'stream-node' })
    await ports.close()
    const jsm = await manager(url)
    expect(Object.values(await probes(jsm))).toEqual([1])
    expect(found(await lookAt({ servers: url }), 'compare-and-set')).toMatchObject([{ level: 'ok' }])
    expect(Object.values(await probes(jsm))).toEqual([1])
    await jsm.streams.purge('KV_stream-node')
    expect(found(await lookAt({ servers: url }), 'compare-and-set')).toMatchObject([{ level: 'ok' }])
    expect(await probes(jsm)).toEqual({})
  })

  test('finds a way to the server on which compare-and-set is lost', async () => {
    const { url } = await serverWith()
    const ports = await openJetStream({ servers: url }, around)
    await ports.bucket({ name: 'stream-node' })
    await ports.close()
    const proxy = await dropping(url, 'Nats-Expected-Last-Subject-Sequence')
    expect(found(await lookAt({ servers: proxy }), 'compare-and-set')).toMatchObject([
      { level: 'wrong', what: like(/stored a write that expected another position/), means: like(/UNSAFE_SERVER/) },
    ])
  })

  test('finds settings of streams that no pipeline can rest on', async () => {
    const { url } = await serverWith()
    const jsm = await manager(url)
    const { definition, clicks, views, ledger, letters } = flow()
    const two = (name: string) => ({ name, subjects: [`${name}.0`, `${name}.1`] })
    const add = (config: Partial<StreamConfig> & { name: string }) => jsm.streams.add(config)
    await add({ ...two(clicks.name), storage: 'memory', retention: 'workqueue', max_msg_size: 500 })
    await add({ ...two(views.name), no_ack: true, max_msgs: 10, discard: 'new', duplicate_window: nanos(20_000) })
    await add({ ...two(ledger), deny_purge: true, max_msgs_per_subject: 5, max_msg_size: 1000 })
    await add({ ...two(letters), duplicate_window: nanos(20_000) })
    await jsm.streams.update(letters, { sealed: true } as never)
    for (let n = 0; n < 10; n++)
      jsm
        .jetstream()
        .publish(`${views.name}.0`, 'x', { timeout: 1 })
        .catch(() => {})
    await expect.poll(async () => (await jsm.streams.info(views.name)).state.messages).toBe(10)

    const findings = await lookAt({ servers: url }, [definition])
    const levels = (stream: string) =>
      findings.filter(one => one.stream === stream && one.level !== 'ok').map(({ check, level }) => `${level} ${check}`)
    expect(levels(clicks.name)).toEqual(['wrong storage', 'weak replicas', 'wrong policy', 'weak record size'])
    expect(levels(views.name)).toEqual(['weak replicas', 'wrong acks', 'wrong room'])
    expect(levels(ledger)).toEqual(['weak replicas', 'wrong purge', 'wrong retention', 'wrong record size'])
    expect(levels(letters)).toEqual(['weak replicas', 'wrong sealed'])
  })

  test('finds a stream of the name that is none of ours, and one that is a mirror', async () => {
    const { url } = await serverWith()
    const jsm = await manager(url)
    const { definition, clicks, views } = flow()
    await jsm.streams.add({ name: clicks.name, subjects: ['others.>'] })
    await jsm.streams.add({ name: views.name, mirror: { name: clicks.name } })
    const findings = await lookAt({ servers: url }, [definition])
    expect(found(findings, 'definition', clicks.name)).toMatchObject([
      { level: 'wrong', what: like(/none of ours.*others\.>/) },
    ])
    expect(found(findings, 'definition', views.name)).toMatchObject([
      { level: 'wrong', what: 'none of ours: a mirror' },
    ])
  })

  test('finds an account that is full, and one that is nearly so', async () => {
    const limits = 'max_file: 100KB, max_streams: 2, max_consumers: 100, max_memory: 1MB'
    const { url } = await serverWith({
      config: `accounts { A: { jetstream: { ${limits} }, users: [{ user: a, password: a }] } }`,
    })
    const as = { servers: url, user: 'a', password: 'a' }
    const nc = await dial({ servers: url, user: 'a', pass: 'a' })
    onTestFinished(() => nc.close())
    const jsm = await jetstreamManager(nc)
    await jsm.streams.add({ name: 'one', subjects: ['one.*'] })
    await jsm.streams.add({ name: 'two', subjects: ['two.*'] })
    await jsm.jetstream().publish('one.0', Buffer.alloc(85 * 1024))
    const findings = await lookAt(as)
    expect(found(findings, 'streams')).toMatchObject([
      { level: 'wrong', what: '2 streams of 2 streams in use', means: like(/LOG_FULL/) },
    ])
    expect(found(findings, 'file storage')).toMatchObject([{ level: 'weak', what: like(/^85.* KB of 100 KB in use$/) }])
    expect(found(findings, 'consumers')).toMatchObject([{ level: 'ok' }])
  })

  test('finds a small largest record', async () => {
    const { url } = await serverWith({ config: 'max_payload: 4096' })
    expect(found(await lookAt({ servers: url }), 'max payload')).toMatchObject([
      { level: 'weak', what: 'records of up to 4 KB' },
    ])
  })

  test('finds clocks that are apart', async () => {
    const { url } = await serverWith()
    const ports = await openJetStream({ servers: url }, around)
    await ports.bucket({ name: 'stream-node' })
    await ports.close()
    const shifted = (ms: number): Clock => ({ ...systemClock, now: () => systemClock.now() + ms })
    const clockOf = async (ms: number) => found(await lookAt({ servers: url }, undefined, shifted(ms)), 'clock')[0]!
    expect(await clockOf(0)).toMatchObject({ level: 'ok' })
    expect(await clockOf(90_000)).toMatchObject({
      level: 'weak',
      what: like(/is 1\.5 minutes behind that of this machine/),
    })
    expect(await clockOf(-7_200_000)).toMatchObject({
      level: 'weak',
      what: like(/is 2 hours ahead of that of this machine/),
    })
  })

  test('names each subject that a user lacks, where the server tells; where not, says so', async () => {
    const info = { may: 'publish', subject: '$SYS.REQ.USER.INFO' } as const
    const makes = permissionsUnder('A program that makes its streams')
    const names = ['clicks', 'views', 'p-0-ledger', 'p-dead-letters']
    const all = [
      ...names.flatMap(name => makes.map(row => ({ ...row, subject: row.subject.replace('clicks', name) }))),
      ...permissionsUnder('A node'),
      info,
    ]
    const lists = {
      all,
      less: all.filter(
        ({ subject }) => !/^(views\.\*|\$JS\.API\.STREAM\.PURGE\.p-0-ledger|\$KV\.stream-node\.>)$/.test(subject),
      ),
      untold: all.filter(row => row !== info),
    }
    const config = `authorization { users: [ ${Object.entries(lists)
      .map(([name, list]) => user(name, list))
      .join('\n')} ] }`
    const { url, version } = await serverWith({ config })
    const clicks = stream<Click>('clicks', { key: 'user', partitions: 1 })
    const definition: Definition = pipeline('p')
      .from(clicks)
      .pipe()
      .to(stream<Click>('views', { key: 'user', partitions: 1 }))
    const permissionsOf = async (name: string) => {
      const options = { servers: url, user: name, password: name, inboxPrefix: '_INBOX_app' }
      return found(await lookAt(options, [definition]), 'permissions')
    }
    expect(await permissionsOf('untold')).toMatchObject([{ level: 'unknown', mend: like(/permissions\.md/) }])
    if (version.startsWith('2.9.')) return
    expect(await permissionsOf('all')).toMatchObject([{ level: 'ok' }])
    expect((await permissionsOf('less')).map(({ level, what }) => `${level}: ${what}`)).toEqual([
      'wrong: this user may not publish "views.*"',
      'wrong: this user may not publish "$JS.API.STREAM.PURGE.p-0-ledger"',
      'wrong: this user may not publish "$KV.stream-node.>"',
    ])
  })

  test('asks for what docs/permissions.md lists for a node, and for nothing else', () => {
    const [clicks, views] = ['clicks', 'clicks-per-user'] as const
    const [ledger, letters] = ['count-clicks-0-ledger', 'count-clicks-dead-letters'] as const
    const uses: StreamUse[] = [
      { name: clicks, roles: ['source'], asked: {} },
      { name: views, roles: ['target'], asked: {} },
      { name: ledger, roles: ['ledger'], asked: {} },
      { name: letters, roles: ['dead letters'], asked: {} },
    ]
    const needs = needsOf({ uses, signals: NODE_SIGNALS, there: () => false, api: '$JS.API', inbox: '_INBOX_app' })
    const written = (row: Permission) => `${row.may} ${row.subject}`
    const listed = [
      ...[clicks, views, ledger, letters].flatMap(name =>
        permissionsUnder('A program that makes its streams').map(row => ({
          ...row,
          subject: row.subject.replace('clicks', name),
        })),
      ),
      ...permissionsUnder('A node'),
    ].map(written)
    expect(needs.map(written).filter(need => !listed.includes(need))).toEqual([])
    // What a program may do that a node does not: write to its source, purge what is no ledger, drop and list streams.
    const others = [`publish ${clicks}.*`, `publish _INBOX_app.>`, 'publish $JS.API.STREAM.LIST']
    const more = new Set(listed.filter(row => !needs.map(written).includes(row) && !/STREAM\.(DELETE|PURGE)/.test(row)))
    expect([...more].filter(row => !others.includes(row))).toEqual([])
  })

  test('says of a user who may look at nothing what it may not, and goes on', async () => {
    const rows = [{ may: 'subscribe', subject: '_INBOX_app.>' } as const, { may: 'publish', subject: 'none' } as const]
    const { url } = await serverWith({ config: `authorization { users: [ ${user('poor', rows)} ] }` })
    const options = { servers: url, user: 'poor', password: 'poor', inboxPrefix: '_INBOX_app' }
    const { definition, clicks } = flow()
    const findings = await lookAt(options, [definition])
    expect(found(findings, 'stream', clicks.name)).toMatchObject([{ level: 'wrong', what: like(/forbids publish/) }])
    expect(found(findings, 'account')).toMatchObject([{ level: 'unknown' }])
    expect(wrongs(await lookAt(options))).not.toEqual([])
  })

  test('is told apart when the server cannot be reached, or has no JetStream', async () => {
    const { url } = await serverWith({ jetstream: false })
    expect(await command.run(['doctor', '--server', url])).toMatchObject({ code: 3, stderr: like(/NO_JETSTREAM/) })
  })
})

/** A way to the server on which one header goes by another name, so that nobody knows it. */
async function dropping(url: string, header: string): Promise<string> {
  const to = new URL(url)
  const proxy = createServer(client => {
    const upstream = createConnection({ host: to.hostname, port: Number(to.port) })
    client.on('data', (bytes: Buffer) => {
      for (let at = bytes.indexOf(header); at >= 0; at = bytes.indexOf(header)) bytes.write('X', at)
      upstream.write(bytes)
    })
    upstream.pipe(client)
    for (const socket of [client, upstream])
      socket.on('error', () => {}).on('close', () => (client.destroy(), upstream.destroy()))
  })
  proxy.listen(0, '127.0.0.1')
  await once(proxy, 'listening')
  onTestFinished(() => void proxy.close())
  return `nats://127.0.0.1:${(proxy.address() as AddressInfo).port}`
}
