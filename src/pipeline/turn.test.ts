import fc from 'fast-check'
import { filter, map, mergeMap, Observable, skip, take, tap } from 'rxjs'
import { beforeEach, describe, expect, onTestFinished, test } from 'vitest'
import type { SchemaStore } from '../codec/codec.js'
import { DefinitionError, InvariantError } from '../errors.js'
import { encodeHeaders, LogRecord } from '../log/record.js'
import { ambient, operator, type Operator, type Seat } from '../operators/operator.js'
import { Tables } from '../state/tables.js'
import { encodeBatch } from '../stream/batch.js'
import { settingsOf, stream, type Stream } from '../stream/stream.js'
import { Wire } from '../stream/wire.js'
import type { Definition } from './definition.js'
import { pipeline, type Flow } from './pipeline.js'
import { plan, type Stage } from './plan.js'
import { Turn, type Judge, type Outcome } from './turn.js'

interface Click {
  user?: string
  n: number
  at?: number
}

const noSchemas: SchemaStore = { get: () => Promise.resolve(undefined), put: () => Promise.resolve() }

const RECORD_BYTES_MAX = 1 << 20

async function wireOf(of: Stream<unknown>): Promise<Wire<unknown>> {
  return new Wire(of, await settingsOf(of).codec.open(noSchemas), { recordBytesMax: RECORD_BYTES_MAX })
}

/** Each fault ends its turn. */
const hold: Judge = () => ({ then: 'hold' })

async function turnOf(definition: Definition, options: { readonly doubts?: boolean; readonly judge?: Judge } = {}) {
  const [stage] = plan(definition) as [Stage]
  const tables = new Tables()
  const sources = await Promise.all(stage.sources.map(wireOf))
  const targets = await Promise.all(
    stage.targets.map(async (stream, index) => ({ index, stream, wire: await wireOf(stream) })),
  )
  const turn = new Turn(stage, { partition: 0, tables, sources, targets, judge: hold, ...options })
  return { tables, turn, fresh: { rows: tables.rows, dirtyBytes: tables.dirtyBytes } }
}

let position = 0
beforeEach(() => void (position = 0))

function record(value: unknown, headers?: Record<string, string>): LogRecord {
  const payload = value instanceof Uint8Array ? value : Buffer.from(JSON.stringify(value))
  return new LogRecord(0, (position += 1), 1000 + position, encodeHeaders(headers), payload)
}
const records = (...values: unknown[]) => values.map(value => record(value))
const values = (outcome: Outcome) =>
  outcome.outputs.map(({ payload }) => JSON.parse(Buffer.from(payload).toString()) as unknown)

const clicks = stream<Click>('clicks')
const out = stream('out', { key: () => 'k', time: () => 1 })

/** Sums by key in a table, and remembers beside it how often it was called. */
const summed = (fail?: (click: Click) => boolean): Operator<Click, { key: string; sum: number }> =>
  operator({
    name: 'summed',
    asks: ['key'],
    keeps: 'rows',
    start: (seat, next) => {
      const sums = seat.table<number>()
      return click => {
        const sum = (sums.get(ambient.key) ?? 0) + click.n
        sums.set(ambient.key, sum)
        next({ key: ambient.key, sum })
        if (fail?.(click)) throw new Error(`no ${click.n}`)
      }
    },
  })

const keyed = stream<Click>('keyed', { key: click => click.user ?? '' })

