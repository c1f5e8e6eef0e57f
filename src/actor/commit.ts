/**
 * Makes outcomes durable as a whole. While one entry is on its way, the outcomes of the turns that run meanwhile come
 * together for the next: a quiet partition commits each turn, a busy one in large groups.
 */
import { OctetWriter } from '../codec/octets.js'
import type { Clock } from '../clock.js'
import { UnavailableError } from '../errors.js'
import type { Outcome } from '../pipeline/outcome.js'
import type { Output } from '../pipeline/outlet.js'
import type { Turn } from '../pipeline/turn.js'
import { writeOutputs, writeState, type TargetPartition, type TargetState } from '../state/entry.js'
import type { Ledger } from '../state/ledger.js'
import type { Tables } from '../state/tables.js'
import { BATCH_RECORDS_MAX, encodeBatch } from '../stream/batch.js'
import type { Key } from '../stream/key.js'
import type { Input } from './input.js'
import type { Lane, Line, Numbered } from './lane.js'
import type { Publisher } from './publisher.js'

export interface CommitLimits {
  /** How many records one entry covers at the most, about. */
  readonly groupRecordsMax: number
  /** How many outputs it has, about: so many more wait behind them to be published. */
  readonly groupOutputsMax: number
  /** How large an entry grows, about. */
  readonly groupBytesMax: number
  /** How many outputs may be committed and not confirmed before no turn is walked, about. */
  readonly backlogRecordsMax: number
  readonly backlogBytesMax: number
  /** How much more than its share of what is alive the ledger holds before rows are re-written. */
  readonly ledgerSpareBytes: number
  /** How much must be dead before it is purged. */
  readonly purgeBytes: number
}

/** What an acknowledged entry held. */
export interface Committed {
  readonly number: number
  readonly records: number
  readonly outputs: number
  readonly bytes: number
  readonly ms: number
}

export interface CommitParts {
  readonly ledger: Ledger
  readonly tables: Tables
  readonly turn: Turn
  readonly inputs: readonly Input[]
  readonly publisher: Publisher
  readonly clock: Clock
  readonly limits: CommitLimits
  readonly done: (committed: Committed) => void
  readonly failed: (error: unknown) => void
}

/** Above this share of what is alive, and the spare, each entry re-writes rows so that what is dead can be purged. */
const LEDGER_SHARE_MAX = 1.5
const REWRITE_BYTES_MIN = 16 * 1024
const REWRITE_BYTES_MAX = 256 * 1024
const BATCH_BYTES_MAX = 256 * 1024

export class Commit {
  readonly #parts: CommitParts
  #outputs: Output[] = []
  #outputBytes = 0
  #records = 0
  #turns = 0
  /** How many entries were begun. */
  #begun = 0
  #isWriting = false
  /** Something else than an entry is written. */
  #isAside = false
  #isClosed = false
  /** An entry could not be written: nothing is written any more. */
  #failure: { readonly error: unknown } | undefined
  /** Until what is on its way has its answer. */
  #settled: Promise<unknown> = Promise.resolve()
  #isPurging = false
  /** The last entry does not say all that is confirmed by now. */
  #owesNote = false
  /** Everything is to be written anew that rests on messages below this one. */
  #unpinBelow = 0

  constructor(parts: CommitParts) {
    this.#parts = parts
  }

  /** Puts an outcome into the next entry. One that ended before its first record has nothing for it. */
  add({ outputs, bytes, walked, fault }: Outcome): void {
    if (walked === 0 && fault !== undefined) return
    if (outputs.length > 0) this.#outputs = this.#outputs.length === 0 ? [...outputs] : this.#outputs.concat(outputs)
    this.#outputBytes += bytes
    this.#records += walked
    this.#turns++
  }

