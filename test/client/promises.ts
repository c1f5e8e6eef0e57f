/** What a client promises whatever log it is linked to: one list of tests for all kinds. */
import { createInterface } from 'node:readline'
import { Readable } from 'node:stream'
import { expect, test } from 'vitest'
import {
  avro,
  bytes,
  partitionOf,
  RecordError,
  stream,
  type Client,
  type Codec,
  type Published,
  type Reading,
  type StreamRecord,
} from 'stream-node'

export interface Linked {
  readonly client: Client
  /** Another client on the same log. */
  another(): Promise<Client>
}

interface Click {
  user: string
  at: number
}

let names = 0
/** A name that no other test uses. */
const fresh = () => `clicks-${process.pid}-${++names}`

async function all<T>(reading: Reading<T>): Promise<StreamRecord<T>[]> {
  const records: StreamRecord<T>[] = []
  for await (const record of reading) records.push(record)
  return records
}

const values = async <T>(reading: Reading<T>): Promise<T[]> => (await all(reading)).map(record => record.value)

const codeOf = (error: unknown) => (error as { code?: unknown }).code
const code = (wanted: string) => expect.objectContaining({ code: wanted }) as Error

/** Defines the tests; `link` gives the log they share. */
export function clientPromises(link: () => Linked): void {
  const client = () => link().client

  test('gives back what was published: value, key, time, place, id and headers', async () => {
    const clicks = stream<Click>(fresh(), { key: 'user', time: 'at' })
    const at = await client().publish(clicks, { user: 'ann', at: 5 }, { id: 'c-1', headers: { 'x-from': 'here' } })
    expect(at).toEqual({ partition: partitionOf('ann', 6), position: expect.any(Number) as number, repeat: false })
    const [record] = await all(client().read(clicks))
    expect(record).toMatchObject({
      ...{ key: 'ann', value: { user: 'ann', at: 5 }, time: 5, id: 'c-1' },
      ...{ partition: at.partition, position: at.position },
    })
    expect({ ...record?.headers }).toEqual({ 'x-from': 'here' })
  })

  test('stores one record for one id, and says that the second was a repeat', async () => {
    const clicks = stream<Click>(fresh(), { key: 'user', id: value => `click-${value.at}` })
    const first = await client().publish(clicks, { user: 'ann', at: 1 })
    expect(await client().publish(clicks, { user: 'ann', at: 1 })).toEqual({ ...first, repeat: true })
    expect(await client().publish(clicks, { user: 'ann', at: 2 }, { id: 'click-1' })).toEqual({
      ...first,
      repeat: true,
    })
    expect(await values(client().read(clicks))).toEqual([{ user: 'ann', at: 1 }])
  })

  test('keeps the order of calls that nobody awaited, the first ones included', async () => {
    const clicks = stream<Click>(fresh(), { key: 'user' })
    const sent = Array.from({ length: 200 }, (_, at) => ({ user: 'ann', at }))
    const opened: Promise<Published>[] = sent.slice(0, 100).map(value => client().publish(clicks, value))
    await opened[0]
    await Promise.all([...opened, ...sent.slice(100).map(value => client().publish(clicks, value))])
    expect((await values(client().read(clicks))).map(({ at }) => at)).toEqual(sent.map(({ at }) => at))
  })

  test('publishes all of an array, a generator and an asynchronous one, in order', async () => {
    const clicks = stream<Click>(fresh(), { key: 'user' })
    const click = (at: number) => ({ user: 'ann', at })
    function* some() {
      for (let at = 2; at < 1000; at++) yield click(at)
    }
    async function* more() {
      for (let at = 1000; at < 1500; at++) yield await Promise.resolve(click(at))
    }
    expect(await client().publishAll(clicks, [click(0), click(1)])).toEqual({ taken: 2, stored: 2, repeats: 0 })
    expect(await client().publishAll(clicks, some())).toEqual({ taken: 998, stored: 998, repeats: 0 })
    expect(await client().publishAll(clicks, more())).toEqual({ taken: 500, stored: 500, repeats: 0 })
    expect(await client().publishAll(clicks, [])).toEqual({ taken: 0, stored: 0, repeats: 0 })
    expect((await values(client().read(clicks))).map(({ at }) => at)).toEqual(Array.from({ length: 1500 }, (_, i) => i))
  })

  test('names each of many by a function, and counts the repeats', async () => {
    const numbers = stream<number>(fresh())
    const options = { id: (n: number) => `n-${n}`, key: (n: number) => String(n % 3), time: (n: number) => n * 10 }
    const stored: [number, boolean][] = []
    const onStored = ({ repeat }: Published, index: number) => void stored.push([index, repeat])
    expect(await client().publishAll(numbers, [1, 2, 3], options)).toMatchObject({ repeats: 0 })
    expect(await client().publishAll(numbers, [3, 4], { ...options, onStored })).toEqual({
      taken: 2,
      stored: 2,
      repeats: 1,
    })
    expect(stored.sort()).toEqual([
      [0, true],
      [1, false],
    ])
    const records = await all(client().read(numbers))
    expect(records.map(({ key, time, id }) => [key, time, id])).toEqual([
      ...[
        ['1', 10, 'n-1'],
        ['2', 20, 'n-2'],
        ['0', 30, 'n-3'],
        ['1', 40, 'n-4'],
      ],
    ])
  })

  test('ends at the first value that cannot be stored, and says which it is', async () => {
    const clicks = stream<Click>(fresh(), { key: 'user' })
    const input = [{ user: 'a', at: 1 }, { usr: 'b', at: 2 } as never, { user: 'c', at: 3 }]
    const failed = client().publishAll(clicks, input)
    await expect(failed).rejects.toMatchObject({ code: 'BAD_KEY', facts: { index: 1 } })
    expect(await values(client().read(clicks))).toEqual([{ user: 'a', at: 1 }])
  })

  test('goes on past values that cannot be stored when somebody is told', async () => {
    const clicks = stream<Click>(fresh(), { key: 'user' })
    const failed: unknown[] = []
    const input = [{ user: 'a', at: 1 }, { usr: 'b', at: 2 } as never, { user: 'c', at: 3 }]
    const summary = await client().publishAll(clicks, input, {
      onFailed: ({ code }, index) => failed.push([code, index]),
    })
    expect(summary).toEqual({ taken: 3, stored: 2, repeats: 0 })
    expect(failed).toEqual([['BAD_KEY', 1]])
  })

  test('lets the error of an iterable out, after what came before it was stored, and closes it', async () => {
    const numbers = stream<number>(fresh())
    let closed = false
    async function* breaking() {
      try {
        yield await Promise.resolve(1)
        throw new Error('the file ended early')
      } finally {
        closed = true
      }
    }
    const stored: number[] = []
    const publishing = client().publishAll(numbers, breaking(), { onStored: (_, index) => stored.push(index) })
    await expect(publishing).rejects.toThrow('the file ended early')
    expect(stored).toEqual([0])
    expect(closed).toBe(true)
  })

  test('ends with what a callback throws, and others go on publishing', async () => {
    const numbers = stream<number>(fresh())
    const onStored = () => {
      throw new Error('no more disk for the report')
    }
    await expect(client().publishAll(numbers, [1, 2], { onStored })).rejects.toThrow('no more disk for the report')
    expect(await client().publish(numbers, 3)).toMatchObject({ repeat: false })
    expect(await values(client().read(numbers))).toEqual([1, 2, 3])
  })

  test('takes every line of a readline interface, which loses those that nobody waits for', async () => {
    const input = createInterface({ input: Readable.from(['a\nb\n', 'c\n']) })
    const texts = stream<string>(fresh(), { partitions: 1 })
    expect(await client().publishAll(texts, input)).toMatchObject({ stored: 3 })
    expect(await values(client().read(texts))).toEqual(['a', 'b', 'c'])
  })

  test('lets an iterable go when its stream cannot be opened', async () => {
    const name = fresh()
    await client().publish(stream<number>(name), 1)
    let left = false
    const values: AsyncIterable<number> = {
      [Symbol.asyncIterator]: () => ({
        next: () => expect.fail('took a value'),
        return: async () => ({ value: undefined, done: (left = true) }),
      }),
    }
    const call = client().publishAll(stream<number>(name, { partitions: 3 }), values)
    await expect(call).rejects.toThrow(code('STREAM_DIFFERS'))
    expect(left).toBe(true)
  })

  test('takes no more from an iterable than the log takes', async () => {
    const numbers = stream<number>(fresh())
    let taken = 0
    let stored = 0
    let most = 0
    function* many() {
      for (; taken < 30_000; taken++) {
        most = Math.max(most, taken - stored)
        yield taken
      }
    }
    await client().publishAll(numbers, many(), { onStored: () => void stored++ })
    expect(stored).toBe(30_000)
    expect(most).toBeLessThan(20_000)
  })

  test('stops publishing when the signal aborts, even while the iterable hangs, and lets it go', async () => {
    const numbers = stream<number>(fresh())
    const stop = new AbortController()
    let returned = false
    const hanging: AsyncIterable<number> = {
      [Symbol.asyncIterator]: () => ({
        next: () => new Promise<never>(() => {}),
        return: () => {
          returned = true
          return Promise.resolve({ value: undefined, done: true as const })
        },
      }),
    }
    const publishing = client().publishAll(numbers, hanging, { signal: stop.signal })
    setTimeout(() => stop.abort(new Error('enough')), 50)
    await expect(publishing).rejects.toThrow('enough')
    expect(returned).toBe(true)
  })

  test('sends nothing when the signal was aborted before', async () => {
    const numbers = stream<number>(fresh())
    const signal = AbortSignal.abort(new Error('too late'))
    await client().publish(numbers, 0)
    await expect(client().publish(numbers, 1, { signal })).rejects.toThrow('too late')
    await expect(client().publishAll(numbers, [1], { signal })).rejects.toThrow('too late')
    await expect(client().read(numbers, { signal }).next()).rejects.toThrow('too late')
    expect(await values(client().read(numbers))).toEqual([0])
  })

  test('reads from a position, after one, from a time, from the end, and one partition', async () => {
    const numbers = stream<number>(fresh(), { partitions: 2 })
    const places: Published[] = []
    for (const n of [1, 2, 3, 4]) places.push(await client().publish(numbers, n, { key: n % 2 ? 'odd' : 'even!' }))
    const [, second, third] = places as [Published, Published, Published]
    expect(await values(client().read(numbers, { from: third.position }))).toEqual([3, 4])
    expect(await values(client().read(numbers, { after: third.position }))).toEqual([4])
    expect(await values(client().read(numbers, { from: new Date(0) }))).toEqual([1, 2, 3, 4])
    expect(await values(client().read(numbers, { from: new Date(Date.now() + 60_000) }))).toEqual([])
    expect(await values(client().read(numbers, { from: 'end', follow: false }))).toEqual([])
    const alone = (await all(client().read(numbers))).filter(({ partition }) => partition === second.partition)
    expect(await values(client().read(numbers, { partition: second.partition }))).toEqual(
      alone.map(({ value }) => value),
    )
  })

  test('follows: gives records as they come, until it is left', async () => {
    const numbers = stream<number>(fresh())
    await client().publish(numbers, 1)
    const seen: number[] = []
    const reading = client().read(numbers, { follow: true })
    for await (const { value } of reading) {
      seen.push(value)
      if (value === 3) break
      await client().publish(numbers, value + 1)
    }
    expect(seen).toEqual([1, 2, 3])
    expect(await reading.next()).toEqual({ value: undefined, done: true })
  })

  test('a reading that waits is ended by return(), in records and in batches', async () => {
    const numbers = stream<number>(fresh())
    await client().publish(numbers, 1)
    for (const waiting of [
      client().read(numbers, { from: 'end' }),
      client().read(numbers, { from: 'end' }).batches(),
    ]) {
      const next = waiting.next()
      await new Promise(resolve => setTimeout(resolve, 30))
      expect(await waiting.return?.()).toEqual({ value: undefined, done: true })
      expect(await next).toEqual({ value: undefined, done: true })
    }
  })

  test('a reading that waits ends with the reason of its signal', async () => {
    const numbers = stream<number>(fresh())
    const stop = new AbortController()
    const waiting = client().read(numbers, { from: 'end', signal: stop.signal }).next()
    setTimeout(() => stop.abort(new Error('closing time')), 50)
    await expect(waiting).rejects.toThrow('closing time')
  })

  test('hands over whole batches to those who ask', async () => {
    const numbers = stream<number>(fresh())
    await client().publishAll(
      numbers,
      Array.from({ length: 2500 }, (_, i) => i),
    )
    const seen: number[] = []
    let last = 0
    for await (const { records, position } of client().read(numbers).batches()) {
      seen.push(...records.map(({ value }) => value))
      expect(position).toBeGreaterThanOrEqual(Math.max(last, records.at(-1)?.position ?? 0))
      last = position
    }
    expect(seen).toEqual(Array.from({ length: 2500 }, (_, i) => i))
  })

  test('answers next() in order when it is called before the last answer came', async () => {
    const numbers = stream<number>(fresh())
    await client().publishAll(numbers, [1, 2, 3])
    const reading = client().read(numbers)
    const answers = await Promise.all([reading.next(), reading.next(), reading.next(), reading.next(), reading.next()])
    expect(answers.map(({ value }) => value?.value)).toEqual([1, 2, 3, undefined, undefined])
  })

  test('ends at a record that it cannot read, after those before it, and can be taken up behind it', async () => {
    const name = fresh()
    const raw = stream<Uint8Array>(name, { codec: bytes() })
    const texts = ['{"user":"a","at":1}', 'not json', '{"user":"c","at":3}']
    const other = await link().another()
    await other.publishAll(
      raw,
      texts.map(text => Buffer.from(text)),
      { key: () => 'k' },
    )
    const clicks = stream<Click>(name, { codec: jsonAs('bytes') })
    const seen: Click[] = []
    let error: unknown
    try {
      for await (const { value } of client().read(clicks)) seen.push(value)
    } catch (thrown) {
      error = thrown
    }
    expect(seen).toEqual([{ user: 'a', at: 1 }])
    expect(error).toBeInstanceOf(RecordError)
    expect(error).toMatchObject({ code: 'BAD_BYTES', facts: { stream: name, partition: partitionOf('k', 6) } })
    const { position } = (error as RecordError).facts as { position: number }
    expect(await values(client().read(clicks, { after: position }))).toEqual([{ user: 'c', at: 3 }])

    const bad: unknown[] = []
    const told = await values(client().read(clicks, { onBadRecord: ({ facts }) => bad.push(facts['position']) }))
    expect(told.map(({ at }) => at)).toEqual([1, 3])
    expect(bad).toEqual([position])
  })

  test('reads and writes batches, many records a message', async () => {
    const clicks = stream<Click>(fresh(), { key: 'user', time: 'at', format: 'batch', partitions: 2 })
    const sent = Array.from({ length: 5000 }, (_, at) => ({ user: `u${at % 10}`, at }))
    let answers = 0
    await client().publishAll(clicks, sent, { onStored: () => void answers++ })
    await client().publish(clicks, { user: 'late', at: 9999 }, { id: 'x', key: 'other', headers: { a: 'b' } })
    const records = await all(client().read(clicks))
    expect([answers, records.length]).toEqual([5000, 5001])
    expect(new Set(records.map(({ position }) => position)).size).toBeLessThan(20)
    for (const user of ['u0', 'u7']) {
      const ats = records.filter(({ key }) => key === user).map(({ time }) => time)
      expect(ats).toEqual([...ats].sort((a, b) => a - b))
      expect(ats).toHaveLength(500)
    }
    expect(records.find(({ key }) => key === 'other')).toMatchObject({ id: 'x', headers: { a: 'b' } })
  })

  test('sends batches that wait for more when the input is slow', async () => {
    const numbers = stream<number>(fresh(), { format: 'batch' })
    let storedFirst = () => {}
    const first = new Promise<void>(resolve => (storedFirst = resolve))
    async function* slow() {
      yield 1
      await first
      yield 2
    }
    const summary = await client().publishAll(numbers, slow(), { onStored: () => storedFirst() })
    expect(summary.stored).toBe(2)
  })

  test('reads Avro by the schema each record was written under', async () => {
    const name = fresh()
    const first = { type: 'record', name: 'Click', fields: [{ name: 'user', type: 'string' }] }
    const second = { ...first, fields: [...first.fields, { name: 'page', type: 'string', default: '-' }] }
    const old = stream<{ user: string }>(name, { key: 'user', codec: avro(first) })
    await client().publish(old, { user: 'ann' })
    const other = await link().another()
    const now = stream<{ user: string; page: string }>(name, { key: 'user', codec: avro(second) })
    await other.publish(now, { user: 'ann', page: 'home' })
    expect((await values(other.read(now))).map(value => ({ ...value }))).toEqual([
      { user: 'ann', page: '-' },
      { user: 'ann', page: 'home' },
    ])
    const byName = await (await link().another()).stream(name)
    expect((await values(client().read(byName))).map(value => ({ ...(value as object) }))).toEqual([
      { user: 'ann', page: '-' },
      { user: 'ann', page: 'home' },
    ])
  })

  test('knows a stream by its name alone: reads it, writes it, describes it', async () => {
    const name = fresh()
    const clicks = stream<Click>(name, { key: 'user', time: 'at', partitions: 3, retention: { records: 1000 } })
    const { partition } = await client().publish(clicks, { user: 'ann', at: 5 })
    const other = await link().another()
    const byName = await other.stream(name)
    expect(byName.partitions).toBe(3)
    expect(await other.publish(byName, { user: 'ann', at: 6 })).toMatchObject({ partition })
    expect((await all(other.read(byName))).map(({ key, time }) => [key, time])).toEqual([
      ['ann', 5],
      ['ann', 6],
    ])
    expect(await other.streams()).toContain(name)
    expect(await other.describe(name)).toMatchObject({
      ...{
        name,
        partitions: 3,
        format: 'message',
        codec: { name: 'json' },
        key: { field: 'user' },
        time: { field: 'at' },
      },
      ...{
        id: null,
        source: null,
        retention: { records: 1000 },
        replicas: 1,
        dedupWindowMs: 20_000,
        first: 1,
        last: 2,
      },
    })
  })

  test('asks for a key where only code knows it', async () => {
    const name = fresh()
    await client().publish(stream<Click>(name, { key: value => value.user }), { user: 'ann', at: 1 })
    const byName = await client().stream(name)
    await expect(client().publish(byName, { user: 'bob', at: 2 })).rejects.toThrow(
      expect.objectContaining({ code: 'BAD_KEY', message: expect.stringMatching(/function.*give the key/) as string }),
    )
    expect(await client().publish(byName, { user: 'bob', at: 2 }, { key: 'bob' })).toMatchObject({
      partition: partitionOf('bob', 6),
    })
    expect((await all(client().read(byName))).map(({ key }) => key)).toEqual([undefined, 'bob'])
  })

  test('says that there is no such stream, and which is near', async () => {
    const name = fresh()
    await client().publish(stream<number>(name), 1)
    for (const ask of [() => client().stream(`${name}x`), () => client().describe(`${name}x`)]) {
      await expect(ask()).rejects.toThrow(code('NO_SUCH_STREAM'))
      await expect(ask()).rejects.toThrow(`"${name}"`)
    }
  })

  test.each([
    ['another number of partitions', { partitions: 3 }, 'STREAM_DIFFERS', /\b6\b.*\b3\b|\b3\b.*\b6\b/],
    ['another key field', { key: 'at' as never }, 'STREAM_DIFFERS', /'user'.*'at'/],
    ['a key function', { key: (value: Click) => value.user }, 'STREAM_DIFFERS', /'user'.*a function/],
    ['another codec', { codec: bytes() as unknown as Codec<Click> }, 'CODEC_DIFFERS', /json.*bytes/],
    ['another format', { format: 'batch' as const }, 'STREAM_DIFFERS', /'message'.*'batch'/],
    ['other retention', { retention: { records: 5 } }, 'STREAM_DIFFERS', /5/],
    ['another window', { dedupWindow: 7000 }, 'STREAM_DIFFERS', /7/],
  ])('refuses %s than the stream has, naming both, and changes nothing', async (_, options, wanted, message) => {
    const name = fresh()
    await client().publish(stream<Click>(name, { key: 'user' }), { user: 'ann', at: 1 })
    const before = await client().describe(name)
    const other = stream<Click>(name, options)
    const error: unknown = await client()
      .publish(other, { user: 'ann', at: 2 })
      .catch((thrown: unknown) => thrown)
    expect([codeOf(error), (error as Error).message]).toEqual([wanted, expect.stringMatching(message)])
    await expect(client().read(other).next()).rejects.toThrow(code(wanted))
    expect(await client().describe(name)).toEqual(before)
  })

  test('takes what a definition leaves open as the stream has it', async () => {
    const name = fresh()
    await client().publish(stream<number>(name, { retention: { records: 100 }, dedupWindow: '5 seconds' }), 1)
    await (await link().another()).publish(stream<number>(name), 2)
    expect(await client().describe(name)).toMatchObject({ retention: { records: 100 }, dedupWindowMs: 5000, last: 2 })
  })

  test.each<[string, unknown, object, string]>([
    ['a value that is no JSON', 1n, {}, 'INVALID_VALUE'],
    ['an id with a space', 'v', { id: 'a b' }, 'BAD_ID'],
    ['an empty id', 'v', { id: '' }, 'BAD_ID'],
    ['a key that is no text', 'v', { key: 7 as never }, 'BAD_KEY'],
    ['a time that is none', 'v', { time: 'now' as never }, 'BAD_TIME'],
    ['a reserved header', 'v', { headers: { 'Nats-Expected-Stream': 'x' } }, 'BAD_OPTION'],
    ['an unknown option', 'v', { keys: 'k' }, 'UNKNOWN_OPTION'],
    ['headers that are one text', 'v', { headers: 'a: b' as never }, 'BAD_OPTION'],
    ['a signal that is none', 'v', { signal: 5000 as never }, 'BAD_OPTION'],
  ])('refuses %s and stores the next', async (_, value, options, wanted) => {
    const texts = stream(fresh())
    await expect(client().publish(texts, value, options)).rejects.toThrow(code(wanted))
    await client().publish(texts, 'fine')
    expect(await values(client().read(texts))).toEqual(['fine'])
  })

  test.each<[object, string]>([
    [{ from: 'begin' as never }, 'BAD_OPTION'],
    [{ from: 1.5 }, 'BAD_OPTION'],
    [{ from: 0 }, 'BAD_OPTION'],
    [{ follow: 'yes' as never }, 'BAD_OPTION'],
    [{ signal: {} as never }, 'BAD_OPTION'],
    [{ from: new Date(NaN) }, 'BAD_OPTION'],
    [{ from: 1, after: 1 }, 'BAD_OPTION'],
    [{ after: -1 }, 'BAD_OPTION'],
    [{ form: 'end' }, 'UNKNOWN_OPTION'],
  ])('refuses to read %j, at once', (options, wanted) => {
    expect(() => client().read(stream<number>(fresh()), options)).toThrow(code(wanted))
  })

  test.each([
    [{ from: 100 }, 'NO_SUCH_POSITION'],
    [{ after: 100 }, 'NO_SUCH_POSITION'],
    [{ partition: 6 }, 'BAD_OPTION'],
    [{ partition: -1 }, 'BAD_OPTION'],
  ])('refuses to read %j when it knows the stream', async (options, wanted) => {
    const numbers = stream<number>(fresh())
    await client().publish(numbers, 1)
    await expect(client().read(numbers, options).next()).rejects.toThrow(code(wanted))
  })

  test('refuses what is no stream', async () => {
    await expect(client().publish({ name: 'clicks' } as never, 1)).rejects.toThrow(/stream\('name'\) made/)
    await expect(client().publish(undefined as never, 1)).rejects.toThrow(/stream\('name'\) made/)
    await expect(client().publishAll(stream<number>(fresh()), 7 as never)).rejects.toThrow(/an iterable/)
    for (const ask of [() => client().stream(7 as never), () => client().describe(undefined as never)]) {
      await expect(ask()).rejects.toThrow(/a name, or a value that stream\('name'\) made/)
    }
  })

  test('refuses wrong options of publishAll, and takes nothing', async () => {
    const name = fresh()
    for (const option of ['id', 'key', 'time', 'headers', 'onStored', 'onFailed', 'signal']) {
      const values = (function* () {
        yield expect.fail(`took a value in spite of ${option}`)
      })()
      const call = client().publishAll(stream<number>(name), values, { [option]: 'x' })
      await expect(call).rejects.toThrow(`${option} of publishAll`)
    }
    expect(await client().streams()).not.toContain(name)
  })

  test('stores what was published before it closed, even to a stream that it had not opened yet', async () => {
    const other = await link().another()
    const numbers = stream<number>(fresh(), { partitions: 1 })
    const { signal } = new AbortController()
    const sent = [1, 2, 3].map(n => other.publish(numbers, n, n === 2 ? { signal } : {}))
    const all = other.publishAll(numbers, [4, 5])
    await other.close()
    expect(await Promise.all(sent)).toHaveLength(3)
    expect(await all).toMatchObject({ stored: 2 })
    expect(await values(client().read(numbers))).toEqual([1, 2, 3, 4, 5])
  })

  test('stores what was on its way when it closes, and refuses what comes later', async () => {
    const other = await link().another()
    const numbers = stream<number>(fresh())
    await other.publish(numbers, 0)
    const sent = [1, 2, 3].map(n => other.publish(numbers, n))
    const reading = other.read(numbers, { follow: true })
    await reading.next()
    await other.close()
    await other.close()
    expect(await Promise.all(sent)).toHaveLength(3)
    const late = [
      () => other.publish(numbers, 4),
      () => other.publishAll(numbers, [1]),
      () => other.read(numbers).next(),
      () => other.streams(),
    ]
    for (const call of late) await expect(call()).rejects.toThrow(code('CLOSED'))
    expect(await values(client().read(numbers))).toEqual([0, 1, 2, 3])
  })
}

/** JSON under another codec's name, to read what a stream of that codec holds. */
function jsonAs(name: 'bytes'): Codec<Click> {
  return {
    name,
    definition: { name },
    open: () =>
      Promise.resolve({
        encode: value => Buffer.from(JSON.stringify(value)),
        decode: given => {
          try {
            return JSON.parse(Buffer.from(given).toString()) as Click
          } catch (cause) {
            throw new RecordError('BAD_BYTES', 'the bytes are no JSON', '', { cause })
          }
        },
        ready: () => undefined,
      }),
  }
}
