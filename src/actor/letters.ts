/**
 * The dead letters of one partition, once somebody asks for them again: a letter is walked as if its record came now, or
 * dropped, and the very same commit says so: in a row, so that asking twice does nothing twice, and in the stream of dead
 * letters, so that any reader sees what is still open.
 */
import type { Clock } from '../clock.js'
import { IntegrityError, messageOf, RecordError, UnavailableError } from '../errors.js'
import type { LogStream } from '../log/log.js'
import { recordAt } from '../log/record-at.js'
import { START, type LogRecord, type Position } from '../log/record.js'
import type { Ports } from '../log/ports.js'
import { untilAnswered, type Asking } from '../log/until-answered.js'
import type { Stage } from '../pipeline/plan.js'
import type { Fault, Outcome, PassedOver, Verdict } from '../pipeline/outcome.js'
import {
  deadLettersName,
  encodeResolution,
  isResolution,
  letterIn,
  recordOf,
  type DeadLetter,
  type How,
} from '../stream/dead-letters.js'
import { outOf, outputWriter } from '../stream/output-id.js'
import type { Tell } from '../telemetry/events.js'
import type { Held } from './claim.js'
import { addOpen, countLetters, floorOf, raiseFloor, rowsOf, type Floor } from './letter-rows.js'
import type { Seat } from './solo.js'

/** What is to become of letters, by their positions in the stream of dead letters. */
export interface LettersAsked {
  readonly how: How
  readonly positions: readonly Position[]
}

/** What became of one. */
export interface LetterAnswer {
  readonly position: Position
  /**
   * `failed`: it was walked again and could not be processed again, so that a new letter stands for it. `already`: it was
   * resolved before. `refused`: nothing was done.
   */
  readonly became: How | 'failed' | 'already' | 'refused'
  /** Why it failed or was refused; how it was resolved before, where that is still known. */
  readonly why?: string
}

export interface LettersParts {
  readonly stage: Stage
  readonly partition: number
  readonly ports: Ports
  readonly clock: Clock
  readonly tell: Tell
  readonly asking: Asking
  /** Another owner may have to be alone. */
  readonly seat: Pick<Seat, 'mayWalk' | 'freed'>
  /** There is something to do in a turn. */
  readonly nudge: () => void
}

/** Something that is done in a turn of its own, and what waits for it. */
interface Task {
  readonly run: (held: Held) => Promise<LetterAnswer | undefined>
  readonly done: (answer: LetterAnswer | undefined) => void
  readonly failed: (error: unknown) => void
}

interface Waiter {
  readonly holds: () => boolean
  readonly done: () => void
  readonly failed: (error: unknown) => void
}

const NOTHING: Outcome = { walked: 0, passed: [], outputs: [], bytes: 0 }

export class Letters {
  readonly #parts: LettersParts
  readonly #name: string
  #tasks: Task[] = []
  #waiters: Waiter[] = []
  #last: Promise<unknown> = Promise.resolve()
  #isUntidy = false
  #isTidying = false
  #closed: UnavailableError | undefined
  /** The letter that is being walked. */
  #walked: DeadLetter | undefined

  constructor(parts: LettersParts) {
    this.#parts = parts
    this.#name = deadLettersName(parts.stage.pipeline)
  }

  /** Settles a fault of a letter that is walked again; undefined for all other faults. It gets one try, whatever the rules. */
  judge({ index }: Fault): Verdict | undefined {
    const letter = this.#walked
    if (letter === undefined) return undefined
    const attempts = letter.attempts + 1
    const was = letter.index ?? index
    const at = Math.floor(this.#parts.clock.now())
    return { then: 'deadLetter', attempts, at, ...(was !== undefined && { index: was }) }
  }

  /** Something is to be done in a turn. */
  get waits(): boolean {
    return this.#tasks.length > 0
  }

  /**
   * Resolves letters, in the order of their positions, and then answers for each. What was asked before comes first. Rejects
   * when the partition ends before: then some may be resolved, and asking again tells which.
   */
  resolve(asked: LettersAsked, held: Held): Promise<readonly LetterAnswer[]> {
    const answers = this.#last.then(() => this.#resolve(asked, held))
    this.#last = answers.then(
      () => this.#owesTidying(held),
      () => {},
    )
    return answers
  }

