/**
 * The log of commits of one partition, as its owner writes it. A claim takes it under a higher fence; from then on each
 * message is written by compare-and-set, settled when its answer is lost, and chained to the one before.
 */
import { pause, type Chance } from '../clock.js'
import { FencedError, IntegrityError, UnavailableError, type StreamNodeError } from '../errors.js'
import type { LogStream } from '../log/log.js'
import type { LogRecord, Position } from '../log/record.js'
import { untilAnswered, type Asking } from '../log/until-answered.js'
import { MESSAGE_OVERHEAD, seal, unseal, type MessageKind, type Sealed } from './message.js'
import { encodeNotes, UNSUSPECTED, type Left, type Notes } from './notes.js'
import { broken, readToEnd, Recovery, type Retained } from './recovery.js'
import type { Witness } from './witness.js'

export interface LedgerParts extends Asking {
  readonly stream: LogStream
  readonly partition: number
  /** The most that the log takes in one record. */
  readonly recordBytesMax: number
  readonly witness: Witness
  readonly chance: Chance
  /** What the claim says of how owners before ended. Absent: nothing. */
  readonly notes?: (left: Left) => Notes
}

const RETRY_MIN_MS = 20
const RETRY_MAX_MS = 250
const CLAIM_TRIES_MAX = 1000

/** A ledger that is ours. */
export interface Claimed {
  readonly ledger: Ledger
  readonly found: Recovery
  /** What the claim says. */
  readonly notes: Notes
}

/**
 * Claims a ledger: reads it to its end and writes a claim under the next fence, so that whoever owned it is refused from
 * then on. Rejects with `FencedError` when another one claims it at the same time, with an `IntegrityError` when the
 * ledger has lost what it acknowledged.
 */
export async function claimLedger(parts: LedgerParts): Promise<Claimed> {
  const { stream, partition, witness, signal, notes: notesOn = () => UNSUSPECTED } = parts
  const where = `partition ${partition} in "${stream.spec.name}"`
  const anew = () => new Recovery(witness.incarnation, where)
  const owner = parts.chance.name()
  let found = anew()
  let fenceSeen: number | undefined
  for (let tries = 1; ; tries++) {
    found = await readToEnd(stream, partition, found, anew, parts)
    const fence = found.tail?.fence ?? 0
    fenceSeen ??= fence
    if (fence > fenceSeen) throw new FencedError(`another owner claimed ${where} at the same time`)
    const ledger = new Ledger(parts, { where, owner, fence: fence + 1, found })
    const notes = notesOn(found.left)
    try {
      await ledger.claim(notes)
    } catch (error) {
      // Its owner committed once more while we read.
      if (!(error instanceof FencedError) || tries === CLAIM_TRIES_MAX || signal.aborted) throw error
      continue
    }
    await judge(ledger, found, witness)
    await ledger.vouch()
    return { ledger, found, notes }
  }
}

/**
 * Whether what was read can be all of it. Only who holds the claim may judge: before that, an owner at work may have
 * been seen halfway. Throws an `IntegrityError` when something is missing.
 */
async function judge(ledger: Ledger, found: Recovery, witness: Witness): Promise<void> {
  await witness.refresh()
  const { seen } = witness
  const last = found.tail?.number ?? 0
  const first = found.retained[0]?.number ?? 1
  const known = found.retained[seen.number - first]
  let missing: string | undefined
  if (first > found.floor) missing = `begins with message ${first}, and message ${found.floor} is still needed`
  else if (seen.number > last) missing = `ends with message ${last}, and message ${seen.number} was acknowledged`
  else if (known !== undefined && known.hash !== seen.hash) missing = `has another message ${seen.number} than it had`
  if (missing === undefined) return
  // Whoever was overtaken meanwhile sees the works of its successor, and nothing is lost.
  await ledger.look()
  throw broken(`the ledger of ${ledger.where} ${missing}`)
}

