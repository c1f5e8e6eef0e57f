/**
 * One batch through the chain: what a stage's steps make of the records of one partition, as an outcome. A batch is
 * walked in legs of some records; when something throws, its leg is undone and walked again with a savepoint at each
 * record. A record at fault then costs itself and no other: it is passed over, or the turn ends before it, as the judge
 * says. What fails only at the end of the turn costs a second walk of all of it.
 */
import { InvariantError, RecordError } from '../errors.js'
import type { LogRecord } from '../log/record.js'
import { ambient, definitionOf, type Ask } from '../operators/operator.js'
import type { Savepoint, Tables } from '../state/tables.js'
import type { Framed } from '../stream/batch.js'
import { settingsOf } from '../stream/stream.js'
import type { Wire } from '../stream/wire.js'
import { AtFault, type AtFaultParts, type Failure } from './at-fault.js'
import { Chain } from './chain.js'
import type { Fault, Outcome } from './outcome.js'
import { NotOpen, Outlet, type TurnTarget } from './outlet.js'
import type { Stage } from './plan.js'
import { Trace } from './segment.js'

/** What a turn works with in one partition. */
export interface TurnParts extends AtFaultParts {
  readonly tables: Tables
  readonly targets: readonly TurnTarget[]
  /** How many outputs a turn gives, about, before it ends ahead of its batch. */
  readonly outputsMax?: number
  /**
   * For tests: each value also goes through fresh chains of the RxJS steps, and a step that remembers others is a
   * `BAD_PIPELINE`. Functions of the user's are called twice.
   */
  readonly doubts?: boolean
}

/** What a turn gives before it ends ahead of its batch: one entry holds it, and its outputs wait in memory. */
const OUTPUTS_MAX = 4096
const BYTES_MAX = 1024 * 1024
/** A record at fault costs its leg a second walk, and each leg costs a savepoint. */
const LEG_RECORDS = 32
/** Takes the place of a key where a record has none; nobody reads it. */
const NO_KEY = ''

/** The chain of one stage in one partition. */
export class Turn {
  /** The highest event time per source, -Infinity before the first and where no step asks for times. Undone with the turn. */
  times: number[]

  readonly #tables: Tables
  readonly #outOfOrdernessMs: readonly number[]
  readonly #trace = new Trace()
  readonly #outlet: Outlet
  readonly #atFault: AtFault
  readonly #chain: Chain
  /** The steps that ask, for errors; the targets ask apart from them, and do without a key. */
  readonly #asking: Readonly<Record<Ask, string | undefined>>

