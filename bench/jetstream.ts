/**
 * The JetStream log against the bare client on one server: the best append loop the client allows, its `publish`, and its
 * ordered consumer, ours and rival in turn. The figure of each case is its median pair.
 */
import { jetstream, jetstreamManager } from '@nats-io/jetstream'
import { connect, createInbox, type MsgHdrs, type NatsConnection } from '@nats-io/transport-node'
import { systemChance, systemClock } from '../src/clock.js'
import { openJetStream } from '../src/log/jetstream/jetstream.js'
import type { LogStream } from '../src/log/log.js'
import { START } from '../src/log/record.js'
import { silent } from '../src/telemetry/events.js'
import { startServer, type TestServer } from '../test/nats-server/server.js'
import { contest, type Case } from './case.js'

export interface JetStreamBenchOptions {
  readonly pairs?: number
  readonly records?: number
}

/** 84 bytes of JSON. */
const PAYLOAD = Buffer.from('{"user":"user-004217","page":"/products/1234","ms":318,"at":1760000000123,"bot":0.1}')
/** What the rival keeps in flight: the best of the sizes tried from 256 to 8192. */
const RIVAL_WINDOW = 4096
/** For `publish`, whose promises cost more than they bring beyond this: best of 128 to 1024. */
const PROMISES = 512
/** `publish` is so much slower that fewer records tell its rate as well. */
const PUBLISH_SHARE = 0.1

/** Measures every case; takes about four minutes for a million records. */
export async function* jetStreamCases({
  pairs = 5,
  records = 1_000_000,
}: JetStreamBenchOptions = {}): AsyncGenerator<Case> {
  const server = await startServer()
  const bare = await connect({ servers: server.url })
  const quiet = await connect({ servers: server.url, noAsyncTraces: true })
  try {
    const unit = 'records/s'
    for (const ids of [false, true]) {
      const name = `JetStream: append, 84 bytes, ${ids ? 'with ids' : 'no ids'}`
      const ours = () => appendOurs(server, records, ids)
      const best = () => appendBest(bare, records, ids)
      const few = Math.ceil(records * PUBLISH_SHARE)
      const publish = () => appendPublish(ids ? quiet : bare, few, ids)
      yield await contest({ case: name, rivalName: 'best raw loop', unit, ours, rival: best }, pairs)
      const rivalName = ids ? 'js.publish, noAsyncTraces' : 'js.publish'
      yield await contest({ case: name, rivalName, unit, ours, rival: publish }, pairs)
    }
    await fill(server, records)
    const ours = () => readOurs(server, records)
    const rival = () => readOrdered(bare, records)
    const rivalName = 'ordered consumer, callback'
    yield await contest({ case: 'JetStream: read, JSON decoded, in batches', rivalName, unit, ours, rival }, pairs)
  } finally {
    await bare.close()
    await quiet.close()
    await server.stop()
  }
}

async function opened(server: TestServer): Promise<{ stream: LogStream; close: () => Promise<void> }> {
  const ports = await openJetStream({ servers: server.url }, { clock: systemClock, chance: systemChance, tell: silent })
  const stream = await ports.log.open({
    name: 'ours',
    partitions: 1,
    retention: {},
    replicas: 1,
    dedupWindowMs: 20_000,
  })
  return { stream, close: () => ports.close() }
}

async function appendOurs(server: TestServer, records: number, ids: boolean): Promise<number> {
  const { stream, close } = await opened(server)
  const client = systemChance.name()
  let left = records
  let lost = 0
  const began = performance.now()
  await new Promise<void>((resolve, reject) => {
    const ended = (ending: { ending: string }) => {
      if (ending.ending !== 'stored') lost++
      if (--left === 0) resolve()
    }
    const run = async () => {
      for (let i = 0; i < records; i++) {
        const room = stream.room()
        if (room !== undefined) await room
        stream.send(
          ids ? { partition: 0, payload: PAYLOAD, id: `${client}/${i}` } : { partition: 0, payload: PAYLOAD },
          ended,
        )
      }
    }
    run().catch(reject)
  })
  const rate = rateOf(records, began)
  await close()
  await dropAll(server)
  if (lost > 0) throw new Error(`${lost} of ${records} appends were not stored`)
  return rate
}

