/**
 * Reads along while everything fails, and lets the checker judge: the input, and each stream of outputs twice, as the
 * log holds it and as a reader of ours sees it. Its own links to the log are not tampered with, but the log dies under
 * them too.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { systemChance, systemClock } from '../../src/clock.js'
import { linked } from '../../src/client/linked.js'
import type { LogStream } from '../../src/log/log.js'
import type { Ports } from '../../src/log/ports.js'
import { START, type LogRecord } from '../../src/log/record.js'
import { untilAnswered } from '../../src/log/until-answered.js'
import { Streams } from '../../src/stream/open.js'
import type { Stream } from '../../src/stream/stream.js'
import { silent } from '../../src/telemetry/events.js'
import { Checker, type Came, type FindingKind, type OutputRules } from '../../src/testing/simulation/checker.js'
import { within } from './patience.js'
import { numbers, sums, sumsOfSums, toSums, toSumsOfSums, type Folded, type Given } from './pipeline.js'
import { Receipts } from './receipts.js'
import { View } from './view.js'

/** An output as it stands in the log, and when the log took it. */
interface Stored {
  readonly came: Came
  readonly made: number
  readonly time: number
}

interface Letter {
  readonly stream: string
  readonly partition: number
  readonly position: number
  readonly error: { readonly message: string }
}

interface Held {
  readonly one: Given
  readonly position: number
}

export interface JudgeOptions {
  /** Whether the second pipeline runs, too. Default true. */
  readonly chained?: boolean
  /** Told of each output of the first pipeline that a reader of ours sees. */
  readonly seen?: (output: Folded) => void
}

const ROUND_MS = 50
const FINDINGS_MAX = 50
/** So long nothing may come, with records to process and nothing that fails any more. */
const STANDSTILL_MS = 60_000
/** How many outputs that came in full are kept in mind. */
const KEPT = 200_000

