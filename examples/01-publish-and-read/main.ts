/** Records in and out: with a key, a checked type, and an id that stores each once. */
import { connect, stream } from 'stream-node'
import { z } from 'zod'

const order = z.object({ id: z.string(), customer: z.string(), total: z.number().positive() })

// The orders of one customer keep their order; one that is published twice is stored once.
const orders = stream('orders', { validate: order, key: 'customer', id: 'id' })

// The embedded log in .stream-node, or the server that NATS_URL names.
const client = await connect()

const first = await client.publish(orders, { id: 'o-1', customer: 'ann', total: 12.5 })
await client.publish(orders, { id: 'o-2', customer: 'eve', total: 30 })
const again = await client.publish(orders, { id: 'o-1', customer: 'ann', total: 12.5 })
console.log('o-1 was there already:', again.repeat)

await client.publish(orders, { id: 'o-3', customer: 'ann', total: -4 }).catch((error: unknown) => {
  console.log('refused:', error instanceof Error ? error.message : error)
})

for await (const { key, value } of client.read(orders, { from: first.position })) {
  console.log(key, value.id, value.total)
}

await client.close()
