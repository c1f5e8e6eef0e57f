/** What becomes of records that cannot be processed, in an owner on the embedded log: once, in the commit that passes them. */
import { map } from 'rxjs'
import { afterEach, describe, expect, test } from 'vitest'
import { systemChance, systemClock, type Clock } from '../clock.js'
import { RetryableError } from '../errors.js'
import { openEmbedded } from '../log/embedded/embedded.js'
import type { Ports } from '../log/ports.js'
import { START } from '../log/record.js'
import { scan } from '../operators/scan.js'
import type { Definition } from '../pipeline/definition.js'
import { pipeline } from '../pipeline/pipeline.js'
import { plan, type Stage } from '../pipeline/plan.js'
import type { OnError } from '../pipeline/rules.js'
import type { DeadLetter } from '../stream/dead-letters.js'
import { Streams } from '../stream/open.js'
import { Sender } from '../stream/sender.js'
import { stream, type Stream } from '../stream/stream.js'
import { silent, type Event, type PartitionEvent, type Tell } from '../telemetry/events.js'
import type { ActorLimits } from './limits.js'
import { PartitionActor } from './partition-actor.js'

const parts = { clock: systemClock, chance: systemChance, tell: silent, replicas: 1 }
const opened: Ports[] = []

afterEach(async () => {
  await Promise.all(opened.splice(0).map(ports => ports.close()))
})

async function memory(): Promise<Ports> {
  const ports = await openEmbedded({ memory: true, role: 'node', name: 'test' }, parts)
  opened.push(ports)
  return ports
}

interface Around {
  readonly limits?: Partial<ActorLimits>
  readonly tell?: Tell
  readonly clock?: Clock
}

function actorOn(ports: Ports, definition: Definition, around: Around = {}): PartitionActor {
  const [stage] = plan(definition) as [Stage]
  return new PartitionActor({ ...parts, stage, partition: 0, ports, streams: new Streams(ports, parts), ...around })
}

/** Runs until all is processed. */
async function runThrough(ports: Ports, definition: Definition): Promise<void> {
  const actor = actorOn(ports, definition)
  const end = actor.run()
  expect(await actor.caughtUp()).toBe(true)
  actor.stop()
  expect(await end).toEqual({ why: 'stopped' })
}

/** Values, or bytes as they are. */
async function publish(ports: Ports, values: readonly (number | Uint8Array)[]): Promise<void> {
  const { log, wire } = await new Streams(ports, parts).open(numbers, 'write')
  const sender = new Sender(log, (await log.extent()).last, systemClock)
  for (const value of values) {
    const id = systemChance.name()
    const append = typeof value === 'number' ? wire.write(value, {}, id) : { partition: 0, payload: value, id }
    sender.send(append, { stored: () => {}, failed: error => expect.unreachable(error.message) })
  }
  await sender.drained()
}

async function found<T>(ports: Ports, of: Stream<T>): Promise<T[]> {
  const log = await ports.log.find(of.name)
  const values: T[] = []
  for await (const { records } of log?.read({ after: START, untilEnd: true }) ?? []) {
    for (const { payload } of records) values.push(JSON.parse(Buffer.from(payload).toString()) as T)
  }
  return values
}

async function lettersIn(ports: Ports, definition: ReturnType<typeof summing>): Promise<DeadLetter[]> {
  return (await found(ports, definition.deadLetters)) as DeadLetter[]
}

const numbers = stream<number>('numbers', { key: () => 'k', partitions: 1 })
const sums = stream<number>('sums', { partitions: 1 })
const upTo = (count: number) => Array.from({ length: count }, (_, i) => i)

/** Sums what comes; behind the sum, so that it has to be undone, comes a look at each number that may throw. */
function summing(look: (n: number) => void, onError: OnError = {}) {
  return pipeline('summing', { onError })
    .from(numbers)
    .pipe(
      scan((state, n) => ({ n, sum: state.sum + n }), { n: 0, sum: 0 }),
      map(({ n, sum }) => {
        look(n)
        return sum
      }),
    )
    .to(sums)
}

/** What comes out when these never were. */
function sumsOf(values: readonly number[]): number[] {
  let sum = 0
  return values.map(n => (sum += n))
}

const isBad = (n: number) => n % 7 === 3
const bad = (n: number) => {
  if (isBad(n)) throw new TypeError(`not ${n}`)
}