  /** Whether another turn may be walked. */
  get hasRoom(): boolean {
    const { limits, tables, publisher } = this.#parts
    if (this.#records >= limits.groupRecordsMax || this.#outputs.length >= limits.groupOutputsMax) return false
    if (this.#outputBytes + tables.dirtyBytes >= limits.groupBytesMax) return false
    const { records, bytes } = publisher.backlog
    return records < limits.backlogRecordsMax && bytes < limits.backlogBytesMax
  }

  /** Which entry, counted from the first of this owner, holds all that was walked by now. */
  get holdsAll(): number {
    return this.#turns > 0 ? this.#begun + 1 : this.#begun
  }

  /** How many entries were acknowledged. */
  get acknowledged(): number {
    return this.#isWriting ? this.#begun - 1 : this.#begun
  }

  /** An entry is on its way. */
  get isWriting(): boolean {
    return this.#isWriting || this.#isAside
  }

  /** Nothing is on its way and nothing is to be written. */
  get isIdle(): boolean {
    return !this.isWriting && this.#turns === 0
  }

  /** All is out, and the last entry does not say so: who takes over would look for outputs that are confirmed. */
  get owesNote(): boolean {
    return this.#owesNote && this.isIdle && this.#parts.publisher.backlog.records === 0
  }

  /**
   * Lets go of where the ledger begins: what is alive is written anew, bit by bit, and all before it is purged. For a
   * partition so quiet that the stream of all ledgers has grown far beyond what it holds on to.
   */
  unpin(): void {
    this.#unpinBelow = this.#parts.ledger.next
    this.begin(true)
  }

  /** There is still something to let go of, and another entry would help. */
  get owesUnpinning(): boolean {
    return this.#isPinning && this.#parts.publisher.backlog.records === 0
  }

  get #isPinning(): boolean {
    return this.#parts.ledger.first < this.#unpinBelow
  }

  /** Writes what has come together, unless an entry is on its way. With `note` also when nothing has. */
  begin(note = false): void {
    if (this.isWriting || this.#isClosed || (this.#turns === 0 && !note)) return
    this.#isWriting = true
    this.#begun++
    this.#settled = this.#write().then(
      () => this.#purge(),
      (error: unknown) => {
        this.#failure = { error }
        this.#parts.failed(error)
      },
    )
  }

  /** Writes something else to the ledger, between two entries. Rejects when the one before it could not be written. */
  async aside(write: () => Promise<void>): Promise<void> {
    while (this.isWriting) {
      await this.#settled
      if (this.#failure !== undefined) throw this.#failure.error
    }
    this.#isAside = true
    const written = write()
    this.#settled = written.catch(() => {})
    await written.finally(() => (this.#isAside = false))
  }

  /** Begins nothing more. Resolves when what is on its way has its answer. */
  async close(): Promise<void> {
    this.#isClosed = true
    await this.#settled
  }

  async #write(): Promise<void> {
    const { ledger, publisher, clock, done } = this.#parts
    const began = clock.elapsed()
    const records = this.#records
    const { body, floor, outputs } = this.#entry()
    // What is confirmed from here on the entry does not say.
    const owesNote = outputs.length > 0 || publisher.backlog.records > 0
    const number = ledger.next
    await ledger.write(body, floor)
    this.#isWriting = false
    this.#owesNote = owesNote
    publisher.take(number, ledger.tail.hash, outputs)
    done({ number, records, outputs: outputs.length, bytes: body.length, ms: clock.elapsed() - began })
  }

  /** The next entry, encoded once: everything that was walked by now. */
  #entry(): { body: Uint8Array; floor: number; outputs: readonly Numbered[] } {
    const { ledger, tables, turn, inputs, publisher } = this.#parts
    const number = ledger.next
    const { outputs, targets } = this.#numbered()
    const guess = this.#outputBytes + outputs.length * 16 + tables.dirtyBytes + 1024
    this.#outputs = []
    this.#outputBytes = 0
    this.#records = 0
    this.#turns = 0
    const out = new OctetWriter(guess)
    writeState(out, { inputs: inputs.map((input, i) => input.state(turn.times[i] as number)), targets })
    tables.write(out, number, this.#rewriteBytes(guess))
    writeOutputs(out, outputs)
    return { body: out.done(), floor: Math.min(tables.floor(), publisher.oldest, number), outputs }
  }

  /** Gives each output its number, and says for each target how far it is out. */
  #numbered(): { outputs: readonly Numbered[]; targets: readonly TargetState[] } {
    const { publisher } = this.#parts
    const lanes = [...publisher.lanes]
    const first = new Map<Line, number>()
    const outputs: Numbered[] = []
    this.#frame(lanes, (lane, partition, payload, key, time) => {
      const line = lane.line(partition)
      if (!first.has(line)) first.set(line, line.next)
      outputs.push({ target: lane.index, partition, key, time, payload, line, n: line.next++ })
    })
    const targets = lanes.map((lane): TargetState => {
      const partitions: TargetPartition[] = []
      for (const [partition, line] of lane.lines) {
        const begins = first.get(line) ?? line.next
        if (begins !== line.next) lane.numbers.set(`${partition}`, line.next)
        else if (line.confirmed === line.next - 1) continue
        partitions.push({ partition, confirmed: line.confirmed, first: begins })
      }
      const { name, incarnation, floor } = lane
      return { name, incarnation, floor, partitions }
    })
    this.#parts.tables.settle()
    return { outputs, targets }
  }

