/** What a node answers to who asks how it stands, piece by piece, to bytes and back. Whoever reads it trusts nothing. */
import { boundedJson } from '../codec/bounded-json.js'
import { UnavailableError } from '../errors.js'
import { redact } from '../log/jetstream/servers.js'
import type { NodeStatus } from './status.js'

/** So that an answer stays well below the largest message of any server. */
const PARTITIONS_PER_ANSWER = 500

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
  const answers: Uint8Array[] = []
  for (let from = 0; from === 0 || from < partitions.length; from += PARTITIONS_PER_ANSWER) {
    const to = from + PARTITIONS_PER_ANSWER
    const status: NodeStatus = { ...node, partitions: partitions.slice(from, to) }
    const answer: Answer = { id, status, more: to < partitions.length }
    answers.push(Buffer.from(JSON.stringify(answer, withoutSecrets)))
  }
  return answers
}

/** What code of the user threw stands in it, and may hold anything. */
function withoutSecrets(_: string, value: unknown): unknown {
  return typeof value === 'string' ? redact(value) : value
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
