import { expect, test } from 'vitest'
import type { StreamInfo } from '@nats-io/jetstream'
import { checksOfInfo, dropsOld } from './stream-facts.js'

const config = {
  ...{ name: 's', storage: 'file', retention: 'limits', discard: 'old', num_replicas: 3 },
  ...{ max_msgs: -1, max_bytes: -1, max_age: 0, max_msgs_per_subject: -1, max_msg_size: -1 },
}
const infoOf = (more: object, rest: object = {}) =>
  ({ config: { ...config, ...more }, state: { messages: 7, bytes: 700 }, ...rest }) as unknown as StreamInfo
const use = { name: 's', roles: ['source', 'target'], asked: {} } as const
const bad = (info: StreamInfo) =>
  checksOfInfo(use, info, 1_048_576)
    .filter(({ level }) => level !== 'ok')
    .map(({ level, check }) => `${level} ${check}`)

test('finds copies that lag or are away, and a stream without a leader', () => {
  const peer = { name: 'n2', current: true, offline: false }
  const cluster = (leader: string, ...replicas: object[]) => infoOf({}, { cluster: { leader, replicas } })
  expect(bad(cluster('n1', peer, peer))).toEqual([])
  expect(bad(cluster('n1', peer, { ...peer, current: false }))).toEqual(['weak copies'])
  expect(bad(cluster('n1', { ...peer, offline: true }))).toEqual(['weak copies'])
  expect(bad(cluster('', peer))).toEqual(['wrong copies'])
})

test('finds acknowledgements that come before the write', () => {
  expect(bad(infoOf({ persist_mode: 'async' }))).toEqual(['wrong storage'])
})

test('says how full a stream is that refuses new records, and nothing of one that drops old ones', () => {
  expect(bad(infoOf({ discard: 'new', max_msgs: 7 }))).toEqual(['wrong room'])
  expect(bad(infoOf({ discard: 'new', max_bytes: 800 }))).toEqual(['weak room'])
  expect(bad(infoOf({ discard: 'new', max_bytes: 8000 }))).toEqual([])
  expect(bad(infoOf({ discard: 'old', max_msgs: 7 }))).toEqual([])
})

test('knows that age drops records also where room does not', () => {
  expect([{}, { discard: 'new' }, { discard: 'new', max_age: 1 }].map(more => dropsOld(infoOf(more)))).toEqual([
    ...[true, false, true],
  ])
})