  /** Gives the outputs as messages: as they are, or for streams of that format many in one. */
  #frame(lanes: readonly Lane[], give: Give): void {
    const batches = new Map<string, { lane: Lane; partition: number; outputs: Output[]; bytes: number }>()
    const close = ({ lane, partition, outputs }: { lane: Lane; partition: number; outputs: Output[] }) => {
      give(lane, partition, encodeBatch(outputs))
    }
    for (const output of this.#outputs) {
      const { target, partition, key, time, payload } = output
      const lane = lanes[target.index] as Lane
      if (target.wire.format === 'message') {
        give(lane, partition, payload, key, time)
        continue
      }
      const name = `${target.index}/${partition}`
      let batch = batches.get(name)
      // With more than one, also well below what the log takes, for keys and headers come to it.
      const bytesMax = Math.min(BATCH_BYTES_MAX, target.wire.limits.recordBytesMax / 2)
      const bytes = payload.length + 3 * (key?.length ?? 0)
      if (batch !== undefined && (batch.bytes + bytes > bytesMax || batch.outputs.length === BATCH_RECORDS_MAX)) {
        close(batch)
        batch = undefined
      }
      if (batch === undefined) batches.set(name, (batch = { lane, partition, outputs: [], bytes: 0 }))
      batch.outputs.push(output)
      batch.bytes += bytes
    }
    for (const batch of batches.values()) close(batch)
  }

  /** How much to re-write, so that the ledger stays within a small multiple of what is alive. */
  #rewriteBytes(adds: number): number {
    const { ledger, tables, limits } = this.#parts
    if (this.#isPinning && tables.floor() < this.#unpinBelow) return REWRITE_BYTES_MAX
    if (ledger.bytes < tables.liveBytes * LEDGER_SHARE_MAX + limits.ledgerSpareBytes) return 0
    return Math.min(Math.max(adds, REWRITE_BYTES_MIN), REWRITE_BYTES_MAX)
  }

  #purge(): void {
    const { ledger, tables, failed, limits } = this.#parts
    const isFree = this.#isPinning && tables.floor() >= this.#unpinBelow
    if (this.#isPurging || (ledger.deadBytes < limits.purgeBytes && !isFree)) return
    this.#isPurging = true
    ledger
      .purge()
      .catch((error: unknown) => {
        // It is tried again after the next entry.
        if (!(error instanceof UnavailableError)) failed(error)
      })
      .finally(() => (this.#isPurging = false))
  }
}

type Give = (lane: Lane, partition: number, payload: Uint8Array, key?: Key, time?: number) => void