describe('a turn', () => {
  test('walks a batch and gives what came out, encoded and with its partition', async () => {
    const definition = pipeline('p')
      .from(clicks)
      .pipe(
        filter(({ n }) => n > 1),
        map(({ n }) => ({ twice: 2 * n })),
      )
      .to(out)
    const { turn } = await turnOf(definition)
    const outcome = turn.walk(0, records({ n: 1 }, { n: 2 }, { n: 3 }), 0, undefined)
    expect(outcome.walked).toBe(3)
    expect(values(outcome)).toEqual([{ twice: 4 }, { twice: 6 }])
    expect(outcome.bytes).toBe(outcome.outputs.reduce((sum, { payload }) => sum + payload.length, 0))
    expect(outcome.outputs[0]).toMatchObject({ key: undefined, time: undefined, target: { index: 0 } })
    expect(outcome.fault).toBeUndefined()
  })

  test('begins where it is told to, and says of each record that it is taken', async () => {
    const { turn } = await turnOf(pipeline('p').from(clicks).to(out))
    const batch = records({ n: 1 }, { n: 2 }, { n: 3 })
    const taken: number[] = []
    const outcome = turn.walk(0, batch, 1, ({ position }) => taken.push(position))
    expect(values(outcome)).toEqual([{ n: 2 }, { n: 3 }])
    expect(outcome.walked).toBe(2)
    expect(taken).toEqual([2, 3])
  })

  test('reads the records of batches, each under its own key and time', async () => {
    const batched = stream<Click>('batched', { format: 'batch' })
    const seen: unknown[] = []
    const spy = operator<Click, Click>({
      name: 'spy',
      asks: ['key', 'time'],
      keeps: 'rows',
      start: (_, next) => click => {
        seen.push([ambient.key, ambient.time, click.n])
        next(click)
      },
    })
    const { turn } = await turnOf(pipeline('p').from(batched).pipe(spy).to(out))
    const json = (n: number) => Buffer.from(JSON.stringify({ n }))
    const framed = [
      { key: 'a', time: 5, payload: json(1) },
      { key: 'b', time: 3, payload: json(2) },
    ]
    const outcome = turn.walk(0, [record(encodeBatch(framed))], 0, undefined)
    expect(outcome.walked).toBe(1)
    expect(seen).toEqual([
      ['a', 5, 1],
      ['b', 3, 2],
    ])
    expect(turn.times).toEqual([5])
  })

  test('keeps the memory of operators in tables that bear their names, whatever RxJS stands between them', async () => {
    const { turn, tables } = await turnOf(pipeline('p').from(keyed).pipe(summed()).to(out))
    turn.walk(0, records({ user: 'a', n: 1 }, { user: 'b', n: 2 }, { user: 'a', n: 3 }), 0, undefined)
    expect([...tables.table<number>('summed-1').entries()].sort()).toEqual([
      ['a', 4],
      ['b', 2],
    ])
  })

  test('is on while it walks, and off after it, also when it fails', async () => {
    const seen: boolean[] = []
    const { turn } = await turnOf(
      pipeline('p')
        .from(clicks)
        .pipe(
          tap(({ n }) => {
            seen.push(ambient.on)
            if (n === 2) throw new Error('two')
          }),
        )
        .to(out),
    )
    turn.walk(0, records({ n: 1 }, { n: 2 }), 0, undefined)
    expect(new Set(seen)).toEqual(new Set([true]))
    expect(ambient.on).toBe(false)
  })
})

