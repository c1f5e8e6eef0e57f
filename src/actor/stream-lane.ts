/**
 * Outputs to one stream: sent again under their ids until they are acknowledged, looked for in the log when their ids may be
 * forgotten. What the log held already must come from the very same entry.
 */
import { DefinitionError, IntegrityError, type StreamNodeError } from '../errors.js'
import type { LogStream } from '../log/log.js'
import { START, type Position } from '../log/record.js'
import { untilAnswered } from '../log/until-answered.js'
import type { TargetState } from '../state/entry.js'
import { broken } from '../state/recovery.js'
import type { Table } from '../state/table.js'
import { OUTPUT_WINDOW, OUT_HEADER, outHeader, outOf, outputId } from '../stream/output-id.js'
import { Sender, type Answer, type HeldBefore, type Named, type SentBefore } from '../stream/sender.js'
import { headersOf } from '../stream/wire.js'
import { Lane, type LaneParts, type Line, type Numbered, type Pending } from './lane.js'

/** In a shorter one no proof of ownership would be young enough for long. */
const WINDOW_MIN_MS = 1000

export class StreamLane extends Lane {
  readonly log: LogStream
  readonly #sender: Sender
  /** Outputs that the log held already, by position: are they the very same? */
  readonly #suspects = new Map<Line, Map<Position, Sending>>()

  private constructor(parts: LaneParts, log: LogStream, index: number, numbers: Table<number>, last: Position) {
    super(parts, { kind: 'stream', name: log.spec.name }, index, numbers)
    const { clock, signal, waits } = parts
    this.log = log
    this.#sender = new Sender(log, last, clock, { guard: () => this.#guard(), full: waits, waits })
    if (signal.aborted) this.#sender.close()
    else signal.addEventListener('abort', () => this.#sender.close(), { once: true })
  }

  /**
   * Opens it. `known`: what the ledger says of the stream. Rejects with an `IntegrityError` when it was made anew, ends before
   * outputs of ours that were acknowledged, or holds some that the ledger does not know; with a `DefinitionError` when it
   * forgets ids too soon.
   */
  static async open(
    parts: LaneParts,
    log: LogStream,
    index: number,
    numbers: Table<number>,
    known: TargetState | undefined,
  ): Promise<StreamLane> {
    if (log.spec.dedupWindowMs < WINDOW_MIN_MS) throw shortWindow(log)
    const { last } = await untilAnswered(() => log.extent(), parts)
    if (known !== undefined && (known.incarnation !== log.incarnation || last < known.floor)) {
      // Whoever was overtaken may see what its successor saw to.
      await parts.ledger.look()
      const what =
        known.incarnation === log.incarnation ? `ends at ${last}, and ended at ${known.floor}` : 'was made anew'
      throw lostOutputs(log.spec.name, what)
    }
    const lane = new StreamLane(parts, log, index, numbers, last)
    for (const { partition, confirmed } of known?.partitions ?? []) lane.line(partition).confirmed = confirmed
    await lane.#checkLast()
    return lane
  }

  get incarnation(): string {
    return this.log.incarnation
  }

  get floor(): Position {
    return this.#sender.floor
  }

  send(output: Numbered, of: Pending, before: SentBefore | undefined): void {
    const { line, n } = output
    if (line.waiting.length > 0 || n > line.confirmed + OUTPUT_WINDOW) line.waiting.push({ output, of, before })
    else this.#send(output, of, before)
  }

  /** Called by each output once: it is in the log. */
  stored(sending: Sending, position: Position, before: HeldBefore, floor: Position): void {
    const { output, of } = sending
    if (before !== 'no') this.#suspect(sending, position)
    else if (position <= floor) {
      this.failed(lostOutputs(this.name, `gave position ${position} after it had given ${floor}`))
      return
    }
    this.parts.out(output, of)
    if (output.line.waiting.length > 0) this.#sendOn(output.line)
  }

  failed(error: unknown): void {
    this.parts.failed(error)
  }

  /** An output of ours above the last that the ledger knows of: then the ledger has lost entries. */
  async #checkLast(): Promise<void> {
    const { parts, log } = this
    for (const [partition] of this.numbers.entries()) {
      const last = await untilAnswered(() => log.last(Number(partition)), parts)
      const out = last && outOf(last)
      const { writer, next } = this.line(Number(partition))
      if (out?.writer !== writer || out.n < next) continue
      // Whoever was overtaken sees the outputs of its successor.
      await parts.ledger.look()
      throw broken(`stream "${this.name}" holds output ${outputId(writer, out.n)}, of which the ledger knows nothing`)
    }
  }

