import fc from 'fast-check'
import { from, lastValueFrom, scan as scanOfRx, toArray } from 'rxjs'
import { expect, test } from 'vitest'
import { Seated, type Given } from '../../test/seat.js'
import { ambient, definitionOf } from './operator.js'
import { scan, type ScanOptions } from './scan.js'

const join = (state: string, value: string) => state + value
const at = (key: string, time: number, value: string): Given<string> => ({ key, time, value })
const seated = (options?: ScanOptions, lateness = 0) => new Seated(scan(join, '', options), lateness)

const records = (span: number) =>
  fc.array(
    fc.record({
      key: fc.constantFrom('a', 'b', 'c'),
      time: fc.nat(span),
      value: fc.constantFrom('x', 'y', 'z'),
      bad: fc.boolean(),
      turnEnds: fc.boolean(),
    }),
    { maxLength: 60 },
  )
type Record = Given<string> & { bad: boolean; turnEnds: boolean }

function turnsOf(all: readonly Record[]): Record[][] {
  const turns: Record[][] = [[]]
  for (const record of all) {
    turns.at(-1)!.push(record)
    if (record.turnEnds) turns.push([])
  }
  return turns
}

function rowsIn(seat: Seated<string, string>): unknown[] {
  const scoped = seat.tables.scopedTable('scoped')
  const rows = [...scoped.scopes()].flatMap(scope => [...scoped.rows(scope)].map(row => [scope, ...row]))
  return rows.sort((a, b) => (String(a) < String(b) ? -1 : 1))
}

test('wants its seed, which may be undefined', () => {
  const seedless = scan as (f: (state: unknown, value: unknown) => unknown) => unknown
  expect(() => seedless(value => value)).toThrow('the seed of scan must be given, as in scan(f, 0), but is undefined')
  expect(() => scan(state => state, undefined)).not.toThrow()
})

test('with one key it gives what scan of RxJS gives for the same values', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(fc.integer()), async values => {
      const f = (state: { sum: number }, value: number) => ({ sum: state.sum + value })
      const wanted = await lastValueFrom(from(values).pipe(scanOfRx(f, { sum: 0 }), toArray()))
      const seat = new Seated(scan(f, { sum: 0 }))
      for (const value of values) seat.turn({ key: 'one', time: 0, value })
      expect(seat.values()).toEqual(wanted)
    }),
  )
})

test('each key has a state of its own, and results come under the key and time of their record', () => {
  const seat = seated()
    .turn(at('a', 1, 'x'), at('b', 2, 'y'))
    .turn(at('a', 3, 'z'))
  expect(seat.out).toEqual([at('a', 1, 'x'), at('b', 2, 'y'), at('a', 3, 'xz')])
})

test('a state may be undefined, null or 0 and is not taken for none', () => {
  for (const state of [undefined, null, 0]) {
    const seat = new Seated(scan<string, unknown>(before => (before === 'seed' ? state : [before]), 'seed'))
    seat.turn(at('a', 1, ''), at('a', 2, ''))
    expect(seat.values()).toEqual([state, [state]])
  }
})

test('a key that is not touched for longer than within starts anew', () => {
  const seat = seated({ within: '10 seconds' })
  seat
    .turn(at('a', 0, 'x'))
    .turn(at('a', 10_000, 'y'))
    .turn(at('a', 20_001, 'z'))
    .turn(at('a', 20_002, 'x'))
  expect(seat.values()).toEqual(['x', 'xy', 'z', 'zx'])
})

test('a record that comes out of order goes on with the state, whichever span that is in', () => {
  const seat = seated({ within: '10 seconds' }, 100_000)
  seat
    .turn(at('a', 50_000, 'x'))
    .turn(at('a', 10_000, 'y'))
    .turn(at('a', 60_000, 'z'))
  expect(seat.values()).toEqual(['x', 'xy', 'xyz'])
})

test('within follows the last touch of each key, as a model that forgets nothing does, as long as records are in time', () => {
  fc.assert(
    fc.property(records(20_000), fc.constantFrom(1, 500, 1000, 3000), (all, within) => {
      const states = new Map<string, { touched: number; state: string }>()
      const wanted = all.map(({ key, time, value }) => {
        const held = states.get(key)
        const alive = held !== undefined && time - held.touched <= within
        const state = (alive ? held.state : '') + value
        states.set(key, { touched: alive ? Math.max(held.touched, time) : time, state })
        return state
      })
      const seat = seated({ within }, 20_000)
      for (const turn of turnsOf(all)) seat.turn(...turn)
      expect(seat.values()).toEqual(wanted)
    }),
  )
})

