/**
 * How records, tails and the entries of buckets lie in the store, byte by byte. A record is keyed by stream, partition
 * and position, so that a partition is one run of neighbours; a tail is what is known of a stream as a whole.
 */
import type { Entry, Revision } from '../bucket.js'
import { LogRecord } from '../record.js'
import type { Position } from '../record.js'
import { damaged } from './table.js'

/** Where a record lies. One object may be moved along; the store copies it at once. */
export class Place {
  constructor(
    public stream: number,
    public partition: number,
    public position: Position,
  ) {}
}

/** Above every position a stream can give. */
export const POSITION_MAX: Position = 2 ** 48 - 1

// Before head and payload: time (8 bytes), ordinal within the partition (8), length of the head (4).
const ORDINAL = 8
const HEAD_LENGTH = 16
const PREFIX = 20
const KEY = 12
const SLAB = 64 * 1024
const NOTHING = new Uint8Array(0)
const TWO_POW_32 = 2 ** 32

/** A large allocation that records are cut from. What lmdb looks for when it is handed one: the part to be stored. */
type Slab = Buffer & { start: number; end: number }

const newSlab = (length: number): Slab => Object.assign(Buffer.allocUnsafeSlow(length), { start: 0, end: 0 })

/** Bytes cut from one slab after the other, so that a record costs no allocation of its own. */
class Slabs {
  #slab = newSlab(SLAB)
  #at = 0

  /** A slab whose part from `start` to `end` is free to be filled. */
  take(length: number): Slab {
    if (length > SLAB / 4) return Object.assign(newSlab(length), { start: 0, end: length })
    if (this.#at + length > SLAB) {
      this.#slab = newSlab(SLAB)
      this.#at = 0
    }
    const slab = this.#slab
    slab.start = this.#at
    slab.end = this.#at += length
    return slab
  }
}

const slabs = new Slabs()

/** A record as it is stored, but for its time and ordinal, which are known only when its turn has come. */
export class Draft {
  readonly #slab: Slab
  readonly #start: number
  readonly #end: number

  constructor(head: Uint8Array, payload: Uint8Array) {
    const slab = slabs.take(PREFIX + head.length + payload.length)
    this.#slab = slab
    this.#start = slab.start
    this.#end = slab.end
    slab.writeUInt32LE(head.length, slab.start + HEAD_LENGTH)
    if (head.length > 0) slab.set(head, slab.start + PREFIX)
    slab.set(payload, slab.start + PREFIX + head.length)
  }

  /** Sets what was left open. */
  stamp(time: number, ordinal: number): this {
    this.#slab.writeDoubleLE(time, this.#start)
    this.#slab.writeDoubleLE(ordinal, this.#start + ORDINAL)
    return this
  }

  /** What the record weighs. */
  get weight(): number {
    return this.#end - this.#start - PREFIX
  }

  /** The bytes, for lmdb to take at once: the next draft may move the marks on. */
  bytes(): Buffer {
    this.#slab.start = this.#start
    this.#slab.end = this.#end
    return this.#slab
  }
}

/** A record, its count within its partition, and what it weighs though its payload may be left behind. */
export interface Stored {
  readonly record: LogRecord
  readonly ordinal: number
  readonly weight: number
}

/**
 * Keys and values of the records for lmdb, which calls it back for each entry: first with the key, then with the value.
 * Values are copied out of the store, for its pages are written anew once the transaction is over.
 */
export class RecordCodec {
  /** Payloads are left behind while this is set. */
  headersOnly = false
  #position = 0
  #partition = 0

  readonly writeKey = (place: Place, target: Buffer, start: number): number => {
    const { stream, partition, position } = place
    this.#position = position
    this.#partition = partition
    const high = Math.floor(position / TWO_POW_32)
    target[start] = stream >>> 24
    target[start + 1] = stream >>> 16
    target[start + 2] = stream >>> 8
    target[start + 3] = stream
    target[start + 4] = partition >>> 8
    target[start + 5] = partition
    target[start + 6] = high >>> 8
    target[start + 7] = high
    target[start + 8] = position >>> 24
    target[start + 9] = position >>> 16
    target[start + 10] = position >>> 8
    target[start + 11] = position
    return start + KEY
  }

