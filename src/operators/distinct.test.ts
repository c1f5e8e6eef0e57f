import fc from 'fast-check'
import { distinct as distinctOfRx, from, lastValueFrom, toArray } from 'rxjs'
import { expect, test } from 'vitest'
import { Seated, type Given } from '../../test/seat.js'
import { distinct, type DistinctOptions } from './distinct.js'
import { definitionOf } from './operator.js'

type Value = string | number
const at = (key: string, time: number, value: Value): Given<Value> => ({ key, time, value })
const seated = (within: DistinctOptions['within'], lateness = 0) =>
  new Seated(
    distinct((value: Value) => value, { within }),
    lateness,
  )

const records = (span: number) =>
  fc.array(
    fc.record({
      key: fc.constantFrom('a', 'b'),
      time: fc.nat(span),
      value: fc.constantFrom<Value>(1, '1', 'x'),
      bad: fc.boolean(),
      turnEnds: fc.boolean(),
    }),
    { maxLength: 80 },
  )
type Record = Given<Value> & { bad: boolean; turnEnds: boolean }

function turnsOf(all: readonly Record[]): Record[][] {
  const turns: Record[][] = [[]]
  for (const record of all) {
    turns.at(-1)!.push(record)
    if (record.turnEnds) turns.push([])
  }
  return turns
}

/** Who remembers all that passed. */
function passing(all: readonly Given<Value>[], within: number): Given<Value>[] {
  const passed: Given<Value>[] = []
  for (const { key, time, value } of all) {
    const repeat = passed.some(one => one.key === key && one.value === value && Math.abs(one.time - time) < within)
    if (!repeat) passed.push({ key, time, value })
  }
  return passed
}

test('with one key and for ever it gives what distinct of RxJS gives for the same values', async () => {
  const values = fc.array(fc.oneof(fc.integer({ min: -3, max: 3 }), fc.constantFrom(0.5, -0, '1', '', '#1', 'a')))
  await fc.assert(
    fc.asyncProperty(values, async all => {
      const wanted = await lastValueFrom(from(all).pipe(distinctOfRx(), toArray()))
      const seat = seated('forever')
      for (const value of all) seat.turn(at('one', 0, value))
      expect(seat.values()).toEqual(wanted)
    }),
  )
})

test('each key is by itself, and no two pairs of key and value are taken for one', () => {
  const letters = ['1', ':', '#', 'a']
  const texts = ['', ...letters, ...letters.flatMap(one => letters.map(other => one + other))]
  const given = texts.flatMap(key => [...texts, 1, 11, -1, 0].map(value => at(key, 0, value)))
  expect(seated('forever').turn(...given, ...given).out).toEqual(given)
  expect(seated(5).turn(...given, ...given).out).toEqual(given)
})

test('a repeat within the span is dropped, to the ms, before as after', () => {
  const seat = seated('10 seconds', 60_000)
  seat.turn(at('a', 30_000, 'x'))
  seat
    .turn(at('a', 39_999, 'x'), at('a', 20_001, 'x'))
    .turn(at('a', 40_000, 'x'))
    .turn(at('a', 20_000, 'x'))
  expect(seat.out.map(({ time }) => time)).toEqual([30_000, 40_000, 20_000])
})

test('a repeat that is dropped does not make the span longer', () => {
  const seat = seated(10)
  seat.turn(at('a', 0, 'x'), at('a', 9, 'x'), at('a', 10, 'x'))
  expect(seat.out.map(({ time }) => time)).toEqual([0, 10])
})

test('it is right for all times in any order, as one that remembers everything is', () => {
  fc.assert(
    fc.property(records(200), fc.integer({ min: 1, max: 60 }), (all, within) => {
      const seat = seated(within, 200)
      for (const turn of turnsOf(all)) seat.turn(...turn)
      expect(seat.out).toEqual(passing(all, within))
    }),
  )
})