/** A clock by whose hand the waits of 15 to 30 seconds go by: those between two tries of a record. */
function handClock() {
  const waits: { readonly ms: number; readonly fire: () => void }[] = []
  let heard = () => {}
  const clock: Clock = {
    ...systemClock,
    after(ms, then) {
      if (ms < 15_000 || ms > 30_000) return systemClock.after(ms, then)
      const wait = { ms, fire: then }
      waits.push(wait)
      heard()
      return () => void (waits.includes(wait) && waits.splice(waits.indexOf(wait), 1))
    },
  }
  const next = async () => {
    if (waits.length === 0) await new Promise<void>(resolve => (heard = resolve))
    return waits.shift() as (typeof waits)[number]
  }
  return { clock, next, waits }
}

/** What an owner tells, and when it first tells something like this. */
function ears() {
  const told: PartitionEvent[] = []
  const waiting: { readonly is: (event: PartitionEvent) => boolean; readonly resolve: () => void }[] = []
  const tell: Tell = (event: Event) => {
    if (!('pipeline' in event)) return
    told.push(event)
    for (const { is, resolve } of waiting) if (is(event)) resolve()
  }
  const until = (is: (event: PartitionEvent) => boolean) =>
    new Promise<void>(resolve => void (told.some(is) ? resolve() : waiting.push({ is, resolve })))
  const faults = () => told.flatMap(event => (event.type === 'partition.fault' ? [event.then] : []))
  return { tell, until, faults }
}

const isPaused = (event: PartitionEvent) => event.type === 'partition.state' && event.to === 'paused'

test('each has one letter and changes nothing, however often the owner is killed', async () => {
  const ports = await memory()
  const values = upTo(2000)
  const garbled = Buffer.from('{"never')
  await publish(ports, [...values.slice(0, 200), garbled, ...values.slice(200), garbled])
  const definition = summing(bad, { budget: false })
  for (let owner = 0; owner < 8; owner++) {
    let commits = 0
    const limits = { mailboxRecordsMax: 20, batchRecordsMax: 20, groupRecordsMax: 20, backlogRecordsMax: 10 }
    const tell: Tell = ({ type }) => {
      if (type === 'partition.committed' && ++commits === 2) actor.kill()
    }
    const actor = actorOn(ports, definition, { limits, tell })
    expect(await actor.run()).toEqual({ why: 'stopped' })
  }
  await runThrough(ports, definition)
  expect(await found(ports, sums)).toEqual(sumsOf(values.filter(n => !isBad(n))))
  const letters = await lettersIn(ports, definition)
  const texts = letters.map(({ bytes }) => Buffer.from(bytes as string, 'base64').toString())
  const expected = values.filter(isBad).map(String)
  expect(texts).toEqual([...expected.slice(0, 29), '{"never', ...expected.slice(29), '{"never'])
  expect(letters.map(({ position }) => position)).toEqual(letters.map(({ position }) => position).sort((a, b) => a - b))
  expect(letters[0]).toMatchObject({
    ...{ pipeline: 'summing', stage: 0, stream: 'numbers', partition: 0, position: 4, attempts: 1 },
    error: { name: 'TypeError', message: 'not 3', where: 'step 2 (map) of pipeline "summing"' },
  })
})

test('the letter stands in the commit that passes its record: who takes over publishes it, and does not try again', async () => {
  const ports = await memory()
  await publish(ports, [3])
  let tries = 0
  const definition = summing(n => {
    tries++
    bad(n)
  })
  const tell: Tell = event => {
    if (event.type !== 'partition.committed') return
    expect(event).toMatchObject({ records: 1, outputs: 1 })
    actor.kill()
  }
  const actor = actorOn(ports, definition, { tell })
  await actor.run()
  const triesBefore = tries
  await runThrough(ports, definition)
  expect(tries).toBe(triesBefore)
  expect(await lettersIn(ports, definition)).toHaveLength(1)
})

test('an output that is passed over counts as read: its writer goes on behind it', async () => {
  const ports = await memory()
  const first = pipeline('first')
    .from(numbers)
    .to(stream<number>('between', { partitions: 1 }))
  const between = plan(first)[0]?.targets[0] as Stream<number>
  const second = pipeline('second')
    .from(between)
    .pipe(
      map(n => {
        bad(n)
        return n
      }),
    )
    .to(sums)
  for (const values of [[1, 2, 3], [10, 4], [17]]) {
    await publish(ports, values)
    await runThrough(ports, first)
    await runThrough(ports, second)
  }
  await publish(ports, [5])
  await runThrough(ports, first)
  await runThrough(ports, second)
  expect(await found(ports, sums)).toEqual([1, 2, 4, 5])
  const letters = (await found(ports, second.deadLetters)) as DeadLetter[]
  expect(letters.map(({ error }) => error.message)).toEqual(['not 3', 'not 10', 'not 17'])
})

