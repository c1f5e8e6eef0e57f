/** `reset`: begins a pipeline anew, once it was said what stays and what goes, and nobody runs it. */
import { createInterface } from 'node:readline/promises'
import type { Readable, Writable } from 'node:stream'
import type { PartitionStatus } from '../actor/status.js'
import { isEnd } from '../actor/lifecycle.js'
import { DefinitionError, StreamNodeError } from '../errors.js'
import { statusOfNodes, type NodeStatus } from '../node/status.js'
import { livesOf, pipelinesIn, resetPipeline, type From, type Lives, type Reset } from '../state/reset.js'
import { deadLettersName } from '../stream/dead-letters.js'
import { BUCKET } from '../stream/kept.js'
import { durationOf, placeOf } from './arguments.js'
import { isoOf } from './dlq.js'
import { exits, Told, UsageError } from './failure.js'
import type { ResetFlags } from './flags.js'
import { interrupted } from './interrupt.js'
import { noPipeline } from './letters.js'
import { opened } from './link.js'
import { counted, say, write } from './terminal.js'

const TIMEOUT_MS = 30_000

/** Says what it will do, asks unless `--yes` is given, and does it. */
export async function reset(pipeline: string, flags: ResetFlags, terminal: Terminals = process): Promise<void> {
  const from = fromOf(flags.from)
  const timeoutMs = flags.timeout === undefined ? TIMEOUT_MS : durationOf('--timeout', flags.timeout)
  const signal = interrupted()
  const { ports, parts } = await opened(flags)
  try {
    const { description } = ports.log
    const bucket = await ports.bucket({ name: BUCKET })
    const asking = { ...parts, signal, waits: (error: Error) => say(`waiting: ${error.message}`), ports, bucket }
    const lives = await livesOf(pipeline, asking)
    if (lives === undefined) throw noPipeline(pipeline, description, await pipelinesIn(bucket))
    const look = async () =>
      checkNobodyRuns(await nodesOn(() => statusOfNodes(ports, { ...parts, timeoutMs })), pipeline)
    await look()
    const letters = await ports.log.find(deadLettersName(pipeline))
    const outputs = [
      ...new Set([...lives.outputs, ...(letters === undefined ? [] : [deadLettersName(pipeline)])]),
    ].sort()
    const asked = { from, drops: flags.outputs === true ? outputs : [] }
    const wanted = lives.unfinished ?? asked
    if (lives.unfinished !== undefined) checkSame(lives.unfinished, flags)
    for (const line of announced(pipeline, description, lives, wanted, outputs)) say(line)
    if (flags.outputs === true && lives.unfinished === undefined && lives.outputs.length === 0) {
      say('  no output goes, for its ledgers name none')
    }
    await confirm(pipeline, flags, terminal)
    // A node may have begun while a person was reading.
    if (flags.yes !== true) await look()
    await resetPipeline(pipeline, lives, wanted, asking)
    if (flags.output !== 'text') {
      await write(`${JSON.stringify({ pipeline, from: wanted.from, deleted: wanted.drops })}\n`)
    }
    say(`pipeline "${pipeline}" begins anew with its next run`)
  } finally {
    await ports.close()
  }
}

function fromOf(text: string): From {
  const place = placeOf('--from', text)
  if (place instanceof Date) return place.getTime()
  if (typeof place === 'string') return place
  throw new UsageError('--from is a position, and a pipeline may read several streams', 'name a time, start or end')
}

/** The nodes that are there; none is no fault. */
async function nodesOn(ask: () => Promise<readonly NodeStatus[]>): Promise<readonly NodeStatus[]> {
  try {
    return await ask()
  } catch (error) {
    if (error instanceof StreamNodeError && error.code === 'NOBODY_THERE') return []
    throw error
  }
}

function checkNobodyRuns(nodes: readonly NodeStatus[], pipeline: string): void {
  const isAtWork = (at: PartitionStatus) => at.pipeline === pipeline && !isEnd(at.state)
  const one = nodes.find(({ partitions }) => partitions.some(isAtWork))
  if (one === undefined) return
  const what = `node "${one.name}" (process ${one.pid}) runs pipeline "${pipeline}"`
  throw new DefinitionError('PIPELINE_RUNS', what, 'stop it, and then begin the pipeline anew')
}

function checkSame({ from, drops, begunAt }: Reset, flags: ResetFlags): void {
  if (flags.from === 'start' && flags.outputs === undefined) return
  if (fromOf(flags.from) === from && (flags.outputs === true) === drops.length > 0) return
  const what = `a reset that was begun at ${isoOf(begunAt)} asked for something else, and is to be finished first`
  throw new UsageError(what, 'leave --from and --outputs out')
}

function announced(
  pipeline: string,
  log: string,
  { ledgers, sinks, unfinished }: Lives,
  { from, drops }: Pick<Reset, 'from' | 'drops'>,
  outputs: readonly string[],
): readonly string[] {
  const partitions = ledgers.reduce((sum, one) => sum + one.partitions, 0)
  const stay = outputs.filter(name => !drops.includes(name))
  const letters = deadLettersName(pipeline)
  const results = stay.filter(name => name !== letters)
  const which = results.length === 1 ? 'which gets' : 'which get'
  return [
    ...(unfinished === undefined ? [] : [`a reset was begun at ${isoOf(unfinished.begunAt)} and is finished now`]),
    `pipeline "${pipeline}" on ${log}:`,
    `  goes: all that its ${counted(partitions, 'partition')} remember (${ledgers.map(({ name }) => name).join(', ')})`,
    ...(drops.length === 0 ? [] : [`  goes: the records of ${drops.join(', ')}`]),
    ...(results.length === 0 ? [] : [`  stays: ${results.join(', ')}, ${which} ${again(from, 'as new ones')}`]),
    ...sinks.map(name => `  stays: what sink ${name} has, which gets ${again(from, 'under other ids')}`),
    ...(stay.includes(letters) ? [`  stays: ${letters}, whose letters can then be dropped, but not retried`] : []),
    `  its next run reads its sources ${inWords(from)}`,
  ]
}

/** What comes to those who have results of the life before. */
function again(from: From, how: string): string {
  if (from === 'end') return 'the results of what comes from now on'
  return `${from === 'start' ? 'all results' : `the results since ${isoOf(from)}`} again, ${how}`
}

function inWords(from: From): string {
  if (typeof from === 'number') return `from ${isoOf(from)} on`
  return from === 'start' ? 'from their start' : 'from where they end now'
}

/** A stream with a person at its other end, or not. */
type Terminal<S> = S & { readonly isTTY?: boolean }

interface Terminals {
  readonly stdin: Terminal<Readable>
  readonly stderr: Terminal<Writable>
}

/** Throws unless a person says that it may be done. */
export async function confirm(
  pipeline: string,
  { yes }: Pick<ResetFlags, 'yes'>,
  { stdin, stderr }: Terminals = process,
): Promise<void> {
  if (yes === true) return
  if (stdin.isTTY !== true || stderr.isTTY !== true) {
    throw new UsageError('nothing was done, for nobody said that it may be', 'add --yes')
  }
  const ask = createInterface({ input: stdin, output: stderr })
  // Ctrl-C is an answer too.
  const answer = await ask.question('type the name of the pipeline to begin it anew: ').catch(() => '')
  ask.close()
  if (answer.trim() === pipeline) return
  say('nothing was done')
  throw new Told(exits.failed)
}
