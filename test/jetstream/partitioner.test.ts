/** Our partition of a key is the one that a server's own `partition()` mapping gives, on every server version. */
import { connect } from '@nats-io/transport-node'
import { expect, test } from 'vitest'
import { partitionOf } from 'stream-node'
import { startServer } from '../nats-server/server.js'

test('agrees with the partition() mapping of a real server', async () => {
  const mapping = 'mappings: { "in.*": "out.{{partition(6,1)}}.{{wildcard(1)}}" }'
  await using server = await startServer({ config: mapping })
  const link = await connect(server.admin)
  const letters = ['a', 'user-1', 'Zürich', '東京', '😀', 'x'.repeat(200), '0', '_-%/+=']
  const keys = [...letters, ...Array.from({ length: 500 }, (_, i) => `user-${i * 7919}`)]
  const mapped = new Map<string, number>()
  const subscription = link.subscribe('out.*.*', { max: keys.length })
  for (const key of keys) link.publish(`in.${key}`)
  await link.flush()
  for await (const { subject } of subscription) {
    const [, partition, ...key] = subject.split('.')
    mapped.set(key.join('.'), Number(partition))
  }
  await link.close()
  expect(mapped.size).toBe(new Set(keys).size)
  expect(Object.fromEntries(mapped)).toEqual(Object.fromEntries(keys.map(key => [key, partitionOf(key, 6)])))
})
