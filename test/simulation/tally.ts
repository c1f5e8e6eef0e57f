/** What a run of many seeds proves, and what it does not: counts of what befell them and of what was found. */
import type { WorkerLine } from './worker.js'

/** Where a process must have died in a run of many seeds: before a request was sent, after that, before its answer. */
export const CRASH_SITES = [
  ...['append ledger', 'append output', 'last ledger', 'read ledger', 'purge ledger', 'read input', 'read output'],
  ...['append letters', 'read letters', 'extent letters'],
  ...['open', 'find', 'extent input', 'extent output', 'bucket open', 'bucket get', 'bucket put'],
].flatMap(site => ['before', 'sent', 'answered'].map(when => `${site}, ${when}`))

export class Tally {
  seeds = 0
  failed = 0
  invalid = 0
  silent = 0
  repeats = 0
  letters = 0
  readonly faults = new Map<string, number>()
  readonly crashes = new Map<string, number>()
  readonly #modes = new Map<
    string,
    { seeds: number; failed: number; invalid: number; halted: number; silent: number; repeats: number }
  >()
  #claims = 0
  #records = 0
  #events = 0

  add(report: WorkerLine): void {
    const mode = this.#modes.get(report.mode) ?? { seeds: 0, failed: 0, invalid: 0, halted: 0, silent: 0, repeats: 0 }
    this.#modes.set(report.mode, mode)
    this.seeds++
    mode.seeds++
    if (report.findings.length > 0) {
      this.failed++
      mode.failed++
    }
    if (report.invalid.length > 0) {
      this.invalid++
      mode.invalid++
    }
    if (report.halts + report.refusals > 0) mode.halted++
    if (report.silent) {
      this.silent++
      mode.silent++
    }
    this.repeats += report.repeats
    this.letters += report.letters
    mode.repeats += report.repeats
    this.#claims += report.claims
    this.#records += report.records
    this.#events += report.events
    for (const [kind, count] of Object.entries(report.faults)) add(this.faults, kind, count)
    for (const [site, count] of Object.entries(report.crashes)) add(this.crashes, site, count)
  }

  /** Where no process has died. */
  get missedSites(): string[] {
    return CRASH_SITES.filter(site => !this.crashes.has(site))
  }

  table(): string {
    const rows = [...this.#modes].map(([mode, { seeds, failed, invalid, halted, silent, repeats }]) =>
      [mode, seeds, failed, invalid, halted, silent, repeats].map(cell => String(cell).padEnd(10)).join(''),
    )
    const faults = [...this.faults].map(([kind, count]) => `${kind} ${count}`).join(', ')
    return [
      ['mode', 'seeds', 'failed', 'invalid', 'halted', 'silent', 'repeats'].map(cell => cell.padEnd(10)).join(''),
      ...rows,
      `${this.#records} records, ${this.letters} of them for the dead letters, ${this.#claims} claims, ${this.#events} events`,
      `faults: ${faults}`,
      `places where no process died: ${this.missedSites.join('; ') || 'none'}`,
    ].join('\n')
  }
}

function add(counts: Map<string, number>, key: string, count: number): void {
  counts.set(key, (counts.get(key) ?? 0) + count)
}
