/** A program that dies halfway and starts over stores each record once, because each has an id. */
import { connect, stream } from 'stream-node'

interface Payment {
  account: string
  cents: number
}

// For an hour the log knows the ids of what it has; without dedupWindow it is 20 seconds.
const payments = stream<Payment>('payments', { key: 'account', dedupWindow: '1 hour' })

// What a line of a file would be. The id of a record is its place there, so it is the same in every run.
const lines = ['ann 1250', 'bob 300', 'ann -200', 'cid 999', 'bob 42']

function* parsed(stopAt = lines.length): Generator<Payment> {
  for (const [index, line] of lines.entries()) {
    if (index === stopAt) throw new Error(`the program dies at line ${index + 1}`)
    const [account = '', cents] = line.split(' ')
    yield { account, cents: Number(cents) }
  }
}

const id = (_: Payment, index: number) => `payments.txt:${index + 1}`

const client = await connect()

await client.publishAll(payments, parsed(3), { id }).catch((error: unknown) => console.log('first run:', String(error)))

const { taken, stored, repeats } = await client.publishAll(payments, parsed(), { id })
console.log(`second run: ${taken} taken, ${stored} in the log, ${repeats} of them were there already`)

const balances = new Map<string, number>()
for await (const { value } of client.read(payments)) {
  balances.set(value.account, (balances.get(value.account) ?? 0) + value.cents)
}
console.log(Object.fromEntries(balances))

await client.close()
