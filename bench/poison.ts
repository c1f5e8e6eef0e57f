/**
 * Poison: one record in a thousand at which a step throws, each of which goes to the dead letters, against the same job
 * in which it does not throw. Nothing else differs; what comes of the other records must be the same.
 */
import { map } from 'rxjs'
import { pipeline, stream } from '../src/index.js'
import type { Ports } from '../src/log/ports.js'
import { startServer } from '../test/nats-server/server.js'
import { contest, type Case } from './case.js'
import { clickOf, decode, encode, fill, openServer, rateOf, specOf, viewOf, type Click, type View } from './job.js'
import { runThrough } from './ours.js'

export interface PoisonBenchOptions {
  readonly pairs?: number
  readonly records?: number
}

const USERS = 100
const SOURCE = 'clicks'
const ONE_IN = 1000
const isPoison = ({ at }: { readonly at: number }): boolean => at % ONE_IN === ONE_IN - 1

/** Takes about half a minute. */
export async function* poisonCases({ pairs = 5, records = 200_000 }: PoisonBenchOptions = {}): AsyncGenerator<Case> {
  const server = await startServer()
  const ports = await openServer(server)
  try {
    await fill(ports, specOf(SOURCE, 1), records, n => ({ partition: 0, payload: encode(clickOf(n, USERS)) }))
    yield await contest(
      {
        case: `pipe, JSON, exactly once, one record in ${ONE_IN} to the dead letters`,
        rivalName: 'the same without any',
        unit: 'records/s',
        bar: '>= 0.70',
        ours: () => pipe(ports, records, true),
        rival: () => pipe(ports, records, false),
      },
      pairs,
    )
  } finally {
    await ports.close()
    await server.stop()
  }
}

let runs = 0

async function pipe(ports: Ports, records: number, throws: boolean): Promise<number> {
  const run = `poison${++runs}`
  const clicks = stream<Click>(SOURCE, { key: 'user', time: 'at', partitions: 1 })
  const views = stream<View>(`${run}-out`, { key: 'user', time: 'at', partitions: 1 })
  const definition = pipeline(run, { onError: { budget: false } })
    .from(clicks)
    .pipe(
      map(click => {
        if (throws && isPoison(click)) throw new TypeError('poison')
        return viewOf(click)
      }),
    )
    .to(views)
  const poison = throws ? Math.floor(records / ONE_IN) : 0
  const began = performance.now()
  const { node } = await runThrough(ports, definition, records, () => {}, undefined, poison)
  const rate = rateOf(records, began)
  await node.stop()
  await check(
    ports,
    views.name,
    Array.from({ length: records }, (_, n) => n).filter(n => !throws || !isPoison(clickOf(n, USERS))),
  )
  const letters = await ports.log.find(definition.deadLetters.name)
  const written = (await letters?.extent())?.last ?? 0
  if (written !== poison) throw new Error(`${poison} records at which a step throws gave ${written} dead letters`)
  if (letters !== undefined) await ports.log.drop(letters.spec.name)
  await ports.log.drop(views.name)
  await ports.log.drop(`${run}-0-ledger`)
  return rate
}

/** The outputs must be those of these records, each once and in their order, or the rate is none. */
async function check(ports: Ports, name: string, healthy: readonly number[]): Promise<void> {
  let seen = 0
  for await (const batch of (await ports.log.find(name))?.read({ after: 0, untilEnd: true }) ?? []) {
    for (const { payload } of batch.records) {
      const { at } = decode(payload) as View
      if (at !== clickOf(healthy[seen++] ?? -1, USERS).at) throw new Error(`output ${seen} is of another record`)
    }
  }
  if (seen !== healthy.length) throw new Error(`${healthy.length} healthy records gave ${seen} outputs`)
}
