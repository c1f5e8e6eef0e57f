/** What `append` and `room` promise: order, bytes, ids, bounds. */
import { encodeHeaders, START } from '../../log/record.js'
import type { LogRecord } from '../../log/record.js'
import type { Append, Ending, LogStream } from '../../log/log.js'
import { pause } from '../../clock.js'
import type { Promises } from './contract.js'
import { appendAll, bytesOf, codeOf, numbered, openStream, readAll, record, stored, textsOf, word } from './steps.js'
import { MISTAKE, wordOrMistake } from './steps.js'

export const appendPromises: Promises = {
  'stores appends in the order of the calls': async scene => {
    const stream = await openStream(scene, { partitions: 3 })
    const texts = numbered('n', 3000)
    const positions = await appendAll(
      stream,
      texts.map((text, i) => record(i % 3, text)),
    )
    scene
      .expect(await readAll(stream))
      .toEqual(texts.map((text, i) => ({ partition: i % 3, position: positions[i], text })))
  },

  'gives positions above 0 that grow in the order of the calls, over all partitions': async scene => {
    const stream = await openStream(scene, { partitions: 3 })
    const positions = await appendAll(
      stream,
      numbered('n', 300).map((text, i) => record(i % 3, text)),
    )
    const sane = positions.every((at, i) => Number.isSafeInteger(at) && at > (positions[i - 1] ?? 0))
    scene.expect(sane).toBe(true)
  },

  'gives a payload back byte for byte': async scene => {
    const stream = await openStream(scene)
    const every = Uint8Array.from({ length: 256 }, (_, i) => i)
    const payloads = [
      every,
      bytesOf('\r\n\r\n'),
      bytesOf('NATS/1.0\r\n\r\n'),
      Uint8Array.of(0),
      new Uint8Array(70_000).fill(255),
    ]
    await appendAll(
      stream,
      payloads.map(payload => ({ partition: 0, payload })),
    )
    const records = await recordsOf(stream)
    scene.expect(records.map(one => [...one.payload])).toEqual(payloads.map(payload => [...payload]))
  },

  'takes an empty payload, with headers and without': async scene => {
    const stream = await openStream(scene)
    await appendAll(stream, [record(0, ''), record(0, '', { headers: { a: '1' } }), record(0, 'x')])
    const records = await recordsOf(stream)
    scene.expect(records.map(one => one.payload.length)).toEqual([0, 0, 1])
    scene.expect(records.map(one => one.header('a'))).toEqual([undefined, '1', undefined])
  },

  'gives headers back, with values in UTF-8 and names compared exactly': async scene => {
    const stream = await openStream(scene)
    const headers = { 'Sn-Key': 'grüße 🦆', 'x-a': '1', 'X-A': '2', colon: 'a: b', long: 'é'.repeat(2000) }
    await stored(stream.append(record(1, 'x', { headers, id: 'h' })))
    const [one] = await recordsOf(stream)
    scene.expect({ ...one?.headers() }).toEqual({ 'Nats-Msg-Id': 'h', ...headers })
    scene.expect(one?.header('x-a')).toBe('1')
    scene.expect(one?.header('X-a')).toBe(undefined)
  },

  'gives the id back, and none to a record without': async scene => {
    const stream = await openStream(scene)
    await appendAll(stream, [record(0, 'a', { id: 'one' }), record(0, 'b'), record(0, 'c', { headers: { h: '1' } })])
    scene.expect((await recordsOf(stream)).map(one => one.id)).toEqual(['one', undefined, undefined])
  },

  'tells when the log took a record, never going back in time': async scene => {
    const stream = await openStream(scene)
    await appendAll(
      stream,
      numbered('t', 50).map(text => record(0, text)),
    )
    await pause(scene.clock, 20)
    await stored(stream.append(record(1, 'later')))
    const times = (await recordsOf(stream)).map(one => one.time)
    scene.expect(times).toEqual([...times].sort((a, b) => a - b))
    scene.expect(times[50]).toBeGreaterThan(times[0] ?? Infinity)
  },

  'gives the first position when the id was there already, and keeps the payload that was there': async scene => {
    const stream = await openStream(scene)
    const position = await stored(stream.append(record(0, 'first', { id: 'same' })))
    await stored(stream.append(record(0, 'between')))
    const repeat = await stream.append(record(0, 'another', { id: 'same', headers: { a: '1' } }))
    scene.expect(repeat).toEqual({ ending: 'stored', position, repeat: true })
    scene.expect(await textsOf(stream)).toEqual(['first', 'between'])
  },

  'stores the first of repeats in flight and answers the others with its position': async scene => {
    const stream = await openStream(scene)
    const endings = numbered('try', 20).map(text => stream.append(record(0, text, { id: 'same' })))
    const position = await stored(endings[0] as Promise<Ending>)
    scene
      .expect(await Promise.all(endings))
      .toEqual(endings.map((_, i) => ({ ending: 'stored', position, repeat: i > 0 })))
    scene.expect(await textsOf(stream)).toEqual(['try0'])
  },

  'stores one record when several links send one id at the same time': async scene => {
    const stream = await openStream(scene)
    const others = await Promise.all([scene.another(), scene.another()])
    const streams = [stream, ...(await Promise.all(others.map(other => other.log.open(stream.spec))))]
    for (let round = 0; round < 20; round++) {
      const endings = await Promise.all(streams.map((one, i) => one.append(record(0, `by ${i}`, { id: `r${round}` }))))
      scene.expect(endings.filter(ended => ended.ending === 'stored' && !ended.repeat).length).toBe(1)
      scene.expect(new Set(endings.map(ended => ended.ending === 'stored' && ended.position)).size).toBe(1)
    }
    scene.expect((await readAll(stream)).length).toBe(20)
  },

  'finds a repeat in another partition too': async scene => {
    const stream = await openStream(scene)
    const position = await stored(stream.append(record(0, 'here', { id: 'same' })))
    scene
      .expect(await stream.append(record(1, 'there', { id: 'same' })))
      .toEqual({ ending: 'stored', position, repeat: true })
    scene.expect(await textsOf(stream)).toEqual(['here'])
  },

  'tells ids apart, however alike, and the ids of two streams': async scene => {
    const [stream, other] = [await openStream(scene), await openStream(scene)]
    const ids = ['a', 'A', 'a/1', 'a/11', 'a.1', 'a.1!', '~', '%61', 'a'.repeat(499), 'a'.repeat(500)]
    const records = ids.map(id => record(0, id, { id }))
    for (const one of [stream, other]) {
      const words = await Promise.all(records.map(each => word(one.append(each))))
      scene.expect(words).toEqual(ids.map(() => 'stored'))
    }
    scene.expect(await Promise.all(records.map(each => word(stream.append(each))))).toEqual(ids.map(() => 'repeat'))
  },

  'remembers an id while the window lasts': async scene => {
    const stream = await openStream(scene, { dedupWindowMs: 3000 })
    await stored(stream.append(record(0, 'x', { id: 'kept' })))
    await appendAll(
      stream,
      numbered('other', 5000).map(text => record(1, text, { id: text })),
    )
    await pause(scene.clock, 300)
    scene.expect(await word(stream.append(record(0, 'x', { id: 'kept' })))).toBe('repeat')
  },

  'remembers an id also when its record was purged': async scene => {
    const stream = await openStream(scene)
    const position = await stored(stream.append(record(0, 'x', { id: 'kept' })))
    await stream.purge(0, position + 1)
    scene.expect(await word(stream.append(record(0, 'x', { id: 'kept' })))).toBe('repeat')
    scene.expect(await textsOf(stream)).toEqual([])
  },

  'never stores an id that is too long or not visible ASCII': async scene => {
    const stream = await openStream(scene)
    for (const id of ['a b', 'ä', 'a\r\nb', 'a\n', 'a'.repeat(501)]) {
      scene.expect(['denied', MISTAKE]).toContain(await wordOrMistake(() => stream.append(record(0, 'x', { id }))))
    }
    scene.expect(await textsOf(stream)).toEqual([])
  },

  'never stores a header that would break the block': async scene => {
    const stream = await openStream(scene)
    for (const [name, value] of [
      ['a', 'x\r\nb: 1'],
      ['a', 'x\n'],
      ['a b', '1'],
      ['a:b', '1'],
      ['ä', '1'],
      ['', '1'],
    ] as const) {
      const append = () => stream.append(record(0, 'x', { headers: { [name]: value } }))
      scene.expect(['denied', MISTAKE]).toContain(await wordOrMistake(append))
    }
    scene.expect(await textsOf(stream)).toEqual([])
  },

  'stores nothing in a partition that the stream does not have': async scene => {
    const stream = await openStream(scene)
    for (const partition of [2, -1, 0.5, 4096, NaN]) {
      scene.expect(['denied', MISTAKE]).toContain(await wordOrMistake(() => stream.append(record(partition, 'x'))))
    }
    scene.expect(await textsOf(stream)).toEqual([])
  },

  'takes a record of recordBytesMax, and refuses one byte more as RECORD_TOO_LARGE': async scene => {
    const stream = await openStream(scene)
    const room = scene.ports.log.recordBytesMax - encodeHeaders({ h: 'x' }, 'largest').length
    const largest = new Uint8Array(room).fill(7)
    await stored(stream.append({ partition: 0, payload: largest, id: 'largest', headers: { h: 'x' } }))
    const ended = await stream.append({
      partition: 0,
      payload: new Uint8Array(room + 1),
      id: 'largesu',
      headers: { h: 'x' },
    })
    scene
      .expect(ended.ending === 'refused' && [ended.why, codeOf(ended.error)])
      .toEqual(['denied', 'DefinitionError RECORD_TOO_LARGE'])
    const records = await recordsOf(stream)
    scene.expect(records.length).toBe(1)
    scene.expect(records[0]?.payload.length).toBe(room)
    scene.expect(records[0]?.payload.every(byte => byte === 7)).toBe(true)
  },

  'keeps its neighbours well when one of several in flight is refused': async scene => {
    const stream = await openStream(scene)
    const tooLarge = { partition: 0, payload: new Uint8Array(scene.ports.log.recordBytesMax + 1) }
    const endings = [record(0, 'before'), tooLarge, record(0, 'after'), tooLarge, record(1, 'last')]
    const words = await Promise.all(endings.map(one => word(stream.append(one))))
    scene.expect(words).toEqual(['stored', 'denied', 'stored', 'denied', 'stored'])
    scene.expect(await textsOf(stream)).toEqual(['before', 'after', 'last'])
  },

  'says that there is no room when many bytes are in flight, and when there is again': async scene => {
    await fillsUp(await openStream(scene), { partition: 0, payload: new Uint8Array(60_000) }, 2500)
  },

  'says that there is no room when many records are in flight, and when there is again': async scene => {
    await fillsUp(await openStream(scene), record(0, 'x'), 100_000)
  },
}

/** Appends in one tick until there is no room; all of them are stored, in a bounded number, and then there is room. */
async function fillsUp(stream: LogStream, one: Append, atMost: number): Promise<void> {
  const endings: Promise<Ending>[] = []
  while (stream.room() === undefined) {
    if (endings.length > atMost) throw new Error(`${endings.length} appends are in flight and there is still room`)
    endings.push(stream.append(one))
  }
  while (stream.room() !== undefined) await stream.room()
  for (const ending of endings) await stored(ending)
  await stored(stream.append(one))
  const there = (await readAll(stream)).length
  if (there !== endings.length + 1) throw new Error(`${endings.length + 1} appends ended stored, ${there} are there`)
}

/** The records themselves, while the test holds on to few of them. */
async function recordsOf(stream: LogStream): Promise<LogRecord[]> {
  const records: LogRecord[] = []
  for await (const batch of stream.read({ after: START, untilEnd: true })) records.push(...batch.records)
  return records
}
