import { map } from 'rxjs'
import { expect, test } from 'vitest'
import { systemChance, systemClock } from '../clock.js'
import { openEmbedded } from '../log/embedded/embedded.js'
import { pipeline } from '../pipeline/pipeline.js'
import { plan, type Stage } from '../pipeline/plan.js'
import { Tables } from '../state/tables.js'
import { Streams } from '../stream/open.js'
import { stream } from '../stream/stream.js'
import { silent } from '../telemetry/events.js'
import { Commit, type CommitParts } from './commit.js'
import { PartitionActor } from './partition-actor.js'

const parts = { clock: systemClock, chance: systemChance, tell: silent, replicas: 1 }

test('outputs come into one batch only as far as the log takes it', async () => {
  const ports = await openEmbedded({ memory: true }, parts)
  const streams = new Streams(ports, parts)
  const sizes = stream<number>('sizes', { partitions: 1 })
  const texts = stream<string>('texts', { partitions: 1, format: 'batch' })
  const { log } = await streams.open(sizes, 'write')
  for (const size of [100, 200_000, 8_000_000, 8_300_000, 100, 100]) {
    await log.append({ partition: 0, payload: Buffer.from(`${size}`) })
  }
  const [stage] = plan(
    pipeline('p')
      .from(sizes)
      .pipe(map(size => 'x'.repeat(size)))
      .to(texts),
  ) as [Stage]
  const actor = new PartitionActor({ ...parts, stage, partition: 0, ports, streams })
  const end = actor.run()
  expect(await actor.caughtUp()).toBe(true)
  actor.stop()
  expect(await end).toEqual({ why: 'stopped' })
  const stored = await (await streams.open(texts, 'read')).log.extent()
  expect(stored.last).toBe(4)
  await ports.close()
})

test('what waits for an entry that could not be written ends with its error', async () => {
  let refuse!: (error: Error) => void
  const write = () => new Promise<never>((_, reject) => (refuse = reject))
  const failures: unknown[] = []
  const commit = new Commit({
    ledger: { next: 2, first: 1, bytes: 0, write },
    tables: new Tables(),
    turn: { times: [] },
    inputs: [],
    publisher: { lanes: [], oldest: Infinity, backlog: { records: 0, bytes: 0 } },
    clock: systemClock,
    limits: {},
    failed: (error: unknown) => failures.push(error),
  } as unknown as CommitParts)
  commit.begin(true)
  let isMarked = false
  const mark = async () => void (isMarked = true)
  const marking = commit.aside(mark)
  const overtaken = new Error('another owner has claimed')
  refuse(overtaken)
  await expect(marking).rejects.toBe(overtaken)
  await expect(commit.aside(mark)).rejects.toBe(overtaken)
  expect([isMarked, failures]).toEqual([false, [overtaken]])
})
