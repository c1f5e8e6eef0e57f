/**
 * Brings out the outputs of committed entries, each on the lane to its target, and knows what is committed and not out yet.
 * Nothing leaves unless we are known to be the owner.
 */
import type { LogStream } from '../log/log.js'
import type { TargetState } from '../state/entry.js'
import type { ClaimTime } from '../state/ledger.js'
import type { Outbox } from '../state/recovery.js'
import type { Table } from '../state/table.js'
import type { SentBefore } from '../stream/sender.js'
import type { SinkWire } from '../stream/sink-wire.js'
import type { Lane, LaneParts, Numbered, Pending } from './lane.js'
import { SinkLane } from './sink-lane.js'
import { StreamLane } from './stream-lane.js'

export interface PublisherParts extends Omit<LaneParts, 'out'> {
  /** Called when outputs have been acknowledged. */
  readonly progressed: () => void
}

export class Publisher {
  readonly #parts: PublisherParts
  readonly #ofLanes: LaneParts
  readonly #lanes = new Map<string, Lane>()
  /** By age. */
  #entries: Pending[] = []
  #records = 0
  #bytes = 0
  #hasFailed = false

  /** `parts.failed` is called once. */
  constructor(parts: PublisherParts) {
    this.#parts = parts
    const out = (output: Numbered, of: Pending) => this.#out(output, of)
    this.#ofLanes = { ...parts, out, failed: error => this.#fail(error) }
  }

  /** What is committed and not confirmed. */
  get backlog(): { readonly records: number; readonly bytes: number } {
    return { records: this.#records, bytes: this.#bytes }
  }

  /** How much of it is for targets of that kind. */
  backlogTo(kind: 'stream' | 'sink'): number {
    let records = 0
    for (const { to, pending } of this.#lanes.values()) if (to.kind === kind) records += pending
    return records
  }

  /** The first message of the oldest entry that has an output which is not confirmed. */
  get oldest(): number {
    return this.#entries[0]?.number ?? Infinity
  }

  /** The lane to a target, by the name that entries have; undefined when it is not open. */
  lane(name: string): Lane | undefined {
    return this.#lanes.get(name)
  }

  get lanes(): Iterable<Lane> {
    return this.#lanes.values()
  }

  /** Opens a stream for outputs. `numbers`: the next one for each partition; `known`: what the ledger says. Rejects as the lane does. */
  async open(log: LogStream, numbers: Table<number>, known: TargetState | undefined): Promise<StreamLane> {
    return this.#opened(await StreamLane.open(this.#ofLanes, log, this.#lanes.size, numbers, known))
  }

  /** Opens a sink for outputs, likewise. */
  openSink(wire: SinkWire<unknown>, numbers: Table<number>, known: TargetState | undefined): SinkLane {
    return this.#opened(new SinkLane(this.#ofLanes, wire, this.#lanes.size, numbers, known))
  }

  #opened<L extends Lane>(lane: L): L {
    this.#lanes.set(lane.name, lane)
    return lane
  }

  /** Sends the outputs of an entry that is acknowledged. */
  take(number: number, hash: string, outputs: readonly Numbered[]): void {
    if (outputs.length === 0) return
    const of: Pending = { number, entry: hash.slice(0, 8), left: outputs.length }
    this.#entries.push(of)
    for (const output of outputs) this.#take(output, of, undefined)
  }

  /**
   * Takes over what an owner before us committed. What was committed shortly before our claim may be sent at once, for
   * the log still knows its ids; all else is looked for first. Returns how many outputs there are.
   */
  recover(boxes: readonly Outbox[], claimed: ClaimTime): number {
    const before = this.#records
    for (const { number, hash, time, targets, outputs } of boxes) {
      const sentMs = claimed.elapsedMs - Math.max(0, claimed.time - time)
      const lanes = targets.map(target => this.#lanes.get(target.name) as Lane)
      const next = targets.map(({ partitions }) => new Map(partitions.map(one => [one.partition, one.first])))
      const of: Pending = { number, entry: hash.slice(0, 8), left: 0 }
      for (const { target, partition, key, time: at, payload } of outputs) {
        const line = (lanes[target] as Lane).line(partition)
        const numbers = next[target] as Map<number, number>
        const n = numbers.get(partition) as number
        numbers.set(partition, n + 1)
        if (n <= line.confirmed) continue
        of.left++
        const { floor } = targets[target] as TargetState
        const output = { target, partition, key, time: at, payload, line, n }
        this.#take(output, of, { ms: sentMs, floor })
      }
      if (of.left > 0) this.#entries.push(of)
    }
    return this.#records - before
  }

  #take(output: Numbered, of: Pending, before: SentBefore | undefined): void {
    const { lane } = output.line
    this.#records++
    this.#bytes += output.payload.length
    lane.pending++
    lane.send(output, of, before)
  }

  #out({ line, n, payload }: Numbered, of: Pending): void {
    this.#records--
    this.#bytes -= payload.length
    if (--of.left === 0) while (this.#entries[0]?.left === 0) this.#entries.shift()
    line.lane.pending--
    line.lane.acknowledged++
    line.settle(n)
    this.#parts.progressed()
  }

  #fail(error: unknown): void {
    if (this.#hasFailed || this.#parts.signal.aborted) return
    this.#hasFailed = true
    this.#parts.failed(error)
  }
}