  /** Throws a `DefinitionError` when a step cannot be set up. */
  constructor(
    readonly stage: Stage,
    readonly parts: TurnParts,
  ) {
    this.#tables = parts.tables
    this.times = stage.sources.map(() => -Infinity)
    this.#outOfOrdernessMs = stage.sources.map(source => settingsOf(source).outOfOrdernessMs)
    this.#asking = { key: firstAsking(stage, 'key'), time: firstAsking(stage, 'time') }
    this.#outlet = new Outlet(stage, this.#trace, parts.targets)
    this.#atFault = new AtFault(stage, parts, this.#outlet)
    this.#chain = new Chain({
      stage,
      tables: parts.tables,
      trace: this.#trace,
      watermark: () => this.#watermark(),
      give: this.#outlet.give(),
      doubts: parts.doubts ?? false,
    })
  }

  /** Opens one more stream for outputs. */
  addTarget(target: TurnTarget): void {
    this.#outlet.add(target)
  }

  /** Undefined when the records can be walked at once; else when what their codec lacks is there. */
  ready(source: number, records: readonly LogRecord[]): Promise<void> | undefined {
    const wire = this.parts.sources[source] as Wire<unknown>
    let waits: Promise<void>[] | undefined
    for (const record of records) {
      const wait = wire.ready(record)
      if (wait !== undefined) (waits ??= []).push(wait)
    }
    return waits && Promise.all(waits).then(() => {})
  }

  /**
   * Walks `records[from]` and all after it, and settles the tables. `taken` is called before each record, and what it
   * changes in the tables stays when the record is passed over. Throws, after undoing everything, a `DefinitionError` for a step
   * that no turn can run, and whatever is not the fault of a record.
   */
  walk(
    source: number,
    records: readonly LogRecord[],
    from: number,
    taken: ((record: LogRecord) => void) | undefined,
  ): Outcome {
    const walk: Walk = { source, wire: this.parts.sources[source] as Wire<unknown>, records, taken }
    const start = this.#begin(source)
    ambient.on = true
    try {
      const reached = this.#pass(walk, from)
      this.#end(start)
      return this.#ended(from, reached)
    } catch (thrown) {
      this.#failed(source, start, thrown)
      if (thrown instanceof NotOpen) return this.#opens(thrown)
      return this.#walkAgain(walk, from, start)
    } finally {
      ambient.on = false
      this.#tables.settle()
    }
  }

  /** Passes over one record, for this error, without a look at what is in it. */
  giveUp(
    source: number,
    record: LogRecord,
    taken: ((record: LogRecord) => void) | undefined,
    error: RecordError,
  ): Outcome {
    const start = this.#begin(source)
    try {
      if (taken !== undefined) taken(record)
      const held = this.#atFault.judge({ source, record, error, thrown: error, where: undefined })
      if (held === undefined) return this.#outcome(1)
      this.#undo(source, start)
      return { ...this.#outcome(0), fault: held }
    } catch (thrown) {
      this.#undo(source, start)
      if (thrown instanceof NotOpen) return this.#opens(thrown)
      throw thrown
    } finally {
      this.#tables.settle()
    }
  }

  /** Puts a payload beside the dead letters, as an outcome of its own. */
  writeToLetters(payload: Uint8Array): Outcome {
    const start = this.#begin(0)
    try {
      this.#atFault.write(() => payload)
      return this.#outcome(0)
    } catch (thrown) {
      this.#undo(0, start)
      if (thrown instanceof NotOpen) return this.#opens(thrown)
      throw thrown
    } finally {
      this.#tables.settle()
    }
  }

  /** Lets the chain go. */
  stop(): void {
    this.#chain.stop()
  }

  #begin(source: number): Mark {
    if (this.#trace.misuse !== undefined) throw this.#trace.misuse
    this.#trace.where = undefined
    this.#outlet.outputs = []
    this.#outlet.bytes = 0
    this.#atFault.passed = []
    this.#chain.begin()
    return this.#mark(source)
  }

  #outcome(walked: number): Outcome {
    const { outputs, bytes } = this.#outlet
    return { walked, passed: this.#atFault.passed, outputs, bytes }
  }

  #opens({ stream }: NotOpen): Outcome {
    return { ...this.#outcome(0), opens: stream }
  }

  #walkAgain(walk: Walk, from: number, start: Mark): Outcome {
    try {
      return this.#walkEach(walk, from)
    } catch (thrown) {
      this.#undo(walk.source, start)
      if (thrown instanceof NotOpen) return this.#opens(thrown)
      throw thrown
    }
  }

  #walkEach(walk: Walk, from: number): Outcome {
    const stood: Stood[] = []
    const reached = this.#each(walk, from, walk.records.length, stood)
    return this.#ended(from, this.#endOn(walk, stood) ?? reached)
  }

  /** Walks until `to`, with a savepoint at each record, and passes over what fails. Adds those of which anything stands. */
  #each(walk: Walk, from: number, to: number, stood: Stood[]): Reached {
    const { source, records } = walk
    let at = from
    for (; at < to && !this.#isFull; at++) {
      const mark = this.#mark(source)
      const stands = this.#walkOne(walk, records[at] as LogRecord)
      if (stands === true) stood.push({ at, mark })
      if (typeof stands === 'boolean') continue
      this.#undo(source, mark)
      return { at, held: stands }
    }
    return { at, held: undefined }
  }

  #ended(from: number, { at, held }: Reached): Outcome {
    const outcome = this.#outcome(at - from)
    return held === undefined ? outcome : { ...outcome, fault: held }
  }

  /**
   * Walks one record, or all that its message holds, passing over what fails. Tells whether anything of it stands, or
   * gives the fault that holds it up.
   */
  #walkOne(walk: Walk, record: LogRecord): Fault | boolean {
    const { taken, wire } = walk
    this.#outlet.begin()
    if (taken !== undefined) taken(record)
    const before = this.#atFault.passed.length
    let framed: readonly Framed[] | undefined
    const whole = this.#tried(walk, record, undefined, () => {
      framed = wire.framesIn(record)
      if (framed === undefined) this.#push(walk, record)
    })
    if (whole !== undefined) return whole
    if (framed === undefined) return this.#atFault.passed.length === before
    for (const [index, one] of framed.entries()) {
      this.#outlet.beginRecord()
      const held = this.#tried(walk, record, index, () => this.#push(walk, record, one))
      if (held !== undefined) return held
    }
    return this.#atFault.passed.length - before < framed.length
  }

  /**
   * Ends the turn. What fails at the end is laid on the last message without which it does not; there the turn is cut, and
   * what was walked after it comes again. Without a record that stands there is nothing to end.
   */
  #endOn({ source, records, taken }: Walk, stood: Stood[]): Reached | undefined {
    let cut: Reached | undefined
    while (stood.length > 0) {
      try {
        this.#end(this.#mark(source))
        break
      } catch (thrown) {
        const { at, mark } = stood.pop() as Stood
        const failure = this.#failed(source, mark, thrown)
        if (thrown instanceof NotOpen) throw thrown
        const record = records[at] as LogRecord
        if (taken !== undefined) taken(record)
        const held = this.#atFault.judge(this.#atFault.of(source, record, undefined, failure))
        if (held !== undefined) this.#undo(source, mark)
        cut = { at: held === undefined ? at + 1 : at, held }
      }
    }
    return cut
  }

  #tried({ source }: Walk, record: LogRecord, index: number | undefined, attempt: () => void): Fault | undefined {
    const mark = this.#mark(source)
    try {
      attempt()
      this.#check(mark)
      return undefined
    } catch (thrown) {
      const failure = this.#failed(source, mark, thrown)
      if (thrown instanceof NotOpen) throw thrown
      return this.#atFault.judge(this.#atFault.of(source, record, index, failure))
    }
  }

  /** Undoes what failed; throws on what is not the fault of a record. */
  #failed(source: number, to: Mark, thrown: unknown): Failure {
    const { where, misuse } = this.#trace
    this.#undo(source, to)
    if (misuse !== undefined) throw misuse
    if (thrown instanceof InvariantError) throw thrown
    // The wire says of a record that it cannot be read; anything else that no step threw is not for us to judge.
    if (where === undefined && !(thrown instanceof RecordError) && !(thrown instanceof NotOpen)) throw thrown
    return { thrown, where }
  }

  /** It gives so much that an entry and its outputs would grow too large. */
  get #isFull(): boolean {
    return this.#outlet.outputs.length >= (this.parts.outputsMax ?? OUTPUTS_MAX) || this.#outlet.bytes >= BYTES_MAX
  }

  /** Walks leg by leg, to the end or until it gives enough. A leg in which something fails is walked again record by record. */
  #pass(walk: Walk, from: number): Reached {
    const { source, records } = walk
    let at = from
    while (at < records.length && (at === from || !this.#isFull)) {
      const to = Math.min(at + LEG_RECORDS, records.length)
      const mark = this.#mark(source)
      try {
        at = this.#leg(walk, at, to)
      } catch (thrown) {
        this.#failed(source, mark, thrown)
        if (thrown instanceof NotOpen) throw thrown
        const reached = this.#each(walk, at, to, [])
        if (reached.held !== undefined) return reached
        at = reached.at
      }
    }
    return { at, held: undefined }
  }

  /** Walks until `to`, or until it gives enough; tells how far it came. */
  #leg(walk: Walk, from: number, to: number): number {
    const { records, taken, wire } = walk
    for (let at = from; at < to; at++) {
      if (at > from && this.#isFull) return at
      const record = records[at] as LogRecord
      this.#outlet.begin()
      if (taken !== undefined) taken(record)
      const framed = wire.framesIn(record)
      if (framed === undefined) this.#push(walk, record)
      else {
        for (const one of framed) {
          this.#outlet.beginRecord()
          this.#push(walk, record, one)
        }
      }
    }
    return to
  }

  #push(walk: Walk, record: LogRecord, one?: Framed): void {
    const value = walk.wire.valueIn(record, one)
    if (this.#asking.key !== undefined || this.#outlet.asksKey) this.#setKey(walk, record, value, one)
    if (this.#asking.time !== undefined || this.#outlet.asksTime) this.#setTime(walk, record, value, one)
    this.#chain.push(value)
  }

  #setKey({ wire }: Walk, record: LogRecord, value: unknown, one?: Framed): void {
    const key = wire.keyIn(record, value, one)
    this.#outlet.keyed = key !== undefined
    if (key === undefined && this.#asking.key !== undefined) throw keyless(this.#asking.key, wire.stream.name, record)
    ambient.key = key ?? NO_KEY
  }

  #setTime({ wire, source }: Walk, record: LogRecord, value: unknown, one?: Framed): void {
    const time = wire.timeIn(record, value, one)
    ambient.time = time
    if (time > (this.times[source] as number)) this.times[source] = time
  }

  /** What operators do at the end, and whether all that was done can stand. */
  #end(since: Mark): void {
    // Who gives something here says under which key; without a step that asks for keys, nobody can.
    this.#outlet.keyed &&= this.#asking.key !== undefined
    this.#outlet.end()
    this.#chain.end()
    this.#check(since)
    this.#chain.waiting()
    if (this.#trace.misuse !== undefined) throw this.#trace.misuse
  }

  #check(since: Mark): void {
    try {
      this.#tables.check(since.tables)
    } catch (thrown) {
      this.#trace.where ??= `a table of pipeline "${this.stage.pipeline}"`
      throw thrown
    }
  }

  #mark(source: number): Mark {
    const { outputs, bytes } = this.#outlet
    const tables = this.#tables.savepoint()
    return {
      tables,
      outputs: outputs.length,
      bytes,
      passed: this.#atFault.passed.length,
      time: this.times[source] as number,
    }
  }

  #undo(source: number, to: Mark): void {
    this.#tables.undo(to.tables)
    this.#outlet.keep(to.outputs, to.bytes)
    this.#atFault.passed.length = to.passed
    this.times[source] = to.time
    this.#trace.where = undefined
  }

  #watermark(): number {
    let lowest = Infinity
    for (const [source, time] of this.times.entries()) {
      lowest = Math.min(lowest, time - (this.#outOfOrdernessMs[source] as number))
    }
    return lowest
  }
}

