/** What `append` promises when it is given an expectation: compare and set, against any number of racing writers. */
import type { Ending, LogStream } from '../../log/log.js'
import type { Promises, Scene } from './contract.js'
import { appendAll, numbered, openStream, readAll, record, stored, textsOf, word } from './steps.js'
import { MISTAKE, wordOrMistake } from './steps.js'

export const expectPromises: Promises = {
  'stores under an expectation that holds, and refuses any other': async scene => {
    const stream = await openStream(scene)
    const first = await stored(stream.append(record(0, 'a', { id: '1', expect: 0 })))
    scene.expect(await word(stream.append(record(0, 'no', { id: '2', expect: 0 })))).toBe('expected')
    scene.expect(await word(stream.append(record(0, 'no', { id: '3', expect: first + 1 })))).toBe('expected')
    const second = await stored(stream.append(record(0, 'b', { id: '4', expect: first })))
    scene.expect(await word(stream.append(record(0, 'no', { id: '5', expect: first })))).toBe('expected')
    const third = await stored(stream.append(record(0, 'c')))
    scene.expect(await word(stream.append(record(0, 'no', { id: '6', expect: second })))).toBe('expected')
    await stored(stream.append(record(0, 'd', { id: '7', expect: third })))
    scene.expect(await textsOf(stream)).toEqual(['a', 'b', 'c', 'd'])
  },

  'expects of its own partition only': async scene => {
    const stream = await openStream(scene)
    const first = await stored(stream.append(record(0, 'a', { id: '1', expect: 0 })))
    const elsewhere = await stored(stream.append(record(1, 'b', { id: '2', expect: 0 })))
    scene.expect(await word(stream.append(record(0, 'no', { id: '3', expect: elsewhere })))).toBe('expected')
    await stored(stream.append(record(0, 'c', { id: '4', expect: first })))
    scene.expect(await textsOf(stream)).toEqual(['a', 'b', 'c'])
  },

  'expects 0 of a partition whose records are all gone': async scene => {
    const stream = await openStream(scene)
    const last = (await appendAll(stream, [record(0, 'a'), record(0, 'b'), record(1, 'c')]))[1] ?? 0
    await stream.purge(0, last + 1)
    scene.expect(await word(stream.append(record(0, 'no', { id: '1', expect: last })))).toBe('expected')
    await stored(stream.append(record(0, 'd', { id: '2', expect: 0 })))
    scene.expect(await textsOf(stream)).toEqual(['c', 'd'])
  },

  'expects the last record of a partition also when those before it are purged': async scene => {
    const stream = await openStream(scene)
    const last = (await appendAll(stream, [record(0, 'a'), record(0, 'b')]))[1] ?? 0
    await stream.purge(0, last)
    scene.expect(await word(stream.append(record(0, 'no', { id: '1', expect: 0 })))).toBe('expected')
    await stored(stream.append(record(0, 'c', { id: '2', expect: last })))
    scene.expect(await textsOf(stream)).toEqual(['b', 'c'])
  },

  'lets the first of two in flight win that expect the same': async scene => {
    const stream = await openStream(scene)
    const endings = ['a', 'b'].map(id => word(stream.append(record(0, id, { id, expect: 0 }))))
    scene.expect(await Promise.all(endings)).toEqual(['stored', 'expected'])
    scene.expect(await textsOf(stream)).toEqual(['a'])
  },

  'lets exactly one of racing writers win, round after round': async scene => {
    const writers = await racers(scene)
    let last = 0
    for (let round = 0; round < 30; round++) {
      const endings = await Promise.all(
        writers.map((one, i) => one.append(record(0, `${round} by ${i}`, { id: `${round}/${i}`, expect: last }))),
      )
      const won = endings.flatMap(ended => (ended.ending === 'stored' ? [ended.position] : []))
      scene.expect(won.length).toBe(1)
      scene.expect(endings.filter(ended => ended.ending === 'refused' && ended.why === 'expected').length).toBe(3)
      last = won[0] as number
    }
    scene.expect((await readAll(writers[0] as LogStream)).length).toBe(30)
  },

  'lets exactly one of racing writers win that name their id after the ordinal': async scene => {
    const writers = await racers(scene)
    let last = 0
    for (let round = 0; round < 30; round++) {
      const endings = await Promise.all(
        writers.map((one, i) => one.append(record(0, `${round} by ${i}`, { id: `ledger/${round}`, expect: last }))),
      )
      last = winnerOf(endings)
    }
    scene.expect((await readAll(writers[0] as LogStream)).length).toBe(30)
  },

  "answers a repeat of the partition's last record with its position, whatever it expects": async scene => {
    const stream = await openStream(scene)
    const before = await stored(stream.append(record(0, 'before')))
    const position = await stored(stream.append(record(0, 'last', { id: 'same', expect: before })))
    await stored(stream.append(record(1, 'elsewhere')))
    for (const expect of [before, 0, position, position + 1, 1_000_000]) {
      const repeat = await stream.append(record(0, 'again', { id: 'same', expect }))
      scene.expect(repeat).toEqual({ ending: 'stored', position, repeat: true })
    }
    scene.expect(await textsOf(stream, { partition: 0 })).toEqual(['before', 'last'])
  },

  'answers a repeat of the first record of a partition, which expects 0': async scene => {
    const stream = await openStream(scene)
    const send = () => stream.append(record(0, 'x', { id: 'same', expect: 0 }))
    const [first, inFlight] = await Promise.all([send(), send()])
    const position = first.ending === 'stored' ? first.position : -1
    scene.expect(inFlight).toEqual({ ending: 'stored', position, repeat: true })
    scene.expect(await send()).toEqual({ ending: 'stored', position, repeat: true })
    scene.expect(await textsOf(stream)).toEqual(['x'])
  },

  'stores nothing for a repeat of an older record, though its expectation holds': async scene => {
    const stream = await openStream(scene)
    await stored(stream.append(record(0, 'old', { id: 'old', expect: 0 })))
    const last = await stored(stream.append(record(0, 'last')))
    for (const expect of [0, last]) {
      scene.expect(['repeat', 'expected']).toContain(await word(stream.append(record(0, 'old', { id: 'old', expect }))))
    }
    scene.expect(await textsOf(stream)).toEqual(['old', 'last'])
  },

  'stores nothing under an expectation without an id': async scene => {
    const stream = await openStream(scene)
    const ended = await wordOrMistake(() => stream.append(record(0, 'x', { expect: 0 })))
    scene.expect(['denied', MISTAKE]).toContain(ended)
    scene.expect(await textsOf(stream)).toEqual([])
  },

  'carries a chain of expectations among writers who expect nothing elsewhere': async scene => {
    const stream = await openStream(scene)
    const crowd = appendAll(
      stream,
      numbered('crowd', 500).map(text => record(1, text)),
    )
    let last = 0
    for (const text of numbered('chain', 50))
      last = await stored(stream.append(record(0, text, { id: text, expect: last })))
    await crowd
    scene.expect(await textsOf(stream, { partition: 0 })).toEqual(numbered('chain', 50))
  },
}

/** Four handles on one stream, from three links. */
async function racers(scene: Scene): Promise<LogStream[]> {
  const stream = await openStream(scene)
  const others = await Promise.all([scene.another(), scene.another()])
  return [stream, stream, ...(await Promise.all(others.map(other => other.log.open(stream.spec))))]
}

/** One stored it; each other was refused, or was told the position of that one as a repeat. */
function winnerOf(endings: readonly Ending[]): number {
  const stored = endings.flatMap(ended => (ended.ending === 'stored' ? [ended] : []))
  const first = stored.filter(ended => !ended.repeat)
  const lost = endings.filter(ended => ended.ending === 'refused' && ended.why === 'expected')
  const position = first[0]?.position ?? -1
  const one = first.length === 1 && stored.every(ended => ended.position === position)
  if (!one || stored.length + lost.length < endings.length)
    throw new Error(`no single winner: ${JSON.stringify(endings)}`)
  return position
}
