/** What a run of faults has shown, as a row of a table: what was planned, what landed, and the verdict. */
import { FINDING_KINDS } from '../../src/testing/simulation/checker.js'
import type { ChaosReport } from './chaos.js'

/** Whether everything holds, and enough befell it. */
export function passed({ findings, invalid }: ChaosReport): boolean {
  return findings.length === 0 && invalid.length === 0
}

export function rowOf(report: ChaosReport): Record<string, string | number> {
  const { planned, landed, records, outputs, fights, zombies, backMs, nodes, counts, invalid } = report
  const of = (blow: keyof typeof landed) => (planned[blow] === undefined ? '' : `${landed[blow]} of ${planned[blow]}`)
  return {
    ...{ log: report.log, seed: report.seed, records, outputs, nodes: nodes.started },
    ...{ kills: of('kill'), 'in fights': fights, freezes: of('freeze'), 'overtaken asleep': zombies, cuts: of('cut') },
    ...{ 'server kills': of('server'), 'back in ms, median': median(backMs), 'at worst': Math.max(...backMs, 0) },
    ...Object.fromEntries(FINDING_KINDS.map(kind => [kind, counts.get(kind) ?? 0])),
    verdict: passed(report) ? 'holds' : invalid.length > 0 && report.findings.length === 0 ? 'INVALID' : 'BROKEN',
    seconds: Math.round(report.seconds),
  }
}

/** One column for each run: there are more rows than a terminal is wide. */
export function tableOf(reports: readonly ChaosReport[]): Record<string, Record<string, string | number>> {
  const rows = reports.map(rowOf)
  const names = Object.keys(rows[0] ?? {})
  return Object.fromEntries(
    names.map(name => [name, Object.fromEntries(rows.map((row, i) => [`run ${i + 1}`, row[name] ?? '']))]),
  )
}

/** How links were harmed, what is wrong and what is worth nothing, in lines. */
export function detailsOf({ harms, findings, invalid, seed }: ChaosReport): string[] {
  const told = [...harms].map(([name, count]) => `${name} ${count}`).join(', ')
  return [
    ...(told === '' ? [] : [`links were: ${told}`]),
    ...findings.map(what => `seed ${seed}: ${what}`),
    ...invalid.map(why => `seed ${seed} proves nothing: ${why}`),
  ]
}

function median(figures: readonly number[]): number {
  return [...figures].sort((a, b) => a - b)[figures.length >> 1] ?? 0
}
