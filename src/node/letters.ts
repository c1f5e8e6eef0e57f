/**
 * How others on the same log ask the owner of a partition to retry or drop dead letters: every node hears the question, and
 * the one that holds the partition answers when all is committed.
 */
import type { LetterAnswer, LettersAsked } from '../actor/letters.js'
import type { Cancel, Chance, Clock } from '../clock.js'
import { boundedJson } from '../codec/bounded-json.js'
import { messageOf, UnavailableError } from '../errors.js'
import type { Ports } from '../log/ports.js'
import type { Listening, Signals } from '../log/signals.js'
import { brief, isAnswerSubject, listenInTime } from './questions.js'

/** Heard by every node: what is to become of which letters, and to which subject the answer goes. */
const ASK = '$SN.letters.ask'
const ANSWERS = '$SN.letters.answers'
/** After how long nobody else is thought to answer, when a node said that it cannot. */
const QUIET_MS = 500

/** Whose letters. */
export interface LettersPlace {
  readonly pipeline: string
  readonly stage: number
  readonly partition: number
}

interface Question extends LettersPlace, LettersAsked {
  readonly to: string
}

type Reply = { readonly answers: readonly LetterAnswer[] } | { readonly unable: string }

/** Undefined for a place that is not one's own; rejects when it is, and nothing can be done or not all was. */
export type ResolveLetters = (place: LettersPlace, asked: LettersAsked) => Promise<readonly LetterAnswer[]> | undefined

/** Answers all who ask on this log, until closed. */
export function answerLetters(signals: Signals, resolve: ResolveLetters): Promise<Listening> {
  return signals.subscribe(ASK, payload => {
    const question = questionIn(payload)
    if (question === undefined) return
    const { to } = question
    const reply = (text: Reply) => signals.publish(to, Buffer.from(JSON.stringify(text)))
    resolve(question, question)
      ?.then(
        answers => ({ answers: answers.map(shortened) }),
        (error: unknown) => ({ unable: brief(messageOf(error)) }),
      )
      .then(reply)
      // Whoever asked for more than one answer can hold asks again, as after a silence.
      .catch(() => {})
  })
}

function shortened({ why, ...answer }: LetterAnswer): LetterAnswer {
  return why === undefined ? answer : { ...answer, why: brief(why) }
}

/**
 * Asks the owner of a partition, and gives what became of each letter. Rejects with `ANSWERED_WITH_ERROR` when the owner
 * cannot, or ended before it was done, and with `TIMED_OUT` when nobody answers: then some may be resolved all the same,
 * and asking again tells which.
 */
export async function askForLetters(
  { log, signals }: Pick<Ports, 'log' | 'signals'>,
  { clock, chance, timeoutMs }: { readonly clock: Clock; readonly chance: Chance; readonly timeoutMs: number },
  { pipeline, stage, partition }: LettersPlace,
  { how, positions }: LettersAsked,
): Promise<readonly LetterAnswer[]> {
  const to = `${ANSWERS}.${chance.name()}`
  const where = `partition ${partition} of pipeline "${pipeline}"`
  const timers: Cancel[] = []
  let hear: (payload: Uint8Array) => void = () => {}
  const listens = signals.subscribe(to, payload => hear(payload))
  const listening = await listenInTime(listens, { description: log.description, clock, timeoutMs })
  try {
    return await new Promise((resolve, reject) => {
      const late = new UnavailableError(
        'TIMED_OUT',
        `the owner of ${where} on ${log.description} did not say within ${timeoutMs} ms that its letters are resolved`,
        'ask again, which does nothing twice, or raise --timeout',
      )
      timers.push(clock.after(timeoutMs, () => reject(late)))
      hear = payload => {
        const reply = replyIn(payload)
        if (reply === undefined) return
        if ('answers' in reply) return void resolve(reply.answers)
        const unable = new UnavailableError('ANSWERED_WITH_ERROR', `${where}: ${reply.unable}`, '')
        // One that was overtaken may say so, and its successor is at work.
        timers.push(clock.after(QUIET_MS, () => reject(unable)))
      }
      const question: Question = { to, pipeline, stage, partition, how, positions }
      signals.publish(ASK, Buffer.from(JSON.stringify(question)))
    })
  } finally {
    listening.close()
    for (const cancel of timers) cancel()
  }
}

function questionIn(payload: Uint8Array): Question | undefined {
  const found = objectIn(payload)
  if (found === undefined) return undefined
  const { to, pipeline, stage, partition, how, positions } = found
  const counts: unknown[] = [stage, partition, ...(Array.isArray(positions) ? (positions as unknown[]) : [undefined])]
  const isOurs =
    isAnswerSubject(ANSWERS, to) &&
    typeof pipeline === 'string' &&
    (how === 'retried' || how === 'dropped') &&
    counts.every(count => Number.isSafeInteger(count))
  return isOurs ? (found as unknown as Question) : undefined
}

function replyIn(payload: Uint8Array): Reply | undefined {
  const found = objectIn(payload)
  if (found === undefined) return undefined
  if (typeof found['unable'] === 'string') return { unable: found['unable'] }
  const { answers } = found
  if (!Array.isArray(answers) || !answers.every(isAnswer)) return undefined
  return { answers }
}

const BECAME: readonly unknown[] = [
  'retried',
  'dropped',
  'failed',
  'already',
  'refused',
] satisfies LetterAnswer['became'][]

function isAnswer(found: unknown): found is LetterAnswer {
  if (typeof found !== 'object' || found === null) return false
  const { position, became, why } = found as Record<string, unknown>
  return Number.isSafeInteger(position) && BECAME.includes(became) && (why === undefined || typeof why === 'string')
}

function objectIn(payload: Uint8Array): Readonly<Record<string, unknown>> | undefined {
  try {
    const found: unknown = boundedJson(payload)
    return typeof found === 'object' && found !== null ? (found as Record<string, unknown>) : undefined
  } catch {
    return undefined
  }
}
