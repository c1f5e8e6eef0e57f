/**
 * The loop that people write first: a durable consumer, records taken in groups, what comes of a group published, the
 * group acknowledged at its end. Each choice is the ordinary one, and the comments say where it comes from.
 */
import { AckPolicy, jetstream, jetstreamManager, type JsMsg } from '@nats-io/jetstream'
import { connect } from '@nats-io/transport-node'
import { viewOf, type Click } from './click.js'

const nc = await connect({ servers: process.env['NATS_URL'] ?? '127.0.0.1:4222', maxReconnectAttempts: -1 })
const js = jetstream(nc)
const jsm = await jetstreamManager(nc)
await jsm.streams.add({ name: 'views', subjects: ['views.*'] })

// Durable: the server keeps our place while we are dead. "All": one ack stands for all messages before it, which is what
// the server has for batches, and what its users asked for with pull consumers (nats-io/nats.go#1063). There is one
// reader, so nobody else's messages are acknowledged with ours. All else is as the server sets it: what is not
// acknowledged within 30 seconds comes again, and 1000 messages may be out.
await jsm.consumers.add('clicks', { durable_name: 'viewer', ack_policy: AckPolicy.All })
const consumer = await js.consumers.get('clicks', 'viewer')

for (;;) {
  // A batch, as the client's guide fetches one: half of what may be out.
  const group: JsMsg[] = []
  for await (const message of await consumer.fetch({ max_messages: 500, expires: 1000 })) group.push(message)
  // All outputs of the group are stored before the group is acknowledged: whoever dies between gets it again.
  await Promise.all(group.map(message => js.publish('views.0', JSON.stringify(viewOf(message.json<Click>())))))
  group.at(-1)?.ack()
}
