/**
 * What a node says of itself, and how others on the same log ask for it: over signals, of all nodes there are. The
 * subjects begin with a word that no stream can have, so that no stream takes them for records.
 */
import type { PartitionStatus } from '../actor/status.js'
import type { Chance, Clock } from '../clock.js'
import { StreamNodeError, UnavailableError } from '../errors.js'
import type { Ports } from '../log/ports.js'
import type { Listening, Signals } from '../log/signals.js'
import { decodeAnswer, encodeAnswers } from './answer.js'
import { isAnswerSubject, listenInTime } from './questions.js'

/** What a node says of itself. */
export interface NodeStatus {
  readonly name: string
  readonly pid: number
  /** Since when it runs, ms since 1970. */
  readonly since: number
  /** What it runs on, as it is called there. */
  readonly log: string
  readonly partitions: readonly PartitionStatus[]
}

/** Serves requests; says which node is there. */
const PROBE = '$SN.status'
/** Heard by every node: asks for its status, to be sent to the subject in the payload. */
const ASK = '$SN.status.ask'
const ANSWERS = '$SN.status.answers'

/** Answers all who ask on this log, until closed. */
export async function answerStatus(signals: Signals, id: string, status: () => NodeStatus): Promise<Listening> {
  const probed = await signals.serve(PROBE, () => Buffer.from(id))
  const asked = await signals.subscribe(ASK, payload => {
    const to = Buffer.from(payload).toString()
    if (!isAnswerSubject(ANSWERS, to)) return
    for (const answer of encodeAnswers(id, status())) signals.publish(to, answer)
  })
  return {
    close() {
      probed.close()
      asked.close()
    },
  }
}

/** After how long a silence nobody else is thought to answer. */
const QUIET_MS = 250

/**
 * The status of every node that runs on this log. Rejects with `NOBODY_THERE` when none does, with `TIMED_OUT` when one
 * that is there does not answer in time.
 */
export async function statusOfNodes(
  { log, signals }: Pick<Ports, 'log' | 'signals'>,
  { clock, chance, timeoutMs }: { readonly clock: Clock; readonly chance: Chance; readonly timeoutMs: number },
): Promise<readonly NodeStatus[]> {
  const answersTo = `${ANSWERS}.${chance.name()}`
  const gathered = new Map<string, { status: NodeStatus; more: boolean }>()
  let heard = () => {}
  let unreadable: Error | undefined
  const listens = signals.subscribe(answersTo, payload => {
    let answer
    try {
      answer = decodeAnswer(payload)
    } catch (fault) {
      // The others are heard all the same.
      unreadable = fault as Error
      return
    }
    const { id, status, more } = answer
    const before = gathered.get(id)?.status.partitions ?? []
    gathered.set(id, { status: { ...status, partitions: [...before, ...status.partitions] }, more })
    heard()
  })
  const listening = await listenInTime(listens, { description: log.description, clock, timeoutMs })
  try {
    const there = await probe(signals, log.description, timeoutMs)
    const complete = () => gathered.has(there) && ![...gathered.values()].some(({ more }) => more)
    signals.publish(ASK, Buffer.from(answersTo))
    await new Promise<void>((resolve, reject) => {
      const giveUp = clock.after(timeoutMs, () => {
        const what = `a node is there on ${log.description}, but did not say how it stands within ${timeoutMs} ms`
        if (unreadable !== undefined) return reject(unreadable)
        reject(new UnavailableError('TIMED_OUT', what, 'ask again, or raise --timeout; it may be very busy'))
      })
      let quiet = () => {}
      heard = () => {
        quiet()
        if (!complete()) return
        quiet = clock.after(QUIET_MS, () => {
          giveUp()
          resolve()
        })
      }
    })
  } finally {
    listening.close()
  }
  return [...gathered.values()].map(({ status }) => status).sort((a, b) => (a.name < b.name ? -1 : 1))
}

async function probe(signals: Signals, log: string, timeoutMs: number): Promise<string> {
  try {
    return Buffer.from(await signals.request(PROBE, new Uint8Array(0), { timeoutMs })).toString()
  } catch (error) {
    if (!(error instanceof StreamNodeError) || error.code !== 'NOBODY_THERE') throw error
    const mend = 'start one by "stream-node run", or name the log that it runs on'
    throw new UnavailableError('NOBODY_THERE', `no node runs on ${log}`, mend, { cause: error })
  }
}
