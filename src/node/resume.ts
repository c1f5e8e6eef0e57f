/**
 * How others on the same log let paused partitions go on: every node hears the question, and each that had some of them
 * paused says how many.
 */
import type { Chance, Clock } from '../clock.js'
import { boundedJson } from '../codec/bounded-json.js'
import { DefinitionError, UnavailableError } from '../errors.js'
import type { Ports } from '../log/ports.js'
import type { Listening, Signals } from '../log/signals.js'
import { isAnswerSubject } from './questions.js'
import { statusOfNodes } from './status.js'

/** Heard by every node: what is to go on, and to which subject the answer goes. */
const ASK = '$SN.resume.ask'
const ANSWERS = '$SN.resume.answers'

/** What is to go on: one partition of a pipeline, or all. */
export interface Meant {
  readonly pipeline: string
  readonly partition?: number | undefined
}

interface Question extends Meant {
  readonly to: string
}

/** Lets what is meant go on, and says how many partitions were paused. */
export type Resume = (pipeline: string, partition: number | undefined) => number

/** Answers all who ask on this log, until closed. */
export function answerResume(signals: Signals, resume: Resume): Promise<Listening> {
  return signals.subscribe(ASK, payload => {
    const question = questionIn(payload)
    if (question === undefined) return
    const { to, pipeline, partition } = question
    const resumed = resume(pipeline, partition)
    if (resumed > 0) signals.publish(to, Buffer.from(JSON.stringify({ resumed })))
  })
}

/**
 * Lets the paused partitions of a pipeline go on, on whichever nodes they are, and gives how many those were. Rejects with
 * `NOBODY_THERE` when no node runs what is meant, with `NOT_PAUSED` when nothing of it is paused, and with `TIMED_OUT` when
 * a node does not answer in time.
 */
export async function askToResume(
  { log, signals }: Pick<Ports, 'log' | 'signals'>,
  { clock, chance, timeoutMs }: { readonly clock: Clock; readonly chance: Chance; readonly timeoutMs: number },
  meant: Meant,
): Promise<number> {
  const due = await pausedOf({ log, signals }, { clock, chance, timeoutMs }, meant)
  const to = `${ANSWERS}.${chance.name()}`
  let resumed = 0
  let done = () => {}
  const listening = await signals.subscribe(to, payload => {
    resumed += resumedIn(payload)
    if (resumed >= due) done()
  })
  try {
    const { pipeline, partition } = meant
    await new Promise<void>((resolve, reject) => {
      const giveUp = clock.after(timeoutMs, () => {
        const what = `${resumed} of ${due} paused partitions of ${named(meant)} were resumed within ${timeoutMs} ms`
        reject(new UnavailableError('TIMED_OUT', what, 'see "stream-node status", and ask again'))
      })
      done = () => {
        giveUp()
        resolve()
      }
      signals.publish(ASK, Buffer.from(JSON.stringify({ to, pipeline, partition } satisfies Question)))
    })
  } finally {
    listening.close()
  }
  return resumed
}

/** How many partitions of what is meant are paused. */
async function pausedOf(
  ports: Pick<Ports, 'log' | 'signals'>,
  asking: { readonly clock: Clock; readonly chance: Chance; readonly timeoutMs: number },
  meant: Meant,
): Promise<number> {
  const nodes = await statusOfNodes(ports, asking)
  const all = nodes.flatMap(({ partitions }) => partitions)
  const { pipeline, partition } = meant
  const found = all.filter(at => at.pipeline === pipeline && (partition ?? at.partition) === at.partition)
  if (found.length === 0) {
    const others = [...new Set(all.map(at => at.pipeline))].sort()
    const mend = `what runs there is ${others.map(name => `"${name}"`).join(', ')}; "stream-node status" shows it`
    throw new UnavailableError('NOBODY_THERE', `no node on ${ports.log.description} runs ${named(meant)}`, mend)
  }
  const due = found.filter(({ state }) => state === 'paused').length
  if (due > 0) return due
  const [one] = found
  const state = partition === undefined ? 'no partition of it is' : `it is ${one?.state ?? ''}`
  const mend = `${state}; "stream-node status" shows how each stands`
  throw new DefinitionError('NOT_PAUSED', `${named(meant)} is not paused`, mend)
}

function named({ pipeline, partition }: Meant): string {
  return `${partition === undefined ? '' : `partition ${partition} of `}pipeline "${pipeline}"`
}

function questionIn(payload: Uint8Array): Question | undefined {
  const { to, pipeline, partition } = objectIn(payload)
  if (!isAnswerSubject(ANSWERS, to) || typeof pipeline !== 'string') return undefined
  if (partition === undefined) return { to, pipeline }
  return Number.isSafeInteger(partition) ? { to, pipeline, partition: partition as number } : undefined
}

function resumedIn(payload: Uint8Array): number {
  const { resumed } = objectIn(payload)
  return Number.isSafeInteger(resumed) ? Math.max(0, resumed as number) : 0
}

/** Whoever may publish to a subject may have sent anything. */
function objectIn(payload: Uint8Array): Readonly<Record<string, unknown>> {
  try {
    const found: unknown = boundedJson(payload)
    return typeof found === 'object' && found !== null ? (found as Readonly<Record<string, unknown>>) : {}
  } catch {
    return {}
  }
}
