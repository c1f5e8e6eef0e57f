/**
 * How soon a partition works again: with a million rows, from the ledger as steady state leaves it; and with few, after
 * kill -9 of its process, from the start of the next one until what was published meanwhile is processed.
 */
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { systemChance, systemClock } from '../src/clock.js'
import { connect, stream, type Client, type ConnectOptions } from '../src/index.js'
import { openEmbedded } from '../src/log/embedded/embedded.js'
import type { Ports } from '../src/log/ports.js'
import { silent } from '../src/telemetry/events.js'
import { startServer } from '../test/nats-server/server.js'
import { median, type Figure } from './case.js'
import { openServer } from './job.js'
import { start } from './ours.js'
import { fillState, stateful } from './state.js'

export interface RecoveryBenchOptions {
  readonly pairs?: number
  /** How many rows. */
  readonly records?: number
}

const MAIN = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url))
const MB = 1000 * 1000

/** Takes about three minutes for a million rows. */
export async function* recoveryCases({
  pairs = 5,
  records = 1_000_000,
}: RecoveryBenchOptions = {}): AsyncGenerator<Figure> {
  const folder = mkdtempSync(join(tmpdir(), 'stream-node-bench-'))
  const server = await startServer()
  try {
    const environments = {
      embedded: () =>
        openEmbedded({ dataDir: join(folder, 'state') }, { clock: systemClock, chance: systemChance, tell: silent }),
      JetStream: () => openServer(server),
    }
    for (const [log, open] of Object.entries(environments)) yield* rowsBack(log, open, records, pairs)
    yield* killed(
      'embedded',
      folder,
      { dataDir: join(folder, 'killed') },
      { STREAM_NODE_DATA_DIR: join(folder, 'killed') },
      pairs,
    )
    yield* killed('JetStream', folder, { servers: server.url }, { NATS_URL: server.url }, pairs)
  } finally {
    await server.stop()
    rmSync(folder, { recursive: true, force: true })
  }
}

async function* rowsBack(log: string, open: () => Promise<Ports>, rows: number, times: number): AsyncGenerator<Figure> {
  const first = await open()
  await fillState(first, rows)
  await first.close()
  const took: number[] = []
  let held = ''
  for (let time = 0; time < times; time++) {
    const ports = await open()
    const began = performance.now()
    const node = await start(ports, stateful(), silent)
    while (node.status()[0]?.state !== 'running') await new Promise(resolve => setTimeout(resolve, 1))
    took.push(performance.now() - began)
    const status = node.status()[0]
    if (status?.rows !== undefined && status.rows < rows) throw new Error(`${status.rows} of ${rows} rows came back`)
    held = `ms, ${Math.round((status?.ledgerBytes ?? 0) / MB)} MB of ledger with ${Math.round((status?.liveBytes ?? 0) / MB)} MB alive`
    await node.stop()
    await ports.close()
  }
  const name = `recovery, ${log}, ${rows.toLocaleString('en-US')} rows`
  yield { case: name, figure: Math.round(median(took)), unit: held, bar: '<= 4,000' }
}

interface Ping {
  readonly n: number
}

const PINGS = stream<Ping>('pings', { key: () => 'all', partitions: 1 })
const COUNTS = stream<{ readonly key: string; readonly count: number }>('counts', { key: 'key', partitions: 1 })

const PROGRAM = `import { aggregate, count, pipeline, stream } from 'stream-node'
const pings = stream('pings', { key: () => 'all', partitions: 1 })
const counts = stream('counts', { key: 'key', partitions: 1 })
export default pipeline('pings-counted').from(pings).pipe(aggregate({ count: count() })).to(counts)
`

async function* killed(
  log: string,
  folder: string,
  options: ConnectOptions,
  env: NodeJS.ProcessEnv,
  times: number,
): AsyncGenerator<Figure> {
  const home = join(folder, `program-${log}`)
  mkdirSync(home)
  const file = join(home, 'pings.ts')
  writeFileSync(file, PROGRAM)
  const run = () =>
    spawn(process.execPath, [MAIN, 'run', file], { cwd: home, env: { ...process.env, ...env }, stdio: 'ignore' })
  let child = run()
  const client = await connect(options)
  const took: number[] = []
  try {
    await client.publish(PINGS, { n: 0 })
    await counted(client, 1, child)
    for (let time = 1; time <= times; time++) {
      child.kill('SIGKILL')
      await once(child, 'exit')
      const began = performance.now()
      child = run()
      const [answer] = await Promise.all([counted(client, time + 1, child), client.publish(PINGS, { n: time })])
      took.push(answer - began)
    }
  } finally {
    child.kill('SIGKILL')
    await client.close()
  }
  const name = `recovery, ${log}, kill -9 to processing again`
  yield { case: name, figure: Math.round(median(took)), unit: 'ms, with the start of the process', bar: '<= 1,500' }
}

/** When this count could be read. */
async function counted(client: Client, count: number, by: ChildProcess): Promise<number> {
  const given = new AbortController()
  by.once('exit', code => {
    if (code !== null) given.abort(new Error(`stream-node run ended with ${code}`))
  })
  const reading = client.read(COUNTS, { follow: true, signal: given.signal })
  for await (const { value } of reading) if (value.count === count) return performance.now()
  throw given.signal.reason as Error
}