interface Walk {
  readonly source: number
  readonly wire: Wire<unknown>
  readonly records: readonly LogRecord[]
  readonly taken: ((record: LogRecord) => void) | undefined
}

/** A record that did not fail by itself, and the point before it. */
interface Stood {
  readonly at: number
  readonly mark: Mark
}

/** Which record comes next, and what holds the turn up before it, if anything. */
interface Reached {
  readonly at: number
  readonly held: Fault | undefined
}

/** A point that a turn can be undone to. */
interface Mark {
  readonly tables: Savepoint
  readonly outputs: number
  readonly bytes: number
  readonly passed: number
  readonly time: number
}

function firstAsking(stage: Stage, ask: Ask): string | undefined {
  const step = stage.steps.findIndex(step => definitionOf(step)?.asks.includes(ask))
  return step < 0 ? undefined : `step ${step + 1} (${stage.names[step]}) of pipeline "${stage.pipeline}"`
}

function keyless(asking: string, stream: string, { partition, position }: LogRecord): RecordError {
  const what = `stream "${stream}", partition ${partition}, position ${position}: ${asking} goes by key, and the record has none`
  const facts = { stream, partition, position }
  return new RecordError('INVALID_VALUE', what, `give stream "${stream}" a key, or publish each record with one`, {
    facts,
  })
}
