import { expect, test } from 'vitest'
import type { StreamRole } from './examiner.js'
import type { Retention, StreamSpec } from './log.js'
import { checksOf } from './stream-checks.js'

const spec: StreamSpec = { name: 's', partitions: 2, retention: {}, replicas: 1, dedupWindowMs: 20_000 }

function levels(role: StreamRole, there: Partial<StreamSpec>): string[] {
  return checksOf({ name: 's', roles: [role], asked: {} }, { ...spec, ...there })
    .filter(({ level }) => level !== 'ok')
    .map(({ level, check }) => `${level} ${check}`)
}

const HOUR = 3_600_000

test.each<[StreamRole, Retention, string[]]>([
  ['source', { ageMs: HOUR }, ['weak retention']],
  ['source', {}, []],
  ['target', { ageMs: HOUR }, []],
  ['target', { ageMs: HOUR - 1 }, ['weak retention']],
  ['target', { ageMs: HOUR, bytes: 1e9 }, ['weak retention']],
  ['ledger', { records: 1_000_000 }, ['wrong retention']],
  ['dead letters', { ageMs: 24 * HOUR }, ['weak retention']],
])('says of a %s what retention %j means for it', (role, retention, expected) => {
  expect(levels(role, { retention })).toEqual(expected)
})

test('asks for a window only where outputs are written', () => {
  expect(levels('source', { dedupWindowMs: 100 })).toEqual([])
  expect(levels('target', { dedupWindowMs: 999 })).toEqual(['wrong dedup window'])
  expect(levels('dead letters', { dedupWindowMs: 19_999 })).toEqual(['weak dedup window'])
})

test('speaks of no bound where nothing is dropped', () => {
  const use = { name: 's', roles: ['source'], asked: {} } as const
  expect(checksOf(use, { ...spec, retention: { records: 3 } }, false)).toEqual([])
})

test('names each setting that differs from what is asked for, and none that is left to the log', () => {
  const use = { name: 's', roles: ['source'], asked: { partitions: 3, retention: { records: 5 } } } as const
  const [found] = checksOf(use, { ...spec, retention: { ageMs: 7 } })
  expect(found).toMatchObject({
    level: 'wrong',
    what: 'partitions 2 where 3 is asked for, and retention.ageMs 7 where none is asked for, and retention.records none where 5 is asked for',
  })
})
