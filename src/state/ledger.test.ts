import { afterEach, expect, test } from 'vitest'
import { systemChance, systemClock } from '../clock.js'
import { OctetWriter } from '../codec/octets.js'
import { FencedError, IntegrityError } from '../errors.js'
import { openEmbedded } from '../log/embedded/embedded.js'
import type { BatchReader, LogStream, ReadOptions } from '../log/log.js'
import type { Ports } from '../log/ports.js'
import { silent } from '../telemetry/events.js'
import { FaultyStream, shortened } from '../../test/faulty-stream.js'
import { writeOutputs, writeState } from './entry.js'
import { claimLedger, type Ledger } from './ledger.js'
import { UNSUSPECTED, type Left, type TrialNotes } from './notes.js'
import type { Recovery } from './recovery.js'
import type { Tables } from './tables.js'
import { Witness } from './witness.js'

const parts = {
  clock: systemClock,
  chance: systemChance,
  tell: silent,
  signal: new AbortController().signal,
  waits: () => {},
}
const opened: Ports[] = []

afterEach(async () => {
  await Promise.all(opened.splice(0).map(ports => ports.close()))
})

/** Where a ledger and its witness stand. */
class Place {
  private constructor(
    readonly ports: Ports,
    readonly log: LogStream,
  ) {}

  static async make(): Promise<Place> {
    const ports = await openEmbedded({ memory: true }, parts)
    opened.push(ports)
    return new Place(ports, await Place.#stream(ports, 'ledger'))
  }

  static #stream(ports: Ports, name: string): Promise<LogStream> {
    return ports.log.open({ name, partitions: 2, retention: {}, replicas: 1, dedupWindowMs: 20_000 })
  }

  /** The witness stays, and of the messages only those kept. */
  async losing(keep: (index: number) => boolean): Promise<LogStream> {
    return shortened(this.log, await Place.#stream(this.ports, 'shortened'), 1, keep)
  }

  async owner(on: LogStream = this.log, recordBytesMax = 100_000): Promise<Owner> {
    const witness = await Witness.of(await this.ports.bucket({ name: 'stream-node' }), 'ledgers.p.0.1', parts)
    const ended = new AbortController()
    const { signal } = ended
    const waits = () => {}
    const claimed = await claimLedger({
      ...{ ...parts, stream: on, partition: 1, witness, signal, waits },
      ...{ recordBytesMax, notes: (left: Left) => ({ deaths: left.commits, trial: undefined }) },
    })
    return new Owner(claimed.ledger, claimed.found, witness, ended)
  }
}

class Owner {
  readonly tables: Tables

  constructor(
    readonly ledger: Ledger,
    readonly found: Recovery,
    readonly witness: Witness,
    readonly ended: AbortController,
  ) {
    this.tables = found.tables
  }

  get rows(): Record<string, unknown> {
    return Object.fromEntries(this.tables.table('t').entries())
  }

