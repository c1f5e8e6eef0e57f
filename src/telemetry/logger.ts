/** Turns what the engine tells into log lines: JSON by pino, or short lines for people. The only place that knows pino. */
import { pino } from 'pino'
import type { Cancel, Clock } from '../clock.js'
import { messageOf, RecordError, StreamNodeError } from '../errors.js'
import type { Event, Tell } from './events.js'

export const LOG_LEVELS = ['debug', 'info', 'warn', 'error', 'silent'] as const
export type LogLevel = (typeof LOG_LEVELS)[number]

export interface LoggerOptions {
  /** The least level that is written. */
  readonly level: LogLevel
  /** Short lines for people instead of JSON. */
  readonly people: boolean
  readonly clock: Clock
  /** Takes each text with its line end. */
  readonly write: (text: string) => void
  /** Takes what looks like a secret out of a text. */
  readonly redact: (text: string) => string
}

export interface Logger {
  readonly tell: Tell
  /** Writes what was held back and ends. */
  close(): void
}

/**
 * A logger. A warning or error that comes again, of the same kind about the same partition, is written once a second:
 * the latest, with how many were left out as `repeats`.
 */
export function logger({ level, people, clock, write, redact }: LoggerOptions): Logger {
  const lines = pino(
    {
      level,
      base: null,
      timestamp: () => `,"time":"${new Date(clock.now()).toISOString()}"`,
      formatters: { level: label => ({ level: label }) },
    },
    { write: text => write(people ? lineForPeople(text) : text) },
  )
  const repeats = new Repeats(clock, line => lines[line.level](line.facts, line.text))
  return {
    tell(event) {
      const line = lineOf(event)
      if (!lines.isLevelEnabled(line.level)) return
      const { stack, ...facts } = line.facts
      const text = redact(line.text)
      const shown = typeof stack === 'string' ? { ...facts, stack: redact(stack) } : facts
      repeats.take({ ...line, facts: shown, text })
    },
    close: () => repeats.close(),
  }
}

interface Line {
  readonly level: Exclude<LogLevel, 'silent'>
  readonly text: string
  readonly facts: Readonly<Record<string, unknown>>
  /** Lines of one kind that come close together are repeats of each other; absent: never. */
  readonly kind?: string
}

function lineOf(event: Event): Line {
  switch (event.type) {
    case 'log.disconnected':
      return { level: 'warn', text: `the link to ${event.server} is lost; waiting for it`, facts: {} }
    case 'log.reconnected':
      return { level: 'info', text: `the link to ${event.server} is back`, facts: {} }
    case 'log.error':
      return loud('error', event.type, 'the log says: ', event.error)
    case 'log.reader-resumed':
      return { level: 'info', text: `reading ${event.stream} goes on after ${event.after}: ${event.why}`, facts: {} }
    case 'log.warning':
      return { level: 'warn', text: `${event.what}; ${event.mend}`, facts: {}, kind: `${event.type} ${event.what}` }
    case 'stream.made':
      return {
        level: 'info',
        text: `made stream "${event.stream}", which was not there`,
        facts: { stream: event.stream },
      }
    case 'stream.outputs-missing': {
      const { type, stream, partition, writer, from, to } = event
      const text = `outputs ${from} to ${to} of ${writer} were in stream "${stream}" and are gone; reading goes on behind them`
      return {
        level: 'warn',
        text,
        facts: { stream, partition, writer },
        kind: `${type} ${stream} ${partition} ${writer}`,
      }
    }
    case 'node.started': {
      const { node, log, pipelines, partitions } = event
      const what = `${pipelines.join(', ')} with ${partitions} partition${partitions === 1 ? '' : 's'}`
      return { level: 'info', text: `running ${what} on ${log}`, facts: { node } }
    }
    case 'node.stopping':
      return {
        level: 'info',
        text: 'stopping: turns are finished, committed and published',
        facts: { node: event.node },
      }
    case 'node.ended':
      return { level: 'info', text: ENDS[event.why], facts: { node: event.node, why: event.why } }
    default:
      return lineOfPartition(event)
  }
}

const ENDS = {
  stopped: 'stopped',
  late: 'stopped, but not all partitions in time: some were cut off',
  fenced: 'ended: another node has taken over all partitions',
  halted: 'ended: a partition is halted',
  failed: 'ended: a partition failed',
  paused: 'stopped, with a partition paused',
}

/** What becomes of a record that could not be processed, and how loud that is: only what holds the partition up is an error. */
const FAULTS = {
  deadLetter: { level: 'warn', before: 'a record went to the dead letters: ' },
  skip: { level: 'warn', before: 'a record was skipped: ' },
  retry: { level: 'warn', before: 'a record is tried again: ' },
  pause: { level: 'error', before: 'paused before a record until it is resumed: ' },
  budget: {
    level: 'error',
    before: 'paused until it is resumed, for too many records could not be processed; the next: ',
  },
  stop: { level: 'error', before: 'stopped before a record: ' },
} as const

const SUSPECT = 'owners before this one died soon: what they had in hand is tried first'

