/**
 * Hours of an even load in which a node or the server is killed each minute: whether what comes out is right, whether
 * what processes hold grows, and whether records take longer and longer.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { setScene } from './chaos.js'
import type { Blow } from './nemesis.js'
import type { Sample } from './node.js'

export interface SoakOptions {
  readonly seed: number
  readonly minutes: number
  readonly perSecond: number
  readonly main: string
  readonly version?: string
}

/** What one minute has shown. */
export interface SoakMinute {
  readonly minute: number
  readonly blow: Blow
  /** Records that came out of the pipeline. */
  readonly outputs: number
  /** From publishing to a reader of ours, in ms, without the moments after a blow. */
  readonly p50: number
  readonly p99: number
  /** The least that the node held, and the most handles it had, once it had warmed up; 0 when it had no time to. */
  readonly nodeHeap: number
  readonly nodeHandles: number
  /** The least that this process held: the publisher and the readers. */
  readonly clientHeap: number
}

export interface SoakReport {
  readonly log: string
  readonly records: number
  readonly minutes: readonly SoakMinute[]
  readonly landed: number
  readonly findings: readonly string[]
}

const MINUTE_MS = 60_000
const KEYS = 10_000
/** Long enough for what is behind after a kill, short enough for any disk. */
const KEPT_MS = 5 * MINUTE_MS
const SAMPLES_MS = 2000
/** After a blow: until what came in meanwhile is out, and code is compiled. */
const UNEVEN_MS = 15_000
const WARM_AFTER_S = 30

/** Takes `minutes` and a little more. Tells of each minute when it is over. */
export async function soak(options: SoakOptions, told: (minute: SoakMinute) => void): Promise<SoakReport> {
  const { minutes, ...of } = options
  const spans = new Spans()
  let evenFrom = Date.now() + UNEVEN_MS
  let samples: Sample[] = []
  let clientHeaps: number[] = []
  await using scene = await setScene({
    ...{ log: 'JetStream', records: 0, keys: KEYS, keptMs: KEPT_MS, chained: false, samplesMs: SAMPLES_MS },
    ...of,
    sampled: sample => samples.push(sample),
    seen({ at }) {
      const now = Date.now()
      if (now >= evenFrom) spans.add(now - at)
    },
  })
  const { judge, crew, publisher, nemesis } = scene
  const timer = setInterval(() => clientHeaps.push(process.memoryUsage().heapUsed), SAMPLES_MS)
  const began = performance.now()
  const all: SoakMinute[] = []
  let outputs = 0
  try {
    await crew.atWork()
    for (let minute = 1; minute <= minutes; minute++) {
      await sleep(began + minute * MINUTE_MS - performance.now())
      const warm = samples.filter(({ uptime }) => uptime > WARM_AFTER_S)
      const blow: Blow = minute % 2 === 0 ? 'kill' : 'server'
      const one: SoakMinute = {
        ...{ minute, blow, outputs: judge.outputs - outputs, p50: spans.at(0.5), p99: spans.at(0.99) },
        nodeHeap: least(warm.map(({ heapUsed }) => heapUsed)),
        nodeHandles: Math.max(0, ...warm.map(({ handles }) => handles)),
        clientHeap: least(clientHeaps),
      }
      all.push(one)
      told(one)
      outputs = judge.outputs
      samples = []
      clientHeaps = []
      spans.clear()
      evenFrom = Infinity
      await nemesis.strike(blow)
      evenFrom = Date.now() + UNEVEN_MS
    }
  } finally {
    clearInterval(timer)
  }
  publisher.finish()
  const records = await publisher.done
  await judge.caughtUp(records)
  await crew.stop()
  await judge.end()
  const { kill, server } = nemesis.landed
  const findings = [...scene.findings, ...judge.findings]
  return { log: scene.log, records, minutes: all, landed: kill + server, findings }
}

/** How much a figure grew: the mean of the last third of the minutes above that of the first, in shares. */
export function growth(minutes: readonly SoakMinute[], figure: (minute: SoakMinute) => number): number {
  const figures = minutes.map(figure).filter(one => one > 0)
  const third = Math.max(1, Math.floor(figures.length / 3))
  const mean = (some: readonly number[]) => some.reduce((sum, one) => sum + one, 0) / some.length
  return mean(figures.slice(-third)) / mean(figures.slice(0, third)) - 1
}

const least = (figures: readonly number[]): number => (figures.length === 0 ? 0 : Math.min(...figures))

/** Spans of time to the millisecond, however many. */
class Spans {
  readonly #counts = new Uint32Array(MINUTE_MS)
  #count = 0

  add(ms: number): void {
    const at = Math.min(Math.max(0, ms), MINUTE_MS - 1)
    this.#counts[at] = this.#counts[at]! + 1
    this.#count++
  }

  /** Below which this share of them is; 0 when there are none. */
  at(share: number): number {
    let below = 0
    const ms = this.#counts.findIndex(count => (below += count) >= this.#count * share)
    return this.#count === 0 ? 0 : ms
  }

  clear(): void {
    this.#counts.fill(0)
    this.#count = 0
  }
}
