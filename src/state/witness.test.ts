import { afterEach, expect, test } from 'vitest'
import { systemChance, systemClock } from '../clock.js'
import { FencedError, IntegrityError, UnavailableError } from '../errors.js'
import type { Bucket } from '../log/bucket.js'
import { openEmbedded } from '../log/embedded/embedded.js'
import type { Ending } from '../log/log.js'
import type { Ports } from '../log/ports.js'
import { silent } from '../telemetry/events.js'
import { Witness } from './witness.js'

const parts = {
  clock: systemClock,
  chance: systemChance,
  tell: silent,
  signal: new AbortController().signal,
  waits: () => {},
}
const KEY = 'ledgers.p.0.0'
const away = new UnavailableError('TIMED_OUT', 'no answer came', 'wait')
const opened: Ports[] = []

afterEach(async () => {
  await Promise.all(opened.splice(0).map(ports => ports.close()))
})

async function openBucket(): Promise<Bucket> {
  const ports = await openEmbedded({ memory: true }, parts)
  opened.push(ports)
  return ports.bucket({ name: 'stream-node' })
}

/** Whose puts end as told, one after the other, and then as they do. */
function faulty(bucket: Bucket, fates: ('lose' | 'store, no answer' | 'not sent')[], getsAway = 0): Bucket {
  let left = getsAway
  return {
    async get(key) {
      if (left-- > 0) throw away
      return bucket.get(key)
    },
    async put(key, value, revision): Promise<Ending> {
      const fate = fates.shift()
      if (fate === undefined || fate === 'store, no answer') {
        const ending = await bucket.put(key, value, revision)
        return fate === undefined ? ending : { ending: 'unknown', error: away }
      }
      return fate === 'lose'
        ? { ending: 'unknown', error: away }
        : { ending: 'refused', why: 'unavailable', error: away }
    },
    delete: (key, revision) => bucket.delete(key, revision),
    keys: prefix => bucket.keys(prefix),
    watch: prefix => bucket.watch(prefix),
  }
}

const of = (bucket: Bucket) => Witness.of(bucket, KEY, parts)
const seen = (number: number) => ({ number, hash: `${number}`.padStart(32, '0') })

test('of many who look for the witness of a new ledger one gives it its incarnation, for all', async () => {
  const bucket = await openBucket()
  const witnesses = await Promise.all(Array.from({ length: 8 }, () => of(bucket)))
  const [{ incarnation }] = witnesses as [Witness]
  expect(incarnation).toHaveLength(22)
  for (const witness of witnesses) expect(witness).toMatchObject({ incarnation, seen: { number: 0, hash: '' } })
})

test('what one owner wrote the next one sees', async () => {
  const bucket = await openBucket()
  const first = await of(bucket)
  await first.write(1, seen(7))
  expect(await of(bucket)).toMatchObject({ incarnation: first.incarnation, seen: seen(7) })
})

test('it never goes back under one fence, and of writes at once the latest stands', async () => {
  const bucket = await openBucket()
  const witness = await of(bucket)
  await Promise.all([5, 9, 7, 3].map(number => witness.write(1, seen(number))))
  expect(witness.seen).toMatchObject(seen(9))
  await witness.write(1, seen(8))
  expect((await of(bucket)).seen).toMatchObject(seen(9))
})

test('a new owner writes its own number, and the one before is fenced', async () => {
  const bucket = await openBucket()
  const [before, after] = [await of(bucket), await of(bucket)]
  await before.write(1, seen(9))
  await after.write(2, seen(6))
  expect((await of(bucket)).seen).toMatchObject(seen(6))
  await expect(before.write(1, seen(10))).rejects.toThrow(FencedError)
  expect((await of(bucket)).seen).toMatchObject(seen(6))
})

test('a write without an answer is settled by what stands there', async () => {
  const bucket = await openBucket()
  const witness = await of(faulty(bucket, ['store, no answer']))
  const known = await of(bucket)
  expect(witness.incarnation).toBe(known.incarnation)
  const doubtful = await of(faulty(bucket, ['store, no answer', 'lose', 'not sent', 'lose'], 2))
  await doubtful.write(1, seen(3))
  await doubtful.write(1, seen(4))
  expect((await of(bucket)).seen).toMatchObject(seen(4))
})

test('a record that is gone, or of another life of the ledger, is told', async () => {
  const bucket = await openBucket()
  const witness = await of(bucket)
  await witness.write(1, seen(2))
  await bucket.delete(KEY)
  await expect(witness.refresh()).rejects.toMatchObject({ code: 'LOG_REWOUND' })
  await expect(witness.write(1, seen(3))).rejects.toMatchObject({ code: 'LOG_REWOUND' })
  await of(bucket)
  await expect(witness.write(1, seen(4))).rejects.toMatchObject({ code: 'LOG_REWOUND' })
})

test('what is no witness is not believed', async () => {
  const bucket = await openBucket()
  const good = { version: 1, incarnation: 'i', fence: 1, number: 2, hash: 'h' }
  const bad = [
    { ...good, version: 2 },
    { ...good, number: 1.5 },
    { ...good, number: -1 },
    { ...good, fence: '1' },
    { ...good, hash: 7 },
    'x',
    null,
  ]
  for (const value of bad) {
    await bucket.put(KEY, Buffer.from(JSON.stringify(value)))
    const error = await of(bucket).catch((error: unknown) => error)
    expect(error, JSON.stringify(value)).toBeInstanceOf(IntegrityError)
    expect(error).toMatchObject({ code: 'BAD_LOG' })
  }
  await bucket.put(KEY, Buffer.from('{"version": 1'))
  await expect(of(bucket)).rejects.toMatchObject({ code: 'BAD_LOG' })
})
