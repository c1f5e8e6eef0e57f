import { afterEach, expect, test } from 'vitest'
import { systemChance, systemClock, type Clock } from '../clock.js'
import { FencedError } from '../errors.js'
import { openEmbedded } from '../log/embedded/embedded.js'
import type { LogStream } from '../log/log.js'
import type { Ports } from '../log/ports.js'
import type { TargetState } from '../state/entry.js'
import { claimLedger, type ClaimTime, type Ledger } from '../state/ledger.js'
import type { Outbox } from '../state/recovery.js'
import { Tables } from '../state/tables.js'
import { Witness } from '../state/witness.js'
import { outOf, OUTPUT_WINDOW } from '../stream/output-id.js'
import { silent } from '../telemetry/events.js'
import { FaultyStream } from '../../test/faulty-stream.js'
import type { Lane, Numbered } from './lane.js'
import { Publisher } from './publisher.js'

const chance = systemChance
const opened: Ports[] = []

afterEach(async () => {
  await Promise.all(opened.splice(0).map(ports => ports.close()))
})

/** The system's clock, with hours that a test lets pass at once, for the log too. */
class LeapingClock implements Clock {
  #leapt = 0
  now = () => systemClock.now() + this.#leapt
  elapsed = () => systemClock.elapsed() + this.#leapt
  after: Clock['after'] = (ms, then) => systemClock.after(ms, then)
  soon: Clock['soon'] = then => systemClock.soon(then)
  leap(ms: number): void {
    this.#leapt += ms
  }
}

class Place {
  readonly failures: unknown[] = []

  private constructor(
    readonly clock: LeapingClock,
    readonly ports: Ports,
    readonly target: FaultyStream,
    readonly ledgerLog: LogStream,
  ) {}

  static async make(): Promise<Place> {
    const clock = new LeapingClock()
    const ports = await openEmbedded({ memory: true }, { clock, chance, tell: silent })
    opened.push(ports)
    const spec = { partitions: 2, retention: {}, replicas: 1, dedupWindowMs: 20_000 }
    const target = await ports.log.open({ name: 'target', ...spec })
    return new Place(clock, ports, new FaultyStream(target), await ports.log.open({ name: 'ledger', ...spec }))
  }

  async owner(known?: TargetState): Promise<Owner> {
    const { clock, ports } = this
    const { signal } = new AbortController()
    const waits = () => {}
    const witness = await Witness.of(await ports.bucket({ name: 'stream-node' }), 'ledgers.p.0.0', {
      clock,
      chance,
      signal,
      waits,
    })
    const { recordBytesMax } = ports.log
    const stream = this.ledgerLog
    const { ledger } = await claimLedger({
      ...{ stream, partition: 0, recordBytesMax, witness, clock, chance, signal, waits },
    })
    const publisher = new Publisher({
      ...{
        writer: { pipeline: 'p', incarnation: 'inc', stage: 0, partition: 0 },
        ledger,
        clock,
        chance,
        signal,
        waits,
      },
      progressed: () => {},
      failed: error => this.failures.push(error),
    })
    const numbers = new Tables().table<number>('numbers')
    for (const { partition } of known?.partitions ?? []) numbers.set(`${partition}`, 1_000_000)
    return new Owner(publisher, await publisher.open(this.target, numbers, known), ledger, await ledger.claimed())
  }

  /** What the target holds: the numbers of a partition's outputs, and what their headers say. */
  async stored(partition = 0): Promise<{ n: number; confirmed: number; entry: string; position: number }[]> {
    const found = []
    for await (const { records } of this.target.inner.read({ partition, after: 0, untilEnd: true })) {
      for (const record of records) {
        const { n, confirmed, entry } = outOf(record) as NonNullable<ReturnType<typeof outOf>>
        found.push({ n, confirmed, entry, position: record.position })
      }
    }
    return found
  }
}

class Owner {
  #number = 2

  constructor(
    readonly publisher: Publisher,
    readonly lane: Lane,
    readonly ledger: Ledger,
    readonly claimed: ClaimTime,
  ) {}

  /** The next `count` outputs to a partition, as those of one acknowledged entry. */
  take(count: number, partition = 0, hash = HASH): void {
    const line = this.lane.line(partition)
    const outputs = Array.from({ length: count }, (): Numbered => {
      const output = { target: 0, partition, key: undefined, time: undefined, payload: Buffer.from('x') }
      return { ...output, line, n: line.next++ }
    })
    this.publisher.take(this.#number++, hash, outputs)
  }

  async drained(): Promise<void> {
    await expect.poll(() => this.publisher.backlog.records, { interval: 1, timeout: 5000 }).toBe(0)
  }
}

const HASH = 'a'.repeat(32)
const OTHER = 'b'.repeat(32)
const counted = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, i) => from + i)
const numbersOf = (found: readonly { n: number }[]) => found.map(({ n }) => n)

