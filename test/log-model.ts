/**
 * A naive model of one stream in memory, and a property that every kind of log must have: whatever is appended, read
 * and purged, in any order and over several links, the log answers as the model does.
 */
import fc from 'fast-check'
import { StreamNodeError } from '../src/errors.js'
import type { Ending, LogStream } from '../src/log/log.js'
import type { Ports } from '../src/log/ports.js'
import { START, type LogRecord } from '../src/log/record.js'

const PARTITIONS = 3
const BYTES_BOUND = 600

/** What may be done to the stream. Fractions point into what is there when it is done. */
type Step =
  | { readonly do: 'append'; readonly partition: number; readonly id: number | undefined; readonly expects: Expects }
  | { readonly do: 'burst'; readonly count: number; readonly size: number }
  | { readonly do: 'purge'; readonly partition: number; readonly at: number }
  | { readonly do: 'read'; readonly partition: number | undefined; readonly at: number; readonly batch: number }
  | { readonly do: 'ends'; readonly partition: number }
type Expects = 'nothing' | 'the last' | 'none' | 'another'

const partition = fc.nat(PARTITIONS - 1)
/** Whole hundredths: doubles of fast-check lie near 0 for the most part. */
const at = fc.integer({ min: 0, max: 102 }).map(hundredths => hundredths / 100)
const expects = fc.constantFrom<Expects>('nothing', 'nothing', 'the last', 'none', 'another')
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constant('append' as const),
      partition,
      id: fc.option(fc.nat(12), { nil: undefined }),
      expects,
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant('burst' as const),
      count: fc.integer({ min: 1, max: 60 }),
      size: fc.nat(800),
    }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('purge' as const), partition, at }) },
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constant('read' as const),
      partition: fc.option(partition, { nil: undefined }),
      at,
      batch: fc.integer({ min: 1, max: 30 }),
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('ends' as const), partition }) },
)
/** Each step with the link that does it. */
const story = fc.array(fc.tuple(step, fc.nat(1)), { minLength: 1, maxLength: 40, size: 'max' })

/**
 * When a reader is told OVERRUN: exactly when records it was to read are gone, or, cautiously, also when it begins
 * below a purge of the stream that took none of them.
 */
export type Overruns = 'exact' | 'cautious'

/** Checks the property on `runs` random stories; fails with the shortest story that breaks it, and its seed. */
export async function logFollowsModel(
  links: readonly [Ports, Ports],
  runs: number,
  overruns: Overruns = 'exact',
): Promise<void> {
  let count = 0
  await fc.assert(
    fc.asyncProperty(story, async steps => {
      const name = `model-${process.pid}-${count++}`
      const spec = { name, partitions: PARTITIONS, retention: {}, replicas: 1, dedupWindowMs: 60_000 }
      const streams = [await links[0].log.open(spec), await links[1].log.open(spec)] as const
      const model = new Model(overruns)
      for (const [one, link] of steps) await model.follow(one, streams[link === 0 ? 0 : 1])
      await links[0].log.drop(name)
    }),
    { numRuns: runs, endOnFailure: false },
  )
}

interface Kept {
  readonly partition: number
  readonly position: number
  readonly text: string
}

class Model {
  #there: Kept[] = []
  #gone: Kept[] = []
  readonly #ids = new Map<string, number>()
  #purgedBefore = 0
  readonly #overruns: Overruns
  #last = 0
  #texts = 0

  constructor(overruns: Overruns) {
    this.#overruns = overruns
  }

  async follow(step: Step, stream: LogStream): Promise<void> {
    switch (step.do) {
      case 'append':
        return this.#append(step, stream)
      case 'burst':
        return this.#burst(step, stream)
      case 'purge':
        return this.#purge(step, stream)
      case 'read':
        return this.#read(step, stream)
      case 'ends':
        return this.#ends(step, stream)
    }
  }

  async #append({ partition, id: number, expects }: Step & { do: 'append' }, stream: LogStream): Promise<void> {
    const last = this.#lastOf(partition)
    const expect = { nothing: undefined, 'the last': last?.position ?? 0, none: 0, another: this.#last + 1 }[expects]
    // An expectation needs an id, and an id that expects is never the id of a record elsewhere.
    const id =
      expect === undefined
        ? number === undefined
          ? undefined
          : `i${number}`
        : `e${partition}/${number === undefined ? this.#texts : number % 4}`
    const text = `t${this.#texts++}`
    const ended = await stream.append({
      partition,
      payload: Buffer.from(text),
      ...(id === undefined ? {} : { id }),
      ...(expect === undefined ? {} : { expect }),
    })
    const known = id === undefined ? undefined : this.#ids.get(id)
    const fits = expect === undefined || expect === (last?.position ?? 0)
    if (known !== undefined && (expect === undefined || known === last?.position)) {
      return void same('a repeat', ended, { ending: 'stored', position: known, repeat: true })
    }
    if (known !== undefined && shown(ended) === `stored again at ${known}`) return
    if (known !== undefined || !fits) return void same('an expectation that fails', shown(ended), 'refused: expected')
    this.#take({ partition, position: positionOf(ended), text }, id)
  }

