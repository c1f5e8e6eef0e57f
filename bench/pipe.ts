/**
 * The pipe: read, filter, map, publish one record for each, on one nats-server and in one process. Ours is exactly once,
 * with ids, from claim to the last output readable; against the raw client without any guarantee, and against the loop
 * that people write with it.
 */
import { connect, type NatsConnection } from '@nats-io/transport-node'
import { filter, map } from 'rxjs'
import { pipeline, stream } from '../src/index.js'
import type { Ports } from '../src/log/ports.js'
import { partitionOf } from '../src/stream/partitioner.js'
import { startServer } from '../test/nats-server/server.js'
import { contest, median, round, type Case, type Figure } from './case.js'
import { clickOf, encode, fill, isHuman, openServer, rateOf, specOf, viewOf, type Click, type View } from './job.js'
import { runThrough } from './ours.js'
import { Probe } from './probe.js'
import { pipeOrdinary, pipeRaw } from './rival.js'

export interface PipeBenchOptions {
  readonly pairs?: number
  readonly records?: number
}

const USERS = 100
/** The ordinary loop is so much slower that fewer records tell its rate as well. */
const ORDINARY_SHARE = 0.1

/** Measures every case; takes about ten minutes for a million records. */
export async function* pipeCases({ pairs = 5, records = 1_000_000 }: PipeBenchOptions = {}): AsyncGenerator<
  Case | Figure
> {
  const server = await startServer()
  const bare = await connect({ servers: server.url })
  const ports = await openServer(server)
  try {
    for (const partitions of [1, 6]) {
      const source = `clicks${partitions}`
      await fill(ports, specOf(source, partitions), records, n => {
        const click = clickOf(n, USERS)
        return { partition: partitionOf(click.user, partitions), payload: encode(click) }
      })
      yield* cases(bare, ports, source, partitions, { pairs, records })
    }
  } finally {
    await bare.close()
    await ports.close()
    await server.stop()
  }
}

async function* cases(
  bare: NatsConnection,
  ports: Ports,
  source: string,
  partitions: number,
  { pairs, records }: Required<PipeBenchOptions>,
): AsyncGenerator<Case | Figure> {
  const name = `pipe, JSON, exactly once, ${partitions === 1 ? 'one partition' : `${partitions} partitions`}`
  const unit = 'records/s'
  const p99s: number[] = []
  const ours = async () => {
    const { rate, p99 } = await pipeOurs(ports, source, partitions, records)
    p99s.push(p99)
    return rate
  }
  const bar = partitions === 1
  yield await contest(
    {
      case: name,
      rivalName: 'raw client, no guarantee',
      unit,
      ...(bar && { bar: '>= 0.60' }),
      ours,
      rival: () => pipeRaw(bare, source, records),
    },
    pairs,
  )
  yield {
    case: `${name}: read to acknowledged, p99`,
    figure: round(median(p99s)),
    unit: 'ms',
    ...(bar && { bar: '<= 100' }),
  }
  if (partitions > 1) return
  const few = Math.ceil(records * ORDINARY_SHARE)
  yield await contest(
    {
      case: name,
      rivalName: 'durable pull consumer, js.publish',
      unit,
      bar: '>= 3.50',
      ours: async () => (await pipeOurs(ports, source, partitions, records)).rate,
      rival: () => pipeOrdinary(bare, source, few),
    },
    pairs,
  )
}

let runs = 0

async function pipeOurs(
  ports: Ports,
  source: string,
  partitions: number,
  records: number,
): Promise<{ rate: number; p99: number }> {
  const run = `pipe${++runs}`
  const clicks = stream<Click>(source, { key: 'user', time: 'at', partitions })
  const views = stream<View>(`${run}-out`, { key: 'user', time: 'at', partitions })
  const definition = pipeline(run).from(clicks).pipe(filter(isHuman), map(viewOf)).to(views)
  const probe = new Probe(source, views.name)
  const began = performance.now()
  const { node } = await runThrough(probe.around(ports), definition, records)
  const rate = rateOf(records, began)
  const out = await ports.log.find(views.name)
  const { last } = (await out?.extent()) ?? { last: 0 }
  await node.stop()
  if (last !== records) throw new Error(`${records} records gave ${last} outputs`)
  await ports.log.drop(views.name)
  await ports.log.drop(`${run}-0-ledger`)
  return { rate, p99: probe.untilAcked().at(0.99) }
}