/** The outputs 1 to `count` of an entry that a former owner wrote at a time, with nothing confirmed of them. */
function outboxOf(place: Place, count: number, time: number): { known: TargetState; boxes: Outbox[] } {
  const partitions = [{ partition: 0, confirmed: 0, first: 1 }]
  const known = { name: 'target', incarnation: place.target.incarnation, floor: 0, partitions }
  const output = { target: 0, partition: 0, key: undefined, time: undefined, payload: Buffer.from('x') }
  const outputs = Array.from({ length: count }, () => output)
  return { known, boxes: [{ number: 2, hash: HASH, time, targets: [known], outputs }] }
}

test('outputs are stored once and in order, whatever becomes of their answers', async () => {
  const place = await Place.make()
  const owner = await place.owner()
  place.target.fates.push(undefined, 'store, no answer', undefined, 'lose', 'full', undefined, 'lose', 'not sent')
  owner.take(5)
  owner.take(5)
  owner.take(3, 1)
  expect(owner.publisher.oldest).toBe(2)
  await owner.drained()
  expect(numbersOf(await place.stored()).sort((a, b) => a - b)).toEqual(counted(1, 10))
  expect(numbersOf(await place.stored(1))).toEqual([1, 2, 3])
  expect(owner.publisher.oldest).toBe(Infinity)
  expect(owner.lane.line(0).confirmed).toBe(10)
  expect(place.failures).toEqual([])
})

test('each output says up to which all before it are acknowledged, and which entry it came from', async () => {
  const place = await Place.make()
  const owner = await place.owner()
  owner.take(3)
  await owner.drained()
  place.target.fates.push('lose')
  owner.take(2, 0, OTHER)
  await owner.drained()
  owner.take(1)
  await owner.drained()
  const found = new Map((await place.stored()).map(({ n, confirmed, entry }) => [n, [confirmed, entry]]))
  expect(found.get(4)).toEqual([3, 'bbbbbbbb'])
  expect(found.get(5)).toEqual([3, 'bbbbbbbb'])
  expect(found.get(6)).toEqual([5, 'aaaaaaaa'])
})

test('a stream that forgets ids at once is refused', async () => {
  const place = await Place.make()
  const spec = { partitions: 1, retention: {}, replicas: 1, dedupWindowMs: 500 }
  const short = await place.ports.log.open({ name: 'short', ...spec })
  const { publisher } = await place.owner()
  await expect(publisher.open(short, new Tables().table('t'), undefined)).rejects.toThrow(
    /500 ms.*dedupWindow of 1 second/,
  )
})

test('nothing is sent that is further than the window beyond what is acknowledged', async () => {
  const place = await Place.make()
  const owner = await place.owner()
  place.target.fates.push('lose')
  owner.take(OUTPUT_WINDOW + 500)
  owner.take(500)
  owner.take(2, 1)
  await owner.drained()
  for (const { n, confirmed } of await place.stored()) expect(n).toBeLessThanOrEqual(confirmed + OUTPUT_WINDOW)
  const found = numbersOf(await place.stored())
  expect(found.slice().sort((a, b) => a - b)).toEqual(counted(1, OUTPUT_WINDOW + 1000))
  expect(numbersOf(await place.stored(1))).toEqual([1, 2])
}, 20_000)

test('what is not confirmed is noted to stand above a floor that is below it', async () => {
  const place = await Place.make()
  const owner = await place.owner()
  owner.take(4)
  await owner.drained()
  const { floor } = owner.lane
  place.target.fates.push('lose')
  owner.take(4)
  await expect.poll(async () => (await place.stored()).length, { interval: 1 }).toBe(7)
  expect(owner.lane.floor).toBe(floor)
  await owner.drained()
  for (const { n, position } of await place.stored()) if (n > 4) expect(position).toBeGreaterThan(floor)
})

test('what was committed shortly before a claim is sent again under its ids, and is there once', async () => {
  const place = await Place.make()
  const before = await place.owner()
  before.take(6)
  await before.drained()
  const { known, boxes } = outboxOf(place, 10, place.clock.now())
  const after = await place.owner(known)
  expect(after.publisher.recover(boxes, after.claimed)).toBe(10)
  expect(after.publisher.oldest).toBe(2)
  await after.drained()
  expect(numbersOf(await place.stored())).toEqual(counted(1, 10))
  // One look whether these six are the very same.
  await expect.poll(() => place.target.reads, { interval: 1 }).toBe(1)
  expect(place.failures).toEqual([])
})

