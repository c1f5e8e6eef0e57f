/** The contracts of the three ports, kept by the JetStream kind on a real server. */
import { afterAll, beforeAll, expect, test } from 'vitest'
import { bucketContract, logContract, signalsContract, type Opened } from 'stream-node/testing'
import { systemChance, systemClock } from '../../src/clock.js'
import { openJetStream } from '../../src/log/jetstream/jetstream.js'
import type { JetStreamOptions } from '../../src/log/jetstream/options.js'
import type { Ports } from '../../src/log/ports.js'
import { silent } from '../../src/telemetry/events.js'
import { startServer, type TestServer } from '../nats-server/server.js'
import { signaller } from './permissions.js'

let server: TestServer
beforeAll(async () => {
  server = await startServer()
})
afterAll(() => server.stop())

const tools = { clock: systemClock, chance: systemChance, tell: silent }

async function open(as: JetStreamOptions = {}): Promise<Opened> {
  const links: Ports[] = []
  const another = async () => {
    const ports = await openJetStream({ servers: server.url, ...as }, tools)
    links.push(ports)
    return ports
  }
  const close = async () => void (await Promise.all(links.map(link => link.close())))
  return { ports: await another(), another, close }
}

logContract({
  test,
  expect,
  open: () => open(),
  skip: [
    {
      promise: 'reads on below a purge when only records of other partitions stand between',
      reason: 'what is noted of a purge is the position it was given, not the last record it took: OVERRUN, to be safe',
    },
  ],
})
bucketContract({ test, expect, open: () => open() })
signalsContract({ test, expect, open: () => open(signaller) })
