import { expect, test } from 'vitest'
import type { JetStreamAccountStats } from '@nats-io/jetstream'
import { accountChecks, checksOfServer, clockCheck, hiddenChecks, selfTestCheck } from './server-checks.js'

const facts = { server: '127.0.0.1:4222', payloadMax: 1_048_576, cluster: undefined, roundTripMs: 0.3 }

test.each([
  ['2.9.25', undefined, 'weak'],
  ['2.10.19', 'C', 'ok'],
  ['2.10.20', 'C', 'wrong'],
  ['2.10.22', undefined, 'weak'],
  ['2.10.23', 'C', 'ok'],
  ['2.15.0', undefined, 'ok'],
  ['3.0.0', undefined, 'ok'],
])('knows what is to be minded of nats-server %s in cluster %s', (version, cluster, level) => {
  expect(checksOfServer({ ...facts, version, cluster })[0]).toMatchObject({ level, check: 'server' })
})

test('finds a server that is far away, and says nothing of a distance that it does not know', () => {
  const trip = (roundTripMs: number | undefined) =>
    checksOfServer({ ...facts, version: '2.15.0', roundTripMs }).filter(({ check }) => check === 'round trip')
  expect(trip(80)).toMatchObject([{ level: 'weak', what: 'an answer takes 80 ms' }])
  expect(trip(0.34)).toMatchObject([{ level: 'ok', what: 'an answer takes 0.3 ms' }])
  expect(trip(undefined)).toEqual([])
})

test('calls the self-test unknown where it could not be made, and wrong where it failed', () => {
  const verdicts = ['safe', 'no bucket', 'untested', 'away', { unsafe: 'stored it' }] as const
  expect(verdicts.map(verdict => selfTestCheck(verdict).level)).toEqual(['ok', 'ok', 'unknown', 'unknown', 'wrong'])
})

test('takes the clocks for one as far as the answer could have been on its way', () => {
  const at = (server: number) => clockCheck({ server, before: 10_000, after: 10_400 })
  expect([9_001, 10_200, 11_399].map(server => at(server).level)).toEqual(['ok', 'ok', 'ok'])
  expect([8_900, 11_500].map(server => at(server).level)).toEqual(['weak', 'weak'])
  expect(clockCheck(undefined).level).toBe('unknown')
})

test('judges an account by its tiers where it has some', () => {
  const usage = { memory: 0, storage: 0, reserved_memory: 0, reserved_storage: 0, streams: 0, consumers: 0 }
  const limits = { max_storage: 100, max_memory: 0, max_streams: -1, max_consumers: -1 }
  const tier = { ...usage, storage: 80, limits }
  const none = { ...limits, max_storage: 0, max_streams: 0, max_consumers: 0 }
  const account = { ...usage, limits: none, tiers: { R3: tier } } as unknown as JetStreamAccountStats
  expect(accountChecks(account).map(({ level, check }) => `${level} ${check}`)).toEqual([
    ...['weak file storage with 3 copies', 'ok streams with 3 copies', 'ok consumers with 3 copies'],
  ])
  expect(accountChecks({ ...usage, storage: 5, limits } as unknown as JetStreamAccountStats)[0]).toMatchObject({
    ...{ level: 'ok', check: 'file storage', what: '5 bytes of 100 bytes in use' },
  })
})

test('says that 2.9 syncs once a minute, and of others that nobody is told', () => {
  expect(hiddenChecks('2.9.10').map(({ check, level }) => [check, level])).toEqual([
    ['sync', 'weak'],
    ['disk', 'unknown'],
  ])
  expect(hiddenChecks('2.10.27')[0]).toMatchObject({ check: 'sync', level: 'unknown' })
})