  /** One entry with these rows. */
  async commit(rows: Record<string, unknown>, rewriteBytes = 0): Promise<void> {
    const out = new OctetWriter(100)
    writeState(out, { inputs: [], targets: [] })
    for (const key in rows) this.tables.table('t').set(key, rows[key])
    const number = this.ledger.next
    this.tables.write(out, number, rewriteBytes)
    writeOutputs(out, [])
    await this.ledger.write(out.done(), Math.min(this.tables.floor(), number))
  }
}

const faultOf = (promise: Promise<unknown>): Promise<unknown> =>
  promise.then(
    () => expect.unreachable('it went well'),
    (error: unknown) => error,
  )
const large = (text: string) => text.repeat(5000)

test('what was committed the next owner has, under the next fence', async () => {
  const place = await Place.make()
  const first = await place.owner()
  expect(first.ledger.fence).toBe(1)
  await first.commit({ a: 1, b: 2 })
  await first.commit({ b: 3 })
  const second = await place.owner()
  expect(second.rows).toEqual({ a: 1, b: 3 })
  expect(second.ledger.fence).toBe(2)
  expect(second.ledger.next).toBe(first.ledger.next + 1)
})

test('an entry larger than a record is read back as one, and rests on its first message', async () => {
  const place = await Place.make()
  const first = await place.owner(place.log, 4096)
  await first.commit({ a: large('x'), b: large('y') })
  await first.commit({ c: 1 })
  expect(first.ledger.next).toBeGreaterThan(5)
  const second = await place.owner()
  expect(second.rows).toEqual({ a: large('x'), b: large('y'), c: 1 })
  expect(second.tables.floor()).toBe(2)
})

test('parts whose owner did not live to write the last are nothing', async () => {
  const place = await Place.make()
  const faulty = new FaultyStream(place.log)
  const first = await place.owner(faulty, 4096)
  await first.commit({ a: 1 })
  faulty.fates.push({ first: () => first.ended.abort() })
  expect(await faultOf(first.commit({ a: large('x') }))).toMatchObject({ code: 'CLOSED' })
  const second = await place.owner()
  expect(second.rows).toEqual({ a: 1 })
  await second.commit({ b: 2 })
  expect((await place.owner()).rows).toEqual({ a: 1, b: 2 })
})

test('a write is there once, whatever becomes of its answers', async () => {
  const place = await Place.make()
  const faulty = new FaultyStream(place.log)
  faulty.fates.push('store, no answer')
  const first = await place.owner(faulty)
  for (const fate of ['lose', 'store, no answer', 'not sent', 'full'] as const) {
    faulty.fates.push(fate, fate)
    await first.commit({ [fate]: true })
  }
  expect(first.ledger.next).toBe(6)
  const second = await place.owner()
  expect(second.rows).toEqual({ lose: true, 'store, no answer': true, 'not sent': true, full: true })
  expect(second.found.retained.map(({ number }) => number)).toEqual([1, 2, 3, 4, 5])
})

test('who is overtaken is fenced, at its next write and when it looks', async () => {
  const place = await Place.make()
  const writes = await place.owner()
  await writes.commit({ a: 1 })
  const looks = await place.owner()
  expect(await faultOf(writes.commit({ a: 2 }))).toBeInstanceOf(FencedError)
  await looks.ledger.look()
  const last = await place.owner()
  await last.commit({ b: 1 })
  expect(await faultOf(looks.ledger.look())).toBeInstanceOf(FencedError)
  expect(await faultOf(writes.ledger.look())).toBeInstanceOf(FencedError)
  expect(last.rows).toEqual({ a: 1, b: 1 })
})

test('of many who claim at once one holds it, and the others are fenced', async () => {
  const place = await Place.make()
  const ends = await Promise.allSettled(Array.from({ length: 6 }, () => place.owner()))
  const owners = ends.filter(end => end.status === 'fulfilled').map(({ value }) => value)
  for (const end of ends) if (end.status === 'rejected') expect(end.reason).toBeInstanceOf(FencedError)
  const looks = await Promise.allSettled(owners.map(owner => owner.ledger.look()))
  expect(looks.filter(({ status }) => status === 'fulfilled')).toHaveLength(1)
})

test('a claim goes on top of what the owner before committed meanwhile', async () => {
  const place = await Place.make()
  const first = await place.owner()
  const faulty = new FaultyStream(place.log)
  faulty.fates.push({ first: () => first.commit({ a: 1 }) })
  const second = await place.owner(faulty)
  expect(second.rows).toEqual({ a: 1 })
  await second.ledger.look()
})

test('the next owner sees how the one before ended, and what it noted', async () => {
  const place = await Place.make()
  const trial: TrialNotes = { walks: 'batch', sources: [{ stream: 'in', position: 3, left: 5 }], accused: [] }
  const first = await place.owner()
  expect(first.found.left).toEqual({ notes: UNSUSPECTED, commits: 0, how: 'new' })
  await first.commit({ a: 1 })
  await first.commit({ a: 2 })
  const second = await place.owner()
  expect(second.found.left).toEqual({ notes: UNSUSPECTED, commits: 2, how: 'cut off' })
  await second.commit({ a: 3 })
  await second.ledger.mark({ deaths: 7, trial })
  await second.commit({ a: 4 })
  const third = await place.owner()
  expect(third.found.left).toEqual({ notes: { deaths: 7, trial }, commits: 1, how: 'cut off' })
  await third.ledger.release({ deaths: 8, trial: undefined })
  const last = await place.owner()
  expect(last.found.left).toEqual({ notes: { deaths: 8, trial: undefined }, commits: 0, how: 'released' })
  expect(last.rows).toEqual({ a: 4 })
  // Its own claim says what was made of that.
  expect((await place.owner()).found.left.notes).toEqual(UNSUSPECTED)
})

test('an owner that was stopped amid an entry leaves its last word all the same, and the parts are nothing', async () => {
  const place = await Place.make()
  const faulty = new FaultyStream(place.log)
  const first = await place.owner(faulty, 4096)
  faulty.fates.push({ first: () => first.ended.abort() })
  expect(await faultOf(first.commit({ a: large('x') }))).toMatchObject({ code: 'CLOSED' })
  await first.ledger.release(UNSUSPECTED)
  const second = await place.owner()
  expect(second.found.left.how).toBe('released')
  await second.commit({ b: 1 })
  expect((await place.owner()).rows).toEqual({ b: 1 })
})

test('an owner that was overtaken leaves no last word', async () => {
  const place = await Place.make()
  const first = await place.owner()
  const second = await place.owner()
  await first.ledger.release(UNSUSPECTED)
  await second.commit({ a: 1 })
  expect((await place.owner()).found.left.how).toBe('cut off')
})

test('after its owner was stopped nothing is written', async () => {
  const place = await Place.make()
  const first = await place.owner()
  first.ended.abort()
  const { number } = first.ledger.tail
  expect(await faultOf(first.commit({ a: 1 }))).toMatchObject({ code: 'CLOSED' })
  expect((await place.owner()).found.tail?.number).toBe(number)
})

test('a ledger that is behind its witness halts whoever takes it', async () => {
  for (const kept of [0, 1, 3]) {
    const place = await Place.make()
    const first = await place.owner()
    for (let i = 0; i < 5; i++) await first.commit({ a: i })
    await first.ledger.vouch()
    const rest = await place.losing(index => index < kept)
    expect(await faultOf(place.owner(rest)), `${kept} kept`).toMatchObject({ code: 'LOG_REWOUND' })
    expect(await faultOf(place.owner(rest)), `${kept} kept, again`).toMatchObject({ code: 'LOG_REWOUND' })
  }
})

test('a ledger that came as far as its witness on another way halts', async () => {
  const place = await Place.make()
  const first = await place.owner()
  for (let i = 0; i < 3; i++) await first.commit({ a: i })
  // Its last messages are lost before the bucket hears of them.
  const rest = await place.losing(index => index < 2)
  const second = await place.owner(rest)
  for (let i = 0; i < 3; i++) await second.commit({ b: i })
  expect((await place.owner(rest)).rows).toEqual({ a: 0, b: 2 })
  const witness = await Witness.of(await place.ports.bucket({ name: 'stream-node' }), 'ledgers.p.0.1', parts)
  await witness.write(9, first.ledger.tail)
  expect(await faultOf(place.owner(rest))).toMatchObject({ code: 'LOG_REWOUND' })
})

test('a ledger with a link missing halts, before anything is written to it', async () => {
  const place = await Place.make()
  const first = await place.owner()
  for (let i = 0; i < 5; i++) await first.commit({ [`a${i}`]: i })
  const rest = await place.losing(index => index !== 2)
  expect(await faultOf(place.owner(rest))).toMatchObject({ code: 'LOG_REWOUND' })
  expect((await rest.extent()).last).toBe(5)
})

test('an owner whose acknowledged messages are gone halts, though another has claimed since', async () => {
  const place = await Place.make()
  const faulty = new FaultyStream(place.log)
  const first = await place.owner(faulty)
  for (let i = 0; i < 3; i++) await first.commit({ a: i })
  faulty.inner = await place.losing(index => index < 3)
  expect(await faultOf(first.ledger.look())).toBeInstanceOf(IntegrityError)
  await place.owner(faulty.inner)
  expect(await faultOf(first.ledger.look())).toMatchObject({ code: 'LOG_REWOUND' })
  expect(await faultOf(first.ledger.vouch())).toMatchObject({ code: 'LOG_REWOUND' })
})

test('who finds at its witness that it was overtaken is fenced, when nothing of its own was lost', async () => {
  const place = await Place.make()
  const first = await place.owner()
  await first.commit({ a: 1 })
  await place.owner()
  expect(first.ledger.owesVouching).toBe(true)
  expect(await faultOf(first.ledger.vouch())).toBeInstanceOf(FencedError)
})

test('what nothing rests on is purged, and the next owner begins behind it', async () => {
  const place = await Place.make()
  const first = await place.owner()
  await first.commit({ a: 0, b: 0 })
  for (let i = 1; i < 10; i++) await first.commit({ a: i }, 1000)
  await first.ledger.purge()
  expect(first.witness.seen).toMatchObject({ number: 11 })
  expect(first.ledger.deadBytes).toBe(0)
  const second = await place.owner()
  expect(second.found.retained[0]?.number).toBe(11)
  expect(second.rows).toEqual({ a: 9, b: 0 })
  await second.commit({ c: 1 })
  expect((await place.owner()).rows).toEqual({ a: 9, b: 0, c: 1 })
})

test('a ledger that is purged while it is read is read again', async () => {
  const place = await Place.make()
  const first = await place.owner()
  await first.commit({ a: 0, b: 0 })
  for (let i = 1; i < 10; i++) await first.commit({ a: i }, 1000)
  const faulty = new FaultyStream(place.log)
  let purges = 0
  faulty.betweenBatches = async () => {
    if (purges++ === 0) await first.ledger.purge()
  }
  const second = await place.owner(faulty)
  expect(faulty.reads).toBeGreaterThan(1)
  expect(second.rows).toEqual({ a: 9, b: 0 })
})

test('what was purged and has come back in part counts for nothing', async () => {
  // As a server leaves it that was killed: runs of what nothing rests on, with gaps between them and before what counts.
  for (const back of [[1, 2, 3], [0, 4, 5], [0]]) {
    const place = await Place.make()
    const first = await place.owner()
    await first.commit({ a: 0, b: 0 })
    for (let i = 1; i < 10; i++) await first.commit({ a: i }, 1000)
    const rest = await place.losing(index => index >= 10 || back.includes(index))
    const second = await place.owner(rest)
    expect(second.found.retained[0]?.number, `${back.join()} came back`).toBe(11)
    expect(second.rows).toEqual({ a: 9, b: 0 })
    await second.commit({ c: 1 })
    expect((await place.owner(rest)).rows).toEqual({ a: 9, b: 0, c: 1 })
  }
})

test('a ledger whose beginning is gone beyond what was let go halts', async () => {
  const place = await Place.make()
  const first = await place.owner()
  await first.commit({ a: 0 })
  for (let i = 1; i < 5; i++) await first.commit({ b: i })
  await place.log.purge(1, 4)
  expect(await faultOf(place.owner())).toMatchObject({ code: 'LOG_REWOUND' })
})

test('a purge that ended amid the parts of an entry leaves a ledger that can be taken', async () => {
  const place = await Place.make()
  const first = await place.owner(place.log, 4096)
  await first.commit({ a: large('x') })
  await first.commit({ a: large('y') })
  const { position } = first.ledger.tail
  await first.commit({ a: 1 })
  for (let before = 2; before <= position + 1; before++) {
    await place.log.purge(1, before)
    expect((await place.owner()).rows, `before ${before}`).toEqual({ a: 1 })
  }
})

test('an owner whose look is answered late, when what it saw is purged, stays one', async () => {
  const place = await Place.make()
  const faulty = new FaultyStream(place.log)
  const first = await place.owner(faulty)
  await first.commit({ a: 0 })
  faulty.onLast = async () => {
    faulty.onLast = undefined
    for (let i = 1; i < 5; i++) await first.commit({ a: i })
    await first.ledger.purge()
  }
  await first.ledger.look()
  await first.commit({ b: 1 })
})

test('an owner whose messages are purged while it looks for them is fenced, and nothing is lost', async () => {
  const place = await Place.make()
  const racing = new Purged(place.log)
  const first = await place.owner(racing)
  await first.commit({ a: 1 })
  await place.owner()
  racing.isPurged = true
  expect(await faultOf(first.ledger.look())).toBeInstanceOf(FencedError)
})

/** All that is there when a reading begins is purged before it comes. */
class Purged extends FaultyStream {
  isPurged = false

  override read(options: ReadOptions): BatchReader {
    return super.read(this.isPurged ? { ...options, after: 3 } : options)
  }
}
