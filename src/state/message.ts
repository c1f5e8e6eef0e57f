/**
 * One message of a ledger in bytes: who wrote it under which fence, where it stands in the chain, and its own hash. It
 * is encoded once; what comes back is believed only when the hash fits.
 */
import { hash } from 'node:crypto'
import { OctetReader, OctetWriter } from '../codec/octets.js'
import { IntegrityError } from '../errors.js'

/** `mark`: what its owner tries next; `release`: it has ended, and its process lives. */
export type MessageKind = 'claim' | 'part' | 'commit' | 'mark' | 'release'

export interface LedgerMessage {
  readonly kind: MessageKind
  /** Drawn when the ledger was born; another one means another ledger. */
  readonly incarnation: string
  /** The epoch of the owner that wrote it. */
  readonly fence: number
  /** Drawn by each owner: two that claim under one fence are told apart. */
  readonly owner: string
  /** Counted over all messages of the ledger, from 1. */
  readonly number: number
  /** The hash of the message before; empty in the first. */
  readonly previous: string
  /** Which of the messages of its entry it is, from 0: the log may hold the last ones of an entry, and not the first. */
  readonly part: number
  /** Nothing rests on messages below this number. */
  readonly floor: number
  readonly body: Uint8Array
}

/** A message with the name that its bytes alone give it. */
export interface Sealed extends LedgerMessage {
  /** 32 hex digits over all its bytes. Equal means the same message. */
  readonly hash: string
}

/** What a message takes beside its body, at most, with the headers that the log adds. */
export const MESSAGE_OVERHEAD = 1024
const VERSION = 1
const KINDS: readonly MessageKind[] = ['claim', 'part', 'commit', 'mark', 'release']
const HASH_BYTES = 16

/** The bytes of a message, and its hash. */
export function seal(message: LedgerMessage): { readonly bytes: Uint8Array; readonly hash: string } {
  const out = new OctetWriter(message.body.length + 160)
  out.byte(VERSION)
  out.byte(KINDS.indexOf(message.kind))
  out.text(message.incarnation)
  out.varint(message.fence)
  out.text(message.owner)
  out.varint(message.number)
  out.bytes(Buffer.from(message.previous, 'hex'))
  out.varint(message.part)
  out.varint(message.floor)
  out.bytes(message.body)
  const digest = digestOf(out.done())
  out.raw(digest)
  return { bytes: out.done(), hash: digest.toString('hex') }
}

/**
 * The message that these bytes are. Throws an `IntegrityError` `BAD_LOG` for an unknown version and for bytes that are
 * not as they were written: torn, flipped, or none of ours. `where` says which they are.
 */
export function unseal(payload: Uint8Array, where: string): Sealed {
  const fault = (what: string) => badMessage(where, what)
  const from = new OctetReader(payload, fault)
  const version = from.byte()
  if (version !== VERSION) {
    throw badMessage(where, `it has version ${version}, and this release reads version ${VERSION}`)
  }
  const end = payload.length - HASH_BYTES
  if (end < 1) throw fault('it ends too early')
  const digest = digestOf(payload.subarray(0, end))
  if (Buffer.compare(digest, payload.subarray(end)) !== 0) throw fault('its bytes are not those that were written')
  const kind = KINDS[from.byte()]
  if (kind === undefined) throw fault('its kind is unknown')
  const incarnation = from.text(from.varint())
  const fence = from.varint()
  const owner = from.text(from.varint())
  const number = from.varint()
  const previous = from.bytes(from.varint()).toString('hex')
  const part = from.varint()
  const floor = from.varint()
  const body = from.bytes(from.varint())
  return { kind, incarnation, fence, owner, number, previous, part, floor, body, hash: digest.toString('hex') }
}

function digestOf(bytes: Uint8Array): Buffer {
  return hash('sha256', bytes, 'buffer').subarray(0, HASH_BYTES)
}

function badMessage(where: string, what: string): IntegrityError {
  const mend =
    'the partition halts: restore the ledger, upgrade to the release that wrote it, or begin anew by "stream-node reset"'
  return new IntegrityError('BAD_LOG', `${where} cannot be believed: ${what}`, mend)
}
