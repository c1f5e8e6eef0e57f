/** Errors that are longer than a message of the server may be, as they come out of a pipeline's own code. */
import { map } from 'rxjs'
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest'
import { connect, pipeline, startNode, stream, type OnError } from 'stream-node'
import { systemChance, systemClock } from '../../src/clock.js'
import { openJetStream } from '../../src/log/jetstream/jetstream.js'
import { askForLetters } from '../../src/node/letters.js'
import { statusOfNodes } from '../../src/node/status.js'
import { silent } from '../../src/telemetry/events.js'
import { startServer, type TestServer } from '../nats-server/server.js'

const around = { clock: systemClock, chance: systemChance, tell: silent }
const asking = { ...around, timeoutMs: 20_000 }

let server: TestServer
beforeAll(async () => {
  server = await startServer()
})
afterAll(() => server.stop())

/** A link to the server beside a node that throws at each number of a stream of its own. */
async function failing(name: string, { partitions, records }: Record<'partitions' | 'records', number>, rule: OnError) {
  const numbers = stream<number>(`${name}-numbers`, { partitions, key: n => `${n}` })
  const definition = pipeline(name, { onError: rule })
    .from(numbers)
    .pipe(
      map((): number => {
        throw new Error(`refused: ${'x'.repeat(40_000)}`)
      }),
    )
    .to(stream<number>(`${name}-out`, { partitions }))
  const node = await startNode({ servers: server.url, definitions: [definition] })
  onTestFinished(async () => void (await node.stop()))
  const client = await connect({ servers: server.url })
  await client.publishAll(
    numbers,
    Array.from({ length: records }, (_, n) => n),
  )
  await client.close()
  await node.caughtUp()
  const link = await openJetStream({ servers: server.url }, around)
  onTestFinished(() => link.close())
  return link
}

test('letters are retried and answered for, and a question that names no place for the answer does no harm', async () => {
  const link = await failing('retried', { partitions: 1, records: 50 }, { budget: false })
  const heard: unknown[] = []
  const hear = (error: unknown) => heard.push(error)
  process.on('unhandledRejection', hear)
  onTestFinished(() => void process.off('unhandledRejection', hear))
  const place = { pipeline: 'retried', stage: 0, partition: 0 }
  const question = { to: '$SN.letters.answers.a b', ...place, how: 'dropped', positions: [] }
  link.signals.publish('$SN.letters.ask', Buffer.from(JSON.stringify(question)))
  const positions = Array.from({ length: 50 }, (_, i) => i + 1)
  const answers = await askForLetters(link, asking, place, { how: 'retried', positions })
  expect(answers.map(({ position, became }) => ({ position, became }))).toEqual(
    positions.map(position => ({ position, became: 'failed' })),
  )
  expect(answers[0]?.why).toMatch(/refused: x+\.\.\.$/)
  expect(heard).toEqual([])
})

test('partitions that are paused are told', async () => {
  const link = await failing('paused', { partitions: 64, records: 500 }, { then: 'pause' })
  const paused = async () => {
    const [node] = await statusOfNodes(link, asking)
    return node?.partitions.filter(({ state }) => state === 'paused').length
  }
  // More than there is room for in one message, were they told whole.
  expect(await paused()).toBeGreaterThan(40)
})
