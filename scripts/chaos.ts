/**
 * `npm run test:chaos`: real faults on real processes in the long form, on the oldest server we support, on the newest,
 * and on the embedded log, and a table of what landed and what was found. `--log JetStream` or `--log embedded` runs one
 * kind, `--version 2.15` one server; `--seed S`, `--records N`, `--rate R` (records a second), `--kills`, `--freezes`,
 * `--cuts` and `--servers` say what it is made of, and `--progress` tells of each blow. Ends with 1 when anything was lost, repeated or out of order, or too
 * few blows landed.
 */
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { runChaos, type ChaosOptions, type ChaosReport } from '../test/chaos/chaos.js'
import type { Blow } from '../test/chaos/nemesis.js'
import { detailsOf, passed, tableOf } from '../test/chaos/report.js'
import { knownServers } from '../test/nats-server/install.js'

const text = { type: 'string' } as const
const { values } = parseArgs({
  options: {
    ...{ log: text, version: text, seed: text, records: text, rate: text },
    ...{ kills: text, freezes: text, cuts: text, servers: text, progress: { type: 'boolean' } },
  },
})

const number = (given: string | undefined, usual: number) => (given === undefined ? usual : Number(given))
const main = fileURLToPath(new URL('../dist/cli/main.js', import.meta.url))
const seed = number(values.seed, Date.now() % 1_000_000)

const onServer = (version: string): ChaosOptions => ({
  ...{ log: 'JetStream', version, seed, main },
  ...{ records: number(values.records, 1_000_000), perSecond: number(values.rate, 2500) },
  blows: {
    ...{ kill: number(values.kills, 220), freeze: number(values.freezes, 56) },
    ...{ cut: number(values.cuts, 56), server: number(values.servers, 20) },
  },
})
const onFolder: ChaosOptions = {
  ...{ log: 'embedded', seed, main },
  ...{ records: number(values.records, 300_000), perSecond: number(values.rate, 2500) },
  blows: { kill: number(values.kills, 110) },
}

const versions = values.version === undefined ? [knownServers[0].version, knownServers[2].version] : [values.version]
const runs = [
  ...(values.log === 'embedded' ? [] : versions.map(onServer)),
  ...(values.log === 'JetStream' || values.version !== undefined ? [] : [onFolder]),
]

const told = (blow: Blow, count: number, seconds: number) => {
  if (values.progress) console.log(`${count}: ${blow}, ${seconds.toFixed(1)} s`)
}

const reports: ChaosReport[] = []
for (const options of runs) {
  const { log, version = '', blows } = options
  console.log(`${log} ${version}, seed ${seed}: ${JSON.stringify(blows)}`)
  const report = await runChaos({ ...options, told })
  reports.push(report)
  console.log(detailsOf(report).join('\n'))
}
console.table(tableOf(reports))
process.exitCode = reports.every(passed) ? 0 : 1
