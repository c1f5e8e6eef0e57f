/**
 * Outputs to one sink: given to its `write` in their order, one call at a time, and again until it succeeds. Nobody but the
 * far side can know what it has: so a call is only begun by who was known to be the owner a moment ago.
 */
import { pause } from '../clock.js'
import { DefinitionError, messageOf, UnavailableError } from '../errors.js'
import { START } from '../log/record.js'
import { untilAnswered } from '../log/until-answered.js'
import type { TargetState } from '../state/entry.js'
import type { Table } from '../state/table.js'
import { outputId } from '../stream/output-id.js'
import { sinkSettingsOf, type SinkRecord, type SinkSettings } from '../stream/sink.js'
import type { SinkWire } from '../stream/sink-wire.js'
import { Lane, type LaneParts, type Line, type Numbered, type Pending, type Waiting } from './lane.js'

/** An ownership that was proven longer ago is looked at again. */
const PROVEN_MS = 5000
const RETRY_MIN_MS = 100
const RETRY_MAX_MS = 30_000

export class SinkLane extends Lane {
  // There is no telling one far side from another, nor how far it is.
  readonly incarnation = ''
  readonly floor = START
  readonly #wire: SinkWire<unknown>
  readonly #settings: SinkSettings<unknown>
  readonly #line: Line
  /** For errors. */
  readonly #where: string
  #isAtWork = false
  /** How many calls in a row have failed. */
  #failures = 0
  /** So many of those that wait were in a call that failed, and are tried one by one to find which it is. */
  #alone = 0

  /** `known`: what the ledger says of it. */
  constructor(
    parts: LaneParts,
    wire: SinkWire<unknown>,
    index: number,
    numbers: Table<number>,
    known: TargetState | undefined,
  ) {
    super(parts, wire.sink, index, numbers)
    const { pipeline, partition } = parts.writer
    this.#wire = wire
    this.#settings = sinkSettingsOf(wire.sink)
    this.#line = this.line(0)
    this.#where = `sink "${wire.sink.name}" of pipeline "${pipeline}", partition ${partition}`
    for (const { confirmed } of known?.partitions ?? []) this.#line.confirmed = confirmed
  }

  send(output: Numbered, of: Pending): void {
    this.#line.waiting.push({ output, of, before: undefined })
    if (this.#isAtWork) return
    this.#isAtWork = true
    // All of an entry come at once, and are to be written together.
    queueMicrotask(() => void this.#work())
  }

  /** Writes all that waits, call by call. */
  async #work(): Promise<void> {
    try {
      while (this.#line.waiting.length > 0 && !this.#isOver()) await this.#write(this.#next())
    } catch (error) {
      this.parts.failed(error)
    }
    this.#isAtWork = false
  }

  /** One call, and what comes of it. Rejects with what ends the partition. */
  async #write(batch: readonly Waiting[]): Promise<void> {
    await this.#ready(batch)
    await this.#prove()
    if (this.#isOver()) return
    const failure = await this.#tried(batch)
    if (this.#isOver()) return
    if (failure === undefined) this.#written(batch)
    else await this.#failed(batch, failure.thrown)
  }

  #isOver(): boolean {
    return this.parts.signal.aborted
  }

  /** What is written in the next call. */
  #next(): readonly Waiting[] {
    const { waiting } = this.#line
    const { batchRecords, batchBytes } = this.#settings
    const recordsMax = this.#alone > 0 ? 1 : batchRecords
    let [count, bytes] = [0, 0]
    for (const { output } of waiting) {
      bytes += output.payload.length
      if (count === recordsMax || (count > 0 && bytes > batchBytes)) break
      count++
    }
    return waiting.slice(0, count)
  }

  /** Waits for the schemas that an owner before us may have written under. */
  async #ready(batch: readonly Waiting[]): Promise<void> {
    for (const { output } of batch) await untilAnswered(async () => this.#wire.ready(output), this.parts)
  }

  /** Waits until we are known to be the owner. */
  async #prove(): Promise<void> {
    const { ledger, clock } = this.parts
    while (clock.elapsed() - ledger.provenMs >= PROVEN_MS && !this.#isOver()) await ledger.look()
  }

  async #tried(batch: readonly Waiting[]): Promise<{ readonly thrown: unknown } | undefined> {
    try {
      await this.#call(batch.map(({ output }) => this.#wire.read(idOf(output), output)))
      return undefined
    } catch (thrown) {
      if (thrown instanceof NoPromise) throw thrown
      return { thrown }
    }
  }