function lineOfPartition(event: Extract<Event, { readonly partition: number; readonly pipeline: string }>): Line {
  const { type, pipeline, stage, partition } = event
  const of = { pipeline, stage, partition }
  const kind = `${pipeline} ${stage} ${partition} ${type}`
  switch (type) {
    case 'partition.state':
      if (event.to === 'suspect') return loud('warn', `${kind} suspect`, SUSPECT, undefined, of)
      return { level: 'debug', text: `${event.from} -> ${event.to}`, facts: { ...of, fence: event.fence } }
    case 'partition.committed': {
      const { number, records, outputs, bytes } = event
      const ms = Math.round(event.ms * 10) / 10
      return { level: 'debug', text: 'committed', facts: { ...of, number, records, outputs, bytes, ms } }
    }
    case 'partition.published': {
      const { outputs, stream } = event
      return { level: 'debug', text: 'published', facts: { ...of, outputs, stream } }
    }
    case 'partition.written': {
      const { outputs, sink } = event
      return { level: 'debug', text: 'written', facts: { ...of, outputs, sink } }
    }
    case 'partition.fault': {
      const { level, before } = FAULTS[event.then]
      return loud(level, `${kind} ${event.then}`, before, event.error, { ...of, then: event.then })
    }
    case 'partition.waits':
      // With an error, what is waited for is its message.
      if (event.error !== undefined) return loud('warn', kind, 'waits: ', event.error, of)
      return loud('warn', kind, `waits for ${event.on}`, undefined, of)
    case 'partition.restarting': {
      const { error, waitMs, restarts, with: by } = event
      const along = by === undefined ? '' : ` with partition ${by.partition}`
      const before = `begins anew${along} in ${Math.round(waitMs)} ms: `
      return loud('warn', kind, before, error, { ...of, restarts })
    }
    case 'partition.paused': {
      const { error, restarts } = event
      return loud('error', kind, `paused until it is resumed, after ${restarts} restarts: `, error, { ...of, restarts })
    }
    case 'partition.ended':
      if (event.why === 'stopped') return { level: 'debug', text: 'stopped', facts: of }
      if (event.why === 'fenced') return { level: 'warn', text: 'another owner has taken over', facts: of }
      // What it failed at was told as a fault just before.
      if (event.why === 'failed' && event.error instanceof RecordError) {
        return { level: 'error', text: 'stands still: it cannot get past that record', facts: of, kind }
      }
      return loud('error', kind, `${event.why}: `, event.error, of)
  }
}

function loud(level: 'warn' | 'error', kind: string, before: string, error: unknown, facts: object = {}): Line {
  if (error === undefined) return { level, text: before, facts: { ...facts }, kind }
  const ours = error instanceof StreamNodeError
  const gap = before.endsWith(' ') ? '' : ': '
  return {
    level,
    text: `${before}${gap}${messageOf(error)}`,
    facts: {
      ...facts,
      ...(ours && { code: error.code }),
      ...stackOf(error),
    },
    kind: `${kind} ${ours ? error.code : messageOf(error)}`,
  }
}

/** Our own messages say it all; for what a user's code threw the place counts. */
function stackOf(error: unknown): { readonly stack?: string | undefined } {
  const thrown = error instanceof StreamNodeError && error.code === 'STEP_FAILED' ? error.cause : error
  return thrown instanceof Error && !(thrown instanceof StreamNodeError) ? { stack: thrown.stack } : {}
}

const PAUSE_MS = 1000

/** Lets through one line of a kind a second. */
class Repeats {
  readonly #held = new Map<string, { latest: Line | undefined; count: number; cancel: Cancel }>()

  constructor(
    readonly clock: Clock,
    readonly write: (line: Line) => void,
  ) {}

  take(line: Line): void {
    const { kind } = line
    if (kind === undefined) return this.write(line)
    const held = this.#held.get(kind)
    if (held === undefined) {
      this.write(line)
      this.#held.set(kind, { latest: undefined, count: 0, cancel: this.clock.after(PAUSE_MS, () => this.#look(kind)) })
      return
    }
    held.latest = line
    held.count++
  }

  close(): void {
    for (const [kind, { cancel }] of this.#held) {
      cancel()
      this.#release(kind)
    }
    this.#held.clear()
  }

  #look(kind: string): void {
    const held = this.#held.get(kind)
    if (held === undefined) return
    if (held.count === 0) {
      this.#held.delete(kind)
      return
    }
    this.#release(kind)
    held.cancel = this.clock.after(PAUSE_MS, () => this.#look(kind))
  }

  #release(kind: string): void {
    const held = this.#held.get(kind)
    if (held?.latest === undefined) return
    const { latest, count } = held
    held.latest = undefined
    held.count = 0
    this.write({ ...latest, facts: { ...latest.facts, repeats: count } })
  }
}

// eslint-disable-next-line no-control-regex -- these are what a terminal would act upon
const CONTROL = /[\u0000-\u001f\u007f-\u009f]/g

/** `12:30:05.123 warn   clicks/0/3  waits for the log  [DISCONNECTED] x12` */
function lineForPeople(json: string): string {
  const { time, level, msg, pipeline, stage, partition, code, repeats, stack, ...rest } = JSON.parse(json) as LineFields
  const facts = Object.entries(rest).filter(([name]) => !['node', 'why', 'then'].includes(name))
  const parts = [
    time.slice(11, 23),
    level.padEnd(5),
    ...(pipeline === undefined ? [] : [`${pipeline}/${stage ?? ''}/${partition ?? ''}`]),
    visible(msg),
    ...facts.map(([name, value]) => `${name}=${visible(String(value))}`),
    ...(code === undefined ? [] : [`[${code}]`]),
    ...(repeats === undefined ? [] : [`(and ${repeats} like it)`]),
  ]
  const trace = stack?.split('\n').map(line => `${visible(line)}\n`)
  return `${parts.join(' ')}\n${trace?.join('') ?? ''}`
}

interface LineFields {
  readonly time: string
  readonly level: string
  readonly msg: string
  readonly pipeline?: string
  readonly stage?: number
  readonly partition?: number
  readonly code?: string
  readonly repeats?: number
  readonly stack?: string
}

function visible(text: string): string {
  return text.replace(CONTROL, ' ')
}
