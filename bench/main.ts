/**
 * `npm run bench -- [suite...] [--json] [--pairs N] [--records N]`: measures ours against the bare libraries, in turn in one
 * run, and prints a table, or with `--json` one object a line.
 */
import { parseArgs } from 'node:util'
import type { Case } from './case.js'
import { logCases } from './log.js'

const SUITES = { log: logCases }

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { json: { type: 'boolean' }, pairs: { type: 'string' }, records: { type: 'string' } },
})

const names = positionals.length > 0 ? positionals : Object.keys(SUITES)
const sizes = {
  ...(values.pairs !== undefined && { pairs: Number(values.pairs) }),
  ...(values.records !== undefined && { records: Number(values.records) }),
}

for (const name of names) {
  if (!(name in SUITES)) {
    console.error(`there is no bench "${name}"; there is ${Object.keys(SUITES).join(', ')}`)
    process.exit(2)
  }
}
if (values.json !== true) print('case', 'ours', 'rival', 'ratio', 'against')
for (const name of names) {
  for await (const one of SUITES[name as keyof typeof SUITES](sizes)) show(one)
}

function show(one: Case): void {
  if (values.json === true) console.log(JSON.stringify(one))
  else print(one.case, amount(one.ours), amount(one.rival), one.ratio.toFixed(2), `${one.rivalName} (${one.unit})`)
}

function print(name: string, ours: string, rival: string, ratio: string, against: string): void {
  console.log(`${name.padEnd(46)} ${ours.padStart(11)} ${rival.padStart(11)} ${ratio.padStart(6)}  ${against}`)
}

function amount(figure: number): string {
  return figure.toLocaleString('en-US')
}
