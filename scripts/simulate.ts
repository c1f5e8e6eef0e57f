/**
 * `npm run simulate -- --seeds 2000`: runs seeds of the simulation and says what they found and how much befell them.
 * `--seed S` begins there, `--mode M` forces one, `--trace` prints what happened, `--mutants` (or `--mutants a,b`) puts
 * holes back into the code, one at a time, and says at which seed each was found. Ends with 1 when a seed fails, proves
 * nothing, or a mutant passes. `--processes N` says how many run at once: as many as there are cores, if not given.
 */
import { parseArgs } from 'node:util'
import type { Mode } from '../src/testing/simulation/swarm.js'
import { build } from '../test/simulation/build.js'
import { runSeeds } from '../test/simulation/crew.js'
import { mutants } from '../test/simulation/mutants.js'
import { Tally } from '../test/simulation/tally.js'
import type { WorkerLine } from '../test/simulation/worker.js'

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    seeds: { type: 'string' },
    seed: { type: 'string', default: '1' },
    mode: { type: 'string', default: '' },
    trace: { type: 'boolean', default: false },
    mutants: { type: 'boolean', default: false },
    processes: { type: 'string' },
  },
})
const first = Number(values.seed)
const seeds = Number(values.seeds ?? (values.trace ? 1 : 2000))

const range = { first, seeds, ...(values.mode !== '' && { mode: values.mode as Mode }) }

/** One command that does it again. */
const again = (seed: number) => {
  const mode = values.mode === '' ? '' : ` --mode ${values.mode}`
  return `npm run simulate -- --seed ${seed} --seeds 1 --trace${mode}`
}

async function simulate(): Promise<boolean> {
  const began = performance.now()
  const tally = new Tally()
  const each = (report: WorkerLine) => {
    tally.add(report)
    for (const finding of report.findings) console.log(`seed ${report.seed} (${report.mode}): ${finding}`)
    if (report.findings.length > 0) console.log(`  ${again(report.seed)}`)
    for (const why of report.invalid) console.log(`seed ${report.seed} (${report.mode}) is invalid: ${why}`)
  }
  const inOrder = values.trace && { until: 'trace' as const, processes: 1 }
  const processes = values.processes !== undefined && { processes: Number(values.processes) }
  await runSeeds(build('seeds'), { ...range, ...processes, ...inOrder }, each, line => console.log(line))
  console.log(tally.table())
  console.log(`${tally.seeds} seeds in ${((performance.now() - began) / 1000).toFixed(1)} s`)
  return tally.seeds === seeds && tally.failed === 0
}

async function hunt(): Promise<boolean> {
  let passed = 0
  for (const { name, does, changes } of mutants) {
    if (positionals.length > 0 && !positionals.includes(name)) continue
    const found: WorkerLine[] = []
    const entry = build(`mutant-${name}`, changes)
    await runSeeds(entry, { ...range, until: 'failure', processes: 1 }, report => {
      if (report.findings.length > 0) found.push(report)
    })
    const [by] = found
    if (by === undefined) passed++
    const told = by === undefined ? 'PASSES ALL SEEDS' : `seed ${by.seed} (${by.mode}): ${by.findings[0]}`
    console.log(`${name.padEnd(26)} ${does}\n${' '.repeat(26)} ${told.split('\n')[0]}`)
  }
  return passed === 0
}

process.exitCode = (await (values.mutants ? hunt() : simulate())) ? 0 : 1
