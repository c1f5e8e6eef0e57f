/** The same jobs on the raw client: its fastest form, with no guarantee at all, and the loop that people write. */
import { AckPolicy, jetstream, jetstreamManager, type ConsumerMessages, type JsMsg } from '@nats-io/jetstream'
import { createInbox, type NatsConnection } from '@nats-io/transport-node'
import { decode, encode, isHuman, rateOf, viewOf, type Click } from './job.js'

const TARGET = 'rival'
/** What the reader asks for ahead, as in the bench of the log. */
const AHEAD = 5000
/** How many promises of `publish` are open at once, as in the bench of the log. */
const PROMISES = 512

/** Makes a stream for the outputs, with the window that ours has, and looks that all of them came. */
async function withTarget(nc: NatsConnection, records: number, work: () => Promise<number>): Promise<number> {
  const jsm = await jetstreamManager(nc)
  await jsm.streams.add({ name: TARGET, subjects: [`${TARGET}.*`], duplicate_window: 20_000_000_000 })
  try {
    const rate = await work()
    const { state } = await jsm.streams.info(TARGET)
    if (state.messages !== records) throw new Error(`the rival made ${state.messages} records of ${records}`)
    return rate
  } finally {
    await jsm.streams.delete(TARGET)
  }
}

/** Reads by an ordered consumer with a callback, and hands over each message until it is stopped. */
export async function readOrdered(
  nc: NatsConnection,
  stream: string,
  callback: (message: JsMsg) => void,
): Promise<() => Promise<void>> {
  const consumer = await jetstream(nc).consumers.get(stream)
  const messages = await consumer.consume({ max_messages: AHEAD, callback })
  return async () => {
    messages.stop()
    await consumer.delete().catch(() => false)
  }
}

/** Publishes raw, with one private inbox for the acks, and counts them. */
export class RawWriter {
  acked = 0
  sent = 0
  readonly #nc: NatsConnection
  readonly #inbox = createInbox().slice(0, 20)
  readonly #done: (acked: number) => void
  readonly #stop: () => void

  constructor(nc: NatsConnection, done: (acked: number) => void) {
    this.#nc = nc
    this.#done = done
    const subscription = nc.subscribe(`${this.#inbox}.*`, {
      callback: (_, { data }) => {
        // An error begins with {"error", an ack with {"stream".
        if (data[2] !== 's'.charCodeAt(0))
          throw new Error(`an append of the rival failed: ${Buffer.from(data).toString()}`)
        this.#done(++this.acked)
      },
    })
    this.#stop = () => subscription.unsubscribe()
  }

  send(subject: string, payload: Uint8Array): void {
    this.#nc.publish(subject, payload, { reply: `${this.#inbox}.${this.sent++}` })
  }

  stop(): void {
    this.#stop()
  }
}

/** Read, filter, map, publish, as fast as the client can. Records a second until the last ack. */
export async function pipeRaw(nc: NatsConnection, source: string, records: number): Promise<number> {
  return withTarget(nc, records, async () => {
    const began = performance.now()
    let allAcked = () => {}
    const acked = new Promise<void>(resolve => (allAcked = resolve))
    const writer = new RawWriter(nc, count => count === records && allAcked())
    const stop = await readOrdered(nc, source, ({ data, subject }) => {
      const click = decode(data) as Click
      if (isHuman(click)) writer.send(`${TARGET}${subject.slice(source.length)}`, encode(viewOf(click)))
    })
    await acked
    const rate = rateOf(records, began)
    writer.stop()
    await stop()
    return rate
  })
}

/** The loop that people write: a durable pull consumer, `js.publish` with a window, an ack for each record. */
export async function pipeOrdinary(nc: NatsConnection, source: string, records: number): Promise<number> {
  return withTarget(nc, records, async () => {
    const js = jetstream(nc)
    const jsm = await jetstreamManager(nc)
    await jsm.consumers.add(source, { durable_name: 'ordinary', ack_policy: AckPolicy.Explicit, max_ack_pending: -1 })
    const began = performance.now()
    const consumer = await js.consumers.get(source, 'ordinary')
    const messages: ConsumerMessages = await consumer.consume({ max_messages: AHEAD })
    let open = 0
    let done = 0
    let roomy = () => {}
    let allDone = () => {}
    const finished = new Promise<void>(resolve => (allDone = resolve))
    const publish = async (message: JsMsg) => {
      const click = decode(message.data) as Click
      if (isHuman(click)) await js.publish(`${TARGET}${message.subject.slice(source.length)}`, encode(viewOf(click)))
      message.ack()
      open--
      roomy()
      if (++done === records) allDone()
    }
    let read = 0
    for await (const message of messages) {
      open++
      publish(message).catch((error: unknown) => {
        throw error
      })
      if (++read === records) break
      if (open >= PROMISES) await new Promise<void>(resolve => (roomy = resolve))
    }
    await finished
    const rate = rateOf(records, began)
    await consumer.delete()
    return rate
  })
}

/** Reads and counts and sums by user, without writing anything. */
export async function countRaw(nc: NatsConnection, source: string, records: number): Promise<number> {
  const began = performance.now()
  const counts = new Map<string, { count: number; sum: number }>()
  let allRead = () => {}
  const read = new Promise<void>(resolve => (allRead = resolve))
  let left = records
  const stop = await readOrdered(nc, source, ({ data }) => {
    const { user, ms } = decode(data) as Click
    const known = counts.get(user)
    if (known === undefined) counts.set(user, { count: 1, sum: ms })
    else {
      known.count++
      known.sum += ms
    }
    if (--left === 0) allRead()
  })
  await read
  const rate = rateOf(records, began)
  await stop()
  return rate
}