  /** Does what waits first, in a turn; its outcome goes to the commit. */
  async work(held: Held): Promise<void> {
    const task = this.#tasks.shift()
    if (task === undefined) return
    try {
      task.done(await task.run(held))
    } catch (error) {
      task.failed(error)
      throw error
    }
  }

  /** Tells who waits for a commit, or for what was published. */
  wake(): void {
    if (this.#waiters.length === 0) return
    const over = this.#waiters.filter(({ holds }) => holds())
    this.#waiters = this.#waiters.filter(waiter => !over.includes(waiter))
    for (const { done } of over) done()
  }

  /** The partition has ended: whatever waits is rejected. */
  close(): void {
    this.#closed = new UnavailableError('CLOSED', 'the owner of the partition has ended', 'ask again')
    for (const { failed } of [...this.#tasks.splice(0), ...this.#waiters.splice(0)]) failed(this.#closed)
  }

  async #resolve({ how, positions }: LettersAsked, held: Held): Promise<readonly LetterAnswer[]> {
    const answers = new Map<Position, LetterAnswer>()
    const wanted = [...new Set(positions)].sort((a, b) => a - b)
    const log = await this.#sure(() => this.#parts.ports.log.find(this.#name))
    if (log !== undefined) {
      for await (const record of this.#standing(log, wanted)) {
        const { position } = record
        if (!answers.has(position)) answers.set(position, await this.#one(record, how, held))
      }
    }
    const { commit } = held
    const until = commit.holdsAll
    await this.#until(() => commit.acknowledged >= until)
    const { position: floor } = floorOf(rowsOf(held.tables))
    return wanted.map(position => answers.get(position) ?? absent(position, floor))
  }

  /** The records at these positions, as far as they are there; one may come twice. */
  async *#standing(log: LogStream, wanted: readonly Position[]): AsyncGenerator<LogRecord, undefined> {
    const [first = 1] = wanted
    const { last } = await this.#sure(() => log.extent())
    if (first > last) return
    try {
      yield* this.#after(Math.max(START, first - 1), log, wanted)
    } catch (error) {
      if (!isOverrun(error)) throw error
      // What stood before them was let go of.
      yield* this.#after(START, log, wanted)
    }
  }

  async *#after(after: Position, log: LogStream, wanted: readonly Position[]): AsyncGenerator<LogRecord, undefined> {
    const { partition } = this.#parts
    for await (const { records } of log.read({ partition, after, untilEnd: true })) {
      for (const record of records) {
        if (record.position > (wanted.at(-1) ?? START)) return
        if (wanted.includes(record.position)) yield record
      }
    }
  }

  async #one(record: LogRecord, how: How, held: Held): Promise<LetterAnswer> {
    const { position } = record
    const rows = rowsOf(held.tables)
    const { row, n } = this.#placeOf(record, held)
    if (n !== undefined && n <= floorOf(rows).n) return { position, became: 'already' }
    const before = rows.get(row)
    if (before !== undefined) return { position, became: 'already', why: before as How }
    const letter = letterIn(record.payload)
    const refused = (why: string): LetterAnswer => ({ position, became: 'refused', why })
    if (letter !== undefined && isResolution(letter)) return refused('it says of another letter that it is done with')
    if (how === 'dropped')
      return this.#inTurn(() => this.#settle({ row, position, how, isOurs: n !== undefined }, held))
    if (letter === undefined) return refused('it is no letter of a pipeline')
    if (n === undefined) return refused('it is of the pipeline before it was begun anew, or was put there by others')
    try {
      const { source, came } = await this.#cameWith(letter, held)
      const walk = { source, came, letter }
      return await this.#inTurn(() => this.#settle({ row, position, how, isOurs: true, walk }, held))
    } catch (error) {
      if (error instanceof Refused || error instanceof RecordError) return refused(error.message)
      throw error
    }
  }

