/** The JetStream kind against the naive model: random appends, reads and purges over two links. */
import { test } from 'vitest'
import { logFollowsModel } from '../log-model.js'
import { startServer } from '../nats-server/server.js'
import { openLink } from './steps.js'

test('answers as the model does, whatever is appended, read and purged', async () => {
  await using server = await startServer()
  await using one = await openLink(server)
  await using other = await openLink(server)
  // What is noted of a purge is the position it was given, not the last record that it took.
  await logFollowsModel([one, other], 40, 'cautious')
}, 60_000)
