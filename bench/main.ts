/**
 * `npm run bench -- [suite...] [--json] [--pairs N] [--records N] [--seconds N]`: measures ours against the bare libraries,
 * in turn in one run, and prints a table, or with `--json` one object a line.
 */
import { loadavg } from 'node:os'
import { parseArgs } from 'node:util'
import { besideCases } from './beside.js'
import type { Case, Figure } from './case.js'
import { countCases } from './count.js'
import { latencyCases } from './latency.js'
import { ledgerCases } from './ledger.js'
import { logCases } from './log.js'
import { lossCases } from './loss.js'
import { pipeCases } from './pipe.js'
import { poisonCases } from './poison.js'
import { recoveryCases } from './recovery.js'
import { slowCases } from './slow.js'

const SUITES = {
  log: logCases,
  pipe: pipeCases,
  count: countCases,
  latency: latencyCases,
  ledger: ledgerCases,
  recovery: recoveryCases,
  poison: poisonCases,
  slow: slowCases,
  beside: besideCases,
  loss: lossCases,
}

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    json: { type: 'boolean' },
    pairs: { type: 'string' },
    records: { type: 'string' },
    seconds: { type: 'string' },
  },
})

const names = positionals.length > 0 ? positionals : Object.keys(SUITES)
const sizes = {
  ...(values.pairs !== undefined && { pairs: Number(values.pairs) }),
  ...(values.records !== undefined && { records: Number(values.records) }),
  ...(values.seconds !== undefined && { seconds: Number(values.seconds) }),
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
  if (values.json !== true)
    console.log(
      `${name}: load average ${loadavg()
        .map(load => load.toFixed(1))
        .join(' ')}`,
    )
}

function show(one: Case | Figure): void {
  if (values.json === true) {
    console.log(JSON.stringify(one))
    return
  }
  const bar = one.bar === undefined ? '' : `; to be ${one.bar}`
  if ('figure' in one) print(one.case, amount(one.figure), '', '', `${one.unit}${bar}`)
  else
    print(one.case, amount(one.ours), amount(one.rival), one.ratio.toFixed(2), `${one.rivalName} (${one.unit}${bar})`)
}

function print(name: string, ours: string, rival: string, ratio: string, against: string): void {
  console.log(`${name.padEnd(58)} ${ours.padStart(11)} ${rival.padStart(11)} ${ratio.padStart(6)}  ${against}`)
}

function amount(figure: number): string {
  return figure.toLocaleString('en-US')
}
