/**
 * `npm run test:soak -- --minutes 60`: an even load with a kill each minute, in turn of the server and of the node, and
 * how what processes hold and how long records take has grown from the first third to the last. `--rate R` records a
 * second, `--version V` of the server, `--seed S`. Ends with 1 when the checker found anything.
 */
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { growth, soak, type SoakMinute } from '../test/chaos/soak.js'

const text = { type: 'string' } as const
const { values } = parseArgs({ options: { minutes: text, rate: text, version: text, seed: text } })

const MB = 1024 * 1024
const rowOf = ({ nodeHeap, clientHeap, ...minute }: SoakMinute) => ({
  ...minute,
  'node MB': Math.round(nodeHeap / MB),
  'client MB': Math.round(clientHeap / MB),
})

const report = await soak(
  {
    seed: Number(values.seed ?? Date.now() % 1_000_000),
    minutes: Number(values.minutes ?? 60),
    perSecond: Number(values.rate ?? 20_000),
    main: fileURLToPath(new URL('../dist/cli/main.js', import.meta.url)),
    ...(values.version !== undefined && { version: values.version }),
  },
  minute => console.log(JSON.stringify(rowOf(minute))),
)
const { minutes } = report
const percent = (share: number) => `${(100 * share).toFixed(1)} %`
console.table(minutes.map(rowOf))
console.table({
  log: report.log,
  records: report.records,
  'blows landed': `${report.landed} of ${minutes.length}`,
  'p99 grew by': percent(growth(minutes, ({ p99 }) => p99)),
  "the node's heap grew by": percent(growth(minutes, ({ nodeHeap }) => nodeHeap)),
  "the node's handles grew by": percent(growth(minutes, ({ nodeHandles }) => nodeHandles)),
  "the client's heap grew by": percent(growth(minutes, ({ clientHeap }) => clientHeap)),
  findings: report.findings.length,
})
for (const what of report.findings) console.log(what)
process.exitCode = report.findings.length === 0 && report.landed === minutes.length ? 0 : 1