/** A moment by the clock of the log and by ours. */
export interface ClaimTime {
  readonly time: number
  readonly elapsedMs: number
}

interface Standing {
  readonly where: string
  readonly owner: string
  readonly fence: number
  readonly found: Recovery
}

export class Ledger {
  /** For errors: which ledger it is. */
  readonly where: string
  readonly fence: number
  readonly #parts: LedgerParts
  readonly #owner: string
  readonly #bytesMax: number
  /** What the log holds, from the first message on, and what we have written: our own chain. */
  readonly #retained: Retained[]
  #bytes = 0
  /** The floor that the last entry notes. */
  #floor: number
  /** The hash of a message that is on its way. */
  #sending: string | undefined
  /** `elapsed()` before the last write of ours was sent that was accepted, or a look that found us the owner. */
  #provenMs = -Infinity
  #isClaimed = false
  #claimSentMs = -Infinity

  constructor(parts: LedgerParts, { where, owner, fence, found }: Standing) {
    this.where = where
    this.fence = fence
    this.#parts = parts
    this.#owner = owner
    this.#bytesMax = Math.max(1, parts.recordBytesMax - MESSAGE_OVERHEAD)
    this.#retained = found.retained.slice()
    for (const { bytes } of this.#retained) this.#bytes += bytes
    this.#floor = found.floor
  }

  /** The last message that was acknowledged. */
  get tail(): Retained {
    return this.#retained.at(-1) as Retained
  }

  /** The number that the next message gets. */
  get next(): number {
    return (this.#retained.at(-1)?.number ?? 0) + 1
  }

  /** What the log holds of it, in bytes. */
  get bytes(): number {
    return this.#bytes
  }

  /** What it holds that nothing rests on any more. */
  get deadBytes(): number {
    let bytes = 0
    for (const message of this.#retained) {
      if (message.number >= this.#floor) break
      bytes += message.bytes
    }
    return bytes
  }

  /** The number of the oldest message that is held. */
  get first(): number {
    return (this.#retained[0] as Retained).number
  }

  /** How many positions behind the end of the stream of all ledgers the oldest message stands. */
  async reach(): Promise<number> {
    const { last } = await untilAnswered(() => this.#parts.stream.extent(), this.#parts)
    return last - (this.#retained[0] as Retained).position
  }

  /** `elapsed()` at the latest moment at which we are known to have been the owner. */
  get provenMs(): number {
    return this.#provenMs
  }

  /** The first message that its owner writes. Rejects with `FencedError` when the ledger does not end where we read it. */
  async claim(notes: Notes): Promise<void> {
    await this.#append('claim', encodeNotes(notes), this.#floor, 0)
    this.#isClaimed = true
    this.#claimSentMs = this.#provenMs
  }

  /**
   * One moment by two clocks: when the log took our claim, by its own, and `elapsed()` no later than that. To be asked
   * before anything else is written. Rejects as `look` does.
   */
  async claimed(): Promise<ClaimTime> {
    const { number, hash } = this.tail
    const last = await this.#last()
    if (last?.hash !== hash) throw await this.#verdict(number)
    return { time: last.time, elapsedMs: this.#claimSentMs }
  }

  /**
   * Writes one entry, in parts when it is larger than a record may be, and resolves when it is acknowledged. It holds
   * from message `next` on, and nothing rests on messages below `floor` then. One at a time. Waits while the log is away
   * or full. Rejects with `FencedError`, an `IntegrityError` or a `DefinitionError`; after any of them nothing more can
   * be written.
   */
  async write(body: Uint8Array, floor: number): Promise<void> {
    let from = 0
    let part = 0
    while (body.length - from > this.#bytesMax) {
      // A part alone is no entry: its floor would not hold.
      await this.#append('part', body.subarray(from, from + this.#bytesMax), 0, part++)
      from += this.#bytesMax
    }
    await this.#append('commit', body.subarray(from), floor, part)
    this.#floor = floor
  }

  /** Says what the next owner is to know should we die now. Not while an entry is written; rejects as `write` does. */
  async mark(notes: Notes): Promise<void> {
    await this.#append('mark', encodeNotes(notes), this.#floor, 0)
  }

  /**
   * The last message of an owner whose process lives on: whoever comes next need not think that it died. Tried once,
   * also when the owner was stopped, for no harm comes of it when it fails.
   */
  async release(notes: Notes): Promise<void> {
    // What is on its way may take the place in the chain.
    if (this.#sending !== undefined) return
    const { stream, partition } = this.#parts
    const { payload, id, expect } = this.#sealed('release', encodeNotes(notes), this.#floor, 0)
    await stream.append({ partition, payload, id, expect })
  }

  /**
   * Asks the log whether we are still the owner. Rejects with `FencedError` when another one has claimed it, with an
   * `IntegrityError` when what we wrote is gone.
   */
  async look(): Promise<void> {
    const { number } = this.tail
    const askedMs = this.#parts.clock.elapsed()
    const last = await this.#last()
    // An older one of ours would mean that the log was rewound.
    if (last === undefined || !this.#isOurs(last) || last.number < number) throw await this.#verdict(number)
    this.#provenMs = Math.max(this.#provenMs, askedMs)
  }

  /** Whether the witness knows less than we do. */
  get owesVouching(): boolean {
    return this.tail.number > this.#parts.witness.seen.number
  }

  /** Tells the witness how far the ledger has come. Rejects as `look` does. */
  async vouch(): Promise<void> {
    try {
      await this.#parts.witness.write(this.fence, this.tail)
    } catch (error) {
      // Did our successor find what we wrote?
      if (error instanceof FencedError) await this.look()
      throw error
    }
  }

  /**
   * Deletes what nothing rests on. The witness is written before, so that a ledger that then loses its end is not taken
   * for a shorter one.
   */
  async purge(): Promise<void> {
    const { stream, partition } = this.#parts
    const floor = this.#floor
    const dead = this.#retained.findIndex(message => message.number >= floor)
    if (dead <= 0) return
    await this.vouch()
    await stream.purge(partition, (this.#retained[dead] as Retained).position)
    for (const { bytes } of this.#retained.splice(0, dead)) this.#bytes -= bytes
  }

  async #append(kind: MessageKind, body: Uint8Array, floor: number, part: number): Promise<void> {
    const { stream, partition, clock, signal } = this.#parts
    const { number, payload, hash, id, expect } = this.#sealed(kind, body, floor, part)
    this.#throwIfStopped()
    this.#sending = hash
    for (let waitMs = RETRY_MIN_MS; ; waitMs = Math.min(waitMs * 2, RETRY_MAX_MS)) {
      const sentMs = clock.elapsed()
      const ending = await stream.append({ partition, payload, id, expect })
      let position: Position | undefined
      if (ending.ending === 'stored' && !ending.repeat) position = ending.position
      else if (ending.ending === 'refused' && ending.why === 'denied') throw this.#denied(ending.error)
      else if (ending.ending === 'refused' && ending.why !== 'expected') this.#parts.waits(ending.error)
      else position = await this.#find(number, hash)
      if (position !== undefined) {
        this.#sending = undefined
        this.#retained.push({ number, hash, position, bytes: payload.length })
        this.#bytes += payload.length
        this.#provenMs = Math.max(this.#provenMs, sentMs)
        return
      }
      await pause(clock, waitMs, signal)
      this.#throwIfStopped()
    }
  }

  /** The next message, encoded once, and what it is to follow. */
  #sealed(kind: MessageKind, body: Uint8Array, floor: number, part: number) {
    const { stream, partition, witness } = this.#parts
    const before = this.#retained.at(-1)
    const number = this.next
    const { incarnation } = witness
    const { bytes: payload, hash } = seal({
      ...{ kind, incarnation, fence: this.fence, owner: this.#owner, number },
      ...{ previous: before?.hash ?? '', part, floor, body },
    })
    const id = `${stream.spec.name}.${partition}/${incarnation}/${number}`
    return { number, payload, hash, id, expect: before?.position ?? 0 }
  }

  /** Why it may never be written: for the user to mend, but for a stream that is gone with all that it acknowledged. */
  #denied(error: StreamNodeError): StreamNodeError {
    return error.code === 'NO_SUCH_STREAM' ? broken(`the stream of the ledger of ${this.where} is gone`) : error
  }

  /** Where a message of ours stands whose answer is lost or doubtful; undefined when it is not there and may be sent again. */
  async #find(number: number, hash: string): Promise<Position | undefined> {
    const last = await this.#last()
    if (last?.hash === hash) return last.position
    const before = this.#retained.at(-1)
    if (last?.hash === before?.hash) return undefined
    throw await this.#verdict(number - 1)
  }

  /** Why the ledger does not end with what we wrote: another owner, or a loss. `acknowledged`: our last message. */
  async #verdict(acknowledged: number): Promise<FencedError | IntegrityError> {
    const last = await this.#last()
    if (last !== undefined && last.number > acknowledged && !this.#isOurs(last)) {
      // Until our claim is accepted its owner may go on under its lower fence.
      if ((last.fence >= this.fence || !this.#isClaimed) && (await this.#isInChain(acknowledged))) {
        return new FencedError(`another owner has claimed ${this.where}`, { facts: { fence: last.fence } })
      }
      return broken(`the ledger of ${this.where} no longer holds message ${acknowledged}, which was acknowledged`)
    }
    const end = last === undefined ? 'is empty' : `ends with message ${last.number} of fence ${last.fence}`
    return broken(`the ledger of ${this.where} ${end}, and message ${acknowledged} was acknowledged`)
  }

  /** Whether a message of ours stands where it stood. What its new owner has purged by now was there. */
  async #isInChain(number: number): Promise<boolean> {
    const ours = this.#messageOf(number)
    if (ours === undefined) return true
    const { stream, partition } = this.#parts
    const reader = stream.read({ partition, after: ours.position - 1, recordsMax: 1, untilEnd: true })
    try {
      for await (const { records } of reader) {
        const [record] = records
        if (record === undefined) continue
        const found = this.#unsealed(record)
        return record.position === ours.position ? found.hash === ours.hash : found.number > number
      }
      // All that was there when the reading began was purged before it came.
      return true
    } catch (error) {
      if (error instanceof IntegrityError && error.code === 'OVERRUN') return true
      if (error instanceof UnavailableError && error.code !== 'CLOSED') return true
      throw error
    } finally {
      await reader.return()
    }
  }

  #isOurs(last: Sealed): boolean {
    if (last.hash === this.#sending || last.hash === this.#messageOf(last.number)?.hash) return true
    // An answer may be so late that we have purged what it tells of.
    return last.owner === this.#owner && last.number < (this.#retained[0]?.number ?? 0)
  }

  #messageOf(number: number): Retained | undefined {
    return this.#retained[number - (this.#retained[0]?.number ?? 1)]
  }

  /** The last message, as the leader has it; waits while the log is away. */
  async #last(): Promise<(Sealed & { readonly position: Position; readonly time: number }) | undefined> {
    const { stream, partition } = this.#parts
    const record = await untilAnswered(() => stream.last(partition), this.#parts)
    return record && { ...this.#unsealed(record), position: record.position, time: record.time }
  }

  #unsealed(record: LogRecord): Sealed {
    return unseal(record.payload, `message at position ${record.position} of the ledger of ${this.where}`)
  }

  #throwIfStopped(): void {
    if (!this.#parts.signal.aborted) return
    throw new UnavailableError('CLOSED', `the owner of ${this.where} was stopped`, 'start it again')
  }
}
