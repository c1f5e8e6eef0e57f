/** What the log promises of whole streams: opened, found, named, dropped, made anew, and owned by others. */
import { START } from '../../log/record.js'
import type { StreamSpec } from '../../log/log.js'
import type { Promises, Scene } from './contract.js'
import { appendAll, codeOf, eventually, failure, numbered, openStream, readAll } from './steps.js'
import { record, specOf, stored, take, textsOf, thrownBy, toldBy, word } from './steps.js'

export const streamPromises: Promises = {
  'opens a stream that is there as it is, with all its records': async scene => {
    const spec = {
      ...specOf(scene.fresh()),
      partitions: 3,
      retention: { ageMs: 3_600_000, bytes: 50_000_000, records: 100_000 },
    }
    const stream = await scene.ports.log.open(spec)
    await stored(stream.append(record(2, 'x', { id: 'x' })))
    const again = await (await scene.another()).log.open(spec)
    scene.expect(again.spec).toEqual(spec)
    scene.expect(again.incarnation).toBe(stream.incarnation)
    scene.expect(await textsOf(again)).toEqual(['x'])
    scene.expect(await word(again.append(record(2, 'x', { id: 'x' })))).toBe('repeat')
  },

  'makes one stream when many links open it at once': async scene => {
    const spec = specOf(scene.fresh(), { partitions: 5 })
    const links = [scene.ports, ...(await Promise.all([scene.another(), scene.another(), scene.another()]))]
    const streams = await Promise.all(links.flatMap(({ log }) => [log.open(spec), log.open(spec)]))
    scene.expect(new Set(streams.map(stream => stream.incarnation)).size).toBe(1)
    await Promise.all(streams.map((stream, i) => stored(stream.append(record(i % 5, `${i}`)))))
    scene.expect((await readAll(streams[0] as (typeof streams)[number])).length).toBe(8)
  },

  'refuses to open with another number of partitions, and names both': scene =>
    differs(scene, { partitions: 3 }, { partitions: 7 }),

  'refuses to open with another window, and names both': scene =>
    differs(scene, { dedupWindowMs: 20_000 }, { dedupWindowMs: 35_000 }),

  'refuses to open with another retention in records, and names both': scene =>
    differs(scene, { retention: { records: 1234 } }, { retention: { records: 5678 } }),

  'refuses to open with another retention in bytes, and names both': scene =>
    differs(scene, { retention: { bytes: 10_000_001 } }, { retention: { bytes: 20_000_002 } }),

  'refuses to open with another retention in time, and names both': scene =>
    differs(scene, { retention: { ageMs: 3_600_001 } }, { retention: { ageMs: 7_200_002 } }),

  'refuses to open with a retention where there is none, and without where there is one': async scene => {
    const [bound, free] = [specOf(scene.fresh(), { retention: { records: 1234 } }), specOf(scene.fresh())]
    await scene.ports.log.open(bound)
    await scene.ports.log.open(free)
    for (const spec of [
      { ...bound, retention: {} },
      { ...free, retention: { records: 1234 } },
    ]) {
      const thrown = await thrownBy(scene.ports.log.open(spec))
      scene.expect(codeOf(thrown)).toBe('DefinitionError STREAM_DIFFERS')
      scene.expect(toldBy(thrown)).toContain('1234')
    }
  },

  'refuses to open with another number of replicas, and names both': scene =>
    differs(scene, { replicas: 1 }, { replicas: 3 }),

  'finds a stream as it stands, and nothing under a name that nobody bears': async scene => {
    const spec = specOf(scene.fresh(), { partitions: 4, retention: { records: 9999 }, dedupWindowMs: 7000 })
    scene.expect(await scene.ports.log.find(spec.name)).toBe(undefined)
    const made = await scene.ports.log.open(spec)
    await stored(made.append(record(3, 'x')))
    const found = await (await scene.another()).log.find(spec.name)
    scene.expect(found?.spec).toEqual(spec)
    scene.expect(found?.incarnation).toBe(made.incarnation)
    scene.expect(found && (await textsOf(found))).toEqual(['x'])
    await scene.ports.log.drop(spec.name)
    scene.expect(await scene.ports.log.find(spec.name)).toBe(undefined)
  },

  'names the streams in order, and no buckets': async scene => {
    const prefix = scene.fresh()
    const names = ['b', 'B', 'a', '10', '9', '_'].map(name => `${prefix}-${name}`)
    for (const name of names) await scene.ports.log.open(specOf(name))
    await scene.ports.bucket({ name: `${prefix}-bucket`, replicas: 1 })
    const own = async () => (await (await scene.another()).log.names()).filter(name => name.includes(prefix))
    scene.expect(await own()).toEqual([...names].sort())
    await scene.ports.log.drop(`${prefix}-a`)
    scene.expect(await own()).toEqual(names.filter(name => name !== `${prefix}-a`).sort())
  },

  'takes names of letters, digits, - and _, up to 200 of them': async scene => {
    for (const name of [`${scene.fresh()}_A-z09`, scene.fresh().padEnd(200, 'x')]) {
      const stream = await scene.ports.log.open(specOf(name))
      await stored(stream.append(record(0, 'x')))
      scene.expect(await scene.ports.log.names()).toContain(name)
    }
  },

  'keeps streams apart whose names begin alike': async scene => {
    const name = scene.fresh()
    const [short, long] = [await scene.ports.log.open(specOf(name)), await scene.ports.log.open(specOf(`${name}1`))]
    await appendAll(short, [record(0, 'short')])
    await appendAll(long, [record(0, 'long')])
    scene.expect([await textsOf(short), await textsOf(long)]).toEqual([['short'], ['long']])
    await scene.ports.log.drop(name)
    scene.expect(await textsOf(long)).toEqual(['long'])
  },

  'holds as many partitions as asked for': async scene => {
    const stream = await openStream(scene, { partitions: 300 })
    const positions = await appendAll(stream, [record(299, 'last'), record(0, 'first')])
    scene
      .expect(await readAll(stream, { partition: 299 }))
      .toEqual([{ partition: 299, position: positions[0], text: 'last' }])
    scene.expect(await textsOf(stream)).toEqual(['last', 'first'])
  },

  'drops a stream with its records, and without a word when there is none': async scene => {
    const stream = await openStream(scene)
    await appendAll(
      stream,
      numbered('n', 100).map(text => record(0, text, { id: text })),
    )
    await scene.ports.log.drop(stream.spec.name)
    await scene.ports.log.drop(stream.spec.name)
    const anew = await scene.ports.log.open(stream.spec)
    scene.expect(await textsOf(anew)).toEqual([])
    scene.expect(await anew.last(0)).toBe(undefined)
    scene.expect(await word(anew.append(record(0, 'n0', { id: 'n0' })))).toBe('stored')
  },

  'stores nothing in a stream that was dropped': async scene => {
    const stream = await openStream(scene)
    await stored(stream.append(record(0, 'x')))
    await (await scene.another()).log.drop(stream.spec.name)
    const endings = await Promise.all([stream.append(record(0, 'y')), stream.append(record(0, 'z', { id: 'z' }))])
    scene.expect(endings.some(ended => ended.ending === 'stored')).toBe(false)
    scene.expect(await scene.ports.log.find(stream.spec.name)).toBe(undefined)
  },

  'gives a stream made anew another incarnation': async scene => {
    const stream = await openStream(scene)
    const other = await scene.another()
    scene.expect((await stream.extent()).incarnation).toBe(stream.incarnation)
    await other.log.drop(stream.spec.name)
    const anew = await other.log.open(stream.spec)
    scene.expect(anew.incarnation === stream.incarnation).toBe(false)
    scene.expect((await anew.extent()).incarnation).toBe(anew.incarnation)
    scene.expect((await other.log.find(stream.spec.name))?.incarnation).toBe(anew.incarnation)
  },

  'ends a reader with an IntegrityError when the stream is made anew under it': async scene => {
    const stream = await openStream(scene)
    await appendAll(
      stream,
      numbered('n', 20).map(text => record(0, text)),
    )
    const waiting = stream.read({ after: START, partition: 0, recordsMax: 20 })
    await take(waiting, 20)
    const next = thrownBy(takeForEver(() => waiting.next()))
    const other = await scene.another()
    await other.log.drop(stream.spec.name)
    const anew = await other.log.open(stream.spec)
    await appendAll(
      anew,
      numbered('other', 40).map(text => record(0, text)),
    )
    scene.expect(['IntegrityError STREAM_RECREATED', 'IntegrityError OVERRUN']).toContain(codeOf(await next))
  },

  'ends a reader of a former stream with STREAM_RECREATED when it begins after the stream was made anew':
    async scene => {
      const stream = await openStream(scene)
      const position = await stored(stream.append(record(0, 'x')))
      const other = await scene.another()
      await other.log.drop(stream.spec.name)
      await appendAll(
        await other.log.open(stream.spec),
        numbered('other', 40).map(text => record(0, text)),
      )
      scene.expect(await failure(stream.read({ after: position }).next())).toBe('IntegrityError STREAM_RECREATED')
    },

  'reads a stream that others own as one partition, and leaves it alone': async scene => {
    const theirs = await openStream(scene, { partitions: 3 })
    const texts = numbered('n', 30)
    const positions = await appendAll(
      theirs,
      texts.map((text, i) => record(i % 3, text)),
    )
    const { name } = theirs.spec
    const ours = await scene.ports.log.open(sourceOf(scene, name, `${name}.*`))
    scene.expect(await readAll(ours)).toEqual(texts.map((text, i) => ({ partition: 0, position: positions[i], text })))
    const second = await scene.ports.log.open(sourceOf(scene, name, `${name}.1`))
    const reader = second.read({ after: START, partition: 0 })
    scene.expect((await take(reader, 10)).map(one => one.text)).toEqual(texts.filter((_, i) => i % 3 === 1))
    await appendAll(theirs, [record(0, 'not mine'), record(1, 'mine')])
    scene.expect((await take(reader, 1)).map(one => one.text)).toEqual(['mine'])
    await reader.return()

    const ended = await ours.append(record(0, 'x'))
    scene.expect(ended.ending === 'refused' && [ended.why, ended.error.code]).toEqual(['denied', 'READ_ONLY_STREAM'])
    scene.expect(await failure(ours.purge(0, positions[20] as number))).toBe('DefinitionError READ_ONLY_STREAM')
    scene.expect((await readAll(theirs)).length).toBe(32)
  },

  'refuses to read a stream of others that is not there': async scene => {
    const spec = sourceOf(scene, scene.fresh(), 'x.>')
    scene.expect(await failure(scene.ports.log.open(spec))).toBe('DefinitionError NO_SUCH_STREAM')
    const never = async () => (await scene.ports.log.names()).includes(spec.name)
    scene.expect(await eventually(scene.clock, 50, never)).toBe(false)
  },
}

