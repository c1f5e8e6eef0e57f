import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { pause, systemChance, systemClock } from '../clock.js'
import { bytes } from '../codec/bytes.js'
import { openEmbedded } from '../log/embedded/embedded.js'
import type { Ports } from '../log/ports.js'
import { stream } from '../stream/stream.js'
import { silent } from '../telemetry/events.js'
import type { Client } from './client.js'
import { linked } from './linked.js'

const parts = { clock: systemClock, chance: systemChance, tell: silent, replicas: 1 }
let ports: Ports
let client: Client

beforeEach(async () => {
  ports = await openEmbedded({ memory: true }, parts)
  client = linked(ports, parts)
})
afterEach(() => client.close())

test('tells of a record that the log refuses at once, though the next value never comes', async () => {
  // With its headers it is above what the log takes, which only the log finds.
  const tooLarge = new Uint8Array(ports.log.recordBytesMax)
  let ended = false
  const values = {
    [Symbol.asyncIterator]: () => ({
      next: () => {
        values.given++
        return values.given === 1
          ? Promise.resolve({ done: false as const, value: tooLarge })
          : new Promise<never>(() => {})
      },
      return: () => {
        ended = true
        return Promise.resolve({ done: true as const, value: undefined })
      },
    }),
    given: 0,
  }
  const files = stream<Uint8Array>('files', { codec: bytes() })
  await expect(client.publishAll(files, values)).rejects.toMatchObject({
    code: 'RECORD_TOO_LARGE',
    facts: { index: 0 },
  })
  expect(ended).toBe(true)
})

test('makes a stream anew that was deleted, at the next publish by its definition', async () => {
  const clicks = stream<number>('clicks')
  await client.publish(clicks, 1)
  await ports.log.drop('clicks')
  await expect(client.publish(clicks, 2)).rejects.toMatchObject({ code: 'NO_SUCH_STREAM' })
  expect(await client.publish(clicks, 3)).toMatchObject({ position: 1 })
})

test('does not make a stream anew that was deleted, by its name', async () => {
  await client.publish(stream<number>('clicks'), 1)
  const byName = await client.stream('clicks')
  await client.publish(byName, 2)
  await ports.log.drop('clicks')
  for (let n = 0; n < 2; n++) {
    await expect(client.publish(byName, 3)).rejects.toMatchObject({ code: 'NO_SUCH_STREAM' })
  }
  await expect(client.describe('clicks')).rejects.toThrow(/was deleted, and only its definition is still kept/)
  expect(await ports.log.names()).toEqual([])
})

test('keeps nothing of a stream that its program has let go of', async () => {
  let letGo = 0
  const registry = new FinalizationRegistry<undefined>(() => letGo++)
  for (let n = 0; n < 50; n++) {
    const passing = stream<number>('clicks')
    registry.register(passing, undefined)
    await client.publish(passing, n)
  }
  setFlagsFromString('--expose-gc')
  const collect = runInNewContext('gc') as () => void
  for (let n = 0; n < 50 && letGo < 40; n++) {
    collect()
    await pause(systemClock, 10)
  }
  expect(letGo).toBeGreaterThanOrEqual(40)
})

test('refuses the first record when no reader could derive its time or key', async () => {
  const clicks = stream<{ at: Date }>('clicks', { time: 'at' })
  await expect(client.publish(clicks, { at: new Date(0) })).rejects.toMatchObject({ code: 'BAD_TIME' })
  expect(await client.publish(clicks, { at: new Date(0) }, { time: 0 })).toMatchObject({ position: 1 })
  const keyed = stream<{ at: Date }>('keyed', { key: ({ at }) => at.toISOString() })
  await expect(client.publish(keyed, { at: new Date(0) })).rejects.toMatchObject({ code: 'BAD_KEY' })
})

test.each(['message', 'batch'] as const)('refuses a key that is no whole text, in a %s', async format => {
  const clicks = stream<number>('clicks', { format })
  await expect(client.publish(clicks, 1, { key: 'a\ud800' })).rejects.toMatchObject({ code: 'BAD_KEY' })
})
