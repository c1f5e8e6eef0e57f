import { expect, test } from 'vitest'
import { LogRecord } from '../log/record.js'
import { Mailbox, type Delivery } from './mailbox.js'

const EMPTY = new Uint8Array(0)

function delivery(source: number, ...positions: number[]): Delivery {
  const records = positions.map(position => new LogRecord(0, position, 0, EMPTY, Buffer.from('abc')))
  return {
    kind: 'batch',
    source,
    batch: { records, position: positions.at(-1) as number, behind: 9 - positions.length },
  }
}

function mailbox(): Mailbox {
  return new Mailbox({ mailboxRecordsMax: 4, mailboxBytesMax: 1000 })
}

const data = () => true
const soon = () => new Promise(resolve => setImmediate(() => resolve('nothing came')))

test('gives what waits of one source as one batch, as far as it is not cut by another source', async () => {
  const box = mailbox()
  for (const one of [delivery(0, 1, 2), delivery(0, 5), delivery(1, 7), delivery(0, 9)]) box.deliver(one)
  const joined = await box.receive(data, Infinity)
  expect(joined).toMatchObject({ source: 0, batch: { position: 5, behind: 8 } })
  expect((joined as Delivery).batch.records.map(({ position }) => position)).toEqual([1, 2, 5])
  expect(await box.receive(data, Infinity)).toMatchObject({ source: 1, batch: { position: 7 } })
  expect(await box.receive(data, Infinity)).toMatchObject({ source: 0, batch: { position: 9 } })
  expect(await Promise.race([box.receive(data, Infinity), soon()])).toBe('nothing came')
})

test('gives no more records at once than are asked for, and the rest of a batch after them', async () => {
  const box = mailbox()
  for (const one of [delivery(0, 1, 2, 3), delivery(0, 4, 5)]) box.deliver(one)
  const positions: number[][] = []
  for (let i = 0; i < 3; i++) {
    const { batch } = (await box.receive(data, 2)) as Delivery
    positions.push(batch.records.map(({ position }) => position))
    expect(batch.position).toBe(batch.records.at(-1)?.position)
    if (i === 0) expect(batch.behind).toBe(7)
  }
  expect(positions).toEqual([[1, 2], [3], [4, 5]])
  expect(await Promise.race([box.receive(data, Infinity), soon()])).toBe('nothing came')
})

test('is full at its bound, and has room again once what waits is received', async () => {
  const box = mailbox()
  box.deliver(delivery(0, 1, 2, 3))
  expect([box.isFull, box.room()]).toEqual([false, undefined])
  box.deliver(delivery(0, 4))
  expect(box.isFull).toBe(true)
  const room = box.room()
  await box.receive(data, Infinity)
  await room
  expect([box.isFull, box.room()]).toEqual([false, undefined])
})

test('asks anew whether data may come whenever something comes, and gives control meanwhile', async () => {
  const box = mailbox()
  const received = box.receive(() => box.isFull, Infinity)
  box.deliver(delivery(0, 1, 2))
  box.nudge()
  expect(await received).toEqual({ kind: 'control' })
  const next = box.receive(() => box.isFull, Infinity)
  box.deliver(delivery(0, 3, 4))
  expect(await next).toMatchObject({ batch: { position: 4 } })
})

test('rejects with the first kill, whatever waits', async () => {
  const box = mailbox()
  box.deliver(delivery(0, 1))
  box.kill(new Error('first'))
  box.kill(new Error('second'))
  await expect(box.receive(data, Infinity)).rejects.toThrow('first')
})
