/**
 * Finds the last record of a subject that the server has forgotten: nats-server 2.9 stores a record above the account's
 * limit, takes it back, and from then on knows of no last one under that subject, though all before it are there.
 */
import type { Link } from './link.js'
import type { StoredMessage } from './stream.js'

/** True where "there is no last record" may be untrue. */
export function mayForget(link: Link): boolean {
  return /^2\.9\./.test(link.version)
}

/** The last record of a subject when some are there, found by asking for the next one after ever higher positions. */
export async function findForgotten(link: Link, stream: string, subject: string): Promise<StoredMessage | undefined> {
  const { state } = await link.ask<{ state?: State }>(`STREAM.INFO.${stream}`, { subjects_filter: subject })
  if (state?.subjects === undefined) return undefined
  let found: StoredMessage | undefined
  let [from, to] = [state.first_seq, state.last_seq]
  while (from <= to) {
    const middle = Math.floor((from + to) / 2)
    const question = { seq: middle, next_by_subj: subject }
    const { message } = await link.ask<{ message?: StoredMessage }>(`STREAM.MSG.GET.${stream}`, question)
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
