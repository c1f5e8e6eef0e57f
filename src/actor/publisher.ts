/**
 * Sends the outputs of committed entries, each once: numbered densely, sent again under its id until it is acknowledged,
 * looked for in the log when its id may be forgotten. Nothing leaves unless we are known to be the owner.
 */
import { DefinitionError, IntegrityError, type StreamNodeError } from '../errors.js'
import type { LogStream } from '../log/log.js'
import { START, type Position } from '../log/record.js'
import { untilAnswered, type Asking } from '../log/until-answered.js'
import type { EntryOutput, TargetState } from '../state/entry.js'
import type { ClaimTime, Ledger } from '../state/ledger.js'
import { broken, type Outbox } from '../state/recovery.js'
import type { Table } from '../state/table.js'
import { OUTPUT_WINDOW, OUT_HEADER, outHeader, outOf, outputId, outputWriter } from '../stream/output-id.js'
import { Sender, type Answer, type HeldBefore, type Named, type SentBefore } from '../stream/sender.js'
import { headersOf } from '../stream/wire.js'

export interface PublisherParts extends Asking {
  readonly writer: {
    readonly pipeline: string
    readonly incarnation: string
    readonly stage: number
    readonly partition: number
  }
  readonly ledger: Ledger
  /** Called when outputs have been acknowledged. */
  readonly progressed: () => void
  /** Called once with what ends the partition. */
  readonly failed: (error: unknown) => void
}

/** An output with its number, which the entry that holds it has settled. */
export interface Numbered extends EntryOutput {
  readonly line: Line
  readonly n: number
}

/** An entry with outputs that are not all confirmed. */
interface Pending {
  readonly number: number
  left: number
}

/** In a shorter one no proof of ownership would be young enough for long. */
const WINDOW_MIN_MS = 1000

export class Publisher {
  readonly #parts: PublisherParts
  readonly #lanes = new Map<string, Lane>()
  /** By age. */
  #entries: Pending[] = []
  #records = 0
  #bytes = 0
  #hasFailed = false
  /** Outputs that the log held already, by position: are they the very same? */
  readonly #suspects = new Map<Line, Map<Position, Sending>>()

  constructor(parts: PublisherParts) {
    this.#parts = parts
  }

