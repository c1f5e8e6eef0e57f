/**
 * Records at fault in a turn: what is said of each, and what becomes of it. Those that are passed over are counted, and
 * those whose letter is asked for leave one among the outputs of the turn.
 */
import { messageOf, RecordError, StreamNodeError } from '../errors.js'
import type { LogRecord } from '../log/record.js'
import { deadLettersOf, encodeLetter } from '../stream/dead-letters.js'
import type { Stream } from '../stream/stream.js'
import type { Wire } from '../stream/wire.js'
import type { DeadLetterVerdict, Fault, Judge, PassedOver } from './outcome.js'
import type { Outlet } from './outlet.js'
import type { Stage } from './plan.js'

export interface AtFaultParts {
  readonly partition: number
  /** One for each source of the stage, in that order. */
  readonly sources: readonly Wire<unknown>[]
  readonly judge: Judge
}

/** What was thrown, and by which step; by none when the record could not be read. */
export interface Failure {
  readonly thrown: unknown
  readonly where: string | undefined
}

export class AtFault {
  /** Since the turn began, but for what was undone. */
  passed: PassedOver[] = []
  readonly #stage: Stage
  readonly #parts: AtFaultParts
  readonly #outlet: Outlet
  readonly #deadLetters: Stream<unknown>

  constructor(stage: Stage, parts: AtFaultParts, outlet: Outlet) {
    this.#stage = stage
    this.#parts = parts
    this.#outlet = outlet
    this.#deadLetters = deadLettersOf(stage.pipeline, stage.partitions) as Stream<unknown>
  }

  /** Passes over a record at fault, whose changes are undone. Gives the fault back when the turn is to end before it. */
  judge(fault: Fault): Fault | undefined {
    const verdict = this.#parts.judge(fault, this.passed.length)
    if (verdict.then === 'hold') return fault
    if (verdict.then === 'deadLetter') this.#writeLetter(fault, verdict)
    this.passed.push({ fault, then: verdict.then })
    return undefined
  }

  #writeLetter({ source, record, index, thrown, where }: Fault, { attempts, at, index: was }: DeadLetterVerdict): void {
    const { pipeline, index: stage } = this.#stage
    const wire = this.#parts.sources[source] as Wire<unknown>
    const framed = index === undefined ? undefined : wire.framesIn(record)?.[index]
    const one = framed === undefined || index === undefined ? undefined : { framed, index: was ?? index }
    const about = { pipeline, stage, stream: wire.stream.name, error: thrown, where, attempts, at }
    this.write(bytesMax => encodeLetter(record, one, about, bytesMax))
  }

  /** Says what failed at which record. */
  of(source: number, record: LogRecord, index: number | undefined, { thrown, where }: Failure): Fault {
    const { pipeline, index: stage } = this.#stage
    const stream = (this.#stage.sources[source] as Stream<unknown>).name
    const of = { source, record, ...(index !== undefined && { index }), thrown, where }
    if (where === undefined) return { ...of, error: thrown as RecordError }
    const { position } = record
    const { partition } = this.#parts
    const part = index === undefined ? '' : `, record ${index} of its batch`
    const at = `stream "${stream}", partition ${partition}, position ${position}${part}`
    const what = `${where} failed at ${at}: ${messageOf(thrown)}`
    const mend = thrown instanceof StreamNodeError ? '' : 'mend what threw, or keep such records from it'
    const facts = { pipeline, stage, partition, stream, position }
    return { ...of, error: new RecordError('STEP_FAILED', what, mend, { cause: thrown, facts }) }
  }

  /** Puts a payload into the stream of the dead letters. */
  write(payload: (bytesMax: number) => Uint8Array): void {
    this.#outlet.letter(this.#deadLetters, this.#parts.partition, payload)
  }
}
