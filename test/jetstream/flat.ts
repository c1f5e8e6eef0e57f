/** Memory stays flat, whatever the size of the stream: the same checks in a short form and in a long one. */
import { setTimeout as sleep } from 'node:timers/promises'
import { expect } from 'vitest'
import { START } from '../../src/log/record.js'
import { inMB, MB, memory } from '../memory.js'
import { startServer } from '../nats-server/server.js'
import { disconnects, fill, openLink, openStream } from './steps.js'

/** A reader that nobody takes from for `seconds`, on a stream of `records`; then it reads on to the end. */
export async function readerStandsStill({ records, seconds }: { records: number; seconds: number }): Promise<void> {
  await using server = await startServer()
  await using writer = await openLink(server)
  const filled = await openStream(writer)
  await fill(filled, records, new Uint8Array(120).fill(120))

  await using link = await openLink(server)
  const stream = await link.log.open(filled.spec)
  const before = await memory()
  const reader = stream.read({ after: START })
  const first = await reader.next()
  let [held, resident] = [0, 0]
  for (let second = 0; second < seconds; second++) {
    await sleep(1000)
    const now = await memory()
    held = Math.max(held, now.held - before.held)
    resident = Math.max(resident, now.resident - before.resident)
  }
  console.log(
    `a reader that stands still for ${seconds} s on ${records} records: ` +
      `holds ${inMB(held)}, resident memory grew by ${inMB(resident)}`,
  )
  expect(held).toBeLessThan(16 * MB)
  expect(resident).toBeLessThan(64 * MB)

  let read = first.value?.records.length ?? 0
  let last = first.value?.records.at(-1)?.position ?? 0
  while (read < records) {
    const { value: batch } = await reader.next()
    for (const { position } of batch?.records ?? []) {
      if (position !== last + 1) throw new Error(`after ${last} came ${position}`)
      last = position
      read++
    }
  }
  await reader.return()
  expect(disconnects(link)).toBe(0)
}

/** Appends `records` records: what the client holds afterwards does not depend on how many there were. */
export async function appendsLeaveNothing({ records }: { records: number }): Promise<void> {
  await using server = await startServer()
  await using link = await openLink(server)
  const stream = await openStream(link)
  const payload = new Uint8Array(84).fill(120)
  await fill(stream, 30_000, payload)
  const before = await memory()
  let peak = 0
  for (let part = 0; part < 5; part++) {
    await fill(stream, records / 5, payload)
    peak = Math.max(peak, (await memory()).held - before.held)
  }
  console.log(`${records} appends leave ${inMB(peak)} behind at most`)
  expect(peak).toBeLessThan(6 * MB)
  expect((await stream.extent()).last).toBe(30_000 + records)
}