  /** Under which row it is kept that a letter is resolved, and which output of ours it is. */
  #placeOf(record: LogRecord, { writer }: Held): { readonly row: string; readonly n: number | undefined } {
    const out = outOf(record, this.#name)
    // By its number: an output may stand in the stream twice.
    if (out?.writer === outputWriter(writer, this.#parts.partition)) return { row: `${out.n}`, n: out.n }
    return { row: `@${record.position}`, n: undefined }
  }

  /** The record that a letter is about, as it came, and of which source it is. */
  async #cameWith(letter: DeadLetter, { sources, turn }: Held): Promise<{ source: number; came: LogRecord }> {
    const { stage, partition } = this.#parts
    const { stream, position } = letter
    if (letter.stage !== stage.index || letter.partition !== partition)
      throw new Refused('another partition gave it up')
    const source = sources.findIndex(one => one.stream.name === stream)
    const open = sources[source]
    if (open === undefined) throw new Refused(`the pipeline does not read stream "${stream}" any more`)
    const found =
      letter.bytes === undefined ? await this.#sure(() => recordAt(open.log, partition, position)) : undefined
    const came = recordOf(letter, found)
    if (came === undefined) {
      throw new Refused(
        `the letter had no room for its bytes, and they are gone from position ${position} of "${stream}"`,
      )
    }
    await this.#sure(async () => turn.ready(source, [came]))
    return { source, came }
  }

  /** In a turn: what came of a letter and that it is resolved, for one commit. */
  async #settle({ row, position, how, isOurs, walk }: Settling, held: Held): Promise<LetterAnswer> {
    const { turn, tables, commit, addTarget } = held
    const { seat } = this.#parts
    const outcomeOf = async (take: () => Outcome) => {
      for (;;) {
        if (!seat.mayWalk) await seat.freed()
        const outcome = take()
        if (outcome.opens === undefined) return outcome
        await addTarget(outcome.opens)
      }
    }
    const at = Math.floor(this.#parts.clock.now())
    const marker = await outcomeOf(() => turn.writeToLetters(encodeResolution({ resolves: position, how, at })))
    const walked = walk === undefined ? NOTHING : await outcomeOf(() => this.#walk(walk, held))
    // Nothing is awaited from here on: all of it is in one entry.
    rowsOf(tables).set(row, how)
    countLetters(tables, walked.passed)
    if (isOurs) addOpen(tables, -1)
    tables.settle()
    commit.add(walked)
    commit.add(marker)
    this.#tell(walked.passed)
    const [failed] = walked.passed
    return failed === undefined
      ? { position, became: how }
      : { position, became: 'failed', why: failed.fault.error.message }
  }

  #walk({ source, came, letter }: Walking, { turn }: Held): Outcome {
    this.#walked = letter
    try {
      // No cursor is moved: the record was passed when it was given up.
      return turn.walk(source, [came], 0, undefined)
    } finally {
      this.#walked = undefined
    }
  }

  #tell(passed: readonly PassedOver[]): void {
    const { stage, partition, tell } = this.#parts
    const of = { pipeline: stage.pipeline, stage: stage.index, partition }
    for (const { fault, then } of passed) tell({ type: 'partition.fault', ...of, error: fault.error, then })
  }

  /** Tidies beside what is asked next, once at a time. */
  #owesTidying(held: Held): void {
    this.#isUntidy = true
    if (!this.#isTidying) void this.#tidyAll(held)
  }

