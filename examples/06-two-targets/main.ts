/** A pipeline without memory: orders are priced, and each goes to the stream, or the two streams, that it belongs to. */
import { filter, map } from 'rxjs'
import { connect, pipeline, startNode, stream } from 'stream-node'

interface Order {
  id: string
  customer: string
  items: { price: number; count: number }[]
}
interface Priced {
  id: string
  customer: string
  total: number
}

const orders = stream<Order>('orders-in', { key: 'customer', id: 'id' })
const shipped = stream<Priced>('to-ship', { key: 'customer' })
const checked = stream<Priced>('to-check', { key: 'customer' })

const route = pipeline('route-orders')
  .from(orders)
  .pipe(
    filter(order => order.items.length > 0),
    map(({ id, customer, items }) => ({
      id,
      customer,
      total: items.reduce((sum, { price, count }) => sum + price * count, 0),
    })),
  )
  // One target, several, or none: all outputs of a record are committed together with it.
  .to(({ total }) => (total > 1000 ? [shipped, checked] : shipped))

const client = await connect()
await client.publishAll(orders, [
  { id: 'o-1', customer: 'ann', items: [{ price: 12.5, count: 2 }] },
  { id: 'o-2', customer: 'bob', items: [{ price: 700, count: 3 }] },
  { id: 'o-3', customer: 'ann', items: [] },
])

const node = await startNode({ definitions: [route] })
await node.caughtUp()
await node.stop()

for await (const { value } of client.read(shipped)) console.log('to ship: ', value.id, value.customer, value.total)
for await (const { value } of client.read(checked)) console.log('to check:', value.id, value.customer, value.total)

await client.close()
