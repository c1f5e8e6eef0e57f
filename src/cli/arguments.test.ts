import { expect, test } from 'vitest'
import { countOf, durationOf, placeOf, timeOf } from './arguments.js'
import { UsageError } from './failure.js'

test('takes a place in a stream as people write it', () => {
  expect(placeOf('--from', 'start')).toBe('start')
  expect(placeOf('--from', 'end')).toBe('end')
  expect(placeOf('--from', '17')).toBe(17)
  expect(placeOf('--from', '2026-11-20T10:00:00Z')).toEqual(new Date(Date.UTC(2026, 10, 20, 10)))
  expect(placeOf('--from', '2026-11-20T12:00:00.5+02:00')).toEqual(new Date(Date.UTC(2026, 10, 20, 10, 0, 0, 500)))
  expect(placeOf('--from', '2026-11-20')).toEqual(new Date(Date.UTC(2026, 10, 20)))
})

test.each([
  '',
  '0',
  '-1',
  '1.5',
  '1e3',
  'now',
  'Nov 20 2026',
  '2026-13-01',
  '2026-11-20T25:00:00Z',
  '99999999999999999999',
])('refuses %j as a place', text => {
  expect(() => placeOf('--from', text)).toThrow(/--from must be a place/)
})

test('takes a time as ISO or as ms, before 1970 too', () => {
  expect(timeOf('--time', '-5')).toEqual(new Date(-5))
  expect(timeOf('--time', '2026-11-20 10:00Z')).toEqual(new Date(Date.UTC(2026, 10, 20, 10)))
  for (const text of ['', 'soon', '1e99', '9'.repeat(20)])
    expect(() => timeOf('--time', text)).toThrow(/--time must be a time/)
})

test('takes whole numbers within bounds', () => {
  expect(countOf('--limit', '3', { min: 1 })).toBe(3)
  for (const text of ['0', '-1', '1.5', 'x', '', '0x10']) {
    expect(() => countOf('--limit', text, { min: 1 })).toThrow(/--limit must be a whole number of at least 1/)
  }
})

test('takes a duration with its unit, and tells a slip in it as one in the call', () => {
  expect(durationOf('--timeout', '500ms')).toBe(500)
  expect(durationOf('--watchdog', '2m', { min: 100 })).toBe(120_000)
  for (const text of ['soon', '5000', '0', '-1s', '', '50ms']) {
    expect(() => durationOf('--watchdog', text, { min: 100 })).toThrow(UsageError)
    expect(() => durationOf('--watchdog', text, { min: 100 })).toThrow(
      /--watchdog must be a duration of at least 100 ms/,
    )
  }
})