  /** Nobody needs keys as such: what they say is in the record. */
  readonly readKey = (source: Buffer, start: number): undefined => {
    this.#partition = source.readUInt16BE(start + 4)
    this.#position = source.readUIntBE(start + 6, 6)
  }

  readonly encode = (draft: Draft): Buffer => draft.bytes()

  readonly decode = (source: Buffer, length: number | undefined): Stored => {
    const size = length ?? source.length
    if (size < PREFIX) throw damaged(`a record has ${size} bytes`)
    const headEnd = PREFIX + source.readUInt32LE(HEAD_LENGTH)
    if (headEnd > size) throw damaged(`a record of ${size} bytes claims headers up to byte ${headEnd}`)
    const end = this.headersOnly ? headEnd : size
    let head: Uint8Array = NOTHING
    let payload: Uint8Array = NOTHING
    if (end > PREFIX) {
      const slab = slabs.take(end - PREFIX)
      const { start } = slab
      source.copy(slab, start, PREFIX, end)
      const split = start + headEnd - PREFIX
      if (split > start) head = slab.subarray(start, split)
      if (end > headEnd) payload = slab.subarray(split, slab.end)
    }
    const record = new LogRecord(this.#partition, this.#position, source.readDoubleLE(0), head, payload)
    return { record, ordinal: source.readDoubleLE(ORDINAL), weight: size - PREFIX }
  }
}

/** What is known of a stream as a whole, rewritten with each change to it. */
export interface Tail {
  /** The last position ever given. */
  last: Position
  /** When the last record was taken; no later one is older. */
  time: number
  records: number
  bytes: number
  /** Counts the transactions that changed the stream: who has seen this number has seen everything. */
  edits: number
  /** Counts those of them that took records away. */
  cuts: number
}

const TAIL = ['last', 'time', 'records', 'bytes', 'edits', 'cuts'] as const satisfies readonly (keyof Tail)[]

export function encodeTail(tail: Tail): Buffer {
  const value = Buffer.allocUnsafeSlow(TAIL.length * 8)
  for (const [i, name] of TAIL.entries()) value.writeDoubleLE(tail[name], i * 8)
  return value
}

/** Throws `BAD_LOG` for bytes that are no tail. */
export function decodeTail(value: Buffer): Tail {
  if (value.length !== TAIL.length * 8) throw damaged(`a tail has ${value.length} bytes`)
  const at = (i: number) => value.readDoubleLE(i * 8)
  return { last: at(0), time: at(1), records: at(2), bytes: at(3), edits: at(4), cuts: at(5) }
}

export const freshTail = (): Tail => ({ last: 0, time: 0, records: 0, bytes: 0, edits: 0, cuts: 0 })

// Revision (8 bytes), time (8), and whether the entry is only the trace of a deletion (1).
const ENTRY_PREFIX = 17

export function encodeEntry(revision: Revision, time: number, value: Uint8Array | undefined): Buffer {
  const stored = Buffer.allocUnsafeSlow(ENTRY_PREFIX + (value?.length ?? 0))
  stored.writeDoubleLE(revision, 0)
  stored.writeDoubleLE(time, 8)
  stored.writeUInt8(value === undefined ? 1 : 0, 16)
  if (value !== undefined) stored.set(value, ENTRY_PREFIX)
  return stored
}

/** Throws `BAD_LOG` for bytes that are no entry. */
export function decodeEntry(key: string, stored: Uint8Array | undefined): Entry | undefined {
  if (stored === undefined) return undefined
  if (stored.length < ENTRY_PREFIX) throw damaged(`an entry of a bucket has ${stored.length} bytes`)
  const view = new DataView(stored.buffer, stored.byteOffset, stored.byteLength)
  const value = stored[16] === 1 ? undefined : stored.subarray(ENTRY_PREFIX)
  return { key, value, revision: view.getFloat64(0, true), time: view.getFloat64(8, true) }
}