  async #tidyAll(held: Held): Promise<void> {
    this.#isTidying = true
    while (this.#isUntidy) {
      this.#isUntidy = false
      await this.#tidy(held).catch((error: unknown) => this.#untidy(error))
    }
    this.#isTidying = false
  }

  /**
   * Lets go of what is resolved up to the first letter that is not: of its rows, and then of the letters themselves. These
   * only once an entry that is acknowledged says that all of them are out, for whoever takes over looks for the others.
   */
  async #tidy(held: Held): Promise<void> {
    const { partition, ports } = this.#parts
    const line = held.publisher.lane(this.#name)?.line(partition)
    const log = await this.#sure(() => ports.log.find(this.#name))
    if (line === undefined || log === undefined) return
    await this.#until(() => line.confirmed === line.next - 1)
    const rows = rowsOf(held.tables)
    const before = floorOf(rows)
    const floor = await this.#sure(() => this.#floorIn(log, line.confirmed, held))
    if (floor.n > before.n || floor.position > before.position) {
      await this.#inTurn(async () => {
        raiseFloor(rows, floor)
        held.tables.settle()
        held.commit.add(NOTHING)
        return undefined
      })
      const until = held.commit.holdsAll
      await this.#until(() => held.commit.acknowledged >= until)
    }
    if (floor.position > START + 1) await log.purge(partition, floor.position)
  }

  /** How far all is done with, by what stands in the stream. */
  async #floorIn(log: LogStream, confirmed: number, held: Held): Promise<Floor> {
    const { partition } = this.#parts
    const rows = rowsOf(held.tables)
    const before = floorOf(rows)
    let { position } = before
    let isFree = true
    for await (const { records } of log.read({ partition, after: START, untilEnd: true })) {
      for (const record of records) {
        const { row, n } = this.#placeOf(record, held)
        const found = letterIn(record.payload)
        const isKept = (n ?? 0) > confirmed
        const isResolved = (found !== undefined && isResolution(found)) || rows.has(row)
        const isDone = (n ?? Infinity) <= before.n || (isResolved && !isKept)
        // All that was confirmed before it was sent stands before it.
        if (!isDone && n !== undefined) {
          return { n: Math.max(before.n, outOf(record)?.confirmed ?? 0), position: isFree ? record.position : position }
        }
        isFree &&= isDone
        if (isFree) position = Math.max(position, record.position + 1)
      }
    }
    return { n: Math.max(before.n, confirmed), position }
  }

  /** What cannot be let go of now will be after the next request. */
  #untidy(error: unknown): void {
    if (this.#closed !== undefined || error instanceof UnavailableError) return
    const what = `the dead letters that are resolved in partition ${this.#parts.partition} of "${this.#name}" stay`
    this.#parts.tell({ type: 'log.warning', what: `${what}: ${messageOf(error)}`, mend: 'they do no harm' })
  }

  #inTurn<A extends LetterAnswer | undefined>(run: (held: Held) => Promise<A>): Promise<A> {
    if (this.#closed !== undefined) return Promise.reject(this.#closed)
    return new Promise<A>((resolve, failed) => {
      this.#tasks.push({ run, done: answer => resolve(answer as A), failed })
      this.#parts.nudge()
    })
  }

  #until(holds: () => boolean): Promise<void> {
    if (this.#closed !== undefined) return Promise.reject(this.#closed)
    if (holds()) return Promise.resolve()
    return new Promise((done, failed) => void this.#waiters.push({ holds, done, failed }))
  }

  #sure<T>(ask: () => Promise<T>): Promise<T> {
    return untilAnswered(ask, this.#parts.asking)
  }
}

/** A letter as its record is walked again. */
interface Walking {
  readonly source: number
  readonly came: LogRecord
  readonly letter: DeadLetter
}

/** How a letter is to be resolved. */
interface Settling {
  readonly row: string
  readonly position: Position
  readonly how: How
  /** Written in this life of the pipeline, and so counted. */
  readonly isOurs: boolean
  readonly walk?: Walking
}

/** A letter cannot be retried. */
class Refused extends Error {}

function absent(position: Position, floor: Position): LetterAnswer {
  if (position < floor) return { position, became: 'already' }
  return { position, became: 'refused', why: 'no letter stands there' }
}

function isOverrun(error: unknown): boolean {
  return error instanceof IntegrityError && error.code === 'OVERRUN'
}