test('as time goes on, in order or a little out of it, states that are too old go, and nothing else changes', () => {
  fc.assert(
    fc.property(records(3000), fc.constantFrom(1, 500, 1000, 2500), (given, within) => {
      const all = given.map((record, i) => ({ ...record, time: record.time + 1500 * i }))
      const keeping = seated({ within }, Infinity)
      const forgetting = seated({ within }, 3000)
      for (const turn of turnsOf(all)) {
        keeping.turn(...turn)
        forgetting.turn(...turn)
        const oldest = forgetting.watermark - within - 2 * Math.max(within, 1000)
        for (const row of rowsIn(forgetting)) expect((row as [string, string, number[]])[2][0]).toBeGreaterThan(oldest)
      }
      expect(forgetting.out).toEqual(keeping.out)
    }),
  )
})

test('a key that is touched again and again has one row', () => {
  const seat = seated({ within: '1 second' }, 60_000)
  for (const time of [0, 900, 1800, 2700, 1000, 3600]) expect(seat.turn(at('a', time, 'x')).tables.rows).toBe(1)
})

test('memory stays bounded when keys come and go', () => {
  const seat = seated({ within: '1 second' })
  let most = 0
  for (let i = 0; i < 5000; i++) {
    seat.turn(at(`k${i}`, i * 100, 'x'))
    most = Math.max(most, seat.tables.rows)
  }
  expect(most).toBeLessThan(40)
})

test.each([undefined, 1, 800, 3000])('what is undone has never been, within %s', within => {
  fc.assert(
    fc.property(records(20_000), fc.array(fc.boolean(), { maxLength: 10 }), (all, aborted) => {
      const options = within === undefined ? {} : { within }
      const plain = seated(options, 5000)
      const undoing = seated(options, 5000)
      for (const [i, turn] of turnsOf(all).entries()) {
        plain.turn(...turn.filter(({ bad }) => !bad))
        if (aborted[i] !== undefined) undoing.undone(turn, aborted[i])
        undoing.turnWith(turn)
      }
      expect(undoing.out).toEqual(plain.out)
      if (within === undefined) return
      expect(rowsIn(undoing)).toEqual(rowsIn(plain))
    }),
  )
})

test('a state that is changed in place is an error that says what to return', () => {
  const push = (state: string[], value: string) => {
    state.push(value)
    return state
  }
  const seat = new Seated(scan(push, []))
  expect(() => seat.turn(at('a', 0, 'x'))).toThrow(
    'step 1 (scan) of pipeline "p": the function changed its state or its value in place',
  )
})

test('a state that cannot be stored is refused, a seed at once', () => {
  expect(() => scan(state => state, new Set())).toThrow('scan: state is a Set')
  const seat = new Seated(scan<string, unknown>(() => new Date(0), 0))
  expect(() => seat.turn(at('a', 0, 'x'))).toThrow('step 1 (scan) of pipeline "p": state is a Date')
})

test('a value outside a turn is refused', () => {
  for (const seat of [seated(), seated({ within: 5 })]) {
    expect(() => seat.pushNow('x')).toThrow('a value came to step 1 (scan) of pipeline "p" outside a turn')
    expect(seat.tables.rows).toBe(0)
  }
})

test('what is wrong with a definition is said at once', () => {
  expect(() => scan(undefined as never, 0)).toThrow('the function of scan must be a function, but is undefined')
  expect(() => scan(join, '', { witin: 5 } as never)).toThrow('unknown option "witin" of scan; did you mean "within"?')
  expect(() => scan(join, '', { within: 'long' as never })).toThrow('within of scan must be a number of ms or a text')
  expect(() => scan(join, '', { within: 0 })).toThrow('within of scan must be at least 1')
})

test('it asks for the time only where it needs it', () => {
  expect(definitionOf(scan(join, ''))!.asks).toEqual(['key'])
  expect(definitionOf(scan(join, '', { within: 5 }))!.asks).toEqual(['key', 'time'])
  expect(ambient.on).toBe(false)
})
