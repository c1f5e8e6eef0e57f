import { connect } from 'stream-node'
import { expect, test } from 'vitest'
import cloudEvents, { type CloudEvent } from './cloud-events.js'

const event = (change: Partial<CloudEvent<number>> = {}): CloudEvent<number> => ({
  specversion: '1.0',
  id: '1',
  source: '/shop/till 7',
  type: 'sold',
  time: '2026-01-31T12:00:00Z',
  data: 3,
  ...change,
})

test('an event keeps its time, is stored once however often it is published, and shares the place of its kin', async () => {
  const sales = cloudEvents<number>('sales', { partitions: 16 })
  await using client = await connect({ memory: true })

  const first = await client.publish(sales, event())
  const again = await client.publish(sales, event())
  const kin = await client.publish(sales, event({ id: '2' }))
  const elsewhere = await client.publish(sales, event({ id: '1', source: '/shop/till' }))
  expect([first, again, kin, elsewhere].map(({ repeat }) => repeat)).toEqual([false, true, false, false])
  expect(kin.partition).toBe(first.partition)

  const read: [time: number, data: number | undefined][] = []
  for await (const record of client.read(sales)) read.push([record.time, record.value.data])
  expect(read).toEqual([1, 2, 3].map(() => [Date.UTC(2026, 0, 31, 12), 3]))
})

test('an event without a time is refused by name', async () => {
  await using client = await connect({ memory: true })
  const untimed = { ...event(), time: undefined } as unknown as CloudEvent
  await expect(client.publish(cloudEvents('sales'), untimed)).rejects.toMatchObject({ code: 'BAD_TIME' })
})

test('the attribute partitionkey goes before source and subject', async () => {
  await using client = await connect({ memory: true })
  const sales = cloudEvents<number>('sales', { partitions: 512 })
  const places = await Promise.all(
    ['a', 'b', 'c'].map((source, i) => client.publish(sales, event({ id: `${i}`, source, partitionkey: 'same' }))),
  )
  expect(new Set(places.map(({ partition }) => partition)).size).toBe(1)
})
