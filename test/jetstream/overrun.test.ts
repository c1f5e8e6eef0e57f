/** Retention overtakes a reader that was not asked for a while: a named error, never a silent gap. */
import { setTimeout as sleep } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { openBadLink } from '../link.js'
import { START } from '../../src/log/record.js'
import { startServer } from '../nats-server/server.js'
import { counted, fill, openLink, openStream, takeUntil } from './steps.js'

test.each([
  ['of one partition', 1, false],
  ['of several partitions', 2, false],
  ['of one partition, with a lost link between', 1, true],
  ['of several partitions, with a lost link between', 2, true],
])(
  'ends a reader with OVERRUN that nobody took from while retention dropped what came next: %s',
  async (_, partitions, cut) => {
    await using server = await startServer()
    const bad = await openBadLink(server.url)
    await using link = await openLink(bad)
    await using writer = await openLink(server)
    const written = await openStream(writer, { partitions, retention: { records: 2000 } })
    const stream = await link.log.open(written.spec)
    for (let i = 0; i < 1000; i++) void written.append(counted(i))
    const reader = stream.read({ after: START, partition: 0, recordsMax: 50 })
    const texts = await takeUntil(reader, texts => texts.length >= 50)
    await sleep(100)
    if (cut) {
      bad.cut()
      await sleep(700)
    }
    await fill(written, 10_000, Buffer.from('later'))
    const read = takeUntil(reader, texts => texts.includes('later'))
    await expect(read).rejects.toMatchObject({ name: 'IntegrityError', code: 'OVERRUN' })
    expect(texts).toEqual(texts.map((_, i) => `${i}`))
    await reader.return()
    await bad.close()
  },
)

test('reads to the end, and no further, in a bounded stream that is taken from slowly', async () => {
  await using server = await startServer()
  await using link = await openLink(server)
  const stream = await openStream(link, { partitions: 2, retention: { records: 100_000 } })
  await fill(stream, 3000, Buffer.from('x'))
  let count = 0
  for await (const { records } of stream.read({ after: START, partition: 0, recordsMax: 100, untilEnd: true })) {
    count += records.length
    await sleep(1)
  }
  expect(count).toBe(3000)
})
