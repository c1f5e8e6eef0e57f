/**
 * A ledger read back: from its first retained message to its end, every link of the chain checked, into warm tables and
 * the outputs that may not be out yet.
 */
import type { OctetReader } from '../codec/octets.js'
import { pause, type Clock } from '../clock.js'
import { IntegrityError, UnavailableError } from '../errors.js'
import type { LogStream } from '../log/log.js'
import { START, type LogRecord, type Position } from '../log/record.js'
import { bodyReader, readOutputs, readState, type EntryOutput, type EntryState, type TargetState } from './entry.js'
import { unseal, type Sealed } from './message.js'
import { decodeNotes, UNSUSPECTED, type Left, type Notes } from './notes.js'
import { Tables } from './tables.js'

/** A message that the log still holds. */
export interface Retained {
  readonly number: number
  readonly hash: string
  readonly position: Position
  readonly bytes: number
}

/** The outputs of one entry that may not all be out. */
export interface Outbox {
  /** The first message of the entry, which must stay while one of them is not confirmed. */
  readonly number: number
  /** The hash of the entry. */
  readonly hash: string
  /** When the log took the entry, by its own clock. */
  readonly time: number
  readonly targets: readonly TargetState[]
  readonly outputs: readonly EntryOutput[]
}

/** An entry with outputs. */
interface Entry {
  readonly number: number
  readonly hash: string
  readonly time: number
  readonly targets: readonly TargetState[]
  /** Stands at the outputs. */
  readonly rest: OctetReader
}

/** What was read so far. Reading may go on later, from `position`. */
export class Recovery {
  readonly tables = new Tables()
  readonly retained: Retained[] = []
  /** The last message. */
  tail: Sealed | undefined
  /** As the last whole entry, or a claim, notes it. */
  floor = 1
  /** As the last entry has it; undefined when there is none. */
  state: EntryState | undefined
  position: Position = START
  #parts: Sealed[] = []
  /** False amid an entry whose first parts a purge has taken, and which nothing rests on therefore. */
  #isWhole = false
  #entries: Entry[] = []
  #notes: Notes = UNSUSPECTED
  #commits = 0
  /** The first message that is of another life. */
  #former: string | undefined

  constructor(
    private readonly incarnation: string,
    private readonly where: string,
  ) {}