  /** What is committed and not confirmed. */
  get backlog(): { readonly records: number; readonly bytes: number } {
    return { records: this.#records, bytes: this.#bytes }
  }

  /** The first message of the oldest entry that has an output which is not confirmed. */
  get oldest(): number {
    return this.#entries[0]?.number ?? Infinity
  }

  /** The lane to a stream; undefined when it is not open. */
  lane(stream: string): Lane | undefined {
    return this.#lanes.get(stream)
  }

  get lanes(): Iterable<Lane> {
    return this.#lanes.values()
  }

  /**
   * Opens a stream for outputs. `numbers`: the next one for each partition; `known`: what the ledger says of it. Rejects
   * with an `IntegrityError` when it was made anew, ends before outputs of ours that were acknowledged, or holds some that
   * the ledger does not know; with a `DefinitionError` when it forgets ids too soon.
   */
  async open(log: LogStream, numbers: Table<number>, known: TargetState | undefined): Promise<Lane> {
    const { name } = log.spec
    const { clock, writer, ledger, signal, waits } = this.#parts
    if (log.spec.dedupWindowMs < WINDOW_MIN_MS) throw shortWindow(log)
    const { last } = await untilAnswered(() => log.extent(), this.#parts)
    if (known !== undefined && (known.incarnation !== log.incarnation || last < known.floor)) {
      // Whoever was overtaken may see what its successor saw to.
      await ledger.look()
      const what =
        known.incarnation === log.incarnation ? `ends at ${last}, and ended at ${known.floor}` : 'was made anew'
      throw lostOutputs(name, what)
    }
    const lane = new Lane(this.#lanes.size, log, numbers, writer)
    lane.sender = new Sender(log, last, clock, { guard: () => this.#guard(log), full: waits, waits })
    for (const { partition, confirmed } of known?.partitions ?? []) lane.line(partition).confirmed = confirmed
    if (signal.aborted) lane.sender.close()
    else signal.addEventListener('abort', () => lane.sender.close(), { once: true })
    await this.#checkLast(lane)
    this.#lanes.set(name, lane)
    return lane
  }

  /** An output of ours above the last that the ledger knows of: then the ledger has lost entries. */
  async #checkLast(lane: Lane): Promise<void> {
    for (const [partition] of lane.numbers.entries()) {
      const last = await untilAnswered(() => lane.log.last(Number(partition)), this.#parts)
      const out = last && outOf(last)
      const { writer, next } = lane.line(Number(partition))
      if (out?.writer !== writer || out.n < next) continue
      // Whoever was overtaken sees the outputs of its successor.
      await this.#parts.ledger.look()
      throw broken(`stream "${lane.name}" holds output ${outputId(writer, out.n)}, of which the ledger knows nothing`)
    }
  }

  /** Sends the outputs of an entry that is acknowledged. */
  take(number: number, hash: string, outputs: readonly Numbered[]): void {
    if (outputs.length === 0) return
    const pending: Pending = { number, left: outputs.length }
    this.#entries.push(pending)
    const entry = hash.slice(0, 8)
    for (const output of outputs) this.#take(new Sending(this, output, entry, pending), undefined)
  }

  /**
   * Takes over what an owner before us committed. What was committed shortly before our claim may be sent at once, for
   * the log still knows its ids; all else is looked for first. Returns how many outputs there are.
   */
  recover(boxes: readonly Outbox[], claimed: ClaimTime): number {
    const before = this.#records
    for (const { number, hash, time, targets, outputs } of boxes) {
      const sentMs = claimed.elapsedMs - Math.max(0, claimed.time - time)
      const lanes = targets.map(target => this.#lanes.get(target.stream) as Lane)
      const next = targets.map(({ partitions }) => new Map(partitions.map(one => [one.partition, one.first])))
      const pending: Pending = { number, left: 0 }
      for (const { target, partition, key, time: at, payload } of outputs) {
        const line = (lanes[target] as Lane).line(partition)
        const numbers = next[target] as Map<number, number>
        const n = numbers.get(partition) as number
        numbers.set(partition, n + 1)
        if (n <= line.confirmed) continue
        pending.left++
        const output = { target, partition, key, time: at, payload, line, n }
        const { floor } = targets[target] as TargetState
        this.#take(new Sending(this, output, hash.slice(0, 8), pending), { ms: sentMs, floor })
      }
      if (pending.left > 0) this.#entries.push(pending)
    }
    return this.#records - before
  }

  /** Called by each output once: it is in the log. */
  settled(sending: Sending, position: Position, before: HeldBefore, floor: Position): void {
    const { output, pending } = sending
    if (before !== 'no') this.#suspect(sending, position)
    else if (position <= floor) {
      return this.fail(lostOutputs(output.line.lane.name, `gave position ${position} after it had given ${floor}`))
    }
    this.#records--
    this.#bytes -= output.payload.length
    if (--pending.left === 0) while (this.#entries[0]?.left === 0) this.#entries.shift()
    const { line } = output
    line.lane.acknowledged++
    line.settle(output.n)
    if (line.waiting.length > 0) this.#sendOn(line)
    this.#parts.progressed()
  }

  fail(error: unknown): void {
    if (this.#hasFailed || this.#parts.signal.aborted) return
    this.#hasFailed = true
    this.#parts.failed(error)
  }

  #take(sending: Sending, before: SentBefore | undefined): void {
    const { line, n, payload } = sending.output
    this.#records++
    this.#bytes += payload.length
    if (line.waiting.length > 0 || n > line.confirmed + OUTPUT_WINDOW) line.waiting.push({ sending, before })
    else line.lane.sender.send(sending, sending, before)
  }

  #sendOn(line: Line): void {
    let sent = 0
    for (const { sending, before } of line.waiting) {
      if (sending.output.n > line.confirmed + OUTPUT_WINDOW) break
      line.lane.sender.send(sending, sending, before)
      sent++
    }
    line.waiting.splice(0, sent)
  }

  /**
   * Nothing is sent on an ownership older than a quarter of the window: what a former owner sends after its successor
   * has sent the same must still be known to the log as a repeat.
   */
  #guard(log: LogStream): Promise<void> | undefined {
    const { ledger, clock } = this.#parts
    if (clock.elapsed() - ledger.provenMs < log.spec.dedupWindowMs / 4) return undefined
    return ledger.look().catch((error: unknown) => {
      this.fail(error)
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
    this.#parts.clock.soon(() => {
      this.#suspects.delete(line)
      this.#compare(line, suspects).catch((error: unknown) => this.fail(error))
    })
  }

  async #compare(line: Line, suspects: ReadonlyMap<Position, Sending>): Promise<void> {
    const last = Math.max(...suspects.keys())
    let after = Math.min(...suspects.keys()) - 1
    for (;;) {
      try {
        return await untilAnswered(() => this.#compareAfter(after, last, line, suspects), this.#parts)
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
    { lane, partition }: Line,
    suspects: ReadonlyMap<Position, Sending>,
  ): Promise<void> {
    for await (const { records } of lane.log.read({ partition, after, untilEnd: true, headersOnly: true })) {
      for (const record of records) {
        if (record.position > last) return
        const sending = suspects.get(record.position)
        const out = sending && outOf(record)
        if (out === undefined || out.entry === sending?.entry) continue
        await this.#parts.ledger.look()
        const id = outputId(out.writer, out.n)
        throw broken(`output ${id} of stream "${lane.name}" was sent before with another content`)
      }
    }
  }
}

/** One stream that outputs go to. */
export class Lane {
  sender!: Sender
  readonly name: string
  /** How many outputs were acknowledged that nobody was told of yet. */
  acknowledged = 0
  readonly #writer: PublisherParts['writer']
  readonly #lines = new Map<number, Line>()

  constructor(
    /** Which of the publisher's lanes. */
    readonly index: number,
    readonly log: LogStream,
    /** By partition, as text. */
    readonly numbers: Table<number>,
    writer: PublisherParts['writer'],
  ) {
    this.name = log.spec.name
    this.#writer = writer
  }

  /** The outputs to one partition. */
  line(partition: number): Line {
    let line = this.#lines.get(partition)
    if (line === undefined) {
      line = new Line(this, partition, outputWriter(this.#writer, partition), this.numbers.get(`${partition}`) ?? 1)
      this.#lines.set(partition, line)
    }
    return line
  }

  get lines(): Iterable<[partition: number, line: Line]> {
    return this.#lines
  }
}

/** The outputs to one partition of one stream. */
export class Line {
  /** All numbers up to it are acknowledged. */
  confirmed: number
  /** Beyond the window: to be sent later. */
  readonly waiting: { readonly sending: Sending; readonly before: SentBefore | undefined }[] = []
  /** Acknowledged, and one before them is not. */
  readonly #ahead = new Set<number>()

  constructor(
    readonly lane: Lane,
    readonly partition: number,
    readonly writer: string,
    /** The number of the next output. */
    public next: number,
  ) {
    this.confirmed = next - 1
  }

  settle(n: number): void {
    if (n !== this.confirmed + 1) {
      this.#ahead.add(n)
      return
    }
    this.confirmed = n
    while (this.#ahead.size > 0 && this.#ahead.delete(this.confirmed + 1)) this.confirmed++
  }
}

/** An output on its way. */
class Sending implements Named, Answer {
  readonly id: string

  constructor(
    readonly publisher: Publisher,
    readonly output: Numbered,
    /** The first digits of the hash of its entry. */
    readonly entry: string,
    readonly pending: Pending,
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
    const out = outHeader(line.confirmed, this.entry)
    if (key === undefined && time === undefined) return { [OUT_HEADER]: out }
    return { [OUT_HEADER]: out, ...headersOf(line.lane.name, { key, time }) }
  }

  stored(position: Position, before: HeldBefore, floor: Position): void {
    this.publisher.settled(this, position, before, floor)
  }

  failed(error: StreamNodeError): void {
    this.publisher.fail(error)
  }
}

function shortWindow({ spec: { name, dedupWindowMs } }: LogStream): DefinitionError {
  const what = `stream "${name}" knows ids for ${dedupWindowMs} ms, which is too short to keep repeats of outputs out`
  return new DefinitionError('BAD_OPTION', what, 'make it with a dedupWindow of 1 second or more; 20 seconds are usual')
}

function lostOutputs(stream: string, what: string): IntegrityError {
  return broken(`stream "${stream}" ${what}: outputs that it acknowledged are gone`)
}
