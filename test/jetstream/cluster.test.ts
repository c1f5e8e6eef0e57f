/** A cluster of three that loses its majority: nothing is called stored or refused too soon, and readers live on. */
import { setTimeout as sleep } from 'node:timers/promises'
import { connect } from '@nats-io/transport-node'
import { jetstreamManager } from '@nats-io/jetstream'
import { expect, test } from 'vitest'
import { systemClock } from '../../src/clock.js'
import { START } from '../../src/log/record.js'
import { Sender } from '../../src/stream/sender.js'
import { startCluster } from '../nats-server/server.js'
import { openLink, openStream } from './steps.js'

const byte = Buffer.from('x')

test('calls nothing stored, and nothing refused, whose first send is still under way', async () => {
  await using cluster = await startCluster(3)
  await using any = await openLink(cluster)
  const { spec } = await openStream(any, { replicas: 3 })
  const others = await connect(cluster.servers[0]?.admin ?? {})
  const { cluster: group } = await (await jetstreamManager(others)).streams.info(spec.name)
  await others.close()
  const leader = cluster.servers[Number(group?.leader?.slice(1)) - 1]
  if (leader === undefined) throw new Error('the stream has no leader')
  await using link = await openLink(leader)
  const stream = await link.log.open(spec)
  await stream.append({ partition: 0, payload: byte, id: 'first' })

  for (const server of cluster.servers) if (server !== leader) server.freeze()
  void stream.append({ partition: 0, payload: byte, id: 'a' })
  await sleep(100)
  const told: string[] = []
  const sender = new Sender(stream, 1, systemClock)
  const answer = { stored: () => void told.push('stored'), failed: () => void told.push('failed') }
  sender.send({ partition: 0, payload: byte, id: 'a' }, answer)
  const ended = await Promise.all([
    stream.append({ partition: 0, payload: byte, id: 'a' }),
    stream.append({ partition: 0, payload: byte, id: 'a', expect: 1 }),
  ])
  expect(ended.map(({ ending }) => ending)).toEqual(['unknown', 'unknown'])
  expect(told).toEqual([])
  sender.close()
}, 60_000)

test('reads on when a cluster that had no majority has one again', async () => {
  await using cluster = await startCluster(3)
  const [own, ...others] = cluster.servers
  if (own === undefined) throw new Error('there is no server')
  await using link = await openLink(own)
  const stream = await openStream(link, { replicas: 3 })
  await stream.append({ partition: 0, payload: byte, id: '1' })
  const reader = stream.read({ after: START })
  expect((await reader.next()).value?.records.length).toBe(1)
  const next = reader.next()
  for (const other of others) await other.kill()
  await own.restart()
  // Long enough for the server to say that it has no leader.
  await sleep(8000)
  for (const other of others) await other.restart()
  while ((await stream.append({ partition: 0, payload: byte, id: '2' })).ending !== 'stored') await sleep(100)
  expect((await next).value?.records.length).toBe(1)
  await reader.return()
}, 90_000)
