/** Memory stays flat under a reader that stands still, many large readers, and many appends. The long form is beside. */
import { expect, test } from 'vitest'
import { START } from '../../src/log/record.js'
import { startServer } from '../nats-server/server.js'
import { appendsLeaveNothing, readerStandsStill } from './flat.js'
import { disconnects, fill, openLink, openStream } from './steps.js'

test('stays flat while nobody takes from a reader for 5 s on 200,000 records', () =>
  readerStandsStill({ records: 200_000, seconds: 5 }))

test('holds no more after 200,000 appends than after few', () => appendsLeaveNothing({ records: 200_000 }))

test('lets 64 readers of 900 kB records read at once, with a busy process, without being cut off as slow', async () => {
  await using server = await startServer()
  await using writer = await openLink(server)
  const filled = await openStream(writer)
  await fill(filled, 6, new Uint8Array(900_000).fill(120))

  await using link = await openLink(server)
  const stream = await link.log.open(filled.spec)
  const readers = Array.from({ length: 64 }, async () => {
    let read = 0
    for await (const { records } of stream.read({ after: START, untilEnd: true })) {
      for (const { payload } of records) read += payload.length === 900_000 ? 1 : 0
    }
    return read
  })
  // What is asked for while nothing is taken from the socket piles up in the server, up to its limit of 64 MB.
  const busy = setInterval(() => {
    const until = performance.now() + 100
    while (performance.now() < until);
  }, 200)
  const read = await Promise.all(readers).finally(() => clearInterval(busy))
  expect(read).toEqual(read.map(() => 6))
  expect(disconnects(link)).toBe(0)
  expect(server.log()).not.toContain('Slow Consumer')
})
