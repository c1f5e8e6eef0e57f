/** What `read` promises of order, positions and ends. */
import { pause } from '../../clock.js'
import { START } from '../../log/record.js'
import type { Promises } from './contract.js'
import { appendAll, batchesOf, drain, failure, numbered, openStream, readAll, record, seen } from './steps.js'
import { stored, take, textsOf, within } from './steps.js'

export const readPromises: Promises = {
  'reads all partitions in the order of the stream': async scene => {
    const stream = await openStream(scene, { partitions: 4 })
    const texts = numbered('n', 2000)
    await appendAll(
      stream,
      texts.map((text, i) => record((i * 7) % 4, text)),
    )
    const all = await readAll(stream)
    scene.expect(all.map(one => one.text)).toEqual(texts)
    scene.expect(all.map(one => one.partition)).toEqual(texts.map((_, i) => (i * 7) % 4))
  },

  'reads one partition in order, without the others': async scene => {
    const stream = await openStream(scene, { partitions: 12 })
    const texts = numbered('n', 1200)
    await appendAll(
      stream,
      texts.map((text, i) => record(i % 12, text)),
    )
    for (const partition of [0, 1, 11]) {
      const own = texts.filter((_, i) => i % 12 === partition)
      scene.expect(await textsOf(stream, { partition })).toEqual(own)
      scene.expect(await textsOf(stream, { partition, recordsMax: 7 })).toEqual(own)
    }
  },

  'reads what comes after a position, without what stands at it': async scene => {
    const stream = await openStream(scene)
    const texts = numbered('n', 20)
    const positions = await appendAll(
      stream,
      texts.map((text, i) => record(i % 2, text)),
    )
    for (const at of [0, 9, 10, 18, 19]) {
      const after = positions[at] as number
      scene.expect(await textsOf(stream, { after })).toEqual(texts.slice(at + 1))
      const own = texts.filter((_, i) => i > at && i % 2 === 0)
      scene.expect(await textsOf(stream, { after, partition: 0 })).toEqual(own)
    }
  },

  'gives new records as they come, without waiting for a full batch': async scene => {
    const stream = await openStream(scene)
    const reader = stream.read({ after: START, partition: 0 })
    for (const text of numbered('n', 5)) {
      const coming = take(reader, 1)
      await pause(scene.clock, 15)
      await appendAll(stream, [record(1, 'other'), record(0, text)])
      const came = await within(scene.clock, 2000, coming)
      scene.expect(came === 'late' ? came : came.map(one => one.text)).toEqual([text])
    }
    await reader.return()
  },

  'reads on without gap or repeat while several links write': async scene => {
    const stream = await openStream(scene, { partitions: 3 })
    const other = await (await scene.another()).log.open(stream.spec)
    const readers = [stream, other].map(one => one.read({ after: START, recordsMax: 50 }))
    const all = readers.map(reader => take(reader, 3000))
    const positions = await Promise.all(
      [stream, other].map((one, w) =>
        appendAll(
          one,
          numbered(`${w}-`, 1500).map((text, i) => record(i % 3, text)),
        ),
      ),
    )
    const written = positions.flat().sort((a, b) => a - b)
    for (const read of await Promise.all(all)) {
      scene.expect(read.map(one => one.position)).toEqual(written)
      for (const w of [0, 1]) {
        const own = read.map(one => one.text).filter(text => text.startsWith(`${w}-`))
        scene.expect(own).toEqual(numbered(`${w}-`, 1500))
      }
    }
    for (const reader of readers) await reader.return()
  },

  'says with each batch how far it brings the reader, so that another goes on from there': async scene => {
    const stream = await openStream(scene)
    const texts = numbered('n', 100)
    await appendAll(
      stream,
      texts.map((text, i) => record(i % 2, text)),
    )
    for (const partition of [undefined, 1]) {
      const own = texts.filter((_, i) => partition === undefined || i % 2 === partition)
      const which = partition === undefined ? {} : { partition }
      let [taken, before] = [0, 0]
      for await (const batch of stream.read({ after: START, untilEnd: true, recordsMax: 13, ...which })) {
        scene.expect(batch.position >= Math.max(before, batch.records.at(-1)?.position ?? 0)).toBe(true)
        taken += batch.records.length
        before = batch.position
        scene.expect(await textsOf(stream, { after: batch.position, ...which })).toEqual(own.slice(taken))
      }
      scene.expect(taken).toBe(own.length)
    }
  },

  'ends when asked to at the end, of an empty stream and an empty partition too': async scene => {
    const stream = await openStream(scene)
    scene.expect(await readAll(stream)).toEqual([])
    scene.expect(await readAll(stream, { partition: 0 })).toEqual([])
    const positions = await appendAll(stream, [record(1, 'a'), record(0, 'b'), record(0, 'c')])
    scene.expect(await textsOf(stream, { partition: 1 })).toEqual(['a'])
    scene.expect(await textsOf(stream, { partition: 1, after: positions[1] as number })).toEqual([])
    scene.expect(await textsOf(stream, { after: positions[2] as number })).toEqual([])
  },

  'ends at what was there when reading began, and does not chase a writer': async scene => {
    const stream = await openStream(scene)
    await appendAll(
      stream,
      numbered('n', 40).map(text => record(0, text)),
    )
    const texts: string[] = []
    for await (const batch of stream.read({ after: START, untilEnd: true, recordsMax: 4 })) {
      texts.push(...batch.records.map(one => seen(one).text))
      if (texts.length > 200) break
      await appendAll(
        stream,
        numbered('late', 8).map(text => record(0, text)),
      )
    }
    scene.expect(texts.slice(0, 40)).toEqual(numbered('n', 40))
    scene.expect(texts.length).toBeLessThanOrEqual(60)
  },

  'leaves payloads behind when only headers are asked for': async scene => {
    const stream = await openStream(scene)
    const positions = await appendAll(
      stream,
      numbered('n', 300).map(text => record(0, 'p'.repeat(2000), { id: text, headers: { h: `of ${text}` } })),
    )
    const batches = await batchesOf(stream.read({ after: START, untilEnd: true, headersOnly: true }))
    const records = batches.flatMap(batch => batch.records)
    scene.expect(records.map(one => one.position)).toEqual(positions)
    scene.expect(records.map(one => one.id)).toEqual(numbered('n', 300))
    scene.expect(records.map(one => one.header('h'))).toEqual(numbered('of n', 300))
    scene.expect(records.every(one => one.payload.length === 0)).toBe(true)
  },

  'reads with many readers at once, each at its own pace': async scene => {
    const stream = await openStream(scene)
    const texts = numbered('n', 500)
    await appendAll(
      stream,
      texts.map(text => record(0, text)),
    )
    const stopped = stream.read({ after: START, recordsMax: 10 })
    await take(stopped, 10)
    const readers = Array.from({ length: 8 }, (_, i) =>
      drain(stream.read({ after: START, untilEnd: true, recordsMax: 20 + i })),
    )
    for (const all of await Promise.all(readers)) scene.expect(all.map(one => one.text)).toEqual(texts)
    scene.expect((await take(stopped, 490)).map(one => one.text)).toEqual(texts.slice(10))
    await stopped.return()
  },

  'ends at return, before the first batch, in the middle and while it waits': async scene => {
    const stream = await openStream(scene)
    await appendAll(
      stream,
      numbered('n', 100).map(text => record(0, text)),
    )
    const done = { done: true, value: undefined }
    const untouched = stream.read({ after: START })
    scene.expect(await untouched.return()).toEqual(done)
    scene.expect(await untouched.next()).toEqual(done)

    const middle = stream.read({ after: START, recordsMax: 10 })
    await take(middle, 20)
    scene.expect(await middle.return()).toEqual(done)
    scene.expect(await middle.return()).toEqual(done)
    scene.expect(await middle.next()).toEqual(done)

    const waiting = stream.read({ after: START, recordsMax: 200 })
    await take(waiting, 100)
    const next = waiting.next()
    await pause(scene.clock, 20)
    scene.expect(await waiting.return()).toEqual(done)
    scene.expect(await within(scene.clock, 1000, next)).toEqual(done)
    scene.expect((await readAll(stream)).length).toBe(100)
  },

  'ends when a loop is left': async scene => {
    const stream = await openStream(scene)
    await appendAll(
      stream,
      numbered('n', 100).map(text => record(0, text)),
    )
    const reader = stream.read({ after: START, recordsMax: 10 })
    for await (const batch of reader) if (batch.records.length > 0) break
    scene.expect(await reader.next()).toEqual({ done: true, value: undefined })
  },

  'refuses a position beyond the end as LOG_REWOUND, and takes the end itself': async scene => {
    const stream = await openStream(scene)
    const last = await stored(stream.append(record(0, 'x')))
    for (const options of [{}, { partition: 0 }, { partition: 1 }, { untilEnd: true }, { headersOnly: true }]) {
      const reader = stream.read({ after: last + 1000, ...options })
      scene.expect(await failure(reader.next())).toBe('IntegrityError LOG_REWOUND')
    }
    const atEnd = stream.read({ after: last })
    const coming = take(atEnd, 1)
    await stored(stream.append(record(1, 'y')))
    scene.expect((await coming).map(one => one.text)).toEqual(['y'])
    await atEnd.return()
  },
}
