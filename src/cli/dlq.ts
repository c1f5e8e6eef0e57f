/** `dlq ls`, `retry` and `drop`: the dead letters that are open, and what is to become of them. */
import type { LetterAnswer } from '../actor/letters.js'
import { linked } from '../client/linked.js'
import type { Client } from '../client/client.js'
import type { OpenLog } from '../client/connect.js'
import { UnavailableError } from '../errors.js'
import type { Position } from '../log/record.js'
import { askForLetters } from '../node/letters.js'
import { statusOfNodes, type NodeStatus } from '../node/status.js'
import { BUCKET } from '../stream/kept.js'
import { deadLettersName, type DeadLetter, type How } from '../stream/dead-letters.js'
import { countOf, durationOf } from './arguments.js'
import { columns } from './columns.js'
import { exits, Told, UsageError } from './failure.js'
import type { DlqFlags } from './flags.js'
import { interrupted } from './interrupt.js'
import {
  checkPipeline,
  openLettersOf,
  pipelinesWithLetters,
  placeFrom,
  placeOf,
  type OpenLetter,
  type Wanted,
} from './letters.js'
import { opened } from './link.js'
import { visible } from './shown.js'
import { counted, say, write } from './terminal.js'

const TIMEOUT_MS = 30_000
/** Owners answer for so many at once. */
const ASKED_MAX = 50
/** There is one stage yet. */
const STAGE = 0
const ERROR_LETTERS = 120

/** Prints the open letters of a pipeline, or of all. */
export async function ls(pipeline: string | undefined, flags: DlqFlags): Promise<void> {
  const limit = flags.limit === undefined ? Infinity : countOf('--limit', flags.limit, { min: 1 })
  const wanted = wantedBy(flags)
  await withLog(flags, async ({ ports }, client) => {
    if (pipeline !== undefined)
      await checkPipeline(pipeline, ports.log.description, await ports.bucket({ name: BUCKET }))
    const names = pipeline === undefined ? await pipelinesWithLetters(client) : [pipeline]
    if (flags.output === 'text') await listGroups(client, names, wanted, limit)
    else await listEach(client, names, wanted, limit, flags.output)
  })
}

/** Asks the owners to retry or drop letters, and prints what became of each. */
export async function settle(how: How, pipeline: string, places: readonly string[], flags: DlqFlags): Promise<void> {
  const wanted = wantedBy(flags)
  const byPlace = places.map(placeFrom)
  const isAny = flags.all === true || flags.error !== undefined || flags.partition !== undefined
  if (places.length > 0 && isAny) throw new UsageError('letters are named, and flags that choose some', 'leave one out')
  if (places.length === 0 && !isAny) throw new UsageError('no letter is named', 'name some like 3/17, or give --all')
  if (flags.all === undefined && flags.error === undefined && flags.partition !== undefined) {
    throw new UsageError('--partition alone chooses no letters', 'add --all, or --error')
  }
  const timeoutMs = flags.timeout === undefined ? TIMEOUT_MS : durationOf('--timeout', flags.timeout)
  await withLog(flags, async ({ ports, parts }, client) => {
    await checkPipeline(pipeline, ports.log.description, await ports.bucket({ name: BUCKET }))
    const nodes = await statusOfNodes(ports, { ...parts, timeoutMs })
    checkRuns(nodes, pipeline, ports.log.description)
    const byPartition = await positionsOf(places.length > 0 ? byPlace : openLettersOf(client, pipeline, wanted))
    const { partitions = 0 } = (await ports.log.find(deadLettersName(pipeline)))?.spec ?? {}
    const told = new Outcomes(flags.output)
    for (const [partition, positions] of byPartition) {
      for (let from = 0; from < positions.length && !wanted.signal.aborted; from += ASKED_MAX) {
        const asked = { how, positions: positions.slice(from, from + ASKED_MAX) }
        const place = { pipeline, stage: STAGE, partition }
        // One that is not there has no owner who could answer.
        const isThere = partition < partitions
        await told.add(
          partition,
          isThere ? await askForLetters(ports, { ...parts, timeoutMs }, place, asked) : asked.positions.map(refused),
        )
      }
    }
    await told.end()
  })
}

function refused(position: Position): LetterAnswer {
  return { position, became: 'refused', why: 'no letter stands there' }
}

async function withLog(flags: DlqFlags, work: (log: OpenLog, client: Client) => Promise<void>): Promise<void> {
  const log = await opened(flags)
  const client = linked(log.ports, log.parts)
  try {
    await work(log, client)
  } finally {
    await client.close()
  }
}

function wantedBy({ partition, error }: DlqFlags): Wanted {
  return {
    partition: partition === undefined ? undefined : countOf('--partition', partition),
    error,
    signal: interrupted(),
  }
}

/** Throws when nobody runs the pipeline: only the owner of a partition may change what it wrote. */
function checkRuns(nodes: readonly NodeStatus[], pipeline: string, log: string): void {
  if (nodes.some(({ partitions }) => partitions.some(at => at.pipeline === pipeline))) return
  const mend = 'start it by "stream-node run": the owner of a partition sees to its dead letters'
  throw new UnavailableError('NOBODY_THERE', `no node on ${log} runs pipeline "${pipeline}"`, mend)
}

