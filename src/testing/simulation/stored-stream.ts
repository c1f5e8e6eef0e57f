/**
 * A stream as the simulated server keeps it: every rule of `log/log.ts` about what is stored, refused or a repeat, at
 * the moment when a request arrives. Nothing here waits or gets lost.
 */
import { DefinitionError, FencedError, IntegrityError, UnavailableError } from '../../errors.js'
import type { Ending, Refused, StreamSpec } from '../../log/log.js'
import { LogRecord } from '../../log/record.js'
import type { Position } from '../../log/record.js'
import type { SimChance } from './chance.js'

/** An append as it arrives. */
export interface Arriving {
  readonly partition: number
  readonly id: string | undefined
  readonly expect: Position | undefined
  readonly head: Uint8Array
  readonly payload: Uint8Array
}

/** What the server may do that a good one does not. */
export interface Quirks {
  /** For so many ms an expectation is not held against what others have just written, as on replicated 2.9 servers. */
  blindMs: number
}

interface Noted {
  readonly position: Position
  readonly time: number
}

export class StoredStream {
  /** In the order of their positions. */
  records: LogRecord[] = []
  last: Position = 0
  dropped = false
  /** Nothing can be stored while this is set. */
  full = false
  /** Nobody leads it: requests get no answer. */
  away = false
  /** By partition: the highest position that retention or a purge has taken. */
  readonly gone: Position[]
  readonly #ends: (LogRecord | undefined)[]
  readonly #ids = new Map<string, Noted>()
  readonly #before: { readonly end: Position; readonly until: number }[][]
  readonly #waiting = new Set<() => void>()
  /** What was purged and not forgotten yet, in the order of the positions of each purge. */
  #purged: LogRecord[] = []
  #bytes = 0
  #time = 0

  constructor(
    readonly spec: StreamSpec,
    readonly incarnation: string,
    readonly now: () => number,
    readonly quirks: Quirks,
  ) {
    const { partitions } = spec
    this.gone = new Array<Position>(partitions).fill(0)
    this.#ends = new Array<LogRecord | undefined>(partitions).fill(undefined)
    this.#before = Array.from({ length: partitions }, () => [])
  }

  append({ partition, id, expect, head, payload }: Arriving): Ending {
    const { name } = this.spec
    if (this.dropped) {
      const what = `stream "${name}" was deleted since it was opened`
      return refused('denied', new DefinitionError('NO_SUCH_STREAM', what, 'open it again'))
    }
    this.#time = Math.max(this.#time, Math.floor(this.now()))
    const known = id === undefined ? undefined : this.#find(id)
    if (known !== undefined) return { ending: 'stored', position: known, repeat: true }
    const last = this.#ends[partition]
    if (expect !== undefined) {
      if (last !== undefined && last.id === id) return { ending: 'stored', position: last.position, repeat: true }
      const end = last?.position ?? 0
      if (expect !== end && !this.#isBlindTo(partition, expect)) {
        return refused(
          'expected',
          new FencedError(`partition ${partition} of stream "${name}" ends at ${end}, not at ${expect}`),
        )
      }
    }
    if (this.full) return refused('full', new UnavailableError('LOG_FULL', `stream "${name}" is full`, 'free space'))
    if (this.quirks.blindMs > 0) {
      this.#before[partition]!.push({ end: last?.position ?? 0, until: this.now() + this.quirks.blindMs })
    }
    const record = new LogRecord(partition, ++this.last, this.#time, head, payload)
    this.records.push(record)
    this.#ends[partition] = record
    this.#bytes += record.bytes
    if (id !== undefined) this.#ids.set(id, { position: record.position, time: this.#time })
    this.retain()
    this.changed()
    return { ending: 'stored', position: record.position, repeat: false }
  }

  #isBlindTo(partition: number, expect: Position): boolean {
    const before = this.#before[partition]!
    while (before.length > 0 && before[0]!.until <= this.now()) before.shift()
    return before.some(one => one.end === expect)
  }