test('what was committed long before a claim is looked for, and sent only where it is missing', async () => {
  const place = await Place.make()
  const before = await place.owner()
  before.take(6)
  await before.drained()
  const { known, boxes } = outboxOf(place, 10, place.clock.now())
  place.clock.leap(3_600_000)
  const after = await place.owner(known)
  after.publisher.recover(boxes, after.claimed)
  const sends = place.target.sends.length
  await after.drained()
  // One look for all, and one whether those that were found are the very same.
  expect(place.target.reads).toBe(2)
  expect(place.target.sends.length - sends).toBe(4)
  expect(numbersOf(await place.stored())).toEqual(counted(1, 10))
})

test('time that passes between the claim and the first send counts to the age of what is taken over', async () => {
  const place = await Place.make()
  const before = await place.owner()
  before.take(6)
  await before.drained()
  const { known, boxes } = outboxOf(place, 10, place.clock.now())
  const after = await place.owner(known)
  place.clock.leap(3_600_000)
  after.publisher.recover(boxes, after.claimed)
  await after.drained()
  expect(numbersOf(await place.stored())).toEqual(counted(1, 10))
})

test('an owner that was away for long looks before it sends, and sends nothing once it is overtaken', async () => {
  const place = await Place.make()
  const former = await place.owner()
  former.take(2)
  await former.drained()
  place.clock.leap(6000)
  former.take(2)
  await former.drained()
  expect(numbersOf(await place.stored())).toEqual([1, 2, 3, 4])
  await place.owner()
  place.clock.leap(6000)
  former.take(3)
  former.take(3, 1)
  await expect.poll(() => place.failures.length, { interval: 1 }).toBe(1)
  expect(place.failures).toEqual([expect.any(FencedError)])
  former.take(3)
  await new Promise(resolve => setTimeout(resolve, 50))
  expect(numbersOf(await place.stored())).toEqual([1, 2, 3, 4])
  expect(await place.stored(1)).toEqual([])
})

test('an output that is there already and came from another entry ends the owner', async () => {
  const place = await Place.make()
  const first = await place.owner()
  first.take(3)
  await first.drained()
  const second = await place.owner()
  second.take(3, 0, OTHER)
  await expect.poll(() => place.failures.length, { interval: 1 }).toBe(1)
  expect(place.failures).toMatchObject([{ code: 'LOG_REWOUND' }])
})

test('an output that is there already and came from the same entry is no harm', async () => {
  const place = await Place.make()
  const first = await place.owner()
  first.take(3)
  await first.drained()
  const second = await place.owner()
  second.take(4)
  await second.drained()
  await expect.poll(() => place.target.reads, { interval: 1 }).toBe(1)
  expect(place.failures).toEqual([])
  expect(numbersOf(await place.stored())).toEqual([1, 2, 3, 4])
})

test.each([
  ['shortly', 0],
  ['long', 3_600_000],
])('what was committed %s before a claim, and came from another entry, ends the owner', async (_, passed) => {
  const place = await Place.make()
  const before = await place.owner()
  before.take(6, 0, OTHER)
  await before.drained()
  const { known, boxes } = outboxOf(place, 6, place.clock.now())
  place.clock.leap(passed)
  const after = await place.owner(known)
  after.publisher.recover(boxes, after.claimed)
  await expect.poll(() => place.failures.length, { interval: 1 }).toBe(1)
  expect(place.failures).toMatchObject([{ code: 'LOG_REWOUND' }])
})

test('an output whose answer was lost, and which came from another entry, ends the owner', async () => {
  const place = await Place.make()
  const [first, second] = [await place.owner(), await place.owner()]
  place.target.fates.push('lose')
  second.take(1)
  first.take(1, 0, OTHER)
  await expect.poll(() => place.failures.length, { interval: 1 }).toBe(1)
  expect(place.failures).toMatchObject([{ code: 'LOG_REWOUND' }])
})

test('a position that is not above one given before the send ends the owner', async () => {
  const place = await Place.make()
  const owner = await place.owner()
  owner.take(3)
  await owner.drained()
  place.target.fates.push({ ending: 'stored', position: 3, repeat: false })
  owner.take(1)
  await expect.poll(() => place.failures.length, { interval: 1 }).toBe(1)
  expect(place.failures).toMatchObject([{ code: 'LOG_REWOUND' }])
})

test('a target that ends before outputs that it acknowledged, or was made anew, ends the claim', async () => {
  const place = await Place.make()
  const { incarnation } = place.target
  const known = { name: 'target', incarnation, floor: 0, partitions: [] }
  await place.owner(known)
  await expect(place.owner({ ...known, floor: 1 })).rejects.toMatchObject({ code: 'LOG_REWOUND' })
  await expect(place.owner({ ...known, incarnation: 'another' })).rejects.toMatchObject({ code: 'LOG_REWOUND' })
})
