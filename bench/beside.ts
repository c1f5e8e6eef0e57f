/**
 * Eight partitions of a pipe on one nats-server, one of which falls for ever, at its first read each time: the speed of the
 * seven healthy ones, against the same run with the eighth at rest.
 */
import { filter, map } from 'rxjs'
import { pipeline, stream } from '../src/index.js'
import type { Batch, BatchReader, ReadOptions } from '../src/log/log.js'
import type { Ports } from '../src/log/ports.js'
import { startServer } from '../test/nats-server/server.js'
import { contest, type Case, type Figure } from './case.js'
import { clickOf, encode, fill, isHuman, openServer, rateOf, specOf, viewOf, type Click, type View } from './job.js'
import { runThrough } from './ours.js'
import { Through, wrapped } from './probe.js'

export interface BesideBenchOptions {
  readonly pairs?: number
  readonly records?: number
}

const HEALTHY = 7
const PARTITIONS = HEALTHY + 1
const SOURCE = 'clicks'

/** Takes about half a minute. */
export async function* besideCases({ pairs = 5, records = 200_000 }: BesideBenchOptions = {}): AsyncGenerator<
  Case | Figure
> {
  const server = await startServer()
  const ports = await openServer(server)
  let restarts = 0
  try {
    await fill(ports, specOf(SOURCE, PARTITIONS), records, n => ({
      partition: n % HEALTHY,
      payload: encode(clickOf(n, 700)),
    }))
    yield await contest(
      {
        case: 'seven partitions beside one that falls for ever',
        rivalName: 'the same seven without it',
        unit: 'records/s',
        bar: '>= 0.95',
        ours: async () => {
          const run = await pipeOf(ports, records, true)
          restarts += run.restarts
          return run.rate
        },
        rival: async () => (await pipeOf(ports, records, false)).rate,
      },
      pairs,
    )
    yield { case: 'how often it fell in all these runs', figure: restarts, unit: 'restarts' }
  } finally {
    await ports.close()
    await server.stop()
  }
}

let runs = 0

async function pipeOf(ports: Ports, records: number, falls: boolean): Promise<{ rate: number; restarts: number }> {
  const run = `beside${++runs}`
  const clicks = stream<Click>(SOURCE, { key: 'user', partitions: PARTITIONS })
  const views = stream<View>(`${run}-out`, { key: 'user', partitions: PARTITIONS })
  // It is never given up, so that it falls for as long as the others run.
  const supervise = { restarts: 1_000_000 }
  const definition = pipeline(run, { supervise }).from(clicks).pipe(filter(isHuman), map(viewOf)).to(views)
  const broken = wrapped(ports, one => (falls && one.spec.name === SOURCE ? new Broken(one) : one))
  let restarts = 0
  const began = performance.now()
  const { node } = await runThrough(broken, definition, records, event => {
    if (event.type === 'partition.restarting') restarts++
  })
  const rate = rateOf(records, began)
  await node.stop()
  if (falls && restarts < 2) throw new Error(`it fell ${restarts} times: too few to measure anything`)
  await ports.log.drop(views.name)
  await ports.log.drop(`${run}-0-ledger`)
  return { rate, restarts }
}

/** The last partition cannot be read. */
class Broken extends Through {
  override read(options: ReadOptions): BatchReader {
    const reader = this.stream.read(options)
    if (options.partition !== HEALTHY) return reader
    return {
      next: (): Promise<IteratorResult<Batch, undefined>> => Promise.reject(new Error('planted')),
      return: () => reader.return(),
      [Symbol.asyncIterator]() {
        return this
      },
    }
  }
}
