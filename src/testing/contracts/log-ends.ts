/** What `last`, `extent` and `positionAt` promise: where partitions and the stream end, and where a time begins. */
import { pause } from '../../clock.js'
import type { LogStream } from '../../log/log.js'
import { START } from '../../log/record.js'
import type { Promises } from './contract.js'
import { appendAll, numbered, openStream, readAll, record, seen, stored, textsOf } from './steps.js'

export const endPromises: Promises = {
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
}

async function recordTimes(stream: LogStream): Promise<{ position: number; time: number }[]> {
  const times: { position: number; time: number }[] = []
  for await (const batch of stream.read({ after: START, untilEnd: true })) {
    for (const { position, time } of batch.records) times.push({ position, time })
  }
  return times
}
