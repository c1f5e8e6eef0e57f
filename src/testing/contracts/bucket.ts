/** The contract of the bucket port as tests: values by key, compare and set, age, close. Watching is in its own file. */
import type { Bucket } from '../../log/bucket.js'
import { register } from './contract.js'
import type { Contract, Promises } from './contract.js'
import { bucketOf, bytesOf, codeOf, eventually, failure, stored, textOf, thrownBy, toldBy, word } from './steps.js'
import { watchPromises } from './bucket-watch.js'

/** Registers the tests of the bucket; the one of age takes a second, the others little. */
export function bucketContract(contract: Contract): void {
  register([bucketPromises, watchPromises], contract)
}

const bucketPromises: Promises = {
  'gives back what was put: key, value, revision and time': async scene => {
    const bucket = await scene.ports.bucket(bucketOf(scene))
    scene.expect(await bucket.get('a')).toBe(undefined)
    const first = await stored(bucket.put('a', bytesOf('grüße')))
    const entry = await bucket.get('a')
    scene.expect(entry && { ...entry, value: textOf(entry.value ?? bytesOf('none')) }).toEqual({
      key: 'a',
      value: 'grüße',
      revision: first,
      time: entry?.time,
    })
    scene.expect(entry?.time).toBeGreaterThan(0)
    scene.expect(await stored(bucket.put('a', bytesOf('2')))).toBeGreaterThan(first)
    scene.expect(await valueOf(bucket, 'a')).toBe('2')
  },

  'keeps values byte for byte, empty ones too': async scene => {
    const bucket = await scene.ports.bucket(bucketOf(scene))
    const values = [new Uint8Array(0), Uint8Array.from({ length: 256 }, (_, i) => i), new Uint8Array(200_000).fill(9)]
    for (const [i, value] of values.entries()) await stored(bucket.put(`v${i}`, value))
    for (const [i, value] of values.entries()) {
      const entry = await bucket.get(`v${i}`)
      scene.expect(entry?.value && Buffer.from(entry.value).equals(value)).toBe(true)
    }
  },

  'gives every write a higher revision than all before it, whatever its key': async scene => {
    const bucket = await scene.ports.bucket(bucketOf(scene))
    const revisions: number[] = []
    for (const key of ['a', 'b', 'a', 'c', 'b']) revisions.push(await stored(bucket.put(key, bytesOf(key))))
    scene.expect(revisions.every((one, i) => one > (revisions[i - 1] ?? 0))).toBe(true)
  },

  'shows each link what another has just put': async scene => {
    const spec = bucketOf(scene)
    const bucket = await scene.ports.bucket(spec)
    const other = await (await scene.another()).bucket(spec)
    for (let i = 0; i < 20; i++) {
      await stored(bucket.put('a', bytesOf(`${i}`)))
      scene.expect(await valueOf(other, 'a')).toBe(`${i}`)
    }
    await stored(bucket.delete('a'))
    scene.expect(await other.get('a')).toBe(undefined)
  },

  'puts at a revision only if the entry stands at it': async scene => {
    const bucket = await scene.ports.bucket(bucketOf(scene))
    const first = await stored(bucket.put('a', bytesOf('1'), 0))
    scene.expect(await word(bucket.put('a', bytesOf('no'), 0))).toBe('expected')
    scene.expect(await word(bucket.put('a', bytesOf('no'), first + 1))).toBe('expected')
    const elsewhere = await stored(bucket.put('b', bytesOf('x'), 0))
    scene.expect(await word(bucket.put('a', bytesOf('no'), elsewhere))).toBe('expected')
    await stored(bucket.put('a', bytesOf('2'), first))
    scene.expect(await word(bucket.put('a', bytesOf('no'), first))).toBe('expected')
    scene.expect(await valueOf(bucket, 'a')).toBe('2')
  },

  'puts the same value again at its revision, as another write': async scene => {
    const bucket = await scene.ports.bucket(bucketOf(scene))
    const first = await stored(bucket.put('a', bytesOf('same')))
    const second = await stored(bucket.put('a', bytesOf('same'), first))
    scene.expect(second).toBeGreaterThan(first)
    scene.expect((await bucket.get('a'))?.revision).toBe(second)
  },

  'lets exactly one of racing writers win': async scene => {
    const spec = bucketOf(scene)
    const bucket = await scene.ports.bucket(spec)
    const other = await (await scene.another()).bucket(spec)
    let revision = 0
    for (let round = 0; round < 20; round++) {
      const racing = [bucket, other, bucket, other].map((one, i) => one.put('a', bytesOf(`${round} ${i}`), revision))
      const endings = await Promise.all(racing)
      const won = endings.flatMap(ended => (ended.ending === 'stored' ? [ended.position] : []))
      const lost = endings.filter(ended => ended.ending === 'refused' && ended.why === 'expected')
      scene.expect([won.length, lost.length]).toEqual([1, 3])
      revision = won[0] as number
      scene.expect(await valueOf(bucket, 'a')).toBe(`${round} ${endings.findIndex(ended => ended.ending === 'stored')}`)
    }
  },

  'deletes, at a revision only if the entry stands at it, and what is not there too': async scene => {
    const bucket = await scene.ports.bucket(bucketOf(scene))
    scene.expect((await bucket.delete('a')).ending).toBe('stored')
    const first = await stored(bucket.put('a', bytesOf('1')))
    scene.expect(await word(bucket.delete('a', first + 1))).toBe('expected')
    scene.expect(await valueOf(bucket, 'a')).toBe('1')
    scene.expect(await word(bucket.delete('a', first))).toBe('stored')
    scene.expect(await bucket.get('a')).toBe(undefined)
    scene.expect((await bucket.delete('a')).ending).toBe('stored')
  },

  'takes a deleted entry for none: it can be put at revision 0, and not at its former one': async scene => {
    const bucket = await scene.ports.bucket(bucketOf(scene))
    const first = await stored(bucket.put('a', bytesOf('1')))
    await stored(bucket.delete('a'))
    scene.expect(await word(bucket.put('a', bytesOf('no'), first))).toBe('expected')
    await stored(bucket.put('a', bytesOf('2'), 0))
    scene.expect(await valueOf(bucket, 'a')).toBe('2')
  },

  'lists keys in order, all or those under a prefix of whole words': async scene => {
    const bucket = await scene.ports.bucket(bucketOf(scene))
    for (const key of ['b.c', 'a.b', 'a', 'a.bc', 'ab', 'a.b.c', 'Z', 'a.gone'])
      await stored(bucket.put(key, bytesOf('x')))
    await stored(bucket.delete('a.gone'))
    scene.expect(await bucket.keys()).toEqual(['Z', 'a', 'a.b', 'a.b.c', 'a.bc', 'ab', 'b.c'])
    scene.expect(await bucket.keys('a')).toEqual(['a.b', 'a.b.c', 'a.bc'])
    scene.expect(await bucket.keys('a.b')).toEqual(['a.b.c'])
    scene.expect(await bucket.keys('none')).toEqual([])
  },

  'lists every key there is while entries are written over': async scene => {
    const bucket = await scene.ports.bucket(bucketOf(scene))
    const keys = ['a.0', 'a.1', 'a.2']
    for (const key of [...keys, 'b']) await stored(bucket.put(key, bytesOf('0')))
    for (let round = 1; round <= 40; round++) {
      const listing = bucket.keys('a')
      // So that the writes come at any moment of the listing.
      for (let wait = round % 8; wait > 0; wait--) await bucket.get('b')
      await Promise.all(['a.2', 'a.0'].map(key => stored(bucket.put(key, bytesOf(`${round}`)))))
      scene.expect(await listing).toEqual(keys)
    }
  },

  'takes keys of letters, digits and -/_=., up to 400 of them, and no others': async scene => {
    const bucket = await scene.ports.bucket(bucketOf(scene))
    const good = ['A-z/0_9=x.y', '/', '=', '-a', 'a'.repeat(400), 'schemas.00ff']
    for (const key of good) {
      await stored(bucket.put(key, bytesOf(key)))
      scene.expect(await valueOf(bucket, key)).toBe(key)
    }
    for (const key of ['', '.a', 'a.', 'a b', 'a*', 'a.>', 'ä', 'a\r\n', 'a'.repeat(401)]) {
      const put = await word(bucket.put(key, bytesOf('no'))).catch(codeOf)
      scene
        .expect(['denied', 'DefinitionError BAD_NAME', 'DefinitionError BAD_KEY', 'DefinitionError BAD_OPTION'])
        .toContain(put)
    }
    scene.expect(await bucket.keys()).toEqual([...good].sort())
  },

  'opens the same bucket again with what is in it, and keeps buckets apart': async scene => {
    const spec = bucketOf(scene)
    const [one, other] = [await scene.ports.bucket(spec), await scene.ports.bucket(bucketOf(scene))]
    await stored(one.put('a', bytesOf('1')))
    scene.expect(await other.get('a')).toBe(undefined)
    scene.expect(await valueOf(await (await scene.another()).bucket(spec), 'a')).toBe('1')
  },

  'makes one bucket when many links open it at once': async scene => {
    const spec = bucketOf(scene)
    const links = [scene.ports, ...(await Promise.all([scene.another(), scene.another()]))]
    const buckets = await Promise.all(links.flatMap(ports => [ports.bucket(spec), ports.bucket(spec)]))
    await Promise.all(buckets.map((bucket, i) => stored(bucket.put(`k${i}`, bytesOf('x')))))
    for (const bucket of buckets) scene.expect((await bucket.keys()).length).toBe(6)
  },

  'refuses to open a bucket with another age as STREAM_DIFFERS, and names both': async scene => {
    const spec = bucketOf(scene, { ageMs: 60_001 })
    await scene.ports.bucket(spec)
    const thrown = await thrownBy((await scene.another()).bucket({ ...spec, ageMs: 90_002 }))
    scene.expect(codeOf(thrown)).toBe('DefinitionError STREAM_DIFFERS')
    scene.expect(toldBy(thrown)).toContain('60001')
    scene.expect(toldBy(thrown)).toContain('90002')
  },

  'lets entries older than the age vanish, and those written since stay': async scene => {
    const bucket = await scene.ports.bucket(bucketOf(scene, { ageMs: 1000 }))
    await stored(bucket.put('old', bytesOf('1')))
    scene.expect(await valueOf(bucket, 'old')).toBe('1')
    const writes = async () => {
      await stored(bucket.put('beat', bytesOf('1')))
      return (await bucket.get('old')) === undefined
    }
    scene.expect(await eventually(scene.clock, 4000, writes)).toBe(true)
    scene.expect(await bucket.keys()).toEqual(['beat'])
    await stored(bucket.put('old', bytesOf('2'), 0))
    scene.expect(await valueOf(bucket, 'old')).toBe('2')
  },

  'answers calls to a bucket after close with CLOSED': async scene => {
    const spec = bucketOf(scene)
    const bucket = await scene.ports.bucket(spec)
    const other = await (await scene.another()).bucket(spec)
    await scene.ports.close()
    for (const call of [() => bucket.get('a'), () => bucket.keys()]) {
      scene.expect(await failure((async () => call())())).toBe('UnavailableError CLOSED')
    }
    for (const write of [() => bucket.put('a', bytesOf('x')), () => bucket.delete('a')]) {
      const told = write().then(ended => ended.ending === 'refused' && codeOf(ended.error), codeOf)
      scene.expect(await told).toBe('UnavailableError CLOSED')
    }
    scene.expect(await other.keys()).toEqual([])
  },
}

async function valueOf(bucket: Bucket, key: string): Promise<string | undefined> {
  const value = (await bucket.get(key))?.value
  return value && textOf(value)
}
