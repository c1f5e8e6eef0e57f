import { afterEach, expect, test } from 'vitest'
import { systemChance, systemClock } from '../clock.js'
import type { Bucket } from '../log/bucket.js'
import { openEmbedded } from '../log/embedded/embedded.js'
import type { LogStream } from '../log/log.js'
import type { Ports } from '../log/ports.js'
import { START } from '../log/record.js'
import { BUCKET } from '../stream/kept.js'
import { OctetWriter } from '../codec/octets.js'
import { writeOutputs, writeState } from './entry.js'
import { claimLedger, type Ledger } from './ledger.js'
import { unseal } from './message.js'
import { beginningOf, livesOf, pipelinesIn, resetPipeline, type From, type Lives, type ResetParts } from './reset.js'
import { Tables } from './tables.js'
import { ledgerName, Witness, witnessKey } from './witness.js'

const around = { clock: systemClock, chance: systemChance, tell: () => {} }
const asking = { clock: systemClock, signal: new AbortController().signal, waits: () => {} }
const opened: Ports[] = []

afterEach(async () => {
  await Promise.all(opened.splice(0).map(ports => ports.close()))
})

async function memory() {
  const ports = await openEmbedded({ memory: true, role: 'node', name: 'test' }, around)
  opened.push(ports)
  return { ports, bucket: await ports.bucket({ name: BUCKET }) }
}

type Both = Awaited<ReturnType<typeof memory>>

const partsOf = ({ ports, bucket }: Pick<ResetParts, 'ports' | 'bucket'>): ResetParts => ({
  ...{ ...asking, ports, bucket, chance: systemChance },
})

const spec = (name: string, partitions = 2) => ({ name, partitions, retention: {}, replicas: 1, dedupWindowMs: 20_000 })

/** Takes the ledger of a partition, as its owner does. */
async function claim({ ports, bucket }: Both, partition = 0, pipeline = 'p') {
  const stream = await ports.log.open(spec(ledgerName(pipeline, 0)))
  const witness = await Witness.of(bucket, witnessKey(pipeline, 0, partition), { ...asking, chance: systemChance })
  const { recordBytesMax } = ports.log
  return {
    ...(await claimLedger({ ...asking, stream, partition, recordBytesMax, witness, chance: systemChance })),
    witness,
  }
}

/** An entry that sets one row, and names one target. */
async function commit(ledger: Ledger, key: string): Promise<void> {
  const out = new OctetWriter(256)
  const tables = new Tables()
  tables.table<string>('rows').set(key, 'value')
  tables.settle()
  writeState(out, {
    inputs: [],
    targets: ['results', 'sink:rows'].map(name => ({ name, incarnation: 'i', floor: 0, partitions: [] })),
  })
  tables.write(out, ledger.next, 0)
  writeOutputs(out, [])
  await ledger.write(out.done(), 1)
}

async function resetAll(
  both: Pick<ResetParts, 'ports' | 'bucket'>,
  from: From = 'start',
  drops: readonly string[] = [],
) {
  const lives = (await livesOf('p', partsOf(both))) as Lives
  await resetPipeline('p', lives, { from, drops }, partsOf(both))
}

async function keysIn(both: Both, partition = 0) {
  const { found, witness, ledger } = await claim(both, partition)
  const keys = [...found.tables.table('rows').entries()].map(([key]) => key)
  return { keys, incarnation: witness.incarnation, ledger }
}

test('a pipeline that never ran has nothing to reset', async () => {
  const both = await memory()
  expect(await livesOf('p', partsOf(both))).toBeUndefined()
  expect(await pipelinesIn(both.bucket)).toEqual([])
})

test('a new life remembers nothing, has another incarnation, and goes on like any', async () => {
  const both = await memory()
  const { ledger, witness } = await claim(both)
  await commit(ledger, 'old')
  await claim(both, 1)
  expect(await pipelinesIn(both.bucket)).toEqual(['p'])
  expect(await livesOf('p', partsOf(both))).toMatchObject({
    ledgers: [{ stage: 0, partitions: 2, name: 'p-0-ledger' }],
    outputs: ['results'],
    sinks: ['rows'],
    unfinished: undefined,
  })
  await resetAll(both)
  for (const partition of [0, 1]) {
    const { keys, incarnation, ledger: next } = await keysIn(both, partition)
    expect(keys).toEqual([])
    expect(incarnation).not.toBe(witness.incarnation)
    await commit(next, 'new')
    expect((await keysIn(both, partition)).keys).toEqual(['new'])
  }
})

test('other pipelines are left alone, those with a longer name too', async () => {
  const both = await memory()
  const other = await claim(both, 0, 'p-0')
  await commit(other.ledger, 'theirs')
  await claim(both)
  await resetAll(both)
  expect((await claim(both, 0, 'p-0')).found.tables.table('rows').has('theirs')).toBe(true)
})

