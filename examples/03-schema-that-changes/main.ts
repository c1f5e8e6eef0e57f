/** Two versions of one program on one stream: the schema gains a field, and each reads what the other has written. */
import { avro, connect, stream } from 'stream-node'

interface Reading {
  sensor: string
  celsius: number
}
interface LocatedReading extends Reading {
  room: string
}

const fields = [
  { name: 'sensor', type: 'string' },
  { name: 'celsius', type: 'double' },
]
const before = stream<Reading>('readings', {
  key: 'sensor',
  codec: avro({ type: 'record', name: 'Reading', fields }),
})

// The new field has a default: that is what records from before are read with.
const room = { name: 'room', type: 'string', default: 'unknown' }
const after = stream<LocatedReading>('readings', {
  key: 'sensor',
  codec: avro({ type: 'record', name: 'Reading', fields: [...fields, room] }),
})

const client = await connect()

const { position } = await client.publish(before, { sensor: 's1', celsius: 19.5 })
await client.publish(after, { sensor: 's1', celsius: 20.25, room: 'kitchen' })
// A program that has not been renewed yet goes on writing.
await client.publish(before, { sensor: 's2', celsius: 4 })

for await (const { value } of client.read(after, { from: position })) console.log('as it is now', JSON.stringify(value))

// The log keeps the newest schema, so whoever knows only the stream's name reads with that.
const byName = await client.stream('readings')
for await (const { value } of client.read(byName, { from: position })) console.log('by name', JSON.stringify(value))

// A change that would leave old records unreadable is refused before anything is written.
const text = { name: 'celsius', type: 'string' }
const broken = stream('readings', { key: 'sensor', codec: avro({ type: 'record', name: 'Reading', fields: [text] }) })
await client.publish(broken, { celsius: 'warm' }).catch((error: unknown) => {
  if (error instanceof Error) console.log('refused:', error.message)
})

await client.close()
