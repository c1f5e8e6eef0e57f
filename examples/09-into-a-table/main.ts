/** A sink writes results to a table outside the log. A call breaks halfway and is made again: the ids keep the table right. */
import { connect, pipeline, scan, sink, startNode, stream } from 'stream-node'

interface Payment {
  from: string
  cents: number
}

const payments = stream<Payment>('payments-to-a-table', { key: 'from', partitions: 1 })

// Stands for a database: it takes each id once, as INSERT ... ON CONFLICT (id) DO NOTHING does.
const table = new Map<string, { from: string | undefined; total: number }>()
let repeats = 0

function insert(id: string, row: { from: string | undefined; total: number }) {
  if (table.has(id)) repeats++
  else table.set(id, row)
}

let isFirst = true
const totals = sink<number>('totals', {
  write(records) {
    for (const { id, key, value } of records) {
      insert(id, { from: key, total: value })
      if (isFirst) {
        isFirst = false
        throw new Error('the link broke')
      }
    }
  },
})

const flow = pipeline('totals-to-a-table')
  .from(payments)
  .pipe(scan((sum, payment) => sum + payment.cents, 0))

const client = await connect()
await client.publishAll(payments, [
  { from: 'ann', cents: 250 },
  { from: 'bob', cents: 100 },
  { from: 'ann', cents: 400 },
])

const node = await startNode({ definitions: [flow.to(totals)] })
await node.caughtUp()
await node.stop()

for (const { from, total } of table.values()) console.log(from, total)
console.log(`${table.size} rows; ${repeats} came again, and was there by its id`)

await client.close()
