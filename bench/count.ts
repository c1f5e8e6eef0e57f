/**
 * A running count and sum by key, over 100 keys, with a result for each changed key at the end of each turn. Ours keeps it
 * in tables, commits and publishes; against a bare loop that reads and counts in a Map and writes nothing.
 */
import { connect } from '@nats-io/transport-node'
import { aggregate, count, pipeline, stream, sum } from '../src/index.js'
import type { Ports } from '../src/log/ports.js'
import { startServer } from '../test/nats-server/server.js'
import { contest, median, round, type Case, type Figure } from './case.js'
import { clickOf, decode, encode, fill, openServer, rateOf, specOf, type Click } from './job.js'
import { runThrough } from './ours.js'
import { Probe } from './probe.js'
import { countRaw } from './rival.js'

export interface CountBenchOptions {
  readonly pairs?: number
  readonly records?: number
}

const KEYS = 100
const SOURCE = 'clicks'

/** Takes about two minutes for a million records. */
export async function* countCases({ pairs = 5, records = 1_000_000 }: CountBenchOptions = {}): AsyncGenerator<
  Case | Figure
> {
  const server = await startServer()
  const bare = await connect({ servers: server.url })
  const ports = await openServer(server)
  try {
    await fill(ports, specOf(SOURCE, 1), records, n => ({ partition: 0, payload: encode(clickOf(n, KEYS)) }))
    const name = `count and sum by key, ${KEYS} keys, emit 'turn'`
    const p99s: number[] = []
    const ours = async () => {
      const { rate, p99 } = await countOurs(ports, records)
      p99s.push(p99)
      return rate
    }
    const rival = () => countRaw(bare, SOURCE, records)
    const against = { rivalName: 'read and count in a Map', unit: 'records/s', bar: '>= 0.70' }
    yield await contest({ case: name, ...against, ours, rival }, pairs)
    yield { case: `${name}: read to committed, p99`, figure: round(median(p99s)), unit: 'ms', bar: '<= 50' }
  } finally {
    await bare.close()
    await ports.close()
    await server.stop()
  }
}

let runs = 0

async function countOurs(ports: Ports, records: number): Promise<{ rate: number; p99: number }> {
  const run = `count${++runs}`
  const clicks = stream<Click>(SOURCE, { key: 'user', partitions: 1 })
  const totals = stream<Total>(`${run}-out`, { key: 'key', partitions: 1 })
  const definition = pipeline(run)
    .from(clicks)
    .pipe(aggregate({ count: count(), sum: sum((click: Click) => click.ms) }, { emit: 'turn' }))
    .to(totals)
  const probe = new Probe(SOURCE, totals.name)
  const began = performance.now()
  const { node } = await runThrough(probe.around(ports), definition, records, event => {
    if (event.type === 'partition.committed' && event.records > 0) probe.committed(event.partition, event.records)
  })
  const rate = rateOf(records, began)
  await check(ports, totals.name, records)
  await node.stop()
  await ports.log.drop(totals.name)
  await ports.log.drop(`${run}-0-ledger`)
  return { rate, p99: probe.untilCommitted().at(0.99) }
}

interface Total {
  readonly key: string
  readonly count: number
  readonly sum: number
}

/** The last total of each key must be right, or the rate is none. */
async function check(ports: Ports, name: string, records: number): Promise<void> {
  const last = new Map<string, Total>()
  const stream = await ports.log.find(name)
  for await (const batch of stream?.read({ after: 0, untilEnd: true }) ?? []) {
    for (const { payload } of batch.records) {
      const total = decode(payload) as Total
      last.set(total.key, total)
    }
  }
  let counted = 0
  let summed = 0
  for (const { count, sum } of last.values()) {
    counted += count
    summed += sum
  }
  let sum = 0
  for (let n = 0; n < records; n++) sum += clickOf(n, KEYS).ms
  if (counted !== records || summed !== sum) throw new Error(`${records} records gave a count of ${counted}`)
}
