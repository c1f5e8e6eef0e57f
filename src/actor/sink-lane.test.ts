import { expect, test } from 'vitest'
import { setImmediate as turn } from 'node:timers/promises'
import type { Clock } from '../clock.js'
import { DefinitionError, FencedError } from '../errors.js'
import { json } from '../codec/json.js'
import type { Ledger } from '../state/ledger.js'
import type { TargetState } from '../state/entry.js'
import { Tables } from '../state/tables.js'
import { schemasIn } from '../stream/open.js'
import { sink, type SinkOptions, type SinkRecord } from '../stream/sink.js'
import { SinkWire } from '../stream/sink-wire.js'
import type { Numbered } from './lane.js'
import { Publisher } from './publisher.js'
import type { SinkLane } from './sink-lane.js'

/** Time goes on by hand. */
class HandClock implements Clock {
  ms = 0
  #timers: { readonly at: number; readonly then: () => void }[] = []
  now = () => this.ms
  elapsed = () => this.ms
  soon = (then: () => void) => void setImmediate(then)
  after(ms: number, then: () => void): () => void {
    const timer = { at: this.ms + ms, then }
    this.#timers.push(timer)
    return () => (this.#timers = this.#timers.filter(one => one !== timer))
  }

  /** What was begun before, and what comes of each timer, goes as far as it can. */
  async pass(ms = 0): Promise<void> {
    const until = this.ms + ms
    for (;;) {
      for (let i = 0; i < 5; i++) await turn()
      const next = this.#timers.filter(({ at }) => at <= until).sort((a, b) => a.at - b.at)[0]
      if (next === undefined) break
      this.#timers = this.#timers.filter(one => one !== next)
      this.ms = next.at
      next.then()
    }
    this.ms = until
  }

  get timers(): number {
    return this.#timers.length
  }
}

interface Call {
  readonly ids: readonly string[]
  readonly values: readonly unknown[]
  readonly at: number
  readonly signal: AbortSignal
  readonly done: () => void
  readonly fail: (error: unknown) => void
}

/** A partition with a sink, whose calls a test answers. */
class Place {
  readonly clock = new HandClock()
  readonly calls: Call[] = []
  readonly waits: Error[] = []
  readonly failures: unknown[] = []
  readonly ended = new AbortController()
  readonly ledger = { provenMs: 0, looks: 0, overtaken: false }
  publisher!: Publisher
  lane!: SinkLane
  #number = 0

  static async make(options: Partial<SinkOptions<string>> = {}, known?: TargetState): Promise<Place> {
    const place = new Place()
    const { clock, calls, waits, failures, ended, ledger } = place
    const write = (records: readonly SinkRecord<string>[], { signal }: { readonly signal: AbortSignal }) =>
      new Promise<void>((done, fail) => {
        const [ids, values] = [records.map(({ id }) => id), records.map(({ value }) => value)]
        calls.push({ ids, values, at: clock.ms, signal, done, fail })
      })
    const look = () => {
      ledger.looks++
      if (ledger.overtaken) return Promise.reject(new FencedError('another owner'))
      ledger.provenMs = clock.ms
      return Promise.resolve()
    }
    place.publisher = new Publisher({
      ...{ clock, signal: ended.signal, chance: { fraction: () => 0.5, name: () => 'name' } },
      writer: { pipeline: 'p', incarnation: 'inc', stage: 0, partition: 3 },
      ledger: Object.defineProperty({ look }, 'provenMs', { get: () => ledger.provenMs }) as unknown as Ledger,
      waits: error => waits.push(error),
      progressed: () => {},
      failed: error => failures.push(error),
    })
    const rows = sink<string>('rows', { write, ...options })
    const schemas = schemasIn(() => Promise.reject(new Error('there are no schemas')))
    const wire = new SinkWire(rows, await json<string>().open(schemas)) as unknown as SinkWire<unknown>
    const numbers = new Tables().table<number>('output.sink:rows')
    if (known !== undefined) numbers.set('0', 1000)
    place.lane = place.publisher.openSink(wire, numbers, known)
    return place
  }