describe('what may soon be well', () => {
  const retry = { attempts: 2, backoff: '30 seconds' } as const

  test('is tried again after a wait, with all that follows behind it', async () => {
    const ports = await memory()
    await publish(ports, [1, 2, 3])
    const { clock, next, waits } = handClock()
    const { tell, faults } = ears()
    let isBusy = true
    const definition = summing(
      n => {
        if (n === 2 && isBusy) throw new RetryableError('busy')
      },
      { retry },
    )
    const actor = actorOn(ports, definition, { clock, tell })
    const end = actor.run()
    const first = await next()
    expect(first.ms).toBeGreaterThanOrEqual(15_000)
    await expect.poll(() => found(ports, sums)).toEqual([1])
    expect(actor.status()).toMatchObject({ state: 'running', error: expect.stringContaining('busy') as string })
    first.fire()
    const second = await next()
    isBusy = false
    second.fire()
    expect(await actor.caughtUp()).toBe(true)
    expect(actor.status()).not.toHaveProperty('error')
    actor.stop()
    expect(await end).toEqual({ why: 'stopped' })
    expect(await found(ports, sums)).toEqual([1, 3, 6])
    expect([faults(), waits.length]).toEqual([['retry', 'retry'], 0])
    expect(await lettersIn(ports, definition)).toEqual([])
  })

  test('goes to the dead letters when it never is, with how often it was tried', async () => {
    const ports = await memory()
    await publish(ports, [1, 2, 3])
    const { clock, next } = handClock()
    const { tell, faults } = ears()
    const definition = summing(
      n => {
        if (n === 2) throw new RetryableError('busy')
      },
      { retry },
    )
    const actor = actorOn(ports, definition, { clock, tell })
    const end = actor.run()
    for (let wait = 0; wait < 2; wait++) (await next()).fire()
    expect(await actor.caughtUp()).toBe(true)
    actor.stop()
    await end
    expect(await found(ports, sums)).toEqual([1, 4])
    expect(await lettersIn(ports, definition)).toMatchObject([{ attempts: 3, error: { code: 'RETRYABLE' } }])
    expect(faults()).toEqual(['retry', 'retry', 'deadLetter'])
  })

  test.each(['stop', 'kill'] as const)('keeps nobody waiting: %s ends it at once and leaves no timer', async how => {
    const ports = await memory()
    await publish(ports, [1, 2])
    const { clock, next, waits } = handClock()
    const definition = summing(
      n => {
        if (n === 2) throw new RetryableError('busy')
      },
      { retry },
    )
    const actor = actorOn(ports, definition, { clock })
    const end = actor.run()
    const wait = await next()
    waits.push(wait)
    actor[how]()
    expect(await end).toEqual({ why: 'stopped' })
    expect(waits).toEqual([])
    // Should it come all the same, nobody is there.
    wait.fire()
    await runThrough(
      ports,
      summing(() => {}),
    )
    expect(await found(ports, sums)).toEqual([1, 3])
  })

  test('writes nothing to the ledger while it waits', async () => {
    const ports = await memory()
    await publish(ports, [2])
    const { clock, next } = handClock()
    const { tell, until, faults } = ears()
    let commits = 0
    const definition = summing(
      () => {
        throw new RetryableError('busy')
      },
      { retry: { attempts: 20, backoff: '30 seconds' }, then: 'pause' },
    )
    const actor = actorOn(ports, definition, {
      clock,
      tell: event => {
        if (event.type === 'partition.committed') commits++
        tell(event)
      },
    })
    const end = actor.run()
    for (let wait = 0; wait < 20; wait++) (await next()).fire()
    await until(isPaused)
    expect([faults().length, commits]).toEqual([21, 0])
    actor.stop()
    await end
  })
})

