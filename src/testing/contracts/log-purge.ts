/** What `purge` and retention promise, and what readers do when records are gone. */
import { pause } from '../../clock.js'
import { START } from '../../log/record.js'
import type { Promises } from './contract.js'
import { appendAll, drain, eventually, failure, numbered, openStream, readAll, record, stored } from './steps.js'
import { take, textsOf } from './steps.js'

export const purgePromises: Promises = {
  'purges the records of a partition before a position, and those only': async scene => {
    const stream = await openStream(scene)
    const texts = numbered('n', 20)
    const positions = await appendAll(
      stream,
      texts.map((text, i) => record(i % 2, text)),
    )
    await stream.purge(0, positions[10] as number)
    scene.expect(await textsOf(stream, { partition: 0 })).toEqual(texts.filter((_, i) => i % 2 === 0 && i >= 10))
    scene.expect(await textsOf(stream, { partition: 1 })).toEqual(texts.filter((_, i) => i % 2 === 1))
    scene.expect(await textsOf(stream)).toEqual(texts.filter((_, i) => i % 2 === 1 || i >= 10))
  },

  'purges again, and below what was purged, without a word': async scene => {
    const stream = await openStream(scene)
    const positions = await appendAll(
      stream,
      numbered('n', 10).map(text => record(0, text)),
    )
    const sixth = positions[5] as number
    for (const before of [sixth, sixth, 1, 0]) await stream.purge(0, before)
    scene.expect(await textsOf(stream)).toEqual(numbered('n', 10).slice(5))
    await stream.purge(1, sixth)
    scene.expect(await textsOf(stream)).toEqual(numbered('n', 10).slice(5))
  },

  'reads from the start whatever is there after a purge': async scene => {
    const stream = await openStream(scene)
    const positions = await appendAll(
      stream,
      numbered('n', 50).map(text => record(0, text)),
    )
    await stream.purge(0, positions[30] as number)
    const rest = numbered('n', 50).slice(30)
    for (const options of [{}, { partition: 0 }, { headersOnly: true }]) {
      const read = await readAll(stream, { after: START, recordsMax: 7, ...options })
      scene.expect(read.map(one => one.position)).toEqual(positions.slice(30))
    }
    scene.expect(await textsOf(stream)).toEqual(rest)
  },

  'reads from the start in small batches, across what was purged between': async scene => {
    const stream = await openStream(scene)
    const pin = await stored(stream.append(record(1, 'pin')))
    const texts = numbered('n', 20)
    const positions = await appendAll(
      stream,
      texts.map(text => record(0, text)),
    )
    await stream.purge(0, positions[10] as number)
    const left = [pin, ...positions.slice(10)]
    scene.expect((await readAll(stream, { recordsMax: 1 })).map(one => one.position)).toEqual(left)
  },

  'reads on from just below a purge, since nothing after it is gone': async scene => {
    const stream = await openStream(scene)
    const texts = numbered('n', 20)
    const positions = await appendAll(
      stream,
      texts.map((text, i) => record(i % 2, text)),
    )
    const own = texts.filter((_, i) => i % 2 === 0 && i > 8)
    await stream.purge(0, (positions[8] as number) + 1)
    scene.expect(await textsOf(stream, { partition: 0, after: positions[8] as number })).toEqual(own)
    scene.expect(await textsOf(stream, { partition: 0, after: positions[9] as number })).toEqual(own)
  },

  'reads on below a purge when only records of other partitions stand between': async scene => {
    const stream = await openStream(scene)
    const texts = numbered('n', 20)
    const positions = await appendAll(
      stream,
      texts.map((text, i) => record(i % 2, text)),
    )
    await stream.purge(0, positions[10] as number)
    const own = texts.filter((_, i) => i % 2 === 0 && i > 8)
    scene.expect(await textsOf(stream, { partition: 0, after: positions[8] as number })).toEqual(own)
  },

  'ends a reader with OVERRUN when records that it was still to read are purged': async scene => {
    const stream = await openStream(scene)
    const positions = await appendAll(
      stream,
      numbered('n', 50).map(text => record(0, text)),
    )
    await stream.purge(0, positions[30] as number)
    const after = positions[10] as number
    for (const options of [{}, { partition: 0 }, { untilEnd: true }, { headersOnly: true }]) {
      const reader = stream.read({ after, ...options })
      scene.expect(await failure(reader.next())).toBe('IntegrityError OVERRUN')
    }
  },

  'ends a reader with OVERRUN also when another partition keeps the older records': async scene => {
    const stream = await openStream(scene)
    const pin = await stored(stream.append(record(1, 'pin')))
    const positions = await appendAll(
      stream,
      numbered('n', 50).map(text => record(0, text)),
    )
    await stream.purge(0, positions[30] as number)
    for (const after of [positions[10] as number, pin]) {
      const reader = stream.read({ after, partition: 0, untilEnd: true, recordsMax: 5 })
      scene.expect(await failure(drain(reader))).toBe('IntegrityError OVERRUN')
    }
  },

  'ends a reader of all partitions with OVERRUN when records between those that are left were purged': async scene => {
    const stream = await openStream(scene)
    const pin = await stored(stream.append(record(1, 'pin')))
    const positions = await appendAll(
      stream,
      numbered('n', 50).map(text => record(0, text)),
    )
    await stream.purge(0, positions[30] as number)
    for (const after of [positions[10] as number, pin]) {
      const reader = stream.read({ after, untilEnd: true, recordsMax: 5 })
      scene.expect(await failure(drain(reader))).toBe('IntegrityError OVERRUN')
    }
  },

  'ends a reader with OVERRUN when all records that it was still to read are purged': async scene => {
    const stream = await openStream(scene)
    const positions = await appendAll(
      stream,
      numbered('n', 50).map(text => record(0, text)),
    )
    await stream.purge(0, (positions[49] as number) + 1)
    const reader = stream.read({ after: positions[10] as number, partition: 0, untilEnd: true })
    scene.expect(await failure(drain(reader))).toBe('IntegrityError OVERRUN')
  },

  'lets a reader that has read all be purged behind, and read on': async scene => {
    const stream = await openStream(scene)
    const reader = stream.read({ after: START, partition: 0 })
    for (const round of numbered('r', 5)) {
      const texts = numbered(round, 30)
      const positions = await appendAll(
        stream,
        texts.map(text => record(0, text)),
      )
      scene.expect((await take(reader, 30)).map(one => one.text)).toEqual(texts)
      await stream.purge(0, (positions[29] as number) + 1)
    }
    await reader.return()
  },

  'keeps a purge from the readers of other partitions, wherever they stand': async scene => {
    const stream = await openStream(scene)
    const own = await stored(stream.append(record(1, 'own')))
    const others = await appendAll(
      stream,
      numbered('n', 50).map(text => record(0, text)),
    )
    await stored(stream.append(record(1, 'next')))
    const standing = stream.read({ after: own, partition: 1, recordsMax: 1 })
    await stream.purge(0, (others[49] as number) + 1)
    scene.expect((await take(standing, 1)).map(one => one.text)).toEqual(['next'])
    await standing.return()
    for (const after of [own, others[20] as number]) {
      scene.expect(await textsOf(stream, { partition: 1, after })).toEqual(['next'])
    }
  },

  'keeps a purge of the oldest records from a reader of another partition that stands among them': async scene => {
    const stream = await openStream(scene)
    const others = await appendAll(
      stream,
      numbered('n', 10).map(text => record(0, text)),
    )
    await stream.purge(0, (others[9] as number) + 1)
    await stored(stream.append(record(1, 'own')))
    scene.expect(await textsOf(stream, { partition: 1, after: others[3] as number })).toEqual(['own'])
  },

  'gives readers of other partitions everything while one partition is purged again and again': async scene => {
    const stream = await openStream(scene, { partitions: 4 })
    const purger = await (await scene.another()).log.open(stream.spec)
    const readers = [1, 2, 3].map(partition => stream.read({ after: START, partition, recordsMax: 50 }))
    const read = readers.map(reader => take(reader, 1000))
    const stop = new AbortController()
    const purging = (async () => {
      while (!stop.signal.aborted) {
        await purger.purge(0, (await purger.extent()).last)
        await pause(scene.clock, 1)
      }
    })()
    await appendAll(
      stream,
      numbered('n', 4000).map((text, i) => record(i % 4, text)),
    )
    const all = await Promise.all(read)
    stop.abort()
    await purging
    for (const [i, one] of all.entries()) {
      const own = numbered('n', 4000).filter((_, n) => n % 4 === i + 1)
      scene.expect(one.map(each => each.text)).toEqual(own)
    }
    for (const reader of readers) await reader.return()
  },

  'keeps the newest records of a stream with retention, drops the oldest, and tells a reader that was to read them':
    async scene => {
      const stream = await openStream(scene, { retention: { records: 200 } })
      const first = await stored(stream.append(record(0, 'first')))
      const texts = numbered('n', 3000)
      await appendAll(
        stream,
        texts.map(text => record(0, text)),
      )
      const dropped = async () => (await stream.extent()).first > first + 1
      scene.expect(await eventually(scene.clock, 3000, dropped)).toBe(true)
      const left = await textsOf(stream)
      scene.expect(left.length >= 200).toBe(true)
      scene.expect(left).toEqual(texts.slice(-left.length))
      scene.expect(await failure(stream.read({ after: first }).next())).toBe('IntegrityError OVERRUN')
    },

  'drops what is older than its retention in time': async scene => {
    const stream = await openStream(scene, { retention: { ageMs: 600 }, dedupWindowMs: 500 })
    await stored(stream.append(record(0, 'x')))
    scene.expect(await textsOf(stream)).toEqual(['x'])
    const gone = async () => (await textsOf(stream)).length === 0
    scene.expect(await eventually(scene.clock, 4000, gone)).toBe(true)
  },
}