async function appendBest(nc: NatsConnection, records: number, ids: boolean): Promise<number> {
  const jsm = await jetstreamManager(nc)
  await jsm.streams.add({ name: 'rival', subjects: ['rival.*'], duplicate_window: 20_000_000_000 })
  const inbox = createInbox().slice(0, 20)
  const client = systemChance.name()
  let sent = 0
  let acked = 0
  let failed = 0
  let wake: (() => void) | undefined
  const subscription = nc.subscribe(`${inbox}.*`, {
    callback: (_, { data }) => {
      // An error begins with {"error", an ack with {"stream".
      if (data[2] !== 's'.charCodeAt(0)) failed++
      acked++
      if (wake !== undefined && sent - acked <= RIVAL_WINDOW / 2) {
        wake()
        wake = undefined
      }
    },
  })
  const began = performance.now()
  for (let i = 0; i < records; i++) {
    if (sent - acked >= RIVAL_WINDOW) await new Promise<void>(resolve => (wake = resolve))
    const reply = `${inbox}.${i}`
    if (ids) {
      const head = Buffer.from(`NATS/1.0\r\nNats-Msg-Id: ${client}/${i}\r\n\r\n`)
      nc.publish('rival.0', PAYLOAD, { reply, headers: { encode: () => head } as unknown as MsgHdrs })
    } else nc.publish('rival.0', PAYLOAD, { reply })
    sent++
  }
  while (acked < records) await new Promise(resolve => setTimeout(resolve, 1))
  const rate = rateOf(records, began)
  subscription.unsubscribe()
  await jsm.streams.delete('rival')
  if (failed > 0) throw new Error(`${failed} of the rival's appends failed`)
  return rate
}

async function appendPublish(nc: NatsConnection, records: number, ids: boolean): Promise<number> {
  const jsm = await jetstreamManager(nc)
  await jsm.streams.add({ name: 'rival', subjects: ['rival.*'], duplicate_window: 20_000_000_000 })
  const js = jetstream(nc)
  const client = systemChance.name()
  const began = performance.now()
  let next = 0
  const lane = async () => {
    while (next < records) {
      const i = next++
      await js.publish('rival.0', PAYLOAD, ids ? { msgID: `${client}/${i}` } : {})
    }
  }
  await Promise.all(Array.from({ length: PROMISES }, lane))
  const rate = rateOf(records, began)
  await jsm.streams.delete('rival')
  return rate
}

async function fill(server: TestServer, records: number): Promise<void> {
  const { stream, close } = await opened(server)
  for (let i = 0; i < records; i++) {
    const room = stream.room()
    if (room !== undefined) await room
    const last = stream.append({ partition: 0, payload: PAYLOAD })
    if (i === records - 1) await last
  }
  await close()
}

const decode = (payload: Uint8Array): { ms: number } =>
  JSON.parse(Buffer.from(payload.buffer, payload.byteOffset, payload.byteLength).toString()) as { ms: number }

async function readOurs(server: TestServer, records: number): Promise<number> {
  const { stream, close } = await opened(server)
  const began = performance.now()
  let read = 0
  let sum = 0
  for await (const batch of stream.read({ after: START })) {
    for (const { payload } of batch.records) sum += decode(payload).ms
    read += batch.records.length
    if (read >= records) break
  }
  const rate = rateOf(records, began)
  await close()
  if (sum !== 318 * read) throw new Error('our reader read something else than was written')
  return rate
}

async function readOrdered(nc: NatsConnection, records: number): Promise<number> {
  const consumer = await jetstream(nc).consumers.get('ours')
  const began = performance.now()
  let read = 0
  let sum = 0
  let batch: { ms: number }[] = []
  await new Promise<void>((resolve, reject) => {
    const callback = ({ data }: { data: Uint8Array }) => {
      batch.push(decode(data))
      if (batch.length === 1000) {
        for (const { ms } of batch) sum += ms
        batch = []
      }
      if (++read === records) resolve()
    }
    consumer.consume({ max_messages: 5000, callback }).then(messages => void messages.closed().catch(reject), reject)
  })
  const rate = rateOf(records, began)
  await consumer.delete().catch(() => false)
  if (sum === 0) throw new Error('the rival read nothing')
  return rate
}

async function dropAll(server: TestServer): Promise<void> {
  const nc = await connect({ servers: server.url })
  const jsm = await jetstreamManager(nc)
  await jsm.streams.delete('ours')
  await nc.close()
}

function rateOf(records: number, began: number): number {
  return Math.round((records / (performance.now() - began)) * 1000)
}