describe('a pause', () => {
  test('holds all that follows up until a person lets it go on', async () => {
    const ports = await memory()
    await publish(ports, [1, 2, 3, 4])
    const { tell, until, faults } = ears()
    let isMended = false
    const definition = summing(
      n => {
        if (!isMended) bad(n)
      },
      { then: 'pause' },
    )
    const actor = actorOn(ports, definition, { tell })
    const end = actor.run()
    const asked = actor.caughtUp()
    await until(isPaused)
    expect(await asked).toBe(false)
    expect(await actor.caughtUp()).toBe(false)
    await expect.poll(() => found(ports, sums)).toEqual([1, 3])
    expect(actor.status()).toMatchObject({ state: 'paused', error: expect.stringContaining('not 3') as string })
    actor.resume()
    await until(event => event.type === 'partition.state' && event.from === 'paused' && event.to === 'running')
    expect(await actor.caughtUp()).toBe(false)
    expect(faults()).toEqual(['pause', 'pause'])
    isMended = true
    actor.resume()
    expect(await actor.caughtUp()).toBe(true)
    expect(actor.status()).toMatchObject({ state: 'running' })
    expect(actor.status()).not.toHaveProperty('error')
    actor.resume()
    actor.stop()
    expect(await end).toEqual({ why: 'stopped' })
    actor.resume()
    expect(await found(ports, sums)).toEqual([1, 3, 6, 10])
    expect(await ports.log.find('summing-dead-letters')).toBeUndefined()
  })

  test('says that all is done of what came before the record', async () => {
    const ports = await memory()
    await publish(ports, [1, 2])
    const { tell, until } = ears()
    const actor = actorOn(ports, summing(bad, { then: 'pause' }), { tell })
    const end = actor.run()
    expect(await actor.caughtUp()).toBe(true)
    await publish(ports, [3])
    await until(isPaused)
    expect(await actor.caughtUp()).toBe(false)
    actor.kill()
    expect(await end).toEqual({ why: 'stopped' })
  })

  test('keeps nobody from stopping it; who comes next begins with the record', async () => {
    const ports = await memory()
    await publish(ports, [1, 3, 2])
    const { tell, until } = ears()
    const actor = actorOn(ports, summing(bad, { then: 'pause' }), { tell })
    const end = actor.run()
    await until(isPaused)
    actor.stop()
    actor.resume()
    expect(await end).toEqual({ why: 'stopped' })
    await runThrough(
      ports,
      summing(() => {}, { then: 'pause' }),
    )
    expect(await found(ports, sums)).toEqual([1, 4, 6])
  })
})

test('a partition that drowns in bad records is paused, and goes on for as many again each time it is let go', async () => {
  const ports = await memory()
  await publish(ports, [1, ...Array<number>(8).fill(3), 2])
  const { tell, faults } = ears()
  const definition = summing(bad, { budget: { records: 3, per: '1 hour' } })
  const actor = actorOn(ports, definition, { tell })
  const end = actor.run()
  for (const letters of [3, 6]) {
    expect(await actor.caughtUp()).toBe(false)
    await expect.poll(() => lettersIn(ports, definition)).toHaveLength(letters)
    expect(actor.status()).toMatchObject({
      state: 'paused',
      error: expect.stringMatching(/budget of 3 bad records in 3600 s is spent; the next one: .* not 3/) as string,
    })
    actor.resume()
  }
  expect(await actor.caughtUp()).toBe(true)
  actor.stop()
  await end
  expect(await found(ports, sums)).toEqual([1, 3])
  expect(await lettersIn(ports, definition)).toHaveLength(8)
  expect(faults().filter(then => then === 'budget')).toHaveLength(2)
})

test('a record that is skipped leaves an event and nothing else', async () => {
  const ports = await memory()
  await publish(ports, upTo(50))
  const { tell, faults } = ears()
  const actor = actorOn(ports, summing(bad, { then: 'skip' }), { tell })
  const end = actor.run()
  expect(await actor.caughtUp()).toBe(true)
  actor.stop()
  await end
  expect(await found(ports, sums)).toEqual(sumsOf(upTo(50).filter(n => !isBad(n))))
  expect(faults()).toEqual(upTo(50).flatMap(n => (isBad(n) ? ['skip'] : [])))
  expect(await ports.log.find('summing-dead-letters')).toBeUndefined()
})

test('a partition that is to stop ends before the record, with all before it done, and so does the next owner', async () => {
  const ports = await memory()
  await publish(ports, [1, 2, 3, 4])
  for (let owner = 0; owner < 2; owner++) {
    const { tell, faults } = ears()
    const actor = actorOn(ports, summing(bad, { then: 'stop' }), { tell })
    const end = actor.run()
    const asked = actor.caughtUp()
    expect(await end).toMatchObject({ why: 'failed', error: { code: 'STEP_FAILED', facts: { position: 3 } } })
    expect([await asked, faults()]).toEqual([false, ['stop']])
  }
  expect(await found(ports, sums)).toEqual([1, 3])
})

test('what else goes wrong while a letter is written ends the partition, and the record is tried again', async () => {
  const ports = await memory()
  await publish(ports, [1, 3])
  // Somebody has a stream of this name, with too few partitions for letters.
  const other = stream('summing-dead-letters', { partitions: 2 })
  await new Streams(ports, parts).open(other, 'write')
  const actor = actorOn(ports, summing(bad))
  expect(await actor.run()).toMatchObject({ why: 'failed', error: { code: 'STREAM_DIFFERS' } })
  await ports.log.drop('summing-dead-letters')
  const bucket = await ports.bucket({ name: 'stream-node' })
  await bucket.delete('streams.summing-dead-letters')
  await runThrough(ports, summing(bad))
  expect(await found(ports, sums)).toEqual([1])
  expect(await lettersIn(ports, summing(bad))).toHaveLength(1)
})
