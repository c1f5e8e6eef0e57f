/** A million inputs to everything that reads bytes from outside. `STREAM_NODE_SEED` draws others. */
import { availableParallelism } from 'node:os'
import { expect, test } from 'vitest'
import { buildFuzz, fuzz, told } from './crew.js'
import { foundIn, holes } from './holes.js'

const SEED = Number(process.env['STREAM_NODE_SEED'] ?? 20_261_120)
const INPUTS = 1_000_000

test('ends a million inputs in a value or an error of ours, soon', { timeout: 3_600_000 }, async () => {
  console.log(`seed ${SEED}`)
  const { inputs, findings } = await fuzz(
    buildFuzz('fuzz-long'),
    { seed: SEED, inputs: INPUTS },
    availableParallelism(),
  )
  expect(findings, told(findings, SEED)).toEqual([])
  expect(inputs).toBeGreaterThan(INPUTS)
})

test.each(holes)('would notice $name', { timeout: 300_000 }, async hole => {
  expect(await foundIn(hole)).toMatch(hole.finds)
})
