import fc from 'fast-check'
import { filter, map, mergeMap, Observable, skip, take, tap } from 'rxjs'
import { beforeEach, describe, expect, onTestFinished, test } from 'vitest'
import type { SchemaStore } from '../codec/codec.js'
import { aggregate } from '../operators/aggregate.js'
import { count } from '../aggregates/count.js'
import { custom } from '../aggregates/custom.js'
import { DefinitionError, InvariantError, RecordError } from '../errors.js'
import { encodeHeaders, LogRecord } from '../log/record.js'
import { ambient, operator, type Operator, type Seat } from '../operators/operator.js'
import { Tables } from '../state/tables.js'
import { encodeBatch } from '../stream/batch.js'
import { deadLettersOf, type DeadLetter } from '../stream/dead-letters.js'
import { settingsOf, stream, type Stream } from '../stream/stream.js'
import { Wire } from '../stream/wire.js'
import type { Definition } from './definition.js'
import type { Judge, Outcome } from './outcome.js'
import type { Output } from './outlet.js'
import { pipeline, type Flow } from './pipeline.js'
import { plan, type Stage } from './plan.js'
import { Turn } from './turn.js'

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
  const targets = await Promise.all(stage.targets.map(async (to, index) => ({ index, to, wire: await wireOf(to) })))
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

/** Notes all it has seen in its table, and tells it at the end of the turn; there it fails when it is told to. */
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
    expect(fault?.where).toBeUndefined()
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
    expect(nothing?.error.message).toContain('undefined came out of the last step, and nothing can carry it')
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