function sourceOf(scene: Scene, stream: string, subject: string): StreamSpec {
  return specOf(scene.fresh(), { partitions: 1, source: { stream, subject } })
}

/** Made one way and opened the other way, it refuses, names both values, and changes nothing. */
async function differs(scene: Scene, made: Partial<StreamSpec>, asked: Partial<StreamSpec>): Promise<void> {
  const spec = specOf(scene.fresh(), made)
  const stream = await scene.ports.log.open(spec)
  await stored(stream.append(record(0, 'x')))
  const thrown = await thrownBy((await scene.another()).log.open({ ...spec, ...asked }))
  scene.expect(codeOf(thrown)).toBe('DefinitionError STREAM_DIFFERS')
  for (const value of numbersIn([made, asked])) scene.expect(toldBy(thrown)).toContain(String(value))
  const found = await scene.ports.log.find(spec.name)
  scene.expect(found?.spec).toEqual(spec)
  scene.expect(found && (await textsOf(found))).toEqual(['x'])
}

function numbersIn(values: unknown): number[] {
  if (typeof values === 'number') return [values]
  return typeof values === 'object' && values !== null ? Object.values(values).flatMap(numbersIn) : []
}

async function takeForEver(next: () => Promise<IteratorResult<unknown>>): Promise<void> {
  while (!(await next()).done);
}
