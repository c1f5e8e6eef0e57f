/** What a node answers to who asks how it stands, piece by piece, to bytes and back. Whoever reads it trusts nothing. */
import type { PartitionStatus } from '../actor/status.js'
import { boundedJson } from '../codec/bounded-json.js'
import { UnavailableError } from '../errors.js'
import { redact } from '../log/jetstream/servers.js'
import { brief } from './questions.js'
import type { NodeStatus } from './status.js'

/** So that a piece stays well below the largest message of any server. */
const PIECE_BYTES = 64 * 1024

/** One piece of a node's answer. */
export interface Answer {
  /** Drawn at random when the node began: two nodes may have one name. */
  readonly id: string
  readonly status: NodeStatus
  /** More pieces follow. */
  readonly more: boolean
}

/** The pieces of an answer, in bytes; one at the least. */
export function encodeAnswers(id: string, { partitions, ...node }: NodeStatus): Uint8Array[] {
  const pieces = piecesOf(partitions)
  return pieces.map((some, at) => {
    const answer: Answer = { id, status: { ...node, partitions: some }, more: at < pieces.length - 1 }
    return bytesOf(answer)
  })
}

function piecesOf(partitions: readonly PartitionStatus[]): PartitionStatus[][] {
  let piece: PartitionStatus[] = []
  let bytes = 0
  const pieces = [piece]
  for (const partition of partitions) {
    const { length } = bytesOf(partition)
    if (piece.length > 0 && bytes + length > PIECE_BYTES) {
      pieces.push((piece = []))
      bytes = 0
    }
    piece.push(partition)
    bytes += length
  }
  return pieces
}

function bytesOf(told: object): Uint8Array {
  return Buffer.from(JSON.stringify(told, fitToTell))
}

/** What code of the user threw stands in it: it may hold secrets, and be of any length. */
function fitToTell(_: string, value: unknown): unknown {
  return typeof value === 'string' ? brief(redact(value)) : value
}

/** Throws an `UnavailableError` for what no node of this release answers. */
export function decodeAnswer(payload: Uint8Array): Answer {
  let found: unknown
  try {
    found = boundedJson(payload)
  } catch (cause) {
    throw noAnswer(cause)
  }
  if (!isObject(found) || typeof found['id'] !== 'string' || !isStatus(found['status'])) throw noAnswer()
  return { id: found['id'], status: found['status'], more: found['more'] === true }
}

function isStatus(given: unknown): given is NodeStatus {
  if (!isObject(given)) return false
  const { name, pid, since, log, partitions } = given
  const named = typeof name === 'string' && typeof log === 'string' && Number.isSafeInteger(pid)
  // The bound is that of Date.
  const dated = typeof since === 'number' && Math.abs(since) <= 8.64e15
  return named && dated && Array.isArray(partitions) && partitions.every(isPartition)
}

const COUNTS = ['stage', 'partition', 'fence', 'number', 'outbox', 'rows', 'letters', 'restarts']

function isPartition(given: unknown): boolean {
  if (!isObject(given)) return false
  const { pipeline, state, positions, lag, error, lastError } = given
  const isTextOrAbsent = (text: unknown) => text === undefined || typeof text === 'string'
  const told = typeof pipeline === 'string' && typeof state === 'string' && [error, lastError].every(isTextOrAbsent)
  const placed = isObject(positions) && Object.values(positions).every(Number.isSafeInteger)
  return (
    told && placed && COUNTS.every(name => Number.isSafeInteger(given[name])) && (lag === undefined || isCount(lag))
  )
}

function isCount(given: unknown): boolean {
  return typeof given === 'number' && given >= 0
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function noAnswer(cause?: unknown): UnavailableError {
  const what = 'what a node, or somebody else, answered to the question how it stands cannot be read'
  return new UnavailableError('ANSWERED_WITH_ERROR', what, 'ask with the release that the nodes run', { cause })
}