describe('what a record fails at', () => {
  test('costs that record alone: what came before stands, and what it changed itself does not', async () => {
    const failing = summed(({ n }) => n === 3)
    const { turn, tables } = await turnOf(pipeline('p').from(keyed).pipe(failing).to(out))
    const taken = tables.table<number>('taken')
    const batch = records({ user: 'a', n: 1 }, { user: 'a', n: 2 }, { user: 'a', n: 3 }, { user: 'a', n: 4 })
    const outcome = turn.walk(0, batch, 0, ({ position }) => taken.set('at', position))
    expect(outcome.walked).toBe(2)
    expect(values(outcome)).toEqual([
      { key: 'a', sum: 1 },
      { key: 'a', sum: 3 },
    ])
    expect(tables.table<number>('summed-1').get('a')).toBe(3)
    expect(taken.get('at')).toBe(2)
    const { fault } = outcome
    expect(fault?.record).toBe(batch[2])
    expect(fault?.where).toBe('step 1 (summed) of pipeline "p"')
    expect(fault?.error).toMatchObject({
      code: 'STEP_FAILED',
      message:
        'step 1 (summed) of pipeline "p" failed at stream "keyed", partition 0, position 3: no 3; mend what threw, or keep such records from it',
      cause: new Error('no 3'),
      facts: { pipeline: 'p', stage: 0, partition: 0, stream: 'keyed', position: 3 },
    })
    expect(values(turn.walk(0, batch, 3, undefined))).toEqual([{ key: 'a', sum: 7 }])
  })

  test('in a step of RxJS, in front of ours or behind, names that step', async () => {
    const fails = (n: number) =>
      map(<V extends { n?: number; sum?: number }>(value: V) => {
        if (value.n === n || value.sum === n) throw new Error('it')
        return value
      })
    const { turn } = await turnOf(
      pipeline('p')
        .from(keyed)
        .pipe(
          tap(() => {}),
          fails(1),
          summed(),
          fails(5),
        )
        .to(out),
    )
    const walk = (n: number) => turn.walk(0, records({ user: 'a', n }), 0, undefined).fault?.where
    expect(walk(1)).toBe('step 2 (map) of pipeline "p"')
    expect(walk(5)).toBe('step 4 (map) of pipeline "p"')
    expect(walk(2)).toBeUndefined()
  })

  test('when its bytes cannot be read is told as the wire says it', async () => {
    const { turn } = await turnOf(pipeline('p').from(clicks).to(out))
    const { fault, walked } = turn.walk(0, [record({ n: 1 }), record(Buffer.from('{'))], 0, undefined)
    expect(walked).toBe(1)
    expect(fault?.error.code).toBe('BAD_BYTES')
    expect(fault?.where).toBe('stream "clicks"')
  })

  test('when it is one of a batch takes the message with it, and says which one it was', async () => {
    const batched = stream<Click>('batched', { format: 'batch', key: click => click.user as string })
    const { turn } = await turnOf(pipeline('p').from(batched).pipe(summed()).to(out))
    const batch = (...texts: string[]) => record(encodeBatch(texts.map(text => ({ payload: Buffer.from(text) }))))
    const whole = batch('{"user":"a","n":1}')
    const fault = (second: LogRecord) => {
      const outcome = turn.walk(0, [whole, second], 0, undefined)
      expect(outcome).toMatchObject({ walked: 1, outputs: [{}] })
      return outcome.fault?.error.message
    }
    expect(fault(batch('{"user":"a","n":1}', '{'))).toContain(', record 1 of its batch: the record is not JSON')
    expect(fault(batch('{"n":1}'))).toContain(', record 0 of its batch: the key function of stream "batched" must give')
    expect(fault(record(Buffer.from('no batch')))).toContain('the bytes are no batch of records')
  })

  test('when what comes out cannot be written names the target', async () => {
    const bigints = pipeline('p')
      .from(clicks)
      .pipe(map(({ n }) => (n === 1 ? undefined : BigInt(n))))
    const { turn } = await turnOf(bigints.to(out))
    const nothing = turn.walk(0, records({ n: 1 }), 0, undefined).fault
    expect(nothing?.where).toBe('to "out" of pipeline "p"')
    expect(nothing?.error.message).toContain('undefined came out of the last step, and no stream can carry it')
    const bigint = turn.walk(0, records({ n: 2 }), 0, undefined).fault
    expect(bigint?.where).toBe('to "out" of pipeline "p"')
    expect(bigint?.error.code).toBe('STEP_FAILED')
  })

  test('when a promise comes out says that nothing is waited for, and lets it reject unheard', async () => {
    const unheard: unknown[] = []
    const hear = (reason: unknown) => unheard.push(reason)
    process.on('unhandledRejection', hear)
    onTestFinished(() => void process.off('unhandledRejection', hear))
    const asked = pipeline('p')
      .from(clicks)
      .pipe(map(({ n }) => Promise.reject<Click>(new Error(`no ${n}`))))
    const { turn } = await turnOf(asked.to(out))
    const { fault } = turn.walk(0, records({ n: 1 }), 0, undefined)
    expect(fault?.error.message).toContain('a promise came out of the last step, and a turn waits for none')
    await new Promise(resolve => setImmediate(resolve))
    expect(unheard).toEqual([])
  })

  test('when it has no key and a step goes by key says so', async () => {
    const { turn } = await turnOf(pipeline('p').from(clicks).pipe(summed()).to(out))
    const { fault } = turn.walk(0, records({ n: 1 }), 0, undefined)
    expect(fault?.error.message).toContain(
      'stream "clicks", partition 0, position 1: step 1 (summed) of pipeline "p" goes by key, and the record has none; give stream "clicks" a key',
    )
    expect(turn.walk(0, [record({ n: 1 }, { 'Sn-Key': 'a' })], 0, undefined).fault).toBeUndefined()
  })

  test('when a table cannot hold what it is given is laid on that record', async () => {
    const stores = operator<Click, Click>({
      name: 'stores',
      asks: [],
      keeps: 'rows',
      start: (seat, next) => click => {
        seat.table<unknown>().set('last', click.n === 2 ? new Map() : click.n)
        next(click)
      },
    })
    const { turn } = await turnOf(pipeline('p').from(clicks).pipe(stores).to(out))
    const outcome = turn.walk(0, records({ n: 1 }, { n: 2 }), 0, undefined)
    expect(outcome.walked).toBe(1)
    expect(outcome.fault?.error.cause).toMatchObject({ code: 'NOT_STORABLE' })
  })

  test('is found among many at whatever place, with the same state as without the ones behind it', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.integer({ min: -1, max: 5 }), { minLength: 1, maxLength: 12 }), async ns => {
        position = 0
        const { turn, tables } = await turnOf(
          pipeline('p')
            .from(keyed)
            .pipe(summed(({ n }) => n < 0))
            .to(out),
        )
        const outcome = turn.walk(0, records(...ns.map(n => ({ user: 'a', n }))), 0, undefined)
        const good = ns.includes(-1) ? ns.indexOf(-1) : ns.length
        expect(outcome.walked).toBe(good)
        expect(outcome.outputs).toHaveLength(good)
        expect(outcome.fault === undefined).toBe(good === ns.length)
        const sum = ns.slice(0, good).reduce((a, b) => a + b, 0)
        expect(tables.table<number>('summed-1').get('a')).toBe(good === 0 ? undefined : sum)
      }),
      { numRuns: 50 },
    )
  })
})

