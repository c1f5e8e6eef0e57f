/** The pipeline of the front page in a program: a node runs it beside a client that publishes and reads. */
import { connect, startNode } from 'stream-node'
import countClicks, { clicks, perUser } from './clicks.js'

const at = Date.UTC(2026, 0, 1)
const published = [
  { user: 'ann', page: '/home', ms: 30, at },
  { user: 'bob', page: '/home', ms: 45, at: at + 1500 },
  { user: 'crawler', page: '/', ms: 1, at: at + 1600, bot: true },
  { user: 'ann', page: '/cart', ms: 90, at: at + 2000 },
]

const client = await connect()
await client.publishAll(clicks, published)

// It could as well be another process: npx stream-node run examples/05-clicks-per-user/clicks.ts
const node = await startNode({ definitions: [countClicks] })
await node.caughtUp()
await node.stop()

for await (const { key, value, time } of client.read(perUser)) {
  console.log(new Date(time).toISOString(), key, value.clicks, value.meanMs)
}

await client.close()
