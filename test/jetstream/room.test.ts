/** The writer's room: it comes back by itself after nobody took a stream's records, for this stream and for others. */
import { setTimeout as sleep } from 'node:timers/promises'
import { connect } from '@nats-io/transport-node'
import { jetstreamManager } from '@nats-io/jetstream'
import { expect, test } from 'vitest'
import { startServer } from '../nats-server/server.js'
import { openLink, openStream } from './steps.js'

const byte = Buffer.from('x')

test('gives room again by itself after nobody took the records of a full window, or of a later append', async () => {
  await using server = await startServer()
  await using link = await openLink(server)
  const stream = await openStream(link)
  const others = await connect(server.admin)
  await (await jetstreamManager(others)).streams.delete(stream.spec.name)
  await others.close()

  while (stream.room() === undefined) void stream.append({ partition: 0, payload: byte })
  expect(await roomWithin(1000)).toBe('room')

  await stream.append({ partition: 0, payload: byte })
  const held = roomWithin(1000)
  await sleep(2)
  await stream.append({ partition: 0, payload: byte })
  expect(await held).toBe('room')

  async function roomWithin(ms: number): Promise<string> {
    const room = (stream.room() ?? Promise.resolve()).then(() => 'room')
    return Promise.race([room, sleep(ms, 'none')])
  }
})

test('leaves room for other streams when one never answers, however much is sent to it', async () => {
  await using server = await startServer()
  await using link = await openLink(server)
  const stream = await openStream(link)
  const others = await connect(server.admin)
  await (await jetstreamManager(others)).streams.add({ name: 'mute', subjects: ['mute.0'], no_ack: true })
  await others.close()
  const mute = await link.log.find('mute')
  if (mute === undefined) throw new Error('the mute stream is not there')

  while (mute.room() === undefined) void mute.append({ partition: 0, payload: byte })
  expect(await mute.append({ partition: 0, payload: byte })).toMatchObject({ ending: 'refused', why: 'unavailable' })
  expect(stream.room()).toBeUndefined()
  const endings = Array.from({ length: 1000 }, () => stream.append({ partition: 0, payload: byte }))
  for (const { ending } of await Promise.all(endings)) expect(ending).toBe('stored')
})