describe('at the end of a turn', () => {
  const ending = (name: string, log: string[], fail?: (seen: readonly number[]) => boolean) =>
    operator<Click, Click>({
      name,
      asks: [],
      keeps: 'rows',
      start: (seat: Seat, next) => {
        const seen = seat.table<number[]>()
        seat.atTurnEnd(() => {
          const all = seen.get('seen') ?? []
          log.push(`${name} ${all.join()}`)
          if (fail?.(all)) throw new Error(`${name} fails`)
          next({ n: 100 })
        })
        return ({ n }) => seen.set('seen', [...(seen.get('seen') ?? []), n])
      },
    })

  test('steps are called in their order and may push on', async () => {
    const log: string[] = []
    const { turn } = await turnOf(pipeline('p').from(clicks).pipe(ending('a', log), ending('b', log)).to(out))
    const outcome = turn.walk(0, records({ n: 1 }, { n: 2 }), 0, undefined)
    expect(log).toEqual(['a 1,2', 'b 100'])
    expect(values(outcome)).toEqual([{ n: 100 }])
  })

  test('what fails is laid on the last record without which it does not', async () => {
    const log: string[] = []
    const { turn, tables } = await turnOf(
      pipeline('p')
        .from(clicks)
        .pipe(ending('a', log, seen => seen.includes(3)))
        .to(out),
    )
    const batch = records({ n: 1 }, { n: 2 }, { n: 3 }, { n: 4 })
    const outcome = turn.walk(0, batch, 0, undefined)
    expect(outcome.walked).toBe(2)
    expect(outcome.fault).toMatchObject({ record: batch[2], where: 'step 1 (a) of pipeline "p"' })
    expect(values(outcome)).toEqual([{ n: 100 }])
    expect(tables.table('a-1').get('seen')).toEqual([1, 2])
  })

  test('what fails with any record leaves nothing behind', async () => {
    const { turn, tables, fresh } = await turnOf(
      pipeline('p')
        .from(clicks)
        .pipe(ending('a', [], () => true))
        .to(out),
    )
    const outcome = turn.walk(0, records({ n: 1 }, { n: 2 }), 0, undefined)
    expect(outcome).toMatchObject({ walked: 0, outputs: [], bytes: 0 })
    expect(outcome.fault?.record.position).toBe(1)
    expect(tables.rows).toBe(fresh.rows)
  })
})

