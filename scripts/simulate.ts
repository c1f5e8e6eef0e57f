/**
 * `npm run simulate -- --seeds 2000`: runs seeds of the simulation and says what they found and how much befell them.
 * `--seed S` begins there, `--mode M` forces one, `--trace` prints what happened, `--mutants` (or `--mutants a,b`) puts
 * holes back into the code, one at a time, and says at which seed each was found. Ends with 1 when a seed fails, proves
 * nothing, or a mutant passes.
 */
import { spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import { parseArgs } from 'node:util'
import { build } from '../test/simulation/build.js'
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
  },
})
const first = Number(values.seed)
const seeds = Number(values.seeds ?? (values.trace ? 1 : 2000))

async function* run(entry: string, until: '' | 'failure' | 'trace'): AsyncGenerator<WorkerLine> {
  const child = spawn(process.execPath, [entry, `${first}`, `${seeds}`, values.mode, until], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  for await (const line of createInterface({ input: child.stdout })) {
    if (line.startsWith('{')) yield JSON.parse(line) as WorkerLine
    else console.log(line)
  }
}

/** One command that does it again. */
const again = (seed: number) => {
  const mode = values.mode === '' ? '' : ` --mode ${values.mode}`
  return `npm run simulate -- --seed ${seed} --seeds 1 --trace${mode}`
}

async function simulate(): Promise<boolean> {
  const began = performance.now()
  const tally = new Tally()
  for await (const report of run(build('seeds'), values.trace ? 'trace' : '')) {
    tally.add(report)
    for (const finding of report.findings) console.log(`seed ${report.seed} (${report.mode}): ${finding}`)
    if (report.findings.length > 0) console.log(`  ${again(report.seed)}`)
    for (const why of report.invalid) console.log(`seed ${report.seed} (${report.mode}) is invalid: ${why}`)
  }
  console.log(tally.table())
  console.log(`${tally.seeds} seeds in ${((performance.now() - began) / 1000).toFixed(1)} s`)
  return tally.seeds === seeds && tally.failed === 0
}

async function hunt(): Promise<boolean> {
  let passed = 0
  for (const { name, does, changes } of mutants) {
    if (positionals.length > 0 && !positionals.includes(name)) continue
    let found: WorkerLine | undefined
    for await (const report of run(build(`mutant-${name}`, changes), 'failure')) {
      if (report.findings.length > 0) found = report
    }
    if (found === undefined) passed++
    const told = found === undefined ? 'PASSES ALL SEEDS' : `seed ${found.seed} (${found.mode}): ${found.findings[0]}`
    console.log(`${name.padEnd(26)} ${does}\n${' '.repeat(26)} ${told.split('\n')[0]}`)
  }
  return passed === 0
}

process.exitCode = (await (values.mutants ? hunt() : simulate())) ? 0 : 1