  /** One acknowledged entry with these values. */
  async take(...values: readonly string[]): Promise<void> {
    const line = this.lane.line(0)
    const outputs = values.map((value): Numbered => {
      const output = { target: 0, partition: 0, key: 'k', time: 7, payload: Buffer.from(JSON.stringify(value)) }
      return { ...output, line, n: line.next++ }
    })
    this.publisher.take(++this.#number, 'a'.repeat(32), outputs)
    await this.clock.pass()
  }

  get last(): Call {
    return this.calls.at(-1) as Call
  }

  async done(): Promise<void> {
    this.last.done()
    await this.clock.pass()
  }

  async fail(error: unknown = new Error('away')): Promise<void> {
    this.last.fail(error)
    await this.clock.pass()
  }

  get values(): unknown[] {
    return this.calls.map(({ values }) => values.join(''))
  }
}

test('what waits is written together and in order, one call at a time, each record under an id of its own', async () => {
  const place = await Place.make()
  await place.take('a', 'b')
  await place.take('c')
  await place.take('d', 'e')
  expect(place.values).toEqual(['ab'])
  expect(place.publisher.backlog.records).toBe(5)
  await place.done()
  expect(place.values).toEqual(['ab', 'cde'])
  expect([place.publisher.backlog.records, place.publisher.oldest, place.lane.line(0).confirmed]).toEqual([3, 2, 2])
  await place.done()
  expect(place.calls.flatMap(({ ids }) => ids)).toEqual([1, 2, 3, 4, 5].map(n => `p/inc/0.3>sink:rows/${n}`))
  expect([place.publisher.backlog, place.publisher.oldest]).toEqual([{ records: 0, bytes: 0 }, Infinity])
  expect([place.lane.acknowledged, place.waits, place.failures]).toEqual([5, [], []])
  await place.take('f')
  expect(place.values).toEqual(['ab', 'cde', 'f'])
})

test('a call has no more records and bytes than asked for, and one record at the least', async () => {
  const place = await Place.make({ batch: { records: 3, bytes: 12 } })
  await place.take('a', 'b', 'c', 'd', 'efghi', 'jkl', 'more than twelve bytes', 'm')
  for (let i = 0; i < 5; i++) await place.done()
  expect(place.calls.map(({ values }) => values)).toEqual([
    ['a', 'b', 'c'],
    ['d', 'efghi'],
    ['jkl'],
    ['more than twelve bytes'],
    ['m'],
  ])
})

test('records have key and time, and values that are new for each call', async () => {
  const seen: SinkRecord<string[]>[] = []
  const write = (records: readonly SinkRecord<string[]>[]) => {
    seen.push(...records)
    for (const { value } of records) value.push('spoilt')
    if (seen.length === 1) throw new Error('not yet')
  }
  const place = await Place.make({ write: write as never })
  await place.take(['a'] as never)
  expect(seen).toMatchObject([{ key: 'k', time: 7, value: ['a', 'spoilt'] }])
  await place.clock.pass(100)
  expect(seen).toHaveLength(2)
  expect(seen[1]).toMatchObject({ id: seen[0]?.id, value: ['a', 'spoilt'] })
  expect(place.publisher.backlog.records).toBe(0)
})

test('a call that fails is made again after waits that double up to 30 seconds, for ever', async () => {
  const place = await Place.make()
  await place.take('a')
  for (let i = 0; i < 12; i++) {
    await place.fail()
    await place.clock.pass(30_000)
  }
  const waits = place.calls.slice(1).map(({ at }, i) => at - 30_000 * i)
  // Three quarters of the most, as chance has it here.
  expect(waits).toEqual([75, 150, 300, 600, 1200, 2400, 4800, 9600, 19_200, 22_500, 22_500, 22_500])
  await place.done()
  await place.take('b')
  await place.fail()
  await place.clock.pass(75)
  expect(place.values.at(-1)).toBe('b')
  expect(place.failures).toEqual([])
})

test('when a call with many fails, they are tried one by one, so that what is told names the record', async () => {
  const place = await Place.make()
  await place.take('a', 'b', 'c')
  await place.take('d')
  const poison = new Error('b is poison')
  await place.fail(poison)
  await place.clock.pass(75)
  await place.done()
  await place.fail(poison)
  await place.clock.pass(150)
  await place.fail(poison)
  await place.clock.pass(300)
  await place.done()
  await place.done()
  await place.done()
  expect(place.values).toEqual(['abc', 'a', 'b', 'b', 'b', 'c', 'd'])
  const where = 'sink "rows" of pipeline "p", partition 3'
  const [first, last] = ['p/inc/0.3>sink:rows/1', 'p/inc/0.3>sink:rows/3']
  const named = `${where} failed at record p/inc/0.3>sink:rows/2: b is poison; it is tried again until it is written`
  expect(place.waits.map(({ message }) => message)).toEqual([
    `${where} failed at 3 records, ${first} to ${last}: b is poison; they are tried again, one by one`,
    named,
    named,
  ])
  expect(place.waits[0]).toMatchObject({
    code: 'SINK_FAILED',
    cause: poison,
    facts: { sink: 'rows', records: 3, first, last },
  })
  await place.take('e', 'f')
  expect(place.values.at(-1)).toBe('ef')
})

test('a call that takes too long is told so by its signal and made again; what comes of it then counts for nothing', async () => {
  const place = await Place.make({ timeout: '5 seconds' })
  await place.take('a')
  const [first] = place.calls as [Call]
  place.ledger.provenMs = 4000
  await place.clock.pass(4999)
  expect([first.signal.aborted, place.waits]).toEqual([false, []])
  await place.clock.pass(1)
  expect(first.signal.reason).toMatchObject({ code: 'TIMED_OUT' })
  expect(place.waits.map(({ message }) => message)).toEqual([expect.stringContaining('took longer than 5000 ms')])
  await place.clock.pass(75)
  expect(place.values).toEqual(['a', 'a'])
  first.done()
  await place.clock.pass()
  expect(place.publisher.backlog.records).toBe(1)
  await place.done()
  expect([place.publisher.backlog.records, place.clock.timers]).toEqual([0, 0])
})

test('nothing is called on an ownership that was not proven for 5 seconds, and nothing at all once it is lost', async () => {
  const place = await Place.make()
  await place.clock.pass(4999)
  await place.take('a')
  await place.done()
  expect(place.ledger.looks).toBe(0)
  await place.clock.pass(1)
  await place.take('b')
  await place.done()
  expect([place.ledger.looks, place.values]).toEqual([1, ['a', 'b']])
  await place.clock.pass(5000)
  place.ledger.overtaken = true
  await place.take('c')
  expect([place.values, place.failures]).toEqual([['a', 'b'], [expect.any(FencedError)]])
})

test('when its owner ends, the call hears it, nothing is confirmed and nothing more is called', async () => {
  const place = await Place.make()
  await place.take('a')
  await place.take('b')
  const { signal } = place.last
  place.ended.abort(new Error('stopped'))
  await place.clock.pass()
  expect(signal.reason).toEqual(new Error('stopped'))
  await place.done()
  await place.clock.pass(60_000)
  expect([place.values, place.publisher.backlog.records, place.clock.timers]).toEqual([['a'], 2, 0])
  expect([place.waits, place.failures]).toEqual([[], []])
})

test('when its owner ends between two calls, none follows', async () => {
  const place = await Place.make()
  await place.take('a')
  await place.fail()
  place.ended.abort(new Error('stopped'))
  await place.clock.pass(60_000)
  expect([place.values, place.clock.timers]).toEqual([['a'], 0])
})

test.each([
  ['an array of promises', [Promise.resolve()], /gave an array, and no promise; return Promise\.all/],
  ['null', null, /gave null, and no promise; return a promise, or nothing/],
  ['a count', 3, /gave a value of type number/],
])('a write that gives %s ends the partition, for nobody knows when it is done', async (_, answer, message) => {
  let calls = 0
  const write = () => (calls++, answer) as never
  const place = await Place.make({ write })
  await place.take('a')
  await place.clock.pass(60_000)
  expect([calls, place.failures]).toEqual([1, [expect.any(DefinitionError)]])
  expect((place.failures[0] as Error).message).toMatch(message)
})

test('what an owner before committed is written under the ids that it had, but for what it knew to be written', async () => {
  const partitions = [{ partition: 0, confirmed: 3, first: 2 }]
  const known = { name: 'sink:rows', incarnation: '', floor: 0, partitions }
  const place = await Place.make({}, known)
  const outputs = ['b', 'c', 'd', 'e'].map(value => ({
    ...{ target: 0, partition: 0, key: undefined, time: 7 },
    payload: Buffer.from(JSON.stringify(value)),
  }))
  const box = { number: 2, hash: 'a'.repeat(32), time: 0, targets: [known], outputs }
  expect(place.publisher.recover([box], { time: 0, elapsedMs: 0 })).toBe(2)
  await place.clock.pass()
  expect(place.last).toMatchObject({ values: ['d', 'e'], ids: ['p/inc/0.3>sink:rows/4', 'p/inc/0.3>sink:rows/5'] })
  await place.done()
  expect([place.publisher.backlog.records, place.lane.line(0).confirmed]).toEqual([0, 5])
})