test('as time goes on memory goes back by twice the span at most, and nothing else changes', () => {
  fc.assert(
    fc.property(records(50), fc.integer({ min: 1, max: 60 }), (given, within) => {
      const all = given.map((record, i) => ({ ...record, time: record.time - 300 + 10 * i }))
      const seat = seated(within, 50)
      const seen = seat.tables.scopedTable<number>('scoped')
      for (const turn of turnsOf(all)) {
        seat.turn(...turn)
        for (const scope of seen.scopes()) {
          for (const [, time] of seen.rows(scope)) expect(time).toBeGreaterThan(seat.watermark - 2 * within)
        }
      }
      expect(seat.out).toEqual(passing(all, within))
    }),
  )
})

test('a record later than memory reaches passes, and is never dropped wrongly', () => {
  const seat = seated(10)
  seat
    .turn(at('a', 5, 'x'))
    .turn(at('a', 1000, 'y'))
    .turn(at('a', 6, 'x'))
  expect(seat.values()).toEqual(['x', 'y', 'x'])
})

test('a long quiet is cleared in bounded steps, a turn at a time', () => {
  const seat = seated(1, 10_000)
  seat.turn(...Array.from({ length: 5000 }, (_, i) => at('a', i, 'x')))
  expect(seat.tables.rows).toBe(5000)
  const left = Array.from({ length: 5 }, (_, i) => seat.turn(at('a', 100_000 + i, 'x')).tables.rows)
  expect(left).toEqual([4001, 3002, 2003, 1004, 5])
})

test.each(['forever' as const, 1, 7, 40])('what is undone has never been, within %s', within => {
  fc.assert(
    fc.property(records(300), fc.array(fc.boolean(), { maxLength: 10 }), (all, aborted) => {
      const plain = seated(within, 60)
      const undoing = seated(within, 60)
      for (const [i, turn] of turnsOf(all).entries()) {
        plain.turn(...turn.filter(({ bad }) => !bad))
        if (aborted[i] !== undefined) undoing.undone(turn, aborted[i])
        undoing.turnWith(turn)
      }
      expect(undoing.out).toEqual(plain.out)
      expect(undoing.tables.rows).toBe(plain.tables.rows)
    }),
  )
})

test('a function that gives neither a text nor a number is told so', () => {
  for (const within of ['forever', 5] as const) {
    const seat = new Seated(distinct<unknown>(value => value as string, { within }))
    expect(() => seat.turn({ key: 'a', time: 0, value: undefined })).toThrow(
      'step 1 (distinct) of pipeline "p": the function gave undefined, not a text or a number',
    )
  }
})

test('a value outside a turn is refused', () => {
  for (const seat of [seated('forever'), seated(5)]) {
    expect(() => seat.pushNow('x')).toThrow('a value came to step 1 (distinct) of pipeline "p" outside a turn')
    expect(seat.tables.rows).toBe(0)
  }
})

test('what is wrong with a definition is said at once', () => {
  const of = (value: string) => value
  expect(() => distinct(undefined as never, { within: 5 })).toThrow('the function of distinct must be a function')
  expect(() => distinct(of, undefined as never)).toThrow('the options of distinct must be an object')
  expect(() => distinct(of, {} as never)).toThrow('within of distinct must be a number of ms or a text')
  expect(() => distinct(of, { within: 'for ever' as never })).toThrow('within of distinct must be')
  expect(() => distinct(of, { within: 0 })).toThrow('within of distinct must be at least 1')
  expect(() => distinct(of, { within: 5, withn: 5 } as never)).toThrow('did you mean "within"?')
})

test('it asks for the time only where it needs it', () => {
  const of = (value: string) => value
  expect(definitionOf(distinct(of, { within: 'forever' }))!.asks).toEqual(['key'])
  expect(definitionOf(distinct(of, { within: 5 }))!.asks).toEqual(['key', 'time'])
})
