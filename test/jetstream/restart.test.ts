/** The log server is killed and comes back, again and again: writers and readers live through it. */
import { setTimeout as sleep } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { START } from '../../src/log/record.js'
import { startServer } from '../nats-server/server.js'
import { writeSettled } from '../settled.js'
import { counted, countedTo, openLink, openStream, takeUntil, textsOf } from './steps.js'

test('loses, repeats and reorders nothing that was acknowledged over 20 kills, and appends again within 1 s', async () => {
  await using server = await startServer()
  await using link = await openLink(server)
  const stream = await openStream(link)
  const acknowledged: number[] = []
  let [writing, unknown, refused] = [true, 0, 0]
  let onStored = () => {}
  const written = writeSettled({
    stream,
    record: counted,
    until: () => !writing,
    stored(number, { position }) {
      acknowledged[number] ??= position
      if (acknowledged[number] !== position) throw new Error(`record ${number} is at ${position} and elsewhere`)
      onStored()
    },
    failed: (_, { ending }) => void (ending === 'unknown' ? unknown++ : refused++),
  })

  const waits: number[] = []
  for (let kill = 0; kill < 20; kill++) {
    await sleep(60 + 7 * kill)
    await server.kill()
    await server.restart()
    const accepts = performance.now()
    await new Promise<void>(resolve => (onStored = resolve))
    waits.push(performance.now() - accepts)
  }
  writing = false
  const count = await written

  const worst = Math.round(Math.max(...waits))
  const median = Math.round([...waits].sort((a, b) => a - b)[10] ?? 0)
  console.log(
    `nats-server ${server.version}, 20 kills: ${count} records, ${unknown} ended unknown, ${refused} unsent; ` +
      `first append stored ${median} ms after the server accepts (median), ${worst} ms (worst)`,
  )
  expect(unknown).toBeGreaterThan(0)
  expect(await textsOf(stream)).toEqual(countedTo(count))
  expect(acknowledged).toEqual(await positionsOf(stream))
  expect(worst).toBeLessThanOrEqual(1000)
}, 60_000)

test('reads on through restarts without gap or repeat, in the midst of old records and at the end', async () => {
  await using server = await startServer()
  await using writer = await openLink(server)
  await using link = await openLink(server)
  const written = await openStream(writer, { partitions: 2 })
  let writing = true
  let count = 0
  const done = writeSettled({
    stream: written,
    record: counted,
    until: () => !writing,
    stored: number => void (count = number),
  })
  while (count < 20_000) await sleep(10)

  const stream = await link.log.open(written.spec)
  const slow = (texts: readonly string[]) => texts.at(-1) === 'end'
  const readers = [
    stream.read({ after: START, recordsMax: 100 }),
    stream.read({ after: START, partition: 0, recordsMax: 700 }),
    stream.read({ after: START, partition: 0, bytesMax: 3000 }),
  ]
  const read = readers.map(reader => takeUntil(reader, slow))
  for (let kill = 0; kill < 5; kill++) {
    await sleep(150)
    await server.restart()
  }
  writing = false
  const total = await done
  const end = await written.append({ partition: 0, payload: Buffer.from('end') })
  expect(end.ending).toBe('stored')
  for (const texts of await Promise.all(read)) expect(texts).toEqual([...countedTo(total), 'end'])
  for (const reader of readers) await reader.return()
}, 60_000)

async function positionsOf(stream: Awaited<ReturnType<typeof openStream>>): Promise<number[]> {
  const positions: number[] = []
  for await (const { records } of stream.read({ after: START, untilEnd: true })) {
    for (const { position } of records) positions.push(position)
  }
  return positions
}
