/**
 * The careful loop: each record is acknowledged by itself, once its output is stored, as the server recommends it
 * (explicit acks are its default). With `--ids` an output is also named after its record, so that the server drops it
 * when it comes again within the stream's window of 2 minutes.
 */
import { AckPolicy, jetstream, jetstreamManager, type JsMsg } from '@nats-io/jetstream'
import { connect, nanos } from '@nats-io/transport-node'
import { viewOf, type Click } from './click.js'

const named = process.argv.includes('--ids')
const nc = await connect({ servers: process.env['NATS_URL'] ?? '127.0.0.1:4222', maxReconnectAttempts: -1 })
const js = jetstream(nc)
const jsm = await jetstreamManager(nc)
await jsm.streams.add({ name: 'views', subjects: ['views.*'] })

// A group takes some 20 ms. Who waits less than the usual 30 seconds for an ack stands still less long after a crash.
const config = { durable_name: 'viewer', ack_policy: AckPolicy.Explicit, ack_wait: nanos(5000) }
await jsm.consumers.add('clicks', config)
const consumer = await js.consumers.get('clicks', 'viewer')

async function handle(message: JsMsg): Promise<void> {
  const options = named ? { msgID: `${message.info.stream}/${message.seq}` } : {}
  await js.publish('views.0', JSON.stringify(viewOf(message.json<Click>())), options)
  message.ack()
}

for (;;) {
  const group: Promise<void>[] = []
  for await (const message of await consumer.fetch({ max_messages: 500, expires: 1000 })) group.push(handle(message))
  await Promise.all(group)
}
