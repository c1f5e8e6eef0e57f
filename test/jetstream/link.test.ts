/** The link to the log server is frozen, cut, late, half open or in slices: what is in flight ends at once and true. */
import { setTimeout as sleep } from 'node:timers/promises'
import { expect, test } from 'vitest'
import type { Ending } from '../../src/log/log.js'
import { START } from '../../src/log/record.js'
import { openBadLink } from '../link.js'
import { startServer } from '../nats-server/server.js'
import { writeSettled } from '../settled.js'
import { counted, countedTo, disconnects, openLink, openStream, takeUntil, textsOf } from './steps.js'

/** Two unanswered pings of a second each, and the one that was just answered. */
const NOTICED_MS = 4500

test('notices a frozen server in about 3 s, ends appends in flight as unknown at once, loses nothing', async () => {
  await using server = await startServer()
  await using link = await openLink(server)
  const stream = await openStream(link)
  expect((await stream.append(counted(0))).ending).toBe('stored')

  server.freeze()
  const frozen = performance.now()
  const ended: { ending: Ending; at: number }[] = []
  const flights = countedTo(500).map(async (_, i) => {
    ended.push({ ending: await stream.append(counted(i + 1)), at: performance.now() })
  })
  await Promise.all(flights)
  const down = link.told.find(({ event }) => event.type === 'log.disconnected')?.at ?? NaN
  console.log(`a frozen server is noticed after ${Math.round(down - frozen)} ms`)
  expect(down - frozen).toBeLessThanOrEqual(NOTICED_MS)
  expect(down - frozen).toBeGreaterThan(1000)
  for (const { ending, at } of ended) {
    expect(ending.ending).toBe('unknown')
    expect(Math.abs(at - down)).toBeLessThanOrEqual(100)
  }
  const unsent = await stream.append(counted(1))
  expect(unsent.ending === 'refused' && unsent.why).toBe('unavailable')

  server.thaw()
  let writing = true
  const stop = () => void (writing = false)
  const count = await writeSettled({
    stream,
    record: counted,
    until: () => !writing,
    stored: number => void (number >= 1000 && stop()),
  })
  expect(await textsOf(stream)).toEqual(countedTo(count))
}, 30_000)

test('notices a link on which nothing comes any more, and reads and writes on over a new one', async () => {
  await using server = await startServer()
  const bad = await openBadLink(server.url)
  await using link = await openLink(bad)
  const stream = await openStream(link)
  const reader = stream.read({ after: START })
  const read = takeUntil(reader, texts => texts.length >= 3)
  expect((await stream.append(counted(0))).ending).toBe('stored')

  bad.swallow('to client')
  const from = performance.now()
  // It is stored: only its answer is lost.
  const lost = await stream.append(counted(1))
  expect(lost.ending).toBe('unknown')
  expect(performance.now() - from).toBeLessThanOrEqual(NOTICED_MS)
  bad.heal()
  let again = await stream.append(counted(1))
  while (again.ending !== 'stored') {
    await sleep(10)
    again = await stream.append(counted(1))
  }
  expect(again.repeat).toBe(true)
  expect((await stream.append(counted(2))).ending).toBe('stored')
  expect(await read).toEqual(countedTo(3))
  await reader.return()
  await bad.close()
}, 30_000)

test('settles what was in flight when the link is cut, 15 times under load', async () => {
  await using server = await startServer()
  const bad = await openBadLink(server.url)
  await using link = await openLink(bad)
  const stream = await openStream(link)
  const reader = stream.read({ after: START, recordsMax: 300 })
  let [writing, unknown, repeats] = [true, 0, 0]
  const written = writeSettled({
    stream,
    record: counted,
    until: () => !writing,
    stored: (_, { repeat }) => void (repeats += repeat ? 1 : 0),
    failed: (_, { ending }) => void (unknown += ending === 'unknown' ? 1 : 0),
  })
  const read = takeUntil(reader, texts => texts.at(-1) === 'end')
  for (let cut = 0; cut < 15; cut++) {
    await sleep(80 + 5 * cut)
    bad.cut()
  }
  await sleep(50)
  writing = false
  const count = await written
  console.log(`15 cuts: ${count} records, ${unknown} ended unknown, ${repeats} of them were stored already`)
  expect(unknown).toBeGreaterThan(0)
  expect((await stream.append({ partition: 0, payload: Buffer.from('end') })).ending).toBe('stored')
  expect(await textsOf(stream)).toEqual([...countedTo(count), 'end'])
  expect(await read).toEqual([...countedTo(count), 'end'])
  await reader.return()
  await bad.close()
}, 30_000)

test('reads and writes over a link that is late and hands out bytes in slices', async () => {
  await using server = await startServer()
  const bad = await openBadLink(server.url)
  bad.delay(15)
  await using link = await openLink(bad)
  bad.slice(7)
  const stream = await openStream(link)
  const texts = countedTo(300).map(text => text.repeat(5))
  const endings = texts.map((text, i) =>
    stream.append({ partition: 0, payload: Buffer.from(text), id: `${i}`, headers: { k: `é${i}` } }),
  )
  for (const ending of await Promise.all(endings)) expect(ending.ending).toBe('stored')
  expect(await textsOf(stream, { recordsMax: 40 })).toEqual(texts)
  expect(disconnects(link)).toBe(0)
  await bad.close()
}, 30_000)

test('answers calls with DISCONNECTED or waits, but never hangs, while the server is away', async () => {
  await using server = await startServer()
  await using link = await openLink(server)
  const stream = await openStream(link)
  await server.kill()
  while (disconnects(link) === 0) await sleep(5)
  const refused = await stream.append(counted(0))
  expect(refused.ending === 'refused' && [refused.why, refused.error.code]).toEqual(['unavailable', 'DISCONNECTED'])
  await expect(link.signals.request('nobody', Buffer.from('x'), { timeoutMs: 500 })).rejects.toMatchObject({
    code: 'DISCONNECTED',
  })
  const last = stream.last(0)
  const next = stream.read({ after: START }).next()
  await server.restart()
  expect(await last).toBe(undefined)
  expect((await stream.append(counted(0))).ending).toBe('stored')
  expect((await next).value?.records.length).toBe(1)
}, 30_000)
