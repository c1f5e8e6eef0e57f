/** A record at which a step throws costs itself: the totals are as if it had never been, and it stands in the dead letters. */
import { map } from 'rxjs'
import { connect, pipeline, scan, startNode, stream } from 'stream-node'

interface Payment {
  from: string
  cents: number
}

const payments = stream<Payment>('payments-made', { key: 'from' })

const flow = pipeline('pay')
  .from(payments)
  .pipe(
    scan((sum, payment) => sum + payment.cents, 0),
    map(cents => {
      if (!Number.isSafeInteger(cents)) throw new RangeError(`${cents} cents are no amount`)
      return cents
    }),
  )
const totals = flow.as('totals-paid')
const pay = flow.to(totals)

const client = await connect()
await client.publishAll(payments, [
  { from: 'ann', cents: 250 },
  { from: 'ann', cents: 0.1 },
  { from: 'ann', cents: 400 },
])

const node = await startNode({ definitions: [pay] })
await node.caughtUp()
await node.stop()

for await (const { key, value } of client.read(totals)) console.log('total:      ', key, value)
for await (const { value } of client.read(pay.deadLetters)) {
  if ('resolves' in value) continue
  const { error, bytes = '' } = value
  console.log('dead letter:', Buffer.from(bytes, 'base64').toString(), error.name, error.message)
}

await client.close()
