/** What `watch` promises: first what there is, then every change, at last the last. */
import type { Entry, Watch } from '../../log/bucket.js'
import type { Promises } from './contract.js'
import { bucketOf, bytesOf, eventually, numbered, stored, textOf, within } from './steps.js'

export const watchPromises: Promises = {
  'tells first what there is, as one list, though it may be empty': async scene => {
    const bucket = await scene.ports.bucket(bucketOf(scene))
    const empty = bucket.watch()
    scene.expect(await within(scene.clock, 2000, firstOf(empty))).toEqual([])
    await empty.return?.()

    for (const key of ['a', 'b', 'gone', 'c']) await stored(bucket.put(key, bytesOf(`of ${key}`)))
    await stored(bucket.delete('gone'))
    const full = bucket.watch()
    const there = await firstOf(full)
    scene.expect(there.map(one => [one.key, one.value && textOf(one.value)]).sort()).toEqual([
      ['a', 'of a'],
      ['b', 'of b'],
      ['c', 'of c'],
    ])
    for (const one of there) scene.expect(one).toEqual(await bucket.get(one.key))
    await full.return?.()
  },

  'tells changes as they come, deletions without a value': async scene => {
    const spec = bucketOf(scene)
    const bucket = await scene.ports.bucket(spec)
    const other = await (await scene.another()).bucket(spec)
    const watch = bucket.watch()
    await firstOf(watch)
    for (const [key, value] of [
      ['a', '1'],
      ['b', ''],
      ['a', '2'],
      ['a', undefined],
      ['a', '3'],
    ] as const) {
      const written = value === undefined ? other.delete(key) : other.put(key, bytesOf(value))
      const revision = await stored(written)
      const told = await within(scene.clock, 2000, firstOf(watch))
      if (told === 'late') throw new Error(`the watcher was not told of ${key} = ${value} within 2 s`)
      const [one] = told
      scene
        .expect([told.length, one?.key, one?.revision, one?.value && textOf(one.value)])
        .toEqual([1, key, revision, value])
    }
    await watch.return?.()
  },

  'tells of what stands under a prefix of whole words only': async scene => {
    const bucket = await scene.ports.bucket(bucketOf(scene))
    for (const key of ['a.b', 'a.b.x', 'a.bc', 'b', 'a']) await stored(bucket.put(key, bytesOf('1')))
    const watch = bucket.watch('a.b')
    scene.expect((await firstOf(watch)).map(one => one.key)).toEqual(['a.b.x'])
    for (const key of ['a', 'a.bc', 'b.a.b.x', 'a.b', 'a.b.c', 'a.b.x']) await stored(bucket.put(key, bytesOf('2')))
    scene.expect((await tellings(watch, 'a.b.x')).map(one => one.key)).toEqual(['a.b.c', 'a.b.x'])
    await watch.return?.()
  },

  'tells changes in order and always the last of each key, to a slow watcher too': async scene => {
    const bucket = await scene.ports.bucket(bucketOf(scene))
    const watch = bucket.watch()
    const puts = numbered('k', 5).flatMap(key => numbered('', 60).map(value => [key, value] as const))
    await firstOf(watch)
    await Promise.all(puts.map(([key, value]) => stored(bucket.put(key, bytesOf(value)))))
    await stored(bucket.put('end', bytesOf('x')))
    const told = await tellings(watch, 'end')
    const revisions = told.map(one => one.revision)
    scene.expect(revisions).toEqual([...revisions].sort((a, b) => a - b))
    for (const key of numbered('k', 5)) {
      scene.expect(told.findLast(one => one.key === key)).toEqual(await bucket.get(key))
    }
    await watch.return?.()
  },

  'misses nothing that is written while watching begins': async scene => {
    const spec = bucketOf(scene)
    const bucket = await scene.ports.bucket(spec)
    const other = await (await scene.another()).bucket(spec)
    const writing = (async () => {
      for (const key of numbered('k', 200)) await stored(other.put(key, bytesOf(key)))
      await stored(other.put('end', bytesOf('x')))
    })()
    await eventually(scene.clock, 2000, async () => (await bucket.get('k20')) !== undefined)
    const watch = bucket.watch()
    const there = [...(await firstOf(watch))]
    if (!there.some(one => one.key === 'end')) there.push(...(await tellings(watch, 'end')))
    await writing
    scene.expect(new Set(there.map(one => one.key))).toEqual(new Set([...numbered('k', 200), 'end']))
    await watch.return?.()
  },

  'tells each of several watchers': async scene => {
    const bucket = await scene.ports.bucket(bucketOf(scene))
    const watches = [bucket.watch(), bucket.watch(), bucket.watch('a')]
    await Promise.all(watches.map(firstOf))
    await stored(bucket.put('a.b', bytesOf('1')))
    for (const told of await Promise.all(watches.map(firstOf))) scene.expect(told.map(one => one.key)).toEqual(['a.b'])
    await watches[0]?.return?.()
    await stored(bucket.put('a.b', bytesOf('2')))
    scene.expect((await firstOf(watches[1] as Watch)).map(one => one.key)).toEqual(['a.b'])
    for (const watch of watches) await watch.return?.()
  },

  'says nothing of entries that vanish by age': async scene => {
    const bucket = await scene.ports.bucket(bucketOf(scene, { ageMs: 700 }))
    const watch = bucket.watch()
    await firstOf(watch)
    await stored(bucket.put('old', bytesOf('x')))
    await firstOf(watch)
    await eventually(scene.clock, 4000, async () => (await bucket.get('old')) === undefined)
    await stored(bucket.put('next', bytesOf('x')))
    scene.expect((await firstOf(watch)).map(one => one.key)).toEqual(['next'])
    await watch.return?.()
  },

  'ends a watch at return, also while it waits, and when the link is closed': async scene => {
    const bucket = await scene.ports.bucket(bucketOf(scene))
    const done = { done: true, value: undefined }
    const waiting = bucket.watch()
    await firstOf(waiting)
    const next = waiting.next()
    await waiting.return?.()
    scene.expect(await within(scene.clock, 1000, next)).toEqual(done)
    scene.expect(await waiting.next()).toEqual(done)

    const open = bucket.watch()
    await firstOf(open)
    const last = open.next()
    await scene.ports.close()
    scene.expect(await within(scene.clock, 1000, last)).toEqual(done)
  },
}

/** The next list. */
async function firstOf(watch: Watch): Promise<readonly Entry[]> {
  const { value } = await watch.next()
  if (value === undefined) throw new Error('the watch has ended')
  return value
}

/** What is told up to and including a change of this key. */
async function tellings(watch: Watch, until: string): Promise<Entry[]> {
  const told: Entry[] = []
  while (!told.some(one => one.key === until)) told.push(...(await firstOf(watch)))
  return told
}