describe('keys and times', () => {
  const plain = stream('plain')

  test('of the record go with what comes out, where its stream has no rules for them', async () => {
    const timed = stream<Click>('timed', { key: click => click.user ?? '', time: click => click.at ?? 0 })
    const { turn } = await turnOf(pipeline('p').from(timed).to(plain))
    const [output] = turn.walk(0, records({ user: 'ann', n: 1, at: 50 }), 0, undefined).outputs
    expect(output).toMatchObject({ key: 'ann', time: 50 })
  })

  test('are left out where the record has none', async () => {
    const { turn } = await turnOf(pipeline('p').from(clicks).to(plain))
    const outcome = turn.walk(0, [record({ n: 1 }, { 'Sn-Key': 'a' }), record({ n: 2 })], 0, undefined)
    expect(outcome.outputs.map(({ key, time }) => [key, time])).toEqual([
      ['a', 1001],
      [undefined, 1002],
    ])
  })

  test('are not derived when nobody asks', async () => {
    const asked: string[] = []
    const asking = stream<Click>('asking', {
      key: () => (asked.push('key'), 'k'),
      time: () => (asked.push('time'), 1),
    })
    const { turn } = await turnOf(pipeline('p').from(asking).to(out))
    turn.walk(0, records({ n: 1 }), 0, undefined)
    expect(asked).toEqual([])
    expect(turn.times).toEqual([-Infinity])
  })

  test('the watermark is that of the source furthest behind, and goes back with a turn that fails', async () => {
    const seats: Seat[] = []
    const watching = operator<Click, Click>({
      name: 'watching',
      asks: ['time'],
      keeps: 'rows',
      start: (seat, next) => {
        seats.push(seat)
        return click => {
          if (click.n < 0) throw new Error('negative')
          next(click)
        }
      },
    })
    const a = stream<Click>('a', { time: click => click.at ?? 0, outOfOrderness: '2 seconds' })
    const b = stream<Click>('b', { time: click => click.at ?? 0 })
    const { turn } = await turnOf(pipeline('p').from(a, b).pipe(watching).to(out))
    const watermark = () => seats[0]?.watermark()
    turn.walk(0, records({ n: 1, at: 10_000 }), 0, undefined)
    expect(watermark()).toBe(-Infinity)
    turn.walk(1, records({ n: 1, at: 20_000 }, { n: 1, at: 15_000 }), 0, undefined)
    expect(watermark()).toBe(8_000)
    turn.walk(0, records({ n: 1, at: 12_000 }, { n: -1, at: 90_000 }), 0, undefined)
    expect(turn.times).toEqual([12_000, 20_000])
    expect(watermark()).toBe(10_000)
  })
})

test('a record from which outputs come without end is at fault, and those before it stand', async () => {
  const forEver = function* (n: number) {
    for (let i = 0; n > 2 || i < n; i++) yield { i }
  }
  const flow = pipeline('p')
    .from(clicks)
    .pipe(mergeMap(({ n }) => forEver(n)))
  for (const definition of [flow.to(out), flow.pipe(map(value => value)).to(out)]) {
    const { turn } = await turnOf(definition)
    const outcome = turn.walk(0, records({ n: 1 }, { n: 2 }, { n: 3 }, { n: 1 }), 0, undefined)
    expect(outcome).toMatchObject({ walked: 2, fault: { error: { cause: { code: 'TOO_MANY_OUTPUTS' } } } })
    expect(values(outcome)).toEqual([{ i: 0 }, { i: 0 }, { i: 1 }])
    expect(turn.walk(0, records({ n: 1 }), 0, undefined)).toMatchObject({ walked: 1 })
  }
})

test('a turn ends ahead of its batch once it has given enough, also when a later record would fail', async () => {
  const definition = pipeline('p')
    .from(clicks)
    .pipe(
      mergeMap(({ n }) => {
        if (n === 0) throw new Error('no')
        return Array.from({ length: n }, (_, i) => ({ i }))
      }),
    )
    .to(out)
  const { turn } = await turnOf(definition)
  const batch = records({ n: 3000 }, { n: 3000 }, { n: 1 }, { n: 0 })
  const first = turn.walk(0, batch, 0, undefined)
  expect([first.walked, first.outputs.length, first.fault]).toEqual([2, 6000, undefined])
  const second = turn.walk(0, batch, 2, undefined)
  expect(second).toMatchObject({ walked: 1, fault: { record: { position: 4 } } })
  expect(second.outputs).toHaveLength(1)
})

test('an output that the log would not take with its headers is a fault of its record', async () => {
  const texts = stream<string>('texts', { key: () => 'k', time: () => 1, partitions: 1 })
  const long = pipeline('p')
    .from(clicks)
    .pipe(map(({ n }) => 'x'.repeat(n)))
    .to(texts)
  const { turn } = await turnOf(long)
  const [few, most] = [10, RECORD_BYTES_MAX - 20]
  const outcome = turn.walk(0, records({ n: few }, { n: most }), 0, undefined)
  expect(outcome).toMatchObject({ walked: 1, fault: { error: { cause: { code: 'RECORD_TOO_LARGE' } } } })
})

