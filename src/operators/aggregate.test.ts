import fc from 'fast-check'
import { expect, test } from 'vitest'
import { Seated, type Given } from '../../test/seat.js'
import { collect } from '../aggregates/collect.js'
import { count } from '../aggregates/count.js'
import { sum } from '../aggregates/sum.js'
import { aggregate, type AggregateOptions } from './aggregate.js'
import { ambient, definitionOf } from './operator.js'

const at = (key: string, time: number, value: number): Given<number> => ({ key, time, value })
const seated = (options?: AggregateOptions) =>
  new Seated(aggregate({ n: count<number>(), total: sum((value: number) => value) }, options))
const result = (key: string, time: number, n: number, total: number) => ({ key, time, value: { key, n, total } })

const records = fc.array(
  fc.record({
    key: fc.constantFrom('a', 'b', 'c'),
    time: fc.nat(100),
    value: fc.integer({ min: -9, max: 9 }),
    bad: fc.boolean(),
    turnEnds: fc.boolean(),
  }),
  { maxLength: 60 },
)
type Record = typeof records extends fc.Arbitrary<(infer R)[]> ? R : never

function turnsOf(all: readonly Record[]): Record[][] {
  const turns: Record[][] = [[]]
  for (const record of all) {
    turns.at(-1)!.push(record)
    if (record.turnEnds) turns.push([])
  }
  return turns
}

test('gives a result for each record, under its key and time', () => {
  const seat = seated()
    .turn(at('a', 1, 5), at('b', 2, 7))
    .turn(at('a', 3, 1))
  expect(seat.out).toEqual([result('a', 1, 1, 5), result('b', 2, 1, 7), result('a', 3, 2, 6)])
  expect(Object.keys(seat.values()[0]!)).toEqual(['key', 'n', 'total'])
})

test("with emit 'turn' gives at its end the latest result of each key that changed, once, at the time of its last record", () => {
  const seat = seated({ emit: 'turn' })
  seat.turn(at('a', 1, 5), at('b', 9, 7), at('a', 3, 1))
  expect(seat.out).toEqual([result('a', 3, 2, 6), result('b', 9, 1, 7)])
  seat.turn(at('b', 4, 1))
  expect(seat.out.slice(2)).toEqual([result('b', 4, 2, 8)])
  seat.turn()
  expect(seat.out).toHaveLength(3)
})

test('puts back the key and time that it found', () => {
  const seat = seated({ emit: 'turn' }).turn(at('a', 1, 5), at('b', 9, 7), at('a', 3, 1))
  expect(seat.out.at(-1)!.key).toBe('b')
  expect([ambient.key, ambient.time]).toEqual(['a', 3])
})

test('is right however records are cut into turns', () => {
  fc.assert(
    fc.property(records, all => {
      const byRecord = seated()
      const byTurn = seated({ emit: 'turn' })
      for (const turn of turnsOf(all)) {
        byRecord.turn(...turn)
        const from = byTurn.out.length
        byTurn.turn(...turn)
        const latest = new Map(byRecord.out.slice(byRecord.out.length - turn.length).map(one => [one.key, one]))
        expect(byTurn.out.slice(from)).toHaveLength(latest.size)
        for (const one of byTurn.out.slice(from)) expect(one).toEqual(latest.get(one.key))
      }
      for (const key of new Set(all.map(record => record.key))) {
        const values = all.filter(record => record.key === key).map(({ value }) => value)
        const last = byRecord.values().findLast(one => one.key === key)
        expect(last).toEqual({ key, n: values.length, total: values.reduce((a, b) => a + b, 0) })
      }
    }),
  )
})

test.each(['update', 'turn'] as const)("what is undone has never been, with emit '%s'", emit => {
  fc.assert(
    fc.property(records, fc.array(fc.boolean(), { maxLength: 10 }), (all, aborted) => {
      const plain = seated({ emit })
      const undoing = seated({ emit })
      for (const [i, turn] of turnsOf(all).entries()) {
        plain.turn(...turn.filter(({ bad }) => !bad))
        if (aborted[i] !== undefined) undoing.undone(turn, aborted[i])
        undoing.turnWith(turn)
      }
      const order = (a: Given<unknown>, b: Given<unknown>) => (a.key < b.key ? -1 : a.key > b.key ? 1 : 0)
      // Which key of a turn comes first is not promised; of one key the order is.
      expect(undoing.out.toSorted(order)).toEqual(plain.out.toSorted(order))
      expect([...undoing.tables.table('rows').entries()].sort()).toEqual(
        [...plain.tables.table('rows').entries()].sort(),
      )
    }),
  )
})

test('results share nothing with each other that can be changed', () => {
  const seat = new Seated(aggregate({ all: collect<number>() }))
  seat.turn(at('a', 1, 1))
  seat.values()[0]!.all.push(99)
  seat.turn(at('a', 2, 2))
  expect(seat.values()[1]).toEqual({ key: 'a', all: [1, 2] })
})

test('goes on with the rows of the other emit', () => {
  for (const [first, second] of [
    ['update', 'turn'],
    ['turn', 'update'],
  ] as const) {
    const before = seated({ emit: first }).turn(at('a', 1, 5))
    const after = seated({ emit: second })
    for (const [key, row] of before.tables.table('rows').entries()) after.tables.table('rows').set(key, row)
    after.turn(at('a', 7, 1))
    expect(after.out).toEqual([result('a', 7, 2, 6)])
  }
})

test('a value that does not fit is an error that names the aggregate', () => {
  const seat = new Seated(aggregate({ total: sum((value: number) => value) }))
  expect(() => seat.turn(at('a', 0, undefined as never))).toThrow(
    'sum "total": the function gave undefined, not a number',
  )
})

test('a value outside a turn is refused', () => {
  for (const emit of ['update', 'turn'] as const) {
    const seat = seated({ emit })
    expect(() => seat.pushNow(1)).toThrow('a value came to step 1 (aggregate) of pipeline "p" outside a turn')
    expect(seat.tables.rows).toBe(0)
  }
})

test('what is wrong with a definition is said at once', () => {
  expect(() => aggregate({ key: count() } as never)).toThrow('an aggregate of aggregate() is named "key"')
  expect(() => aggregate({})).toThrow('the aggregates of aggregate() must be at least one')
  expect(() => aggregate(count() as never)).toThrow('must be an aggregate')
  expect(() => aggregate({ n: count() }, { emit: 'batch' as never })).toThrow(
    "emit of aggregate must be 'update' or 'turn'",
  )
  expect(() => aggregate({ n: count() }, { emits: 'turn' } as never)).toThrow('did you mean "emit"?')
})

test('it asks for the time only where it needs it', () => {
  expect(definitionOf(aggregate({ n: count() }))!.asks).toEqual(['key'])
  expect(definitionOf(aggregate({ n: count() }, { emit: 'turn' }))!.asks).toEqual(['key', 'time'])
})
