import { expect, test } from 'vitest'
import type { LogStream } from '../log/log.js'
import type { Ports } from '../log/ports.js'
import { pipeline } from '../pipeline/pipeline.js'
import { sink } from '../stream/sink.js'
import { stream } from '../stream/stream.js'
import { checkup } from './checkup.js'

const clicks = stream<{ user: string }>('clicks', { key: 'user' })
const definition = pipeline('p').from(clicks).pipe().to(stream<{ user: string }>('views'))

/** A log on which streams have so many copies, and nothing else is to be found. */
function portsWith(replicas: Readonly<Record<string, number>>): Ports {
  const find = async (name: string) => {
    const count = replicas[name]
    return count === undefined ? undefined : ({ spec: { partitions: 0, replicas: count } } as LogStream)
  }
  const examiner = async () => ({ examine: async () => [], bucket: async () => undefined })
  return { log: { find }, examiner } as unknown as Ports
}

test('finds a ledger with fewer copies than its source, and none where it has as many', async () => {
  expect(await checkup(portsWith({ clicks: 3, 'p-0-ledger': 1 }), [definition])).toMatchObject([
    {
      level: 'weak',
      check: 'ledger copies',
      stream: 'p-0-ledger',
      what: 'one copy, and its source "clicks" has 3',
    },
  ])
  expect(await checkup(portsWith({ clicks: 3, 'p-0-ledger': 3 }), [definition])).toEqual([])
  expect(await checkup(portsWith({ clicks: 3 }), [definition])).toEqual([])
})

test('says of sinks what they are promised, and of chosen targets that they are not known', async () => {
  const views = stream<{ user: string }>('views')
  const printed = sink<{ user: string }>('printed', { write: () => {} })
  const sinking = pipeline('q').from(clicks).pipe().to(printed)
  expect(await checkup(portsWith({}), [sinking])).toMatchObject([
    { level: 'ok', check: 'sink', what: expect.stringMatching(/^"printed" .*again after a crash/) },
  ])
  const choosing = pipeline('r')
    .from(clicks)
    .pipe()
    .to(() => views)
  expect(await checkup(portsWith({}), [choosing])).toMatchObject([{ level: 'unknown', check: 'targets' }])
})

test('says that it cannot see how a log is that has no examiner', async () => {
  expect(await checkup({} as Ports, [definition])).toMatchObject([{ level: 'unknown', check: 'log' }])
})