test('a step whose rows were written by another make of it is refused, and both are named', async () => {
  const [stage] = plan(
    pipeline('p')
      .from(keyed)
      .pipe(summed())
      .to(stream('sums', { key: 'key' })),
  ) as [Stage]
  const tables = new Tables()
  const parts = {
    partition: 0,
    tables,
    sources: await Promise.all(stage.sources.map(wireOf)),
    targets: [],
    judge: hold,
  }
  new Turn(stage, parts).stop()
  expect(() => new Turn(stage, parts)).not.toThrow()
  tables.table<string>('makes').set('summed-1', 'rows of before')
  tables.settle()
  expect(() => new Turn(stage, parts)).toThrow(/summed.* keeps \(rows\), .*before: \(rows of before\).*another name/)
})

test('a step with memory that is gone is missed, for one behind it would take its rows', async () => {
  const stageOf = (...steps: ReturnType<typeof summed>[]) => {
    const flow = steps.reduce<Flow<Click>>((flow, step) => flow.pipe(step as never), pipeline('p').from(keyed))
    return plan(flow.to(out))[0] as Stage
  }
  const tables = new Tables()
  const parts = {
    partition: 0,
    tables,
    sources: await Promise.all(stageOf().sources.map(wireOf)),
    targets: [],
    judge: hold,
  }
  const start = (...steps: ReturnType<typeof summed>[]) => new Turn(stageOf(...steps), parts).stop()
  start(summed())
  start(summed(), summed())
  expect(() => start(summed())).toThrow(/pipeline "p" has no summed number 2 now, .* that one kept; .*another name/)
  expect(() => start()).toThrow(/no summed number 1 now/)
  start(summed(), summed())
})

describe('a function that chooses', () => {
  const even = stream<Click>('even', { key: () => 'k', time: () => 1 })
  const odd = stream<Click>('odd', { key: () => 'k', time: () => 1 })

  async function open(turn: Turn, stream: Stream<unknown> | undefined, index: number) {
    if (stream === undefined) throw new Error('nothing to open')
    turn.addTarget({ index, stream, wire: await wireOf(stream) })
  }

  test('asks for each stream once, with everything undone, and then writes to it', async () => {
    const definition = pipeline('p')
      .from(keyed)
      .pipe(
        tap(() => {}),
        summed(),
        map(({ sum }) => ({ n: sum })),
      )
      .to(({ n }) => (n > 9 ? undefined : n > 5 ? [even, odd] : n % 2 === 0 ? even : odd))
    const { turn, tables, fresh } = await turnOf(definition)
    const batch = records(...[1, 1, 1, 4, 5].map(n => ({ user: 'a', n })))
    const first = turn.walk(0, batch, 0, undefined)
    expect(first).toMatchObject({ walked: 0, outputs: [], opens: odd })
    expect(tables.rows).toBe(fresh.rows)
    await open(turn, first.opens, 0)
    const second = turn.walk(0, batch, 0, undefined)
    expect(second).toMatchObject({ walked: 0, outputs: [], opens: even })
    await open(turn, second.opens, 1)
    const third = turn.walk(0, batch, 0, undefined)
    expect(third.outputs.map(({ target }) => target.stream.name)).toEqual(['odd', 'even', 'odd', 'even', 'odd'])
    expect(values(third)).toEqual([1, 2, 3, 7, 7].map(n => ({ n })))
  })

  test.each<[string, unknown, string]>([
    ['a name', 'even', 'what is given to to() chose a value of type string; choose a stream'],
    ['null', null, 'what is given to to() chose null'],
    ['something in an array', [even, 3], 'chose a value of type number'],
    ['a source', keyed, 'it chose "keyed", a source of pipeline "p", which would never end'],
    [
      'a stream of others',
      stream('others', { source: { stream: 'OTHERS' } }),
      'which reads a stream that others write',
    ],
  ])('that chooses %s fails at that record', async (_, chosen, message) => {
    const { turn } = await turnOf(
      pipeline('p')
        .from(keyed)
        .to(() => chosen as never),
    )
    const { fault } = turn.walk(0, records({ n: 1 }), 0, undefined)
    expect(fault?.where).toBe('to(...) of pipeline "p"')
    expect(fault?.error.message).toContain(message)
  })
})

