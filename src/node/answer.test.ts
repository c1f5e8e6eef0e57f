import { expect, test } from 'vitest'
import type { PartitionStatus } from '../actor/status.js'
import { decodeAnswer, encodeAnswers } from './answer.js'
import type { NodeStatus } from './status.js'

const partition = {
  ...{ pipeline: 'p', stage: 0, partition: 3, state: 'running', fence: 1, number: 7, positions: { clicks: 40 } },
  ...{ lag: 2, outbox: 0, held: 0, rows: 3, liveBytes: 100, ledgerBytes: 200, letters: 0, restarts: 0 },
} as unknown as PartitionStatus
const node = (...partitions: readonly PartitionStatus[]): NodeStatus => ({
  ...{ name: 'west', pid: 1, since: 1000, log: 'a log', partitions },
})
const told = (status: NodeStatus) => encodeAnswers('id', status).map(decodeAnswer)

test('comes back as it was, in as many pieces as it takes', () => {
  expect(told(node())).toEqual([{ id: 'id', status: node(), more: false }])
  const many = Array.from({ length: 1100 }, (_, i) => ({ ...partition, partition: i }))
  const pieces = told(node(...many))
  expect(pieces.length).toBeGreaterThan(1)
  expect(pieces.map(({ more }) => more)).toEqual(pieces.map((_, at) => at < pieces.length - 1))
  expect(pieces.flatMap(({ status }) => status.partitions)).toEqual(many)
})

test('is in pieces that any server takes, however long the errors are', () => {
  const error = '\u0000'.repeat(20_000)
  const many = Array.from({ length: 500 }, (_, i) => ({ ...partition, partition: i, error, lastError: error }))
  const pieces = encodeAnswers('id', node(...many))
  expect(Math.max(...pieces.map(({ length }) => length))).toBeLessThan(100_000)
  const told = pieces.map(decodeAnswer).flatMap(({ status }) => status.partitions)
  expect(told.map(one => one.partition)).toEqual(many.map(one => one.partition))
  expect(new Set(told.map(one => one.error))).toEqual(new Set([`${'\u0000'.repeat(997)}...`]))
})

test('says nothing of a secret of which only the beginning is told', () => {
  const error = `${'x'.repeat(970)} nats://ann:planted-and-very-long@db:4222`
  const [answer] = told(node({ ...partition, error }))
  expect(answer?.status.partitions[0]?.error).toMatch(/^x{970} nats:\/\/\*\*\*@db:4222$/)
})

test('says nothing of what code of the user threw that looks like a secret', () => {
  const error = 'no answer from nats://ann:planted@db:4222'
  const [answer] = told(node({ ...partition, error }))
  expect(answer?.status.partitions[0]?.error).toBe('no answer from nats://***@db:4222')
})

const whole = JSON.parse(Buffer.from(encodeAnswers('id', node(partition))[0] as Uint8Array).toString()) as {
  status: NodeStatus
}
test.each([
  ['nothing', ''],
  ['half of one', '{"id":"id"'],
  ['null', 'null'],
  ['one without a node', '{"id":"id","more":false}'],
  ['a node without its partitions', JSON.stringify({ ...whole, status: { ...whole.status, partitions: {} } })],
  ['a time that is none', JSON.stringify({ ...whole, status: { ...whole.status, since: 1e300 } })],
  [
    'a partition without positions',
    JSON.stringify({ ...whole, status: node({ ...partition, positions: null as never }) }),
  ],
  [
    'a partition whose error is no text',
    JSON.stringify({ ...whole, status: node({ ...partition, error: {} as never }) }),
  ],
  [
    'a partition whose last error is no text',
    JSON.stringify({ ...whole, status: node({ ...partition, lastError: 7 as never }) }),
  ],
  [
    'a partition that began anew some other number of times',
    JSON.stringify({ ...whole, status: node({ ...partition, restarts: '\u001b[2J' as never }) }),
  ],
])('does not take %s for an answer', (_, text) => {
  const message = /cannot be read; ask with the release that the nodes run/
  expect(() => decodeAnswer(Buffer.from(text))).toThrow(
    expect.objectContaining({ code: 'ANSWERED_WITH_ERROR', message: expect.stringMatching(message) }) as Error,
  )
})
