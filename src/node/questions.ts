/**
 * What all questions between the processes of one log keep to: where an answer may go, how long a text in it may be, and
 * how long whoever asks waits until it can hear one.
 */
import { pause, type Clock } from '../clock.js'
import { UnavailableError } from '../errors.js'
import type { Listening } from '../log/signals.js'

/** As many letters as people need of an error, so that hundreds of them go into one message. */
const TEXT_MAX = 1000
/** A server ends the link of whoever sends to a much longer subject. */
const NAME_MAX = 100

/** Whether an answer can be sent there: one word below `answers`, in which no log sees more than a name. */
export function isAnswerSubject(answers: string, to: unknown): to is string {
  if (typeof to !== 'string' || !to.startsWith(`${answers}.`)) return false
  const name = to.slice(answers.length + 1)
  return name.length <= NAME_MAX && /^[^\s.*>]+$/.test(name)
}

/** The beginning of a text, which code of the user may have made as long as it likes. */
export function brief(text: string): string {
  return text.length <= TEXT_MAX ? text : `${text.slice(0, TEXT_MAX - 3)}...`
}

/**
 * The listening, once it is there; `TIMED_OUT` when that takes longer: signals pass through one process of a folder, or the
 * server, and neither may be able to answer just now. What comes later is closed.
 */
export async function listenInTime(
  listens: Promise<Listening>,
  { description, clock, timeoutMs }: { description: string; clock: Clock; timeoutMs: number },
): Promise<Listening> {
  const late = new AbortController()
  const tooLate = pause(clock, timeoutMs, late.signal).then(() => undefined)
  try {
    const listening = await Promise.race([listens, tooLate])
    if (listening !== undefined) return listening
  } finally {
    late.abort()
  }
  listens.then(
    listening => listening.close(),
    () => {},
  )
  const what = `nobody on ${description} passed on the question for its nodes within ${timeoutMs} ms`
  const mend = 'ask again, or raise --timeout; a node there may be stuck in a step that does not end'
  throw new UnavailableError('TIMED_OUT', what, mend)
}