describe('no turn', () => {
  // Bundled, the operators of RxJS have no names to be known by, and turns have to find out.
  const bundled = <A, B>(step: Operator<A, B>): Operator<A, B> => {
    return source => ((source as unknown) instanceof Observable ? step(source) : (source as never))
  }

  test.each<[string, Operator<Click, unknown>, string]>([
    ['a step that ends the flow', take(2), 'the flow ended there'],
    ['a step that waits', mergeMap(click => Promise.resolve(click)), 'something is waited for there'],
  ])('goes on with %s: all is undone, and it says so each time', async (_, step, what) => {
    const definition = pipeline('p')
      .from(keyed)
      .pipe(
        summed(),
        map(({ sum }) => ({ n: sum })),
        bundled(step),
      )
      .to(out)
    const { turn, tables, fresh } = await turnOf(definition)
    for (let time = 0; time < 2; time++) {
      expect(() => turn.walk(0, records({ n: 1 }, { n: 2 }, { n: 3 }), 0, undefined)).toThrow(what)
      expect(tables.rows).toBe(fresh.rows)
      expect(tables.dirtyBytes).toBe(fresh.dirtyBytes)
    }
    turn.stop()
  })

  test('lays our own bugs, or those of its caller, on a record', async () => {
    const { turn } = await turnOf(pipeline('p').from(clicks).to(out))
    const batch = records({ n: 1 })
    const bug = new InvariantError('ours')
    expect(() =>
      turn.walk(0, batch, 0, () => {
        throw bug
      }),
    ).toThrow(bug)
    expect(() =>
      turn.walk(0, batch, 0, () => {
        throw new TypeError('cursors')
      }),
    ).toThrow('cursors')
    expect(turn.walk(0, batch, 0, undefined).walked).toBe(1)
  })

  test('starts with an operator that refuses its seat', async () => {
    const refuses = operator<Click, Click>({
      name: 'refuses',
      asks: [],
      keeps: 'rows',
      start: ({ where }) => {
        throw new DefinitionError('BAD_PIPELINE', `${where} cannot start`, 'mend it')
      },
    })
    await expect(turnOf(pipeline('p').from(clicks).pipe(refuses).to(out))).rejects.toThrow(
      'step 1 (refuses) of pipeline "p" cannot start',
    )
  })
})

describe('a turn that doubts', () => {
  const byIndex = map((click: Click, index: number) => ({ ...click, index }))
  let last = 0
  const byClosure = map(({ n }: Click) => ({ n: n - last + 0 * (last = n) }))

  test.each<[string, Operator<Click, unknown>]>([
    ['skip', skip(1)],
    ['the index of a value', byIndex],
    ['a variable outside', byClosure],
    [
      'a step that fails only after others',
      map((click: Click, index) => (index > 1 ? JSON.parse('{') : click) as Click),
    ],
  ])('finds %s', async (_, step) => {
    const { turn } = await turnOf(pipeline('p').from(clicks).pipe(step).to(out), { doubts: true })
    expect(() => turn.walk(0, records({ n: 1 }, { n: 2 }, { n: 3 }), 0, undefined)).toThrow(
      'a value alone gives something else there than after others',
    )
  })

  test('gives what one that does not doubt gives, and fails where that fails', async () => {
    const steps = pipeline('p')
      .from(keyed)
      .pipe(
        tap(click => {
          if (click.n === 4) throw new Error('four')
          click.n += 1
        }),
        mergeMap(click => [click, { ...click, n: 2 * click.n }]),
        summed(),
        filter(({ sum }) => sum !== 6),
      )
      .to(out)
    const batch = records(...[1, 2, 3, 4].map(n => ({ user: 'a', n })))
    const trusting = (await turnOf(steps)).turn.walk(0, batch, 0, undefined)
    const doubting = (await turnOf(steps, { doubts: true })).turn.walk(0, batch, 0, undefined)
    expect(values(doubting)).toEqual(values(trusting))
    expect(doubting.walked).toBe(3)
    expect(doubting.fault?.error.message).toBe(trusting.fault?.error.message)
  })
})
