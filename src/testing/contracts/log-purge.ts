/** What `last`, `extent`, `positionAt` and `purge` promise, and what readers do when records are gone. */
import { pause } from '../../clock.js'
import { START } from '../../log/record.js'
import type { LogStream } from '../../log/log.js'
import type { Promises } from './contract.js'
import { appendAll, drain, eventually, failure, numbered, openStream, readAll, record, seen, stored } from './steps.js'
import { take, textsOf } from './steps.js'

export const purgePromises: Promises = {
  'gives the last record of a partition as any link has just stored it': async scene => {
    const stream = await openStream(scene)
    const other = await (await scene.another()).log.open(stream.spec)
    scene.expect(await stream.last(0)).toBe(undefined)
    for (const text of numbered('n', 20)) {
      const position = await stored(other.append(record(0, text, { id: text, headers: { h: text } })))
      await stored(other.append(record(1, 'elsewhere')))
      const last = await stream.last(0)
      scene.expect(last && seen(last)).toEqual({ partition: 0, position, text })
      scene.expect([last?.id, last?.header('h')]).toEqual([text, text])
    }
  },

  'gives no last record when all of the partition are purged': async scene => {
    const stream = await openStream(scene)
    const positions = await appendAll(stream, [record(0, 'a'), record(1, 'b')])
    await stream.purge(0, (positions[1] as number) + 1)
    scene.expect(await stream.last(0)).toBe(undefined)
    scene.expect((await stream.last(1))?.position).toBe(positions[1])
  },

  'tells where the stream begins and ends, also when it is empty': async scene => {
    const stream = await openStream(scene)
    const { incarnation } = stream
    scene.expect(await stream.extent()).toEqual({ first: 1, last: 0, incarnation })
    const positions = await appendAll(stream, [record(0, 'a'), record(1, 'b'), record(0, 'c')])
    const last = positions[2] as number
    scene.expect(await stream.extent()).toEqual({ first: positions[0], last, incarnation })
    await stream.purge(0, last + 1)
    scene.expect((await stream.extent()).last).toBe(last)
    await stream.purge(1, last + 1)
    scene.expect(await stream.extent()).toEqual({ first: last + 1, last, incarnation })
  },

  'never gives a position again, also when all records are purged': async scene => {
    const stream = await openStream(scene)
    const before = await stored(stream.append(record(0, 'a')))
    await stream.purge(0, before + 1)
    scene.expect(await stored(stream.append(record(0, 'b')))).toBeGreaterThan(before)
  },

  'finds the position after which every record was taken at a time or later': async scene => {
    const stream = await openStream(scene)
    for (const text of ['a', 'b', 'c']) {
      await appendAll(stream, [record(0, `${text}0`), record(1, `${text}1`)])
      await pause(scene.clock, 25)
    }
    const taken = (await recordTimes(stream)).sort((a, b) => a.position - b.position)
    const moments = [
      0,
      ...taken.flatMap(one => [one.time, one.time + 1]),
      Math.max(...taken.map(one => one.time)) + 60_000,
    ]
    for (const time of moments) {
      const later = taken.filter(one => one.time >= time).map(one => one.position)
      const after = await stream.positionAt(time)
      scene.expect((await readAll(stream, { after })).map(one => one.position)).toEqual(later)
    }
  },

  'finds a position in an empty stream and before what was purged': async scene => {
    const stream = await openStream(scene)
    scene.expect(await stream.positionAt(0)).toBe(0)
    const positions = await appendAll(
      stream,
      numbered('n', 10).map(text => record(0, text)),
    )
    await stream.purge(0, positions[5] as number)
    scene.expect(await textsOf(stream, { after: await stream.positionAt(0) })).toEqual(numbered('n', 10).slice(5))
  },

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

  'reads on from just before a purge, since nothing after it is gone': async scene => {
    const stream = await openStream(scene)
    const texts = numbered('n', 20)
    const positions = await appendAll(
      stream,
      texts.map((text, i) => record(i % 2, text)),
    )
    await stream.purge(0, positions[10] as number)
    const after = positions[8] as number
    scene.expect(await textsOf(stream, { partition: 0, after })).toEqual(texts.filter((_, i) => i % 2 === 0 && i > 8))
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
    for (const [after, options] of [
      [positions[10], { partition: 0 }],
      [pin, { partition: 0 }],
      [positions[10], {}],
    ] as const) {
      const reader = stream.read({ after: after as number, untilEnd: true, recordsMax: 5, ...options })
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

  'gives readers of other partitions everything while one partition is purged again and again': async scene => {
    const stream = await openStream(scene, { partitions: 4 })
    const purger = await (await scene.another()).log.open(stream.spec)
    const readers = [1, 2, 3].map(partition => stream.read({ after: START, partition, recordsMax: 50 }))
    const read = readers.map(reader => take(reader, 1000))
    let writing = true
    const purging = (async () => {
      while (writing) {
        await purger.purge(0, (await purger.extent()).last)
        await pause(scene.clock, 1)
      }
    })()
    await appendAll(
      stream,
      numbered('n', 4000).map((text, i) => record(i % 4, text)),
    )
    const all = await Promise.all(read)
    writing = false
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

async function recordTimes(stream: LogStream): Promise<{ position: number; time: number }[]> {
  const times: { position: number; time: number }[] = []
  for await (const batch of stream.read({ after: START, untilEnd: true })) {
    for (const { position, time } of batch.records) times.push({ position, time })
  }
  return times
}