async function positionsOf(
  letters: AsyncIterable<OpenLetter> | Iterable<Pick<OpenLetter, 'partition' | 'position'>>,
): Promise<ReadonlyMap<number, Position[]>> {
  const found = new Map<number, Position[]>()
  for await (const { partition, position } of letters) {
    const positions = found.get(partition)
    if (positions === undefined) found.set(partition, [position])
    else positions.push(position)
  }
  return found
}

async function listEach(
  client: Client,
  pipelines: readonly string[],
  wanted: Wanted,
  limit: number,
  output: 'json' | 'jsonl',
): Promise<void> {
  let shown = 0
  if (output === 'json') await write('[')
  each: for (const pipeline of pipelines) {
    for await (const { partition, position, letter } of openLettersOf(client, pipeline, wanted)) {
      if (shown === limit) break each
      const text = JSON.stringify({ at: placeOf(partition, position), letter })
      await write(output === 'jsonl' ? `${text}\n` : `${shown === 0 ? '' : ','}\n${text}`)
      shown++
    }
  }
  if (output === 'json') await write('\n]\n')
}

/** Letters that failed alike. */
interface Group {
  readonly pipeline: string
  count: number
  readonly firstAt: number
  last: Pick<DeadLetter, 'at' | 'error'>
  at: string
}

async function listGroups(client: Client, pipelines: readonly string[], wanted: Wanted, limit: number): Promise<void> {
  const groups = new Map<string, Group>()
  let count = 0
  for (const pipeline of pipelines) {
    for await (const { partition, position, letter } of openLettersOf(client, pipeline, wanted)) {
      const at = placeOf(partition, position)
      const last = { at: letter.at, error: letter.error }
      const group = groups.get(kindOf(pipeline, letter))
      if (group === undefined)
        groups.set(kindOf(pipeline, letter), { pipeline, count: 1, firstAt: letter.at, last, at })
      else Object.assign(group, { count: group.count + 1, last, at })
      count++
    }
  }
  const found = [...groups.values()].sort((a, b) => b.count - a.count).slice(0, limit)
  if (found.length > 0) await write(columns([HEAD, ...found.map(cellsOf)]))
  const of = pipelines.length === 1 ? ` of pipeline "${pipelines[0]}"` : ''
  say(count === 0 ? `no dead letter${of} is open` : `${counted(count, 'dead letter')}${of} open`)
}

const HEAD = ['pipeline', 'letters', 'first', 'last', 'such as', 'where', 'error']

function cellsOf({ pipeline, count, firstAt, last, at }: Group): string[] {
  return [pipeline, String(count), isoOf(firstAt), isoOf(last.at), at, last.error.where ?? '-', visible(shortOf(last))]
}

export function isoOf(time: number): string {
  return Math.abs(time) <= 8.64e15 ? new Date(time).toISOString() : String(time)
}

/** What letters of one kind share; places and numbers in the message are most often those of the record. */
function kindOf(pipeline: string, { error: { name, code, where, message } }: DeadLetter): string {
  return JSON.stringify([pipeline, name, code, where, withoutPlace(message).replace(/\d+/g, '#')])
}

function shortOf({ error: { name, message } }: Pick<DeadLetter, 'error'>): string {
  const text = `${name}: ${withoutPlace(message)}`
  return text.length <= ERROR_LETTERS ? text : `${text.slice(0, ERROR_LETTERS - 3)}...`
}

/** What cannot be read says first where it stands, which the letter says too. */
function withoutPlace(message: string): string {
  return message.replace(/^stream "[^"]*", partition \d+, position \d+(?:, record \d+ of its batch)?: /, '')
}

/** What became of letters, to stdout as the owners say it, and as an exit code in the end. */
class Outcomes {
  readonly #output: DlqFlags['output']
  readonly #counts = new Map<LetterAnswer['became'], number>()
  #all: object[] = []

  constructor(output: DlqFlags['output']) {
    this.#output = output
  }

  async add(partition: number, answers: readonly LetterAnswer[]): Promise<void> {
    for (const { position, became, why } of answers) {
      this.#counts.set(became, (this.#counts.get(became) ?? 0) + 1)
      const letter = placeOf(partition, position)
      const told = { letter, became, ...(why !== undefined && { why }) }
      if (this.#output === 'json') this.#all.push(told)
      else if (this.#output === 'jsonl') await write(`${JSON.stringify(told)}\n`)
      else await write(`${letter}\t${IN_WORDS[became]}${why === undefined ? '' : `: ${visible(why)}`}\n`)
    }
  }

  /** Throws what gives the exit code when not all is as it was to be. */
  async end(): Promise<void> {
    if (this.#output === 'json') await write(`${JSON.stringify(this.#all, null, 2)}\n`)
    const counts = [...this.#counts].map(([became, count]) => `${count} ${IN_WORDS[became]}`)
    say(counts.length === 0 ? 'no dead letter is open there' : `dead letters: ${counts.join(', ')}`)
    if (this.#counts.has('failed') || this.#counts.has('refused')) throw new Told(exits.failed)
  }
}

const IN_WORDS: Readonly<Record<LetterAnswer['became'], string>> = {
  retried: 'retried',
  dropped: 'dropped',
  failed: 'failed again',
  already: 'resolved already',
  refused: 'refused',
}
