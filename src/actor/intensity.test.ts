import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { Rules } from '../pipeline/rules.js'
import { Intensity } from './intensity.js'

/** One whose partition ends at times that a test says, and whose chance always draws the same. */
function intensityOf(rules: Partial<Rules['supervise']>, fraction = 0.999_999) {
  const time = { ms: 0 }
  const clock = { now: () => 0, elapsed: () => time.ms, after: () => () => {}, soon: () => {} }
  const set = { strategy: 'one-for-one', restarts: 5, withinMs: 60_000, then: 'pause', ...rules } as const
  return { time, intensity: new Intensity({ rules: set, clock, chance: { fraction: () => fraction, name: () => '' } }) }
}

test('waits 100 ms at the most, then twice as long each time, up to 30 seconds', () => {
  const { intensity } = intensityOf({ restarts: 1000 })
  const waits = Array.from({ length: 11 }, () => Math.round(intensity.ended(0) as number))
  expect(waits).toEqual([100, 200, 400, 800, 1600, 3200, 6400, 12_800, 25_600, 30_000, 30_000])
})

test('draws the wait from the whole span', () => {
  for (const fraction of [0, 0.25, 0.9]) expect(intensityOf({}, fraction).intensity.ended(0)).toBe(100 * fraction)
})

test('begins with the shortest wait again after a minute in health, and not before', () => {
  const { intensity } = intensityOf({ restarts: 1000 })
  const waits = [0, 0, 59_999, 60_000, 0].map(wellMs => Math.round(intensity.ended(wellMs) as number))
  expect(waits).toEqual([100, 200, 400, 100, 200])
})

test('counts anew once a person has said that it may go on', () => {
  const { intensity } = intensityOf({ restarts: 2 })
  for (let i = 0; i < 2; i++) expect(intensity.ended(0)).toBeDefined()
  expect(intensity.ended(0)).toBeUndefined()
  intensity.resume()
  expect(Math.round(intensity.ended(0) as number)).toBe(100)
})

test('never starts anything at all where no restart is allowed', () => {
  expect(intensityOf({ restarts: 0 }).intensity.ended(0)).toBeUndefined()
})

test('gives up exactly when more than so many restarts would fall into the span, however the ends come', () => {
  const ends = fc.array(fc.integer({ min: 0, max: 400 }), { maxLength: 60 })
  fc.assert(
    fc.property(ends, fc.integer({ min: 1, max: 6 }), fc.integer({ min: 1, max: 1000 }), (gaps, restarts, withinMs) => {
      const { time, intensity } = intensityOf({ restarts, withinMs })
      const allowed: number[] = []
      for (const gap of gaps) {
        time.ms += gap
        const inSpan = allowed.filter(ms => ms > time.ms - withinMs).length
        const isAllowed = inSpan + 1 <= restarts
        expect(intensity.ended(0) !== undefined).toBe(isAllowed)
        if (isAllowed) allowed.push(time.ms)
      }
    }),
  )
})
