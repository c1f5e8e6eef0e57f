/** Two thousand seeds, in two processes: everything holds in each, each is hard enough, and no place was left out. */
import { expect, test } from 'vitest'
import { build } from './build.js'
import { runSeeds } from './crew.js'
import { Tally } from './tally.js'
import type { WorkerLine } from './worker.js'

const SEEDS = 2000

test('two thousand seeds find nothing, and prove something', { timeout: 300_000 }, async () => {
  const entry = build('suite')
  const tally = new Tally()
  const wrong: string[] = []
  const add = (line: WorkerLine) => {
    tally.add(line)
    for (const what of [...line.findings, ...line.invalid]) {
      wrong.push(`${what}: npm run simulate -- --seed ${line.seed} --seeds 1 --trace`)
    }
  }
  await runSeeds(entry, { first: 1, seeds: SEEDS, processes: 2 }, add)
  expect(wrong).toEqual([])
  expect(tally.seeds).toBe(SEEDS)
  expect(tally.missedSites).toEqual([])
  // The edge is there, so that it is put to the test; who reads over it is judged in each seed.
  expect(tally.repeats).toBeGreaterThan(0)
  expect(tally.letters).toBeGreaterThan(SEEDS)
  // What outputs lose in silence is bounded, and only where the guarantees say that it may be.
  expect(tally.silent).toBeLessThan(SEEDS / 50)
  const kinds = [
    ...[
      'requestLost',
      'replyLost',
      'middleLost',
      'stalled',
      'overtaken',
      'replyLate',
      'repeated',
      'disconnected',
      'crashed',
      'frozen',
    ],
    ...['killed', 'restarted', 'revived', 'leaderless', 'full', 'clockJumped', 'amnesia', 'damaged'],
  ]
  for (const kind of kinds) expect(tally.faults.get(kind), kind).toBeGreaterThan(20)
})