  async #burst({ count, size }: Step & { do: 'burst' }, stream: LogStream): Promise<void> {
    const records = Array.from({ length: count }, (_, i) => ({
      partition: i % PARTITIONS,
      text: `t${this.#texts++}`.padEnd(size),
    }))
    const endings = records.map(({ partition, text }) => stream.append({ partition, payload: Buffer.from(text) }))
    for (const [i, ended] of (await Promise.all(endings)).entries()) {
      const { partition, text } = records[i] as (typeof records)[number]
      this.#take({ partition, position: positionOf(ended), text })
    }
  }

  async #purge({ partition, at }: Step & { do: 'purge' }, stream: LogStream): Promise<void> {
    const before = Math.ceil(this.#last * at) + 1
    await stream.purge(partition, before)
    this.#purgedBefore = Math.max(before, this.#purgedBefore)
    const hit = (one: Kept) => one.partition === partition && one.position < before
    this.#gone.push(...this.#there.filter(hit))
    this.#there = this.#there.filter(one => !hit(one))
  }

  async #read({ partition, at, batch }: Step & { do: 'read' }, stream: LogStream): Promise<void> {
    const after = Math.round(this.#last * at)
    const mine = (one: Kept) => one.position > after && (partition === undefined || one.partition === partition)
    const wanted = this.#there.filter(mine)
    const lost = after > START && this.#gone.some(mine)
    const which = partition === undefined ? {} : { partition }
    const reader = stream.read({ after, untilEnd: true, recordsMax: batch, bytesMax: BYTES_BOUND, ...which })
    const read: Kept[] = []
    let thrown = 'nothing'
    try {
      for await (const { records, position, behind } of reader) {
        const weight = records.reduce((sum, one) => sum + one.bytes, 0)
        if (records.length > batch || (weight > BYTES_BOUND && records.length > 1))
          throw new Error('a batch is too large')
        read.push(...records.map(kept))
        if (position < (records.at(-1)?.position ?? after)) throw new Error('the position lies behind the records')
        if (position >= (wanted[read.length]?.position ?? Infinity))
          throw new Error('the position runs ahead of the records')
        same('what is behind', behind, wanted.length - read.length)
      }
    } catch (error) {
      if (!(error instanceof StreamNodeError)) throw error
      thrown = error.code
    }
    const below = after > START && after + 1 < this.#purgedBefore
    if (this.#overruns === 'cautious' && below && thrown === 'OVERRUN') return
    same('how reading ends', thrown, after > this.#last ? 'LOG_REWOUND' : lost ? 'OVERRUN' : 'nothing')
    if (thrown === 'nothing') same('what is read', read, wanted)
  }

  async #ends({ partition }: Step & { do: 'ends' }, stream: LogStream): Promise<void> {
    const last = await stream.last(partition)
    same('the last record', last && kept(last), this.#lastOf(partition))
    const extent = {
      first: this.#there[0]?.position ?? this.#last + 1,
      last: this.#last,
      incarnation: stream.incarnation,
    }
    same('the extent', await stream.extent(), extent)
  }

  #take(one: Kept, id?: string): void {
    if (one.position <= this.#last)
      throw new Error(`position ${one.position} was given, though ${this.#last} was before`)
    this.#last = one.position
    this.#there.push(one)
    if (id !== undefined) this.#ids.set(id, one.position)
  }

  #lastOf(partition: number): Kept | undefined {
    return this.#there.findLast(one => one.partition === partition)
  }
}

function kept({ partition, position, payload }: LogRecord): Kept {
  return { partition, position, text: Buffer.from(payload).toString() }
}

function positionOf(ended: Ending): number {
  if (ended.ending === 'stored' && !ended.repeat) return ended.position
  throw new Error(`the append should be stored, but was ${shown(ended)}`)
}

function shown(ended: Ending): string {
  if (ended.ending === 'refused') return `refused: ${ended.why}`
  return ended.ending === 'stored' ? `stored${ended.repeat ? ' again' : ''} at ${ended.position}` : ended.ending
}

function same(what: string, got: unknown, wanted: unknown): void {
  const [a, b] = [JSON.stringify(got), JSON.stringify(wanted)]
  if (a !== b) throw new Error(`${what}: the log says ${a}, the model ${b}`)
}
