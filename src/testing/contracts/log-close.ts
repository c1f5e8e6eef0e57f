/** What `close` promises of the log: appends and readers end, later calls are told so, and every ending says the truth. */
import type { Ending } from '../../log/log.js'
import { START } from '../../log/record.js'
import type { Promises } from './contract.js'
import { appendAll, codeOf, drain, failure, numbered, openStream, readAll } from './steps.js'
import { record, stored, take, textsOf, thrownBy, within } from './steps.js'

const CLOSED = 'UnavailableError CLOSED'

export const closePromises: Promises = {
  'rejects calls after close with CLOSED': async scene => {
    const stream = await openStream(scene)
    await stored(stream.append(record(0, 'x')))
    const { log } = scene.ports
    await scene.ports.close()
    const calls = [
      () => log.open(stream.spec),
      () => log.find(stream.spec.name),
      () => log.names(),
      () => log.drop(stream.spec.name),
      () => stream.last(0),
      () => stream.extent(),
      () => stream.positionAt(0),
      () => stream.purge(0, 1),
      () => stream.read({ after: START }).next(),
      () => scene.ports.bucket({ name: scene.fresh(), replicas: 1 }),
    ]
    for (const call of calls) scene.expect(await failure((async () => call())())).toBe(CLOSED)
    scene.expect(await failure(Promise.resolve(stream.room()))).toBe(CLOSED)
  },

  'refuses an append after close, unsent': async scene => {
    const stream = await openStream(scene)
    const other = await scene.another()
    await scene.ports.close()
    const ended = await stream.append(record(0, 'x'))
    scene.expect(ended.ending === 'refused' && [ended.why, codeOf(ended.error)]).toEqual(['unavailable', CLOSED])
    scene.expect(await textsOf(await other.log.open(stream.spec))).toEqual([])
  },

  'closes again without a word': async scene => {
    await openStream(scene)
    await Promise.all([scene.ports.close(), scene.ports.close()])
    await scene.ports.close()
  },

  'leaves other links alone': async scene => {
    const stream = await openStream(scene)
    const other = await (await scene.another()).log.open(stream.spec)
    const reader = other.read({ after: START })
    const coming = take(reader, 2)
    await stored(stream.append(record(0, 'a')))
    await scene.ports.close()
    await stored(other.append(record(0, 'b')))
    scene.expect((await coming).map(one => one.text)).toEqual(['a', 'b'])
    await reader.return()
  },

  'ends every append in flight, and each ending says the truth about the log': async scene => {
    const stream = await openStream(scene)
    const other = await scene.another()
    const endings: Promise<Ending>[] = []
    for (const text of numbered('n', 500)) if (stream.room() === undefined) endings.push(stream.append(record(0, text)))
    const closing = scene.ports.close()
    const ended = await within(scene.clock, 5000, Promise.all(endings))
    await closing
    if (ended === 'late') throw new Error('appends in flight have not ended 5 s after close')
    const there = await readAll(await other.log.open(stream.spec))
    for (const [i, one] of ended.entries()) {
      const found = there.find(each => each.text === `n${i}`)
      if (one.ending === 'stored') scene.expect(found?.position).toBe(one.position)
      if (one.ending === 'refused') scene.expect(found).toBe(undefined)
    }
    scene
      .expect(there.map(one => Number(one.text.slice(1))))
      .toEqual(there.map(one => Number(one.text.slice(1))).sort((a, b) => a - b))
  },

  'ends a reader that waits': async scene => {
    const stream = await openStream(scene)
    const reader = stream.read({ after: START })
    await stored(stream.append(record(0, 'x')))
    await take(reader, 1)
    const next = within(scene.clock, 2000, reader.next()).then(
      result => (result === 'late' ? result : result.done ? 'ended' : 'went on'),
      codeOf,
    )
    await scene.ports.close()
    scene.expect(['ended', CLOSED]).toContain(await next)
  },

  'never lets a reader that was to read to the end seem to be there': async scene => {
    const stream = await openStream(scene)
    await appendAll(
      stream,
      numbered('n', 2000).map(text => record(0, text)),
    )
    const reader = stream.read({ after: START, untilEnd: true, recordsMax: 10 })
    const early = await take(reader, 10)
    await scene.ports.close()
    const rest = drain(reader)
    const thrown = await thrownBy(rest)
    if (thrown === 'no error') scene.expect(early.length + (await rest).length).toBe(2000)
    else scene.expect(codeOf(thrown)).toBe(CLOSED)
  },

  'rejects who waits for room with CLOSED': async scene => {
    const stream = await openStream(scene)
    const payload = new Uint8Array(50_000)
    const endings: Promise<Ending>[] = []
    while (stream.room() === undefined) endings.push(stream.append({ partition: 0, payload }))
    const waiting = thrownBy(
      (async () => {
        for (;;) await stream.room()
      })(),
    )
    await scene.ports.close()
    scene.expect(codeOf(await waiting)).toBe(CLOSED)
    await Promise.all(endings)
  },
}