  #send(output: Numbered, of: Pending, before: SentBefore | undefined): void {
    const sending = new Sending(this, output, of)
    this.#sender.send(sending, sending, before)
  }

  #sendOn(line: Line): void {
    let sent = 0
    for (const { output, of, before } of line.waiting) {
      if (output.n > line.confirmed + OUTPUT_WINDOW) break
      this.#send(output, of, before)
      sent++
    }
    line.waiting.splice(0, sent)
  }

  /**
   * Nothing is sent on an ownership older than a quarter of the window: what a former owner sends after its successor
   * has sent the same must still be known to the log as a repeat.
   */
  #guard(): Promise<void> | undefined {
    const { ledger, clock } = this.parts
    if (clock.elapsed() - ledger.provenMs < this.log.spec.dedupWindowMs / 4) return undefined
    return ledger.look().catch((error: unknown) => {
      this.failed(error)
      throw error
    })
  }

  /**
   * The log holds an output of ours that another may have sent: then it must be the very same. Those that come together
   * are looked at together.
   */
  #suspect(sending: Sending, position: Position): void {
    const { line } = sending.output
    const known = this.#suspects.get(line)
    if (known !== undefined) return void known.set(position, sending)
    const suspects = new Map([[position, sending]])
    this.#suspects.set(line, suspects)
    this.parts.clock.soon(() => {
      this.#suspects.delete(line)
      this.#compare(line, suspects).catch((error: unknown) => this.failed(error))
    })
  }

  async #compare({ partition }: Line, suspects: ReadonlyMap<Position, Sending>): Promise<void> {
    const last = Math.max(...suspects.keys())
    let after = Math.min(...suspects.keys()) - 1
    for (;;) {
      try {
        await untilAnswered(() => this.#compareAfter(after, last, partition, suspects), this.parts)
        return
      } catch (error) {
        if (!(error instanceof IntegrityError && error.code === 'OVERRUN')) throw error
        // Retention has dropped what stood there.
        after = START
      }
    }
  }

  async #compareAfter(
    after: Position,
    last: Position,
    partition: number,
    suspects: ReadonlyMap<Position, Sending>,
  ): Promise<void> {
    for await (const { records } of this.log.read({ partition, after, untilEnd: true, headersOnly: true })) {
      for (const record of records) {
        if (record.position > last) return
        const sending = suspects.get(record.position)
        const out = sending && outOf(record)
        if (out === undefined || out.entry === sending?.of.entry) continue
        await this.parts.ledger.look()
        const id = outputId(out.writer, out.n)
        throw broken(`output ${id} of stream "${this.name}" was sent before with another content`)
      }
    }
  }
}

/** An output on its way. */
class Sending implements Named, Answer {
  readonly id: string

  constructor(
    readonly lane: StreamLane,
    readonly output: Numbered,
    readonly of: Pending,
  ) {
    this.id = outputId(output.line.writer, output.n)
  }

  get partition(): number {
    return this.output.partition
  }

  get payload(): Uint8Array {
    return this.output.payload
  }

  /** As they are at this send: what is confirmed goes on meanwhile. */
  get headers(): Record<string, string> {
    const { line, key, time } = this.output
    const out = outHeader(line.confirmed, this.of.entry)
    if (key === undefined && time === undefined) return { [OUT_HEADER]: out }
    return { [OUT_HEADER]: out, ...headersOf(this.lane.name, { key, time }) }
  }

  stored(position: Position, before: HeldBefore, floor: Position): void {
    this.lane.stored(this, position, before, floor)
  }

  failed(error: StreamNodeError): void {
    this.lane.failed(error)
  }
}

function shortWindow({ spec: { name, dedupWindowMs } }: LogStream): DefinitionError {
  const what = `stream "${name}" knows ids for ${dedupWindowMs} ms, which is too short to keep repeats of outputs out`
  return new DefinitionError('BAD_OPTION', what, 'make it with a dedupWindow of 1 second or more; 20 seconds are usual')
}

function lostOutputs(stream: string, what: string): IntegrityError {
  return broken(`stream "${stream}" ${what}: outputs that it acknowledged are gone`)
}
