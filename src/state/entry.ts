/**
 * What one commit makes durable, in bytes: how far its inputs were read, how far its outputs are known to be out, what
 * changed in the tables, and the outputs themselves.
 */
import type { OctetWriter } from '../codec/octets.js'
import { OctetReader } from '../codec/octets.js'
import { IntegrityError } from '../errors.js'
import type { Position } from '../log/record.js'
import type { Key } from '../stream/key.js'

/** How far one input was read. */
export interface InputState {
  readonly stream: string
  /** Of the stream, so that one made anew under its name is noticed. */
  readonly incarnation: string
  /** All records at or below it are done with. */
  readonly position: Position
  /** The highest position of a record done with that was no output of ours. */
  readonly foreignAfter: Position
  /** Everything since the stream's very first record was read. */
  readonly fromStart: boolean
  /** The latest event time seen; -Infinity before the first. */
  readonly time: number
  /** A record at or below `position`, to know the stream by; undefined before the first. */
  readonly mark: { readonly position: Position; readonly hash: string } | undefined
}

/** How far the outputs to one target are out. */
export interface TargetState {
  /** Of the stream, or what `targetName` makes of that of a sink. */
  readonly name: string
  /** Of the stream; a sink has none. */
  readonly incarnation: string
  /** Every output that is not confirmed stands above this position of the stream, if it is stored at all. */
  readonly floor: Position
  /** Partitions with outputs that were not confirmed, or that this entry adds to. Of all others all are confirmed. */
  readonly partitions: readonly TargetPartition[]
}

export interface TargetPartition {
  readonly partition: number
  /** All outputs with numbers up to it are acknowledged. */
  readonly confirmed: number
  /** The number of the first output that this entry adds. */
  readonly first: number
}

/** An output as it stands in an entry; key and time only where a reader could not derive them. */
export interface EntryOutput {
  /** Which of the entry's targets. */
  readonly target: number
  readonly partition: number
  readonly key: Key | undefined
  readonly time: number | undefined
  readonly payload: Uint8Array
}

/** The parts of an entry that stand beside the changes of tables. */
export interface EntryState {
  readonly inputs: readonly InputState[]
  readonly targets: readonly TargetState[]
}

const KEY = 1
const TIME = 2
const MARK_BYTES = 8

/** Writes the first part of a body. The changes of the tables come after it, and then the outputs. */
export function writeState(out: OctetWriter, { inputs, targets }: EntryState): void {
  out.varint(inputs.length)
  for (const { stream, incarnation, position, foreignAfter, fromStart, time, mark } of inputs) {
    out.text(stream)
    out.text(incarnation)
    out.varint(position)
    out.varint(foreignAfter)
    out.byte(fromStart ? 1 : 0)
    out.double(time)
    out.varint(mark === undefined ? 0 : mark.position)
    if (mark !== undefined) out.raw(Buffer.from(mark.hash, 'hex'))
  }
  out.varint(targets.length)
  for (const { name, incarnation, floor, partitions } of targets) {
    out.text(name)
    out.text(incarnation)
    out.varint(floor)
    out.varint(partitions.length)
    for (const { partition, confirmed, first } of partitions) {
      out.varint(partition)
      out.varint(confirmed)
      out.varint(first)
    }
  }
}

export function readState(from: OctetReader): EntryState {
  const inputs: InputState[] = []
  for (let count = from.varint(); count > 0; count--) {
    const stream = from.text(from.varint())
    const incarnation = from.text(from.varint())
    const position = from.varint()
    const foreignAfter = from.varint()
    const fromStart = from.byte() === 1
    const time = from.double()
    const at = from.varint()
    const mark = at === 0 ? undefined : { position: at, hash: from.bytes(MARK_BYTES).toString('hex') }
    inputs.push({ stream, incarnation, position, foreignAfter, fromStart, time, mark })
  }
  const targets: TargetState[] = []
  for (let count = from.varint(); count > 0; count--) {
    const name = from.text(from.varint())
    const incarnation = from.text(from.varint())
    const floor = from.varint()
    const partitions: TargetPartition[] = []
    for (let left = from.varint(); left > 0; left--) {
      partitions.push({ partition: from.varint(), confirmed: from.varint(), first: from.varint() })
    }
    targets.push({ name, incarnation, floor, partitions })
  }
  return { inputs, targets }
}

/** Writes the last part of a body. */
export function writeOutputs(out: OctetWriter, outputs: readonly EntryOutput[]): void {
  out.varint(outputs.length)
  for (const { target, partition, key, time, payload } of outputs) {
    out.varint(target)
    out.varint(partition)
    out.byte((key === undefined ? 0 : KEY) | (time === undefined ? 0 : TIME))
    if (key !== undefined) out.text(key)
    if (time !== undefined) out.signed(time)
    out.bytes(payload)
  }
}

/** The outputs of a body; their payloads are views into it. */
export function readOutputs(from: OctetReader): EntryOutput[] {
  const outputs: EntryOutput[] = []
  for (let left = from.varint(); left > 0; left--) {
    const target = from.varint()
    const partition = from.varint()
    const flags = from.byte()
    const key = flags & KEY ? from.text(from.varint()) : undefined
    const time = flags & TIME ? from.signed() : undefined
    outputs.push({ target, partition, key, time, payload: from.bytes(from.varint()) })
  }
  return outputs
}

/** Reads a body. `where` is the entry, for the error when it is not what was written. */
export function bodyReader(body: Uint8Array, where: string): OctetReader {
  return new OctetReader(body, what => {
    return new IntegrityError('BAD_LOG', `${where} cannot be read: ${what}`, 'the partition halts: this needs a person')
  })
}
