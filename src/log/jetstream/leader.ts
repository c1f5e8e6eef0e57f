/** What the leader says of a stream: how it stands, and which message is the last under a subject. */
import type { StreamInfo } from '@nats-io/jetstream'
import { pause } from '../../clock.js'
import { UnavailableError } from '../../errors.js'
import { LogRecord } from '../record.js'
import { codeOf, NO_MESSAGE, NO_STREAM } from './api-error.js'
import type { Link } from './link.js'
import { recreated } from './reader.js'

/** What the server tells as time of creation of a stream that it is about to make for somebody else. */
const NOT_YET = '0001-01-01T00:00:00Z'
const NOT_YET_PAUSE_MS = 5

/** A stream as it stands, or undefined when there is none. One that is just being made is waited for. */
export async function infoOf(link: Link, name: string, what: string): Promise<StreamInfo | undefined> {
  const deadline = link.tools.clock.elapsed() + link.timeoutMs
  for (;;) {
    const info = await link.call(what, jsm =>
      jsm.streams.info(name).catch((error: unknown) => {
        if (codeOf(error) === NO_STREAM) return undefined
        throw error
      }),
    )
    if (info === undefined || isMade(info)) return info
    if (link.tools.clock.elapsed() > deadline) {
      const told = `could not ${what}: the server has been making it for ${link.timeoutMs} ms`
      throw new UnavailableError('TIMED_OUT', told, 'try again')
    }
    await pause(link.tools.clock, NOT_YET_PAUSE_MS)
  }
}

/** Whether the server has made it: only then it has a time of creation, which tells it from another of its name. */
export function isMade(info: StreamInfo): boolean {
  return info.created !== NOT_YET
}

/** A message as the API gives it. */
export interface StoredMessage {
  readonly subject: string
  readonly seq: number
  readonly hdrs?: string
  readonly data?: string
  readonly time: string
}

/** The last message of a subject, asked of the leader: never a direct get, which any replica may answer. */
export async function lastOf(link: Link, stream: string, subject: string): Promise<StoredMessage | undefined> {
  const what = `read the last record of "${subject}"`
  const answer = await link.call(what, async () => {
    const answer = await getMessage(link, stream, { last_by_subj: subject })
    const { error } = answer
    if (error === undefined) return answer
    if (error.err_code === NO_MESSAGE) {
      return mayForget(link) ? { message: await findForgotten(link, stream, subject) } : {}
    }
    if (error.err_code === NO_STREAM) throw recreated(stream, { stream }, true)
    throw new UnavailableError(
      'DISCONNECTED',
      `could not ${what}: ${error.description ?? error.code}`,
      'it is tried again',
    )
  })
  return answer.message
}

interface Got {
  readonly message?: StoredMessage
  readonly error?: { readonly code: number; readonly err_code?: number; readonly description?: string }
}

/** One message comes whole, and many readers ask at once after a lost link, so each waits its turn. */
function getMessage(link: Link, stream: string, which: object): Promise<Got> {
  return link.pulls.whole(link.payloadMax, () => link.ask<Got>(`STREAM.MSG.GET.${stream}`, which))
}

/** A message as a record of a partition. */
export function recordOf(message: StoredMessage, partition: number): LogRecord {
  const head = Buffer.from(message.hdrs ?? '', 'base64')
  const data = Buffer.from(message.data ?? '', 'base64')
  return new LogRecord(partition, message.seq, Date.parse(message.time), head, data)
}

/**
 * True where "there is no last record" may be untrue: nats-server 2.9 stores a record above the account's limit, takes it
 * back, and from then on knows of no last one under that subject, though all before it are there.
 */
function mayForget(link: Link): boolean {
  return /^2\.9\./.test(link.version)
}

/** The last record of a subject when some are there, found by asking for the next one after ever higher positions. */
async function findForgotten(link: Link, stream: string, subject: string): Promise<StoredMessage | undefined> {
  const { state } = await link.ask<{ state?: State }>(`STREAM.INFO.${stream}`, { subjects_filter: subject })
  if (state?.subjects === undefined) return undefined
  let found: StoredMessage | undefined
  let [from, to] = [state.first_seq, state.last_seq]
  while (from <= to) {
    const middle = Math.floor((from + to) / 2)
    const { message } = await getMessage(link, stream, { seq: middle, next_by_subj: subject })
    if (message === undefined) to = middle - 1
    else {
      found = message
      from = message.seq + 1
    }
  }
  return found
}

interface State {
  readonly first_seq: number
  readonly last_seq: number
  /** How many records each subject has. */
  readonly subjects?: Readonly<Record<string, number>>
}
