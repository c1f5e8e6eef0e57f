import { expect, test } from 'vitest'
import type { Clock } from '../clock.js'
import { Pace } from './pace.js'

function setUp() {
  let ms = 0
  const clock: Clock = {
    now: () => ms,
    elapsed: () => ms,
    after: () => () => {},
    soon: then => void queueMicrotask(then),
  }
  const pace = new Pace(clock)
  const turn = (records: number, tookMs: number, outputs = 0) => {
    pace.begins()
    ms += tookMs
    pace.ends(records, outputs)
  }
  return { pace, turn }
}

test('turns grow while they are quick, and are as short as they must be where steps are slow', () => {
  const { pace, turn } = setUp()
  for (let i = 0; i < 4; i++) turn(pace.recordsMax, 1)
  const quick = pace.recordsMax
  expect(quick).toBeGreaterThan(500)
  turn(quick, 1000)
  expect(pace.recordsMax).toBe(Math.floor((quick * 10) / 1000))
  turn(1, 1000)
  expect(pace.recordsMax).toBe(8)
})

test('a turn that had fewer records than it may does not say that more are quick', () => {
  const { pace, turn } = setUp()
  const before = pace.recordsMax
  turn(before - 1, 1)
  expect(pace.recordsMax).toBe(before)
})

test('others have their turn when turns have followed each other for long, and not before', async () => {
  const { pace, turn } = setUp()
  turn(8, 14)
  expect(pace.breath()).toBeUndefined()
  turn(8, 2)
  await pace.breath()
  expect(pace.breath()).toBeUndefined()
})

test('as many records wait as give one entry its outputs, by what came of them lately', () => {
  const { pace, turn } = setUp()
  expect(pace.recordsFor(400)).toBe(Infinity)
  for (let i = 0; i < 100; i++) turn(10, 1, 10)
  expect(pace.recordsFor(400)).toBeCloseTo(400, -1)
  for (let i = 0; i < 100; i++) turn(10, 1, 1)
  expect(pace.recordsFor(400)).toBeCloseTo(4000, -2)
  for (let i = 0; i < 100; i++) turn(10, 1, 1000)
  expect(pace.recordsFor(400)).toBe(128)
  turn(0, 1)
  expect(pace.recordsFor(400)).toBe(128)
})
