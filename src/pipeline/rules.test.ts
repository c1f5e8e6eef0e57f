import { expect, test } from 'vitest'
import { stream } from '../stream/stream.js'
import { pipeline } from './pipeline.js'
import { plan } from './plan.js'
import { rulesFrom, type OnError, type Supervise } from './rules.js'

test('are all set where nothing is said', () => {
  expect(rulesFrom('pipeline "p"')).toEqual({
    onError: { attempts: 3, backoffMs: 100, then: 'deadLetter', budget: { records: 100, perMs: 300_000 } },
    supervise: { strategy: 'one-for-one', restarts: 5, withinMs: 60_000, then: 'pause' },
  })
})

test('are taken as they are said, in words or in ms, and are frozen', () => {
  const onError: OnError = {
    retry: { attempts: 0, backoff: 20 },
    then: 'skip',
    budget: { records: 0, per: '2 hours' },
  }
  const supervise: Supervise = { strategy: 'rest-for-one', restarts: 0, within: '5 minutes', then: 'stop' }
  const rules = rulesFrom('pipeline "p"', onError, supervise)
  expect(rules).toEqual({
    onError: { attempts: 0, backoffMs: 20, then: 'skip', budget: { records: 0, perMs: 7_200_000 } },
    supervise: { strategy: 'rest-for-one', restarts: 0, withinMs: 300_000, then: 'stop' },
  })
  for (const part of [rules, rules.onError, rules.onError.budget, rules.supervise]) {
    expect(Object.isFrozen(part)).toBe(true)
  }
  expect(rulesFrom('pipeline "p"', { budget: false }).onError.budget).toBeUndefined()
  expect(rulesFrom('pipeline "p"', { retry: { attempts: 7 } }).onError).toMatchObject({ attempts: 7, backoffMs: 100 })
})

test.each<[string, object, object | undefined, RegExp]>([
  ['an unknown rule', { andThen: 'skip' }, undefined, /unknown option "andThen" of onError of pipeline "p"/],
  ['a rule misspelt', { retries: {} }, undefined, /"retries" of onError of pipeline "p"; it takes retry, then, budget/],
  ['a misspelt wait', { retry: { backof: 1 } }, undefined, /"backof".*onError\.retry.*did you mean "backoff"/],
  ['half an attempt', { retry: { attempts: 0.5 } }, undefined, /onError\.retry\.attempts of pipeline "p"/],
  ['too many attempts', { retry: { attempts: 1001 } }, undefined, /onError\.retry\.attempts of pipeline "p"/],
  ['no wait at all', { retry: { backoff: 0 } }, undefined, /onError\.retry\.backoff of pipeline "p"/],
  ['another end', { then: 'park' }, undefined, /onError\.then of .* 'deadLetter' or 'skip' or 'pause' or 'stop'/],
  ['a budget without a time', { budget: { records: 5 } }, undefined, /onError\.budget\.per of pipeline "p"/],
  ['a budget below nothing', { budget: { records: -1, per: 1 } }, undefined, /onError\.budget\.records/],
  ['an unknown strategy', {}, { strategy: 'all' }, /supervise\.strategy of .* 'one-for-one' or 'one-for-all'/],
  ['dead letters of partitions', {}, { then: 'deadLetter' }, /supervise\.then of pipeline "p".* 'pause' or 'stop'/],
  ['an unknown rule of supervision', {}, { intensity: 5 }, /"intensity".*supervise of pipeline "p"/],
])('refuse %s', (_, onError, supervise, message) => {
  const given = { onError, supervise } as { onError: OnError; supervise?: Supervise }
  expect(() => rulesFrom('pipeline "p"', given.onError, given.supervise)).toThrow(message)
  // As soon as the pipeline is named, before it has a source.
  expect(() => pipeline('p', given)).toThrow(message)
})

test('go with the stages of a pipeline', () => {
  const [stage] = plan(
    pipeline('p', { onError: { then: 'stop' } })
      .from(stream('a'))
      .pipe()
      .to(stream('b')),
  )
  expect(stage?.rules).toEqual(rulesFrom('pipeline "p"', { then: 'stop' }))
})
