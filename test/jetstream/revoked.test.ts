/** A user that the server no longer lets in: the link ends by name, instead of asking for ever. */
import { expect, test } from 'vitest'
import { systemChance, systemClock } from '../../src/clock.js'
import { openJetStream } from '../../src/log/jetstream/jetstream.js'
import { START } from '../../src/log/record.js'
import { silent } from '../../src/telemetry/events.js'
import { startServer } from '../nats-server/server.js'

const withPassword = (password: string) => `authorization { users: [{ user: app, password: ${password} }] }`

test('ends readers and calls with BAD_CREDENTIALS when the user is revoked under them', async () => {
  const first = await startServer({ config: withPassword('former') })
  const tools = { clock: systemClock, chance: systemChance, tell: silent }
  const ports = await openJetStream({ servers: first.url, user: 'app', password: 'former' }, tools)
  const spec = { name: 'clicks', partitions: 1, retention: {}, replicas: 1, dedupWindowMs: 1000 }
  const stream = await ports.log.open(spec)
  const waiting = stream.read({ after: START }).next()
  await first.stop()
  await using second = await startServer({ port: first.port, config: withPassword('renewed') })
  expect(second.port).toBe(first.port)
  await expect(waiting).rejects.toMatchObject({ code: 'BAD_CREDENTIALS' })
  await expect(stream.extent()).rejects.toMatchObject({ code: 'BAD_CREDENTIALS' })
  expect(await stream.append({ partition: 0, payload: new Uint8Array(1) })).toMatchObject({ ending: 'refused' })
  await ports.close()
})