  /** One call of `write`. Rejects as it does, or when it takes too long, or the partition has ended. */
  async #call(records: readonly SinkRecord<unknown>[]): Promise<void> {
    const { clock, signal } = this.parts
    const { write, timeoutMs } = this.#settings
    const call = new AbortController()
    const given = new Promise<never>((_, reject) => {
      call.signal.addEventListener('abort', () => reject(call.signal.reason as Error))
    })
    const end = () => call.abort(signal.reason)
    signal.addEventListener('abort', end)
    const cancel = clock.after(timeoutMs, () => call.abort(tookTooLong(timeoutMs)))
    try {
      const answer: unknown = write(records, { signal: call.signal })
      if (answer === undefined) return
      if (!isPromise(answer)) throw new NoPromise(this.#where, answer)
      await Promise.race([answer, given])
    } finally {
      cancel()
      signal.removeEventListener('abort', end)
    }
  }

  #written(batch: readonly Waiting[]): void {
    this.#failures = 0
    this.#alone = Math.max(0, this.#alone - batch.length)
    this.#line.waiting.splice(0, batch.length)
    for (const { output, of } of batch) this.parts.out(output, of)
  }

  /** Says so and waits. */
  async #failed(batch: readonly Waiting[], thrown: unknown): Promise<void> {
    const { clock, chance, signal, waits } = this.parts
    waits(this.#failure(batch, thrown))
    if (batch.length > 1) this.#alone = batch.length
    const mostMs = Math.min(RETRY_MIN_MS * 2 ** this.#failures++, RETRY_MAX_MS)
    await pause(clock, mostMs * (0.5 + 0.5 * chance.fraction()), signal)
  }

  #failure(batch: readonly Waiting[], thrown: unknown): UnavailableError {
    const [first, last] = [batch[0] as Waiting, batch.at(-1) as Waiting].map(({ output }) => idOf(output))
    const which = batch.length === 1 ? `record ${first}` : `${batch.length} records, ${first} to ${last}`
    const mend = batch.length === 1 ? 'it is tried again until it is written' : 'they are tried again, one by one'
    const facts = { sink: this.to.name, records: batch.length, first, last }
    const what = `${this.#where} failed at ${which}: ${messageOf(thrown)}`
    return new UnavailableError('SINK_FAILED', what, mend, { cause: thrown, facts })
  }
}

function idOf({ line, n }: Numbered): string {
  return outputId(line.writer, n)
}

function isPromise(answer: unknown): answer is PromiseLike<unknown> {
  return typeof answer === 'object' && answer !== null && 'then' in answer && typeof answer.then === 'function'
}

/** It was called, and nobody can tell when it is done. Calling it again would not mend that. */
class NoPromise extends DefinitionError {
  constructor(where: string, answer: unknown) {
    const kind = Array.isArray(answer) ? 'an array' : answer === null ? 'null' : `a value of type ${typeof answer}`
    const mend = Array.isArray(answer) ? 'return Promise.all(...) of it' : 'return a promise, or nothing'
    super('BAD_OPTION', `write of ${where} gave ${kind}, and no promise`, mend)
  }
}

function tookTooLong(timeoutMs: number): UnavailableError {
  const what = `the call took longer than ${timeoutMs} ms`
  return new UnavailableError('TIMED_OUT', what, 'it may have written all the same; give the sink a longer timeout')
}
