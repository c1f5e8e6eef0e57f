/**
 * How long a record takes at 200 a second from its publishing until its output can be read: ours, exactly once, and a raw
 * client that reads and publishes, in turn on one server. Publisher and reader of the outputs are the same for both.
 */
import { connect, type NatsConnection } from '@nats-io/transport-node'
import { jetstreamManager } from '@nats-io/jetstream'
import { map } from 'rxjs'
import { pipeline, stream } from '../src/index.js'
import type { Ports } from '../src/log/ports.js'
import { startServer } from '../test/nats-server/server.js'
import { median, round, type Case } from './case.js'
import { decode, encode, openServer, specOf } from './job.js'
import { start } from './ours.js'
import { Spans } from './percentile.js'
import { RawWriter, readOrdered } from './rival.js'

export interface LatencyBenchOptions {
  readonly pairs?: number
  readonly seconds?: number
}

const PER_SECOND = 200
/** Not counted: until code is compiled and caches are filled. */
const WARM_UP_SECONDS = 2

interface Beat {
  readonly n: number
  /** `performance.now()` at its publishing. */
  readonly at: number
}

/** Takes about twice `pairs` times `seconds`. */
export async function* latencyCases({ pairs = 5, seconds = 10 }: LatencyBenchOptions = {}): AsyncGenerator<Case> {
  const server = await startServer()
  // The outside has links of its own, as it would have in life.
  const outside = await connect({ servers: server.url })
  const bare = await connect({ servers: server.url })
  const ports = await openServer(server)
  const ours: Spans[] = []
  const rivals: Spans[] = []
  try {
    for (let pair = 0; pair < pairs; pair++) {
      const sides = [
        async () => ours.push(await latencyOurs(ports, outside, seconds)),
        async () => rivals.push(await latencyRaw(ports, bare, outside, seconds)),
      ]
      for (const side of pair % 2 === 0 ? sides : sides.reverse()) await side()
    }
  } finally {
    await outside.close()
    await bare.close()
    await ports.close()
    await server.stop()
  }
  for (const [share, name, bar] of [
    [0.5, 'p50', 4],
    [0.99, 'p99', 5],
  ] as const) {
    const [own, raw] = [ours, rivals].map(all => median(all.map(spans => spans.at(share)))) as [number, number]
    yield {
      ...{
        case: `latency at ${PER_SECOND} records/s, publish to readable, ${name}`,
        ours: round(own),
        rival: round(raw),
      },
      ...{ rivalName: 'raw client, reads and publishes', ratio: round(own / raw), unit: 'ms', bar: `<= ${bar}` },
    }
  }
}

let runs = 0

async function latencyOurs(ports: Ports, outside: NatsConnection, seconds: number): Promise<Spans> {
  const run = `beats${++runs}`
  const from = stream<Beat>(run, { key: ({ n }) => `${n % 100}`, partitions: 1 })
  const to = stream<Beat>(`${run}-out`, { key: ({ n }) => `${n % 100}`, partitions: 1 })
  const definition = pipeline(run)
    .from(from)
    .pipe(map(({ n, at }) => ({ n, at })))
    .to(to)
  const node = await start(ports, definition, () => {})
  while (node.status().some(({ state }) => state !== 'running')) await new Promise(resolve => setTimeout(resolve, 5))
  const spans = await measure(outside, from.name, to.name, seconds)
  await node.stop()
  for (const name of [from.name, to.name, `${run}-0-ledger`]) await ports.log.drop(name)
  return spans
}

async function latencyRaw(
  ports: Ports,
  bare: NatsConnection,
  outside: NatsConnection,
  seconds: number,
): Promise<Spans> {
  const run = `raw${++runs}`
  const [from, to] = [run, `${run}-out`]
  await ports.log.open(specOf(from, 1))
  await ports.log.open(specOf(to, 1))
  const writer = new RawWriter(bare, () => {})
  const stop = await readOrdered(bare, from, ({ data }) => {
    const { n, at } = decode(data) as Beat
    writer.send(`${to}.0`, encode({ n, at }))
  })
  const spans = await measure(outside, from, to, seconds)
  await stop()
  writer.stop()
  const jsm = await jetstreamManager(bare)
  for (const name of [from, to]) await jsm.streams.delete(name)
  return spans
}

/** Publishes at the rate and reads what comes of it. */
async function measure(nc: NatsConnection, from: string, to: string, seconds: number): Promise<Spans> {
  const spans = new Spans()
  const records = (seconds + WARM_UP_SECONDS) * PER_SECOND
  let allRead = () => {}
  const read = new Promise<void>(resolve => (allRead = resolve))
  let left = records
  const stop = await readOrdered(nc, to, ({ data }) => {
    const { n, at } = decode(data) as Beat
    if (n >= WARM_UP_SECONDS * PER_SECOND) spans.add(performance.now() - at)
    if (--left === 0) allRead()
  })
  const began = performance.now()
  await new Promise<void>(resolve => {
    let n = 0
    const timer = setInterval(() => {
      const due = Math.min(records, ((performance.now() - began) / 1000) * PER_SECOND)
      for (; n < due; n++) nc.publish(`${from}.0`, encode({ n, at: performance.now() }))
      if (n < records) return
      clearInterval(timer)
      resolve()
    }, 1)
  })
  await read
  await stop()
  return spans
}