export class Judge {
  /** What is wrong beside what the checker found. */
  readonly findings: string[] = []
  readonly receipts = new Receipts(what => this.#find(what))
  /** How many records the input holds, and outputs the streams. */
  given = 0
  outputs = 0
  readonly #checker: Checker
  readonly #ports: Ports
  readonly #outputs: readonly Stream<Folded>[]
  readonly #logs: readonly LogStream[]
  readonly #input: View<LogRecord, Held>
  readonly #stored: readonly View<LogRecord, Stored>[]
  readonly #read: readonly View<{ readonly value: Folded; readonly id: string | undefined }, Came>[]
  readonly #over = new AbortController()
  readonly #rounds: Promise<void>
  /** Who waits for an output that was made at this time or later. */
  #waiting: { readonly since: number; readonly came: (time: number) => void }[] = []

  /** Opens the streams, which makes those that are not there. It closes the ports in the end. */
  static async open(ports: Ports, options: JudgeOptions = {}): Promise<Judge> {
    const streams = new Streams(ports, { chance: systemChance, tell: silent, replicas: 1 })
    const logs: LogStream[] = [(await streams.open(numbers, 'read')).log]
    for (const output of outputsOf(options)) logs.push((await streams.open(output, 'read')).log)
    return new Judge(ports, logs, options)
  }

  private constructor(ports: Ports, logs: readonly LogStream[], options: JudgeOptions) {
    const { seen = () => {} } = options
    this.#ports = ports
    this.#logs = logs
    this.#outputs = outputsOf(options)
    const rules = this.#outputs.map(({ name }, i): OutputRules => ({
      name,
      by: i === 0 ? 'first' : 'second',
      takes: () => true,
    }))
    this.#checker = new Checker(rules, [], { keeps: KEPT })
    const client = linked(ports, { clock: systemClock, chance: systemChance, tell: silent, replicas: 1 })
    const [input, ...outputs] = logs.map(log => log.read({ after: START }))
    this.#input = new View(numbers.name, input!, record => ({
      one: valueOf(record) as Given,
      position: record.position,
    }))
    this.#stored = this.#outputs.map(
      ({ name }, i) =>
        new View(name, outputs[i]!, record => {
          const output = valueOf(record) as Folded
          return { came: { ...output, id: record.id }, made: output.made, time: record.time }
        }),
    )
    this.#read = this.#outputs.map(
      stream =>
        new View(stream.name, client.read(stream, { follow: true }).batches(), ({ value, id }) => {
          if (stream === sums) seen(value)
          return { ...value, id }
        }),
    )
    this.#rounds = this.#goRound()
  }

  /** Gives when the log took the first output that was made at this time or later; undefined when none comes. */
  async firstSince(since: number): Promise<number | undefined> {
    const first = new Promise<number>(came => this.#waiting.push({ since, came }))
    const time = await within(STANDSTILL_MS, first, undefined)
    if (time === undefined) this.#find(`no record was processed for ${STANDSTILL_MS / 1000} s`)
    return time
  }

  /** Waits until all that came of so many records is there, or nothing comes any more. */
  async caughtUp(records: number): Promise<void> {
    let [progress, since] = [-1, performance.now()]
    while (this.given < records || this.#checker.missing > 0) {
      const now = this.given + this.outputs
      if (now !== progress) [progress, since] = [now, performance.now()]
      else if (performance.now() - since > STANDSTILL_MS) return void this.#find('not all came out')
      if (this.#broken.length > 0) return
      await sleep(ROUND_MS)
    }
  }

  /** Reads what there is to its very end, once nobody writes any more, and gives the verdict. */
  async end(): Promise<ReadonlyMap<FindingKind, number>> {
    const ends = await Promise.all(this.#logs.map(log => this.#endOf(log)))
    const views = [this.#input, ...this.#stored, ...this.#read]
    const isRead = () => views.every((view, i) => view.position >= ends[i < ends.length ? i : i - ends.length + 1]!)
    const since = performance.now()
    while (!isRead() && this.#broken.length === 0 && performance.now() - since < STANDSTILL_MS) await sleep(ROUND_MS)
    if (!isRead()) this.#find('readers did not come to the end of the streams')
    const broken = this.#broken
    await this.#readLetters()
    await this.close()
    for (const what of broken) this.#find(what)
    this.receipts.end()
    for (const { kind, what } of this.#checker.end()) this.#find(`${kind}: ${what}`)
    return this.#checker.counts
  }

  /** No record is bad, so each dead letter says that one was taken for it. */
  async #readLetters(): Promise<void> {
    for (const { name } of [toSums, toSumsOfSums ?? toSums]) {
      const log = await this.#ports.log.find(`${name}-dead-letters`)
      for await (const { records } of log?.read({ after: START, untilEnd: true }) ?? []) {
        for (const record of records) {
          const { stream, partition, position, error } = valueOf(record) as Letter
          const about = `${stream}, partition ${partition}, position ${position}`
          this.#find(`a dead letter of ${name} about ${about}: ${error.message}`)
        }
      }
    }
  }

  /** Ends the reading, without a verdict. Idempotent. */
  async close(): Promise<void> {
    if (this.#over.signal.aborted) return
    this.#over.abort()
    await this.#rounds
    for (const view of [this.#input, ...this.#stored, ...this.#read]) await view.close()
    await this.#ports.close()
  }

  get #broken(): string[] {
    return [this.#input, ...this.#stored, ...this.#read].flatMap(({ broken }) => broken ?? [])
  }

  async #goRound(): Promise<void> {
    while (!this.#over.signal.aborted) {
      await sleep(ROUND_MS)
      await this.#judge().catch((error: unknown) => this.#find(String(error)))
    }
    await this.#judge().catch((error: unknown) => this.#find(String(error)))
  }

  /** What came since the last round; an output only after all that the input held when it was there. */
  async #judge(): Promise<void> {
    const stored = this.#stored.map(view => view.take())
    const read = this.#read.map(view => view.take())
    if ([...stored, ...read].some(some => some.length > 0)) await this.#readInput()
    else this.#give()
    stored.forEach((some, i) => some.forEach(one => this.#judgeStored(this.#outputs[i]!.name, one)))
    read.forEach((some, i) => some.forEach(came => this.#checker.read(this.#outputs[i]!.name, came)))
  }

  async #readInput(): Promise<void> {
    const end = await this.#endOf(this.#logs[0]!)
    this.#give()
    while (this.#input.position < end && this.#input.broken === undefined) {
      await sleep(1)
      this.#give()
    }
    this.#give()
  }

  #give(): void {
    for (const { one, position } of this.#input.take()) {
      this.given++
      if (this.receipts.held(one.id, position)) this.#checker.give(one)
    }
  }

  #judgeStored(name: string, { came, made, time }: Stored): void {
    this.outputs++
    this.#checker.stored(name, came)
    if (this.#waiting.length === 0) return
    this.#waiting = this.#waiting.filter(waiter => {
      if (made < waiter.since) return true
      waiter.came(time)
      return false
    })
  }

  async #endOf(log: LogStream): Promise<number> {
    const asking = { clock: systemClock, signal: new AbortController().signal, waits: () => {} }
    return (await untilAnswered(() => log.extent(), asking)).last
  }

  #find(what: string): void {
    if (this.findings.length < FINDINGS_MAX) this.findings.push(what)
  }
}

function outputsOf({ chained = true }: JudgeOptions): readonly Stream<Folded>[] {
  return chained ? [sums, sumsOfSums] : [sums]
}

function valueOf(record: LogRecord): unknown {
  return JSON.parse(Buffer.from(record.payload).toString())
}