  #find(id: string): Position | undefined {
    const oldest = this.now() - this.spec.dedupWindowMs
    for (const [old, { time }] of this.#ids) {
      if (time > oldest) break
      this.#ids.delete(old)
    }
    return this.#ids.get(id)?.position
  }

  /** The last record of a partition, undefined when there is none. */
  end(partition: number): LogRecord | undefined {
    this.retain()
    return this.#ends[partition]
  }

  /** The first position still there. */
  get first(): Position {
    this.retain()
    return this.records[0]?.position ?? this.last + 1
  }

  /** Where the first record after a position stands among the records. */
  indexAfter(position: Position): number {
    let [low, high] = [0, this.records.length]
    while (low < high) {
      const middle = (low + high) >> 1
      if (this.records[middle]!.position <= position) low = middle + 1
      else high = middle
    }
    return low
  }

  purge(partition: number, before: Position): void {
    this.#purged.push(...this.#take(one => one.partition === partition && one.position < before))
  }

  /** A server that was killed may not have kept in mind what was purged: some of it is there again. */
  revive(chance: SimChance): number {
    const from = chance.whole(this.#purged.length)
    const back = this.#purged.slice(from, from + 1 + chance.whole(6))
    this.#purged = []
    for (const one of back) {
      this.records.splice(this.indexAfter(one.position), 0, one)
      this.#bytes += one.bytes
      if ((this.#ends[one.partition]?.position ?? 0) < one.position) this.#ends[one.partition] = one
    }
    return back.length
  }

  /** Drops what retention does not keep. */
  retain(): void {
    const { ageMs, bytes = Infinity, records = Infinity } = this.spec.retention
    const youngest = ageMs === undefined ? -Infinity : this.now() - ageMs
    let count = this.records.length
    let left = this.#bytes
    let drop = 0
    for (; drop < this.records.length; drop++) {
      const oldest = this.records[drop]!
      if (count <= records && left <= bytes && oldest.time >= youngest) break
      count--
      left -= oldest.bytes
    }
    if (drop === 0) return
    const until = this.records[drop - 1]!.position
    this.#take(one => one.position <= until)
  }

  #take(goes: (record: LogRecord) => boolean): readonly LogRecord[] {
    const [kept, taken]: [LogRecord[], LogRecord[]] = [[], []]
    for (const one of this.records) {
      if (!goes(one)) {
        kept.push(one)
        continue
      }
      taken.push(one)
      this.#bytes -= one.bytes
      this.gone[one.partition] = Math.max(this.gone[one.partition]!, one.position)
      if (this.#ends[one.partition] === one) this.#ends[one.partition] = undefined
    }
    if (taken.length > 0) {
      this.records = kept
      this.changed()
    }
    return taken
  }

  /** A server that starts knows only the ids of records that are still there. */
  restart(): void {
    this.#ids.clear()
    const oldest = this.now() - this.spec.dedupWindowMs
    for (const { id, position, time } of this.records) {
      if (id !== undefined && time > oldest) this.#ids.set(id, { position, time })
    }
  }

  /** Amnesia: the last `count` records of a partition, and all of others that came after them, never were. */
  forget(partition: number, count: number): number {
    const own = this.records.filter(one => one.partition === partition).slice(-count)
    const from = own[0]?.position
    if (from === undefined) return 0
    const lost = this.records.length - this.indexAfter(from - 1)
    this.records = this.records.slice(0, this.indexAfter(from - 1))
    this.last = from - 1
    this.#bytes = this.records.reduce((sum, one) => sum + one.bytes, 0)
    this.#ends.fill(undefined)
    for (const one of this.records) this.#ends[one.partition] = one
    this.restart()
    this.changed()
    return lost
  }

  /** Damage: another payload where this one stood. */
  damage(position: Position, change: (payload: Uint8Array) => Uint8Array): void {
    const at = this.indexAfter(position - 1)
    const old = this.records[at]!
    const bad = new LogRecord(old.partition, old.position, old.time, old.head, change(old.payload))
    this.records[at] = bad
    if (this.#ends[old.partition] === old) this.#ends[old.partition] = bad
  }

  /** Damage: a record is gone from amid the others, and nothing says so. */
  lose(position: Position): void {
    const [lost] = this.records.splice(this.indexAfter(position - 1), 1)
    this.#bytes -= lost?.bytes ?? 0
  }

  /** Calls `then` once, at the next change. */
  onChange(then: () => void): () => void {
    this.#waiting.add(then)
    return () => this.#waiting.delete(then)
  }

  changed(): void {
    const waiting = [...this.#waiting]
    this.#waiting.clear()
    for (const then of waiting) then()
  }
}

export function refused(why: Refused['why'], error: Refused['error']): Refused {
  return { ending: 'refused', why, error }
}

export function recreated(stream: string): IntegrityError {
  const what = `stream "${stream}" was deleted or made anew since it was opened`
  return new IntegrityError(
    'STREAM_RECREATED',
    what,
    'open it again, and decide whether what was derived from it holds',
  )
}