test('an owner of the old life can write nothing into the new one', async () => {
  const both = await memory()
  const { ledger } = await claim(both)
  await commit(ledger, 'old')
  await resetAll(both)
  await expect(commit(ledger, 'zombie')).rejects.toMatchObject({ code: 'LOG_REWOUND' })
  expect((await keysIn(both)).keys).toEqual([])
})

test('broken ledgers are reset like others: bytes that nobody wrote, a stream that is gone, a witness that is none', async () => {
  const both = await memory()
  const { ledger } = await claim(both)
  await commit(ledger, 'old')
  const stream = (await both.ports.log.find('p-0-ledger')) as LogStream
  const { position = 0 } = (await stream.last(0)) ?? {}
  await stream.append({ partition: 0, payload: Buffer.from('rubbish'), id: 'x', expect: position })
  await expect(claim(both)).rejects.toMatchObject({ code: 'BAD_LOG' })
  await resetAll(both)
  const { ledger: second } = await keysIn(both)
  await commit(second, 'second')

  await both.bucket.put(witnessKey('p', 0, 0), Buffer.from('rubbish'))
  await expect(claim(both)).rejects.toMatchObject({ code: 'BAD_LOG' })
  await resetAll(both)
  const { keys, ledger: third } = await keysIn(both)
  expect(keys).toEqual([])
  await commit(third, 'third')

  await both.ports.log.drop('p-0-ledger')
  await expect(claim(both)).rejects.toMatchObject({ code: 'LOG_REWOUND' })
  await resetAll(both)
  expect((await keysIn(both)).keys).toEqual([])
})

test('where it begins is kept for partitions without a memory: a time, or when the reset was asked for', async () => {
  const both = await memory()
  await claim(both)
  const beginning = () => beginningOf('p', both.bucket, asking)
  expect(await beginning()).toBeUndefined()
  await resetAll(both, 12345)
  expect(await beginning()).toBe(12345)
  const before = Math.floor(systemClock.now())
  await resetAll(both, 'end')
  const at = await beginning()
  expect(at).toBeGreaterThanOrEqual(before)
  expect(at).toBeLessThanOrEqual(systemClock.now() + 1)
  await resetAll(both)
  expect(await beginning()).toBeUndefined()
})

class Crash extends Error {}

/** Dies at the n-th thing that is written: before it is done, or after. */
function dying({ ports, bucket }: Both, at: number, when: 'before' | 'after') {
  let done = 0
  const deadly = <A extends unknown[], R>(work: (...args: A) => Promise<R>): ((...args: A) => Promise<R>) => {
    return async (...args) => {
      const dies = ++done === at
      if (dies && when === 'before') throw new Crash()
      const result = await work(...args)
      if (dies) throw new Crash()
      return result
    }
  }
  const streamOf = (log: LogStream): LogStream => ({
    ...{ spec: log.spec, incarnation: log.incarnation },
    append: deadly(record => log.append(record)),
    send: (record, ended) => log.send(record, ended),
    room: () => log.room(),
    read: options => log.read(options),
    last: partition => log.last(partition),
    extent: () => log.extent(),
    positionAt: time => log.positionAt(time),
    purge: deadly((partition, before) => log.purge(partition, before)),
  })
  const log: Ports['log'] = {
    ...{ description: ports.log.description, recordBytesMax: ports.log.recordBytesMax },
    open: async of => streamOf(await ports.log.open(of)),
    find: async name => {
      const found = await ports.log.find(name)
      return found && streamOf(found)
    },
    names: () => ports.log.names(),
    drop: deadly(name => ports.log.drop(name)),
  }
  const mortal: Bucket = {
    get: key => bucket.get(key),
    put: deadly((key, value, revision?) => bucket.put(key, value, revision)),
    delete: deadly((key, revision?) => bucket.delete(key, revision)),
    keys: prefix => bucket.keys(prefix),
    watch: prefix => bucket.watch(prefix),
  }
  return { ports: { log }, bucket: mortal }
}