describe('a record that is passed over', () => {
  const letter: Judge = () => ({ then: 'deadLetter', attempts: 1, at: 7 })
  const isLetter = ({ target }: Output) => target.to.name === 'p-dead-letters'
  const resultsOf = (outcomes: readonly Outcome[]) => outcomes.flatMap(outcome => values(withOnly(outcome, false)))
  const lettersOf = (outcomes: readonly Outcome[]) =>
    outcomes.flatMap(outcome => values(withOnly(outcome, true)) as DeadLetter[])
  const withOnly = (outcome: Outcome, letters: boolean) => ({
    ...outcome,
    outputs: outcome.outputs.filter(output => isLetter(output) === letters),
  })
  const payloadOf = ({ bytes }: DeadLetter) => Buffer.from(bytes as string, 'base64').toString()

  /** A turn whose stream of dead letters is open. */
  async function turnWith(definition: Definition, judge = letter) {
    const made = await turnOf(definition, { judge })
    await openLetters(made.turn, made.turn.stage)
    return made
  }

  async function openLetters(turn: Turn, { pipeline: name, partitions }: Stage) {
    const stream = deadLettersOf(name, partitions) as Stream<unknown>
    turn.addTarget({ index: 9, to: stream, wire: await wireOf(stream) })
  }

  /** Turn after turn, until the batch is at its end. */
  function walkAll(turn: Turn, batch: readonly LogRecord[], taken?: (record: LogRecord) => void): Outcome[] {
    const outcomes: Outcome[] = []
    for (let from = 0; from < batch.length; from += outcomes.at(-1)?.walked ?? 0) {
      const outcome = turn.walk(0, batch, from, taken)
      expect([outcome.fault, outcome.opens, outcome.walked > 0]).toEqual([undefined, undefined, true])
      outcomes.push(outcome)
    }
    return outcomes
  }

  test('has a letter in the same outcome, and its neighbours give what they give without it', async () => {
    const failing = summed(({ n }) => n === 3)
    const { turn, tables } = await turnWith(pipeline('p').from(keyed).pipe(failing).to(out))
    const taken = tables.table<number>('taken')
    const batch = records({ user: 'a', n: 1 }, { user: 'a', n: 3 }, { user: 'a', n: 2 })
    const outcome = turn.walk(0, batch, 0, ({ position }) => taken.set('at', position))
    expect(outcome).toMatchObject({ walked: 3, passed: [{ then: 'deadLetter', fault: { record: batch[1] } }] })
    expect(outcome.fault).toBeUndefined()
    expect(resultsOf([outcome])).toEqual([
      { key: 'a', sum: 1 },
      { key: 'a', sum: 3 },
    ])
    expect(outcome.bytes).toBe(outcome.outputs.reduce((sum, { payload }) => sum + payload.length, 0))
    expect(lettersOf([outcome])).toEqual([
      {
        ...{ pipeline: 'p', stage: 0, stream: 'keyed', partition: 0, position: 2, time: 1002, size: 18 },
        ...{ bytes: Buffer.from('{"user":"a","n":3}').toString('base64'), attempts: 1, at: 7 },
        error: { name: 'Error', message: 'no 3', where: 'step 1 (summed) of pipeline "p"' },
      },
    ])
    const { partition, key, time } = outcome.outputs.find(isLetter) as Output
    expect([partition, key, time]).toEqual([0, undefined, undefined])
    expect(tables.table<number>('summed-1').get('a')).toBe(3)
    expect(taken.get('at')).toBe(3)
  })

  test('counts as taken when it is the last', async () => {
    const { turn, tables } = await turnWith(pipeline('p').from(clicks).to(out))
    const taken = tables.table<number>('taken')
    turn.walk(0, [record({ n: 1 }), record(Buffer.from('{'))], 0, ({ position }) => taken.set('at', position))
    expect(taken.get('at')).toBe(2)
  })

  test('opens the stream of dead letters when the first is written, with everything undone until then', async () => {
    const failing = summed(({ n }) => n < 0)
    const { turn, tables, fresh } = await turnOf(pipeline('p').from(keyed).pipe(failing).to(out), { judge: letter })
    expect(turn.walk(0, records({ user: 'a', n: 1 }), 0, undefined).walked).toBe(1)
    tables.table<number>('summed-1').delete('a')
    tables.settle()
    const batch = records({ user: 'a', n: 1 }, { user: 'a', n: -1 })
    const first = turn.walk(0, batch, 0, undefined)
    expect(first).toMatchObject({ walked: 0, outputs: [], passed: [], bytes: 0 })
    expect(first.opens).toMatchObject({ name: 'p-dead-letters', partitions: 6 })
    expect(tables.rows).toBe(fresh.rows)
    await openLetters(turn, turn.stage)
    const second = turn.walk(0, batch, 0, undefined)
    expect([second.walked, second.opens, lettersOf([second]).length]).toEqual([2, undefined, 1])
  })

  test('leaves nothing but the event where it is skipped', async () => {
    const failing = summed(({ n }) => n < 0)
    const skip: Judge = () => ({ then: 'skip' })
    const { turn } = await turnOf(pipeline('p').from(keyed).pipe(failing).to(out), { judge: skip })
    const outcome = turn.walk(0, records({ user: 'a', n: -1 }, { user: 'a', n: 2 }), 0, undefined)
    expect(values(outcome)).toEqual([{ key: 'a', sum: 2 }])
    expect(outcome).toMatchObject({ walked: 2, passed: [{ then: 'skip', fault: { record: { position: 1 } } }] })
  })

  test('keeps its letter when the turn ends before a later one', async () => {
    const failing = summed(({ n }) => n < 0)
    const asked: number[] = []
    const judge: Judge = (fault, passed) => {
      asked.push(passed)
      return fault.record.position < 4 ? { then: 'deadLetter', attempts: 3, at: 9 } : { then: 'hold' }
    }
    const { turn } = await turnWith(pipeline('p').from(keyed).pipe(failing).to(out), judge)
    const batch = records(...[1, -1, -2, -3, 5].map(n => ({ user: 'a', n })))
    const outcome = turn.walk(0, batch, 0, undefined)
    expect(outcome).toMatchObject({ walked: 3, fault: { record: batch[3] } })
    expect(lettersOf([outcome]).map(({ position, attempts, at }) => [position, attempts, at])).toEqual([
      [2, 3, 9],
      [3, 3, 9],
    ])
    expect(asked).toEqual([0, 1, 2])
  })

  test('does not move time on', async () => {
    const watching = operator<Click, Click>({
      name: 'watching',
      asks: ['time'],
      keeps: 'rows',
      start: (_, next) => click => {
        if (click.n < 0) throw new Error('negative')
        next(click)
      },
    })
    const timed = stream<Click>('timed', { time: click => click.at ?? 0 })
    const { turn } = await turnWith(pipeline('p').from(timed).pipe(watching).to(out))
    turn.walk(0, records({ n: 1, at: 50 }, { n: -1, at: 9000 }, { n: 1, at: 20 }), 0, undefined)
    expect(turn.times).toEqual([50])
  })

  describe('among others in one message', () => {
    const batched = stream<Click>('batched', { format: 'batch', key: click => click.user as string })
    const messageOf = (...texts: string[]) =>
      record(encodeBatch(texts.map((text, i) => ({ key: 'a', time: 100 + i, payload: Buffer.from(text) }))))

    test('costs itself alone', async () => {
      const { turn } = await turnWith(
        pipeline('p')
          .from(batched)
          .pipe(summed(({ n }) => n < 0))
          .to(out),
      )
      const batch = [messageOf('{"n":1}', '{', '{"n":2}', '{"n":-1}', '{"n":4}'), messageOf('{"n":8}')]
      const outcome = turn.walk(0, batch, 0, undefined)
      expect(outcome.walked).toBe(2)
      expect(resultsOf([outcome])).toEqual([1, 3, 7, 15].map(sum => ({ key: 'a', sum })))
      expect(lettersOf([outcome]).map(({ index, key, ownTime }) => ({ index, key, ownTime }))).toEqual([
        { index: 1, key: 'a', ownTime: 101 },
        { index: 3, key: 'a', ownTime: 103 },
      ])
      expect(lettersOf([outcome]).map(payloadOf)).toEqual(['{', '{"n":-1}'])
      expect(outcome.passed.map(({ fault }) => fault.index)).toEqual([1, 3])
    })

    test('takes all of them with it where the message itself cannot be read', async () => {
      const { turn } = await turnWith(pipeline('p').from(batched).to(out))
      const outcome = turn.walk(0, [record(Buffer.from('no batch')), messageOf('{"n":8}')], 0, undefined)
      expect(resultsOf([outcome])).toEqual([{ n: 8 }])
      const [whole] = lettersOf([outcome])
      expect(whole).not.toHaveProperty('index')
      expect(payloadOf(whole as DeadLetter)).toBe('no batch')
    })

    test('holds the whole message up, of which nothing is left behind', async () => {
      const judge: Judge = ({ index }) => (index === 2 ? { then: 'hold' } : { then: 'skip' })
      const { turn, tables, fresh } = await turnOf(
        pipeline('p')
          .from(batched)
          .pipe(summed(({ n }) => n < 0))
          .to(out),
        { judge },
      )
      const outcome = turn.walk(0, [messageOf('{"n":1}', '{"n":-1}', '{"n":-2}')], 0, undefined)
      expect(outcome).toMatchObject({ walked: 0, outputs: [], passed: [], fault: { index: 2 } })
      expect(tables.rows).toBe(fresh.rows)
    })

    test('leaves the end of the turn to the others', async () => {
      const log: string[] = []
      const { turn } = await turnWith(pipeline('p').from(batched).pipe(ending('a', log)).to(out))
      const outcome = turn.walk(0, [messageOf('{"n":1}', '{')], 0, undefined)
      expect(log).toEqual(['a 1'])
      expect(resultsOf([outcome])).toEqual([{ n: 100 }])
    })

    test('each may give as much as a record of its own', async () => {
      const burst = mergeMap(({ n }: Click) => Array.from({ length: n }, (_, i) => i))
      const { turn } = await turnWith(
        pipeline('p')
          .from(batched)
          .pipe(burst)
          .to(stream<number>('out', { partitions: 1 })),
      )
      const outcome = turn.walk(0, [messageOf('{"n":60000}', '{"n":60000}', '{"n":100001}')], 0, undefined)
      expect(outcome.outputs).toHaveLength(120_001)
      expect(lettersOf([outcome])).toMatchObject([{ index: 2, error: { code: 'TOO_MANY_OUTPUTS' } }])
    })
  })

  describe('at the end of a turn', () => {
    test('is the last one without which it does not fail, and what came after it is walked again', async () => {
      const log: string[] = []
      const { turn, tables } = await turnWith(
        pipeline('p')
          .from(clicks)
          .pipe(ending('a', log, seen => seen.includes(3)))
          .to(out),
      )
      const batch = [record({ n: 1 }), record({ n: 3 }), record(Buffer.from('{')), record({ n: 4 })]
      const outcomes = walkAll(turn, batch)
      expect(outcomes.map(({ walked }) => walked)).toEqual([2, 2])
      expect(lettersOf(outcomes).map(({ position, error }) => [position, error.message])).toEqual([
        [2, 'a fails'],
        [3, expect.stringContaining('JSON')],
      ])
      expect(tables.table('a-1').get('seen')).toEqual([1, 4])
    })

    test('nothing else is given up, and every step gives what it gives without it', async () => {
      const counts = aggregate({ count: count() }, { emit: 'turn' })
      const strict = aggregate(
        {
          sum: custom<{ count: number }, number, number>({
            zero: () => 0,
            add: (_, value) => value.count,
            merge: (a, b) => a + b,
            result: n => {
              if (n > 3) throw new Error('too many')
              return n
            },
          }),
        },
        { emit: 'turn' },
      )
      const { turn } = await turnWith(pipeline('p').from(keyed).pipe(counts, strict).to(out))
      const batch = records(...['a', 'b', 'a', 'a', 'a', 'b'].map(user => ({ user, n: 1 })))
      const outcomes = walkAll(turn, batch)
      expect(lettersOf(outcomes).map(({ position }) => position)).toEqual([5])
      expect(resultsOf(outcomes)).toEqual([
        { key: 'a', sum: 3 },
        { key: 'b', sum: 1 },
        { key: 'b', sum: 2 },
      ])
    })

    test('is each of them where it fails with any', async () => {
      const { turn, tables, fresh } = await turnWith(
        pipeline('p')
          .from(clicks)
          .pipe(ending('a', [], () => true))
          .to(out),
      )
      const outcomes = walkAll(turn, records({ n: 1 }, { n: 2 }, { n: 3 }))
      expect(lettersOf(outcomes).map(({ position }) => position)).toEqual([1, 2, 3])
      expect(tables.rows).toBe(fresh.rows)
    })
  })

  test('may be given up without a look at it, for a reason of somebody else', async () => {
    const { turn, tables } = await turnOf(pipeline('p').from(clicks).to(out), { judge: letter })
    const taken = tables.table<number>('taken')
    const note = ({ position }: LogRecord) => taken.set('at', position)
    const kills = new RecordError('KILLS_PROCESS', 'it kills', '')
    const killer = record(Buffer.from('{'))
    expect(turn.giveUp(0, killer, note, kills).opens).toBeDefined()
    expect(taken.get('at')).toBeUndefined()
    await openLetters(turn, turn.stage)
    const outcome = turn.giveUp(0, killer, note, kills)
    expect(outcome).toMatchObject({ walked: 1, passed: [{ then: 'deadLetter' }] })
    expect(lettersOf([outcome])).toMatchObject([{ position: 1, error: { code: 'KILLS_PROCESS' } }])
    expect(taken.get('at')).toBe(1)
    const held = await turnOf(pipeline('p').from(clicks).to(out))
    expect(held.turn.giveUp(0, killer, note, kills)).toMatchObject({ walked: 0, fault: { record: killer } })
  })

  describe('changes nothing', () => {
    type Unit = { readonly user: string; readonly n: number } | '{'
    const unit = fc.oneof(
      { weight: 6, arbitrary: fc.record({ user: fc.constantFrom('a', 'b'), n: fc.integer({ min: 0, max: 4 }) }) },
      { weight: 1, arbitrary: fc.constant<Unit>({ user: 'a', n: -1 }) },
      { weight: 1, arbitrary: fc.constant<Unit>('{') },
    )
    const textOf = (one: Unit) => (one === '{' ? one : JSON.stringify(one))
    const isGood = (one: Unit): one is Exclude<Unit, '{'> => one !== '{' && one.n >= 0
    /** What a run gives that never saw the bad ones. */
    const modelOf = (units: readonly Unit[]) => {
      const sums = new Map<string, number>()
      return units.filter(isGood).map(({ user, n }) => {
        sums.set(user, (sums.get(user) ?? 0) + n)
        return { key: user, sum: sums.get(user) }
      })
    }

    test('for the others: each bad one has one letter, and no record is walked more than twice', async () => {
      await fc.assert(
        fc.asyncProperty(fc.array(unit, { minLength: 1, maxLength: 150 }), async units => {
          position = 0
          let calls = 0
          const failing = summed(({ n }) => (calls++, n < 0))
          const { turn, tables } = await turnWith(pipeline('p').from(keyed).pipe(failing).to(out))
          const taken = tables.table<number>('taken')
          const batch = units.map(one => record(Buffer.from(textOf(one))))
          const outcomes = walkAll(turn, batch, ({ position }) => taken.set('at', position))
          expect(outcomes).toHaveLength(1)
          expect(resultsOf(outcomes)).toEqual(modelOf(units))
          const bad = batch.filter((_, i) => !isGood(units[i] as Unit))
          expect(lettersOf(outcomes).map(({ position }) => position)).toEqual(bad.map(({ position }) => position))
          expect(lettersOf(outcomes).map(payloadOf)).toEqual(bad.map(({ payload }) => Buffer.from(payload).toString()))
          expect(outcomes[0]?.passed.map(({ fault }) => fault.record)).toEqual(bad)
          expect(calls).toBeLessThanOrEqual(2 * units.length)
          expect(taken.get('at')).toBe(units.length)
        }),
        { numRuns: 100 },
      )
    })

    test('nor in messages of many', async () => {
      const batched = stream<Click>('batched', { format: 'batch', key: click => click.user as string })
      const messages = fc.array(fc.array(unit, { minLength: 1, maxLength: 6 }), { minLength: 1, maxLength: 6 })
      await fc.assert(
        fc.asyncProperty(messages, async messages => {
          position = 0
          let calls = 0
          const failing = summed(({ n }) => (calls++, n < 0))
          const { turn } = await turnWith(pipeline('p').from(batched).pipe(failing).to(out))
          const batch = messages.map(units =>
            record(encodeBatch(units.map(one => ({ payload: Buffer.from(textOf(one)) })))),
          )
          const outcomes = walkAll(turn, batch)
          expect(resultsOf(outcomes)).toEqual(modelOf(messages.flat()))
          const bad = messages.flatMap((units, at) =>
            units.flatMap((one, index) => (isGood(one) ? [] : [{ position: at + 1, index, text: textOf(one) }])),
          )
          const found = lettersOf(outcomes).map(one => ({ ...one, text: payloadOf(one) }))
          expect(found.map(({ position, index, text }) => ({ position, index, text }))).toEqual(bad)
          expect(calls).toBeLessThanOrEqual(2 * messages.flat().length)
        }),
        { numRuns: 100 },
      )
    })

    test('also where some fail only at the end of their turn', async () => {
      await fc.assert(
        fc.asyncProperty(fc.array(unit, { minLength: 1, maxLength: 80 }), async units => {
          position = 0
          const sealed = operator<Click, { sum: number }>({
            name: 'sealed',
            asks: [],
            keeps: 'rows',
            start: (seat, next) => {
              const rows = seat.table<{ sum: number; isTainted: boolean }>()
              seat.atTurnEnd(() => {
                const row = rows.get('row')
                if (row?.isTainted === true) throw new Error('tainted')
                if (row !== undefined) next({ sum: row.sum })
              })
              return ({ n }) => {
                if (n < 0) throw new Error('negative')
                const { sum, isTainted } = rows.get('row') ?? { sum: 0, isTainted: false }
                rows.set('row', { sum: sum + n, isTainted: isTainted || n === 4 })
              }
            },
          })
          const { turn } = await turnWith(pipeline('p').from(keyed).pipe(sealed).to(out))
          const batch = units.map(one => record(Buffer.from(textOf(one))))
          const outcomes = walkAll(turn, batch)
          const good = units.filter(isGood).filter(({ n }) => n !== 4)
          const bad = batch.filter((_, i) => !good.includes(units[i] as Exclude<Unit, '{'>))
          expect(lettersOf(outcomes).map(({ position }) => position)).toEqual(bad.map(({ position }) => position))
          const last = resultsOf(outcomes).at(-1) as { sum: number } | undefined
          expect(last?.sum).toBe(good.length === 0 ? undefined : good.reduce((sum, { n }) => sum + n, 0))
        }),
        { numRuns: 100 },
      )
    })
  })
})

describe('at the end of a turn', () => {
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
    turn.addTarget({ index, to: stream, wire: await wireOf(stream) })
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
    expect(third.outputs.map(({ target }) => target.to.name)).toEqual(['odd', 'even', 'odd', 'even', 'odd'])
    expect(values(third)).toEqual([1, 2, 3, 7, 7].map(n => ({ n })))
  })

  test.each<[string, unknown, string]>([
    ['a name', 'even', 'what is given to to() chose a value of type string; choose a stream'],
    ['null', null, 'what is given to to() chose null'],
    ['something in an array', [even, 3], 'chose a value of type number'],
    ['a source', keyed, 'it chose "keyed", a source of pipeline "p", which would never end'],
    ['its dead letters', stream('p-dead-letters'), 'it chose "p-dead-letters", the stream of its own dead letters'],
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
