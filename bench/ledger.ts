/**
 * The ledger of a partition with a million rows while all of them are changed: how large it gets by what is alive, and
 * whether its cleaning makes commits wait.
 */
import { PerformanceObserver } from 'node:perf_hooks'
import type { LogStream } from '../src/log/log.js'
import { startServer } from '../test/nats-server/server.js'
import { round, type Figure } from './case.js'
import { openServer } from './job.js'
import { Spans } from './percentile.js'
import { Through, wrapped } from './probe.js'
import { fillState } from './state.js'

export interface LedgerBenchOptions {
  /** How many rows. */
  readonly records?: number
}

/** What a ledger may hold beside its share of what is alive. */
const SPARE_BYTES = 4 * 1024 * 1024

/** Takes about a minute for a million rows. */
export async function* ledgerCases({ records = 1_000_000 }: LedgerBenchOptions = {}): AsyncGenerator<Figure> {
  const server = await startServer()
  const ports = await openServer(server)
  const purges: Span[] = []
  const collections: Span[] = []
  const commits: (Span & { readonly ms: number })[] = []
  const collected = new PerformanceObserver(list => {
    for (const { startTime, duration } of list.getEntries()) {
      collections.push({ from: startTime, to: startTime + duration })
    }
  })
  collected.observe({ entryTypes: ['gc'] })
  let share = 0
  let bytes = 0
  let live = 0
  try {
    const watched = wrapped(ports, stream =>
      stream.spec.name === 'state-0-ledger' ? new Purged(stream, purges) : stream,
    )
    await fillState(watched, records, {
      steady({ ledgerBytes, liveBytes }) {
        share = Math.max(share, (ledgerBytes - SPARE_BYTES) / liveBytes)
        if (ledgerBytes > bytes) [bytes, live] = [ledgerBytes, liveBytes]
      },
      heard(event) {
        if (event.type !== 'partition.committed') return
        const to = performance.now()
        commits.push({ from: to - event.ms, to, ms: event.ms })
      },
    })
  } finally {
    collected.disconnect()
    await ports.close()
    await server.stop()
  }
  const longest = (of: readonly (Span & { ms: number })[]) => round(of.reduce((most, { ms }) => Math.max(most, ms), 0))
  const while_ = (others: readonly Span[]) => commits.filter(one => others.some(other => overlap(one, other)))
  const name = `ledger at ${records.toLocaleString('en-US')} rows, all of them changing`
  const all = new Spans()
  for (const { ms } of commits) all.add(ms)
  const purged = new Set(while_(purges))
  yield { case: `${name}: above 4 MB, by what is alive`, figure: round(share), unit: 'times', bar: '<= 2.50' }
  yield {
    case: `${name}: at its largest`,
    figure: Math.round(bytes / 1000),
    unit: `kB, with ${Math.round(live / 1000)} kB alive`,
  }
  yield { case: `${name}: commits, p50`, figure: round(all.at(0.5)), unit: `ms, of ${commits.length}` }
  yield { case: `${name}: commits, p99`, figure: round(all.at(0.99)), unit: 'ms' }
  yield {
    case: `${name}: longest commit while it purged`,
    figure: longest([...purged]),
    unit: `ms, of ${purged.size}`,
    bar: '<= 20',
  }
  yield {
    case: `${name}: longest commit while it did not`,
    figure: longest(commits.filter(one => !purged.has(one))),
    unit: 'ms',
  }
  yield { case: `${name}: longest commit in a collection of garbage`, figure: longest(while_(collections)), unit: 'ms' }
  yield {
    case: `${name}: longest purge`,
    figure: round(purges.reduce((most, { from, to }) => Math.max(most, to - from), 0)),
    unit: `ms, of ${purges.length}`,
  }
}

interface Span {
  readonly from: number
  readonly to: number
}

function overlap(a: Span, b: Span): boolean {
  return a.from < b.to && b.from < a.to
}

class Purged extends Through {
  readonly #purges: Span[]

  constructor(stream: LogStream, purges: Span[]) {
    super(stream)
    this.#purges = purges
  }

  override async purge(partition: number, before: number): Promise<void> {
    const from = performance.now()
    await this.stream.purge(partition, before)
    this.#purges.push({ from, to: performance.now() })
  }
}