test.each(['before', 'after'] as const)(
  'a reset that dies %s any of its writes leaves the old life, the new one, or one that says so and is finished later',
  async when => {
    const seen = { old: 0, half: 0, new: 0 }
    for (let at = 1; ; at++) {
      const both = await memory()
      for (const partition of [0, 1]) await commit((await claim(both, partition)).ledger, 'old')
      await both.ports.log.open(spec('results', 1))
      const died = await resetAll(dying(both, at, when), 'end', ['results']).then(
        () => false,
        (error: unknown) => {
          expect(error).toBeInstanceOf(Crash)
          return true
        },
      )
      const state = await beginningOf('p', both.bucket, asking).then(
        from => (from === undefined ? 'old' : 'new'),
        (error: unknown) => {
          expect(error).toMatchObject({ code: 'RESET_UNFINISHED' })
          return 'half' as const
        },
      )
      seen[state]++
      if (state === 'old') expect((await keysIn(both)).keys).toEqual(['old'])
      if (state === 'half') {
        const { unfinished } = (await livesOf('p', partsOf(both))) as Lives
        expect(unfinished).toMatchObject({ from: 'end', drops: ['results'] })
        // What is asked for now counts for nothing.
        await resetAll(both, 'start')
      }
      if (state !== 'old') {
        expect(await beginningOf('p', both.bucket, asking)).toBeGreaterThan(0)
        const lives = [await keysIn(both, 0), await keysIn(both, 1)]
        expect(lives.map(({ keys }) => keys)).toEqual([[], []])
        expect(lives[0]?.incarnation).toBe(lives[1]?.incarnation)
        expect(await both.ports.log.find('results')).toBeUndefined()
        const stream = (await both.ports.log.find('p-0-ledger')) as LogStream
        for await (const { records } of stream.read({ after: START, untilEnd: true })) {
          for (const { payload } of records) expect(unseal(payload, '').incarnation).toBe(lives[0]?.incarnation)
        }
      }
      if (!died) break
    }
    expect(seen.half).toBeGreaterThan(5)
    expect(seen.new).toBeGreaterThan(0)
  },
)

test('two resets at once end in one new life', async () => {
  const both = await memory()
  await commit((await claim(both)).ledger, 'old')
  await Promise.all([resetAll(both), resetAll(both)])
  const { keys, ledger } = await keysIn(both)
  expect(keys).toEqual([])
  await commit(ledger, 'new')
  expect((await keysIn(both)).keys).toEqual(['new'])
})

/** Resets on a server that is killed right after it, and brings back what was purged. */
async function resetAndRevived(both: Both): Promise<void> {
  const lives = (await livesOf('p', partsOf(both))) as Lives
  const ledgers = lives.ledgers.map(one => ({
    ...one,
    log: one.log && new Proxy(one.log, { get: (log, name) => (name === 'purge' ? async () => {} : bound(log, name)) }),
  }))
  await resetPipeline('p', { ...lives, ledgers }, { from: 'start', drops: [] }, partsOf(both))
}

function bound(log: LogStream, name: string | symbol): unknown {
  const found: unknown = Reflect.get(log, name)
  return typeof found === 'function' ? (found.bind(log) as unknown) : found
}

test('what a killed server brings back of the old life counts for nothing', async () => {
  const both = await memory()
  const { ledger } = await claim(both)
  await commit(ledger, 'old')
  await resetAndRevived(both)
  const { keys, ledger: next } = await keysIn(both)
  expect(keys).toEqual([])
  await commit(next, 'new')
  expect((await keysIn(both)).keys).toEqual(['new'])
  await resetAndRevived(both)
  expect((await keysIn(both)).keys).toEqual([])
})

test.each([
  ['alone', resetAll],
  ['behind the old one', resetAndRevived],
] as const)('a life of which the bucket has forgotten is not passed over, %s', async (_, reset) => {
  const both = await memory()
  const { ledger } = await claim(both)
  await commit(ledger, 'old')
  const key = witnessKey('p', 0, 0)
  const before = (await both.bucket.get(key))?.value as Uint8Array
  await reset(both)
  await commit((await keysIn(both)).ledger, 'new')
  await both.bucket.put(key, before, (await both.bucket.get(key))?.revision)
  await expect(claim(both)).rejects.toMatchObject({
    code: 'LOG_REWOUND',
    message: expect.stringMatching(/another life/) as string,
  })
})

test('a reset that stood still while another one finished leaves the outputs of the new life alone', async () => {
  const both = await memory()
  await commit((await claim(both)).ledger, 'old')
  await both.ports.log.open(spec('results', 1))
  let goOn = () => {}
  const stands = new Promise<void>(resolve => (goOn = resolve))
  let arrive = () => {}
  const arrived = new Promise<void>(resolve => (arrive = resolve))
  const lives = (await livesOf('p', partsOf(both))) as Lives
  const slow = (log: LogStream) =>
    Object.assign(Object.create(log) as LogStream, {
      append: (record: Parameters<LogStream['append']>[0]) => log.append(record),
      purge: (partition: number, before: number) => log.purge(partition, before),
      async last(partition: number) {
        // At the last of all: no other ledger follows.
        if (partition === 1) {
          arrive()
          await stands
        }
        return log.last(partition)
      },
    })
  const ledgers = lives.ledgers.map(one => ({ ...one, log: one.log && slow(one.log) }))
  const wanted = { from: 'start', drops: ['results'] } as const
  const late = resetPipeline('p', { ...lives, ledgers }, wanted, partsOf(both))
  await arrived
  await resetPipeline('p', lives, wanted, partsOf(both))
  const results = await both.ports.log.open(spec('results', 1))
  await results.append({ partition: 0, payload: Buffer.from('new'), id: 'x' })
  goOn()
  await late
  expect((await both.ports.log.find('results'))?.incarnation).toBe(results.incarnation)
})
