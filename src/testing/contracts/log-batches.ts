/** What `read` promises of its batches: bounds in records and bytes, what is behind, and true backpressure. */
import { pause } from '../../clock.js'
import type { Batch, BatchReader } from '../../log/log.js'
import { START } from '../../log/record.js'
import type { Promises } from './contract.js'
import { appendAll, batchesOf, failure, numbered, openStream, readAll, record, seen, take } from './steps.js'
import type { Seen } from './steps.js'

export const batchPromises: Promises = {
  'gives at most as many records in a batch as asked for, 1000 by default': async scene => {
    const stream = await openStream(scene)
    const texts = numbered('n', 2300)
    await appendAll(
      stream,
      texts.map((text, i) => record(i % 2, text)),
    )
    for (const recordsMax of [undefined, 400, 1]) {
      const reader = stream.read({
        after: recordsMax === 1 ? 2200 : START,
        untilEnd: true,
        ...(recordsMax && { recordsMax }),
      })
      const batches = await batchesOf(reader)
      scene.expect(Math.max(...batches.map(batch => batch.records.length))).toBeLessThanOrEqual(recordsMax ?? 1000)
      const all = batches.flatMap(batch => batch.records.map(one => seen(one).text))
      scene.expect(all).toEqual(texts.slice(-all.length))
    }
  },

  'gives at most as many bytes in a batch as asked for, headers counted': async scene => {
    const stream = await openStream(scene)
    const texts = numbered('n', 60).map(text => text.padEnd(900))
    await appendAll(
      stream,
      texts.map((text, i) => record(0, text, { headers: { h: 'x'.repeat(50 + i) } })),
    )
    const batches = await batchesOf(stream.read({ after: START, untilEnd: true, bytesMax: 2800 }))
    scene.expect(Math.max(...batches.map(weightOf))).toBeLessThanOrEqual(2800)
    scene.expect(batches.flatMap(batch => batch.records.map(one => seen(one).text))).toEqual(texts)
  },

  'gives at most 1 MiB in a batch by default': async scene => {
    const stream = await openStream(scene)
    await appendAll(
      stream,
      numbered('n', 60).map(text => record(0, text.padEnd(60_000))),
    )
    const batches = await batchesOf(stream.read({ after: START, untilEnd: true }))
    scene.expect(Math.max(...batches.map(weightOf))).toBeLessThanOrEqual(1024 * 1024)
    scene.expect(batches.flatMap(batch => batch.records).length).toBe(60)
  },

  'lets one record through that is larger than the bound in bytes': async scene => {
    const stream = await openStream(scene)
    const texts = ['small', 'L'.repeat(5000), 'L'.repeat(6000), 'small', 'small', 'L'.repeat(7000)]
    await appendAll(
      stream,
      texts.map(text => record(1, text)),
    )
    const batches = await batchesOf(stream.read({ after: START, partition: 1, untilEnd: true, bytesMax: 100 }))
    scene.expect(batches.every(batch => weightOf(batch) <= 100 || batch.records.length === 1)).toBe(true)
    scene.expect(batches.flatMap(batch => batch.records.map(one => seen(one).text))).toEqual(texts)
  },

  'reads large records in order': async scene => {
    const stream = await openStream(scene)
    const large = Math.min(900_000, scene.ports.log.recordBytesMax)
    const texts = numbered('n', 12).map(text => text.padEnd(large))
    await appendAll(
      stream,
      texts.map((text, i) => record(i % 2, text)),
    )
    const starts = (await readAll(stream)).map(one => [one.text.length, one.text.slice(0, 5).trim()])
    scene.expect(starts).toEqual(texts.map(text => [large, text.slice(0, 5).trim()]))
  },

  'counts the records that are ready behind a batch, and 0 when caught up': async scene => {
    const stream = await openStream(scene)
    await appendAll(
      stream,
      numbered('n', 100).map((text, i) => record(i % 2, text)),
    )
    for (const [total, which] of [
      [100, {}],
      [50, { partition: 0 }],
    ] as const) {
      let taken = 0
      for (const batch of await batchesOf(stream.read({ after: START, untilEnd: true, recordsMax: 15, ...which }))) {
        taken += batch.records.length
        scene.expect(batch.behind).toBe(total - taken)
      }
      scene.expect(taken).toBe(total)
    }
  },

  'asks the log for no more when nobody takes: about two batches are held': async scene => {
    const stream = await openStream(scene)
    const positions = await appendAll(
      stream,
      numbered('n', 4000).map(text => record(0, text)),
    )
    const gone = positions[3900] as number
    const reader = stream.read({ after: START, partition: 0, recordsMax: 100, untilEnd: true })
    const early = await take(reader, 1)
    await pause(scene.clock, 150)
    // What the reader holds by now is safe from this purge; what it has not asked for is gone.
    await stream.purge(0, gone)
    const held = [...early, ...(await whatIsHeld(reader))].filter(one => one.position < gone)
    scene.expect(held.map(one => one.text)).toEqual(numbered('n', held.length))
    scene.expect(held.length).toBeLessThanOrEqual(500)
  },

  'holds no more than about two batches of bytes': async scene => {
    const stream = await openStream(scene)
    const positions = await appendAll(
      stream,
      numbered('n', 600).map(text => record(0, text.padEnd(10_000))),
    )
    const gone = positions[590] as number
    const reader = stream.read({ after: START, bytesMax: 100_000, untilEnd: true })
    const early = await take(reader, 1)
    await pause(scene.clock, 150)
    await stream.purge(0, gone)
    const held = [...early, ...(await whatIsHeld(reader))].filter(one => one.position < gone)
    scene.expect(held.length).toBeLessThanOrEqual(60)
  },
}

/** What a reader still gives, though it may find that records it was to read are gone. */
async function whatIsHeld(reader: BatchReader): Promise<Seen[]> {
  const held: Seen[] = []
  const told = await failure(
    (async () => {
      for await (const batch of reader) held.push(...batch.records.map(seen))
    })(),
  )
  if (told !== 'no error' && told !== 'IntegrityError OVERRUN') throw new Error(`reading ended with ${told}`)
  return held
}

const weightOf = (batch: Batch): number => batch.records.reduce((sum, one) => sum + one.bytes, 0)
