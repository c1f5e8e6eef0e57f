/**
 * The production code on the simulated log: a few seeds here, in which everything must hold, and which must have been
 * hard enough to prove something. `npm run simulate` runs thousands.
 */
import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { drawSwarm } from '../../src/testing/simulation/swarm.js'
import type { Mode } from '../../src/testing/simulation/swarm.js'
import { SimChance } from '../../src/testing/simulation/chance.js'
import { changed } from './build.js'
import { mutants } from './mutants.js'
import { runSeed } from './seed.js'

const again = (seed: number, mode?: Mode) =>
  `npm run simulate -- --seed ${seed} --seeds 1 --trace${mode === undefined ? '' : ` --mode ${mode}`}`

test(
  'brings everything out once and in order, whatever befalls owners, links and server',
  { timeout: 60_000 },
  async () => {
    for (let seed = 1; seed <= 40; seed++) {
      const { findings, invalid } = await runSeed(seed)
      expect({ findings, invalid }, again(seed)).toEqual({ findings: [], invalid: [] })
    }
  },
)

test(
  'halts by name when the ledger lost, changed or forgot what it had acknowledged',
  { timeout: 60_000 },
  async () => {
    for (const mode of ['amnesia', 'reborn', 'damaged'] as const) {
      let halted = 0
      for (let seed = 1; seed <= 8; seed++) {
        const { findings, halts, refusals } = await runSeed(seed, { mode })
        expect(findings, again(seed, mode)).toEqual([])
        if (halts + refusals > 0) halted++
      }
      expect(halted, mode).toBeGreaterThan(4)
    }
  },
)

test('does the same when a seed is run again', { timeout: 30_000 }, async () => {
  for (const seed of [2, 3]) {
    const [first, second] = [await runSeed(seed), await runSeed(seed, { keepLines: true })]
    expect(second.hash).toBe(first.hash)
    expect(second.trace.length).toBeGreaterThan(500)
  }
})

test('draws every mode, and tells seeds apart', () => {
  const swarms = Array.from({ length: 400 }, (_, seed) => drawSwarm(new SimChance(seed, 'swarm')))
  expect(new Set(swarms.map(swarm => swarm.mode)).size).toBe(9)
  expect(new Set(swarms.map(swarm => JSON.stringify(swarm))).size).toBe(400)
})

test('a change of a mutant that finds no place, or two, is an error', () => {
  expect(() => changed('a b', { file: 'f', from: 'c', to: 'd' })).toThrow('0 places in f read "c"')
  expect(() => changed('a b a', { file: 'f', from: 'a', to: 'd' })).toThrow('2 places in f read "a"')
})

test('every mutant finds its place in the code, so that none is kept that changes nothing', () => {
  for (const { name, changes } of mutants) {
    const texts = new Map<string, string>()
    for (const change of changes) {
      const text = texts.get(change.file) ?? readFileSync(change.file, 'utf8')
      texts.set(change.file, changed(text, change))
    }
    expect(texts.size, name).toBeGreaterThan(0)
  }
  expect(mutants.length).toBeGreaterThanOrEqual(16)
  expect(new Set(mutants.map(mutant => mutant.name)).size).toBe(mutants.length)
})