  /** Takes the next record of the ledger. Throws an `IntegrityError` when it does not follow. */
  take(record: LogRecord): void {
    const where = `message at position ${record.position} of the ledger of ${this.where}`
    const message = unseal(record.payload, where)
    const { tail } = this
    if (message.incarnation !== this.incarnation) {
      if (tail !== undefined) throw ofAnotherLife(where)
      this.#former ??= where
      this.position = record.position
      return
    }
    if (tail !== undefined) {
      if (message.number !== tail.number + 1 || message.previous !== tail.hash || message.fence < tail.fence) {
        throw new ChainBroken(`${where} has number ${message.number} and does not follow number ${tail.number}`, {
          isGap: message.number > tail.number + 1,
        })
      }
    }
    const { number, hash } = message
    this.retained.push({ number, hash, position: record.position, bytes: record.bytes })
    this.tail = message
    this.position = record.position
    const { kind, part } = message
    this.#isWhole ||= part === 0
    const isPiece = kind === 'part' || kind === 'commit'
    if (this.#isWhole && isPiece && part !== this.#parts.length) {
      throw broken(`${where} is part ${part} of an entry, and follows ${this.#parts.length}`)
    }
    if (kind === 'part') {
      if (this.#isWhole) this.#parts.push(message)
      return
    }
    if (message.floor > this.floor) this.floor = message.floor
    if (kind === 'commit') this.#commits++
    else if (!isPiece) {
      this.#notes = decodeNotes(message.body, where)
      this.#commits = 0
    }
    // Parts that a claim follows are of an owner that did not live to write the last one.
    if (kind === 'commit' && this.#isWhole) this.#apply(message, record, where)
    this.#parts = []
  }

  /**
   * All that stands there by now was taken. What is of another life may stand before this one: a server that was killed has
   * brought back what a reset had purged. Throws an `IntegrityError` when there is nothing else.
   */
  atEnd(): void {
    if (this.#former !== undefined && this.tail === undefined) throw ofAnotherLife(this.#former)
  }

  /** How the last owner ended, as far as it can be seen. */
  get left(): Left {
    const how = this.tail === undefined ? 'new' : this.tail.kind === 'release' ? 'released' : 'cut off'
    return { notes: this.#notes, commits: this.#commits, how }
  }

  /** The outputs of entries of which one at least is not confirmed, oldest first. To be asked once, at the end. */
  outbox(): Outbox[] {
    const confirmed = new Map<string, number>()
    for (const { name, partitions } of this.state?.targets ?? []) {
      for (const target of partitions) confirmed.set(`${name}/${target.partition}`, target.confirmed)
    }
    const pending = ({ name }: TargetState, partition: number, number: number) =>
      number > (confirmed.get(`${name}/${partition}`) ?? Infinity)
    const found: Outbox[] = []
    for (const { number, hash, time, targets, rest } of this.#entries) {
      if (!targets.some(target => target.partitions.some(({ partition }) => pending(target, partition, Infinity)))) {
        continue
      }
      const outputs = readOutputs(rest)
      const next = targets.map(({ partitions }) => new Map(partitions.map(one => [one.partition, one.first])))
      const isPending = outputs.map(({ target, partition }) => {
        const numbers = next[target]
        const n = numbers?.get(partition)
        if (n === undefined) throw rest.fault('it has an output for a partition that it does not name')
        numbers?.set(partition, n + 1)
        return pending(targets[target] as TargetState, partition, n)
      })
      if (isPending.includes(true)) found.push({ number, hash, time, targets, outputs })
    }
    return found
  }

  #apply(message: Sealed, record: LogRecord, where: string): void {
    const parts = [...this.#parts, message]
    const body = parts.length === 1 ? message.body : Buffer.concat(parts.map(part => part.body))
    const from = bodyReader(body, where)
    this.state = readState(from)
    const { number } = parts[0] as Sealed
    this.tables.read(from, number)
    // No outputs are one byte, which says so.
    if (from.left > 1) {
      const { targets } = this.state
      this.#entries.push({ number, hash: message.hash, time: record.time, targets, rest: from })
    }
  }
}

/** A link of the chain is missing. It may have been purged, while we read or before. */
class ChainBroken extends IntegrityError {
  /** There are messages missing between two. */
  readonly isGap: boolean

  constructor(what: string, { isGap }: { readonly isGap: boolean }) {
    super('LOG_REWOUND', what, MEND)
    this.isGap = isGap
  }
}

const MEND =
  'the partition halts, for the log lost what it had acknowledged: restore the ledger, or begin anew by "stream-node reset"'
const RETRY_MS = 100

/**
 * Reads a ledger on to its end, as the leader has it. What stands before a gap counts for nothing when all before the gap's
 * end was let go: a server that was killed may have brought back some of what had been purged, or not ended a purge. An
 * owner may be at work and purge what we have not read: then it is read again from its start. Rejects with an
 * `IntegrityError` when a link is missing that was not let go.
 */
export async function readToEnd(
  stream: LogStream,
  partition: number,
  begun: Recovery,
  anew: () => Recovery,
  parts: { readonly clock: Clock; readonly signal: AbortSignal },
): Promise<Recovery> {
  let found = begun
  /** The first message of the reading that found the chain broken. */
  let brokenFrom = 0
  for (;;) {
    try {
      let gap: ChainBroken | undefined
      for await (const { records } of stream.read({ partition, after: found.position, untilEnd: true })) {
        for (const record of records) {
          try {
            found.take(record)
          } catch (error) {
            if (!(error instanceof ChainBroken) || !error.isGap) throw error
            gap = error
            found = anew()
            found.take(record)
          }
        }
      }
      found.atEnd()
      if (gap !== undefined && (found.retained[0]?.number ?? 0) > found.floor) throw gap
      return found
    } catch (error) {
      if (parts.signal.aborted) throw error
      if (error instanceof UnavailableError && error.code !== 'CLOSED') {
        await pause(parts.clock, RETRY_MS, parts.signal)
      } else if (error instanceof ChainBroken) {
        const first = found.retained[0]?.number ?? 0
        if (first <= brokenFrom) throw error
        brokenFrom = first
        found = anew()
      } else if (error instanceof IntegrityError && error.code === 'OVERRUN') found = anew()
      else throw error
    }
  }
}

function ofAnotherLife(where: string): IntegrityError {
  return broken(`${where} is of another life of the ledger than its witness vouches for`)
}

/** For what a ledger says that cannot be so unless the log lost something. */
export function broken(what: string): IntegrityError {
  return new IntegrityError('LOG_REWOUND', what, MEND)
}
