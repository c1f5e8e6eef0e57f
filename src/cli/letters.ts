/** The dead letters that stand on a log: which are open, and what each says. */
import type { Client } from '../client/client.js'
import type { ReadingOptions } from '../client/reading.js'
import { DefinitionError, StreamNodeError } from '../errors.js'
import type { Bucket } from '../log/bucket.js'
import { didYouMean } from '../options.js'
import { pipelinesIn } from '../state/reset.js'
import {
  deadLettersName,
  isLetter,
  isResolution,
  pipelineOfLetters,
  type DeadLetter,
  type Resolution,
} from '../stream/dead-letters.js'
import type { Position } from '../log/record.js'
import { say } from './terminal.js'
import { UsageError } from './failure.js'

/** A letter that nobody has resolved. */
export interface OpenLetter {
  /** Where it stands in the stream of dead letters. */
  readonly partition: number
  readonly position: Position
  readonly letter: DeadLetter
}

/** Which letters are meant. */
export interface Wanted {
  readonly partition?: number | undefined
  /** What the error, its code or its place must contain, in any case of letters. */
  readonly error?: string | undefined
  readonly signal: AbortSignal
}

/**
 * The open letters of a pipeline, in the order of the log; none when it has no stream of them. It is read twice, once for
 * what is resolved, so that memory holds no letters.
 */
export async function* openLettersOf(
  client: Client,
  pipeline: string,
  { partition, error, signal }: Wanted,
): AsyncGenerator<OpenLetter, undefined> {
  const resolved = new Set<string>()
  const options = { ...(partition !== undefined && { partition }), signal, onBadRecord: () => {} }
  const telling = { ...options, onBadRecord: ({ message }: Error) => say(message) }
  for await (const { value, partition: of } of lettersIn(client, pipeline, telling)) {
    if (isResolution(value)) resolved.add(placeOf(of, value.resolves))
  }
  for await (const { value, partition: of, position } of lettersIn(client, pipeline, options)) {
    if (isResolution(value) || resolved.has(placeOf(of, position)) || !holds(value, error)) continue
    yield { partition: of, position, letter: value }
  }
}

/** `3/17`: a letter as it is named on the command line. */
export function placeOf(partition: number, position: Position): string {
  return `${partition}/${position}`
}

/** Partition and position from `3/17`. */
export function placeFrom(text: string): { readonly partition: number; readonly position: Position } {
  const [, partition, position] = /^(\d{1,4})\/(\d{1,15})$/.exec(text) ?? []
  if (partition !== undefined && position !== undefined) {
    return { partition: Number(partition), position: Number(position) }
  }
  const what = `a letter is named by partition and position, like 3/17, but is ${JSON.stringify(text)}`
  throw new UsageError(what, '"stream-node dlq ls" shows them')
}

/** The pipelines that have a stream of dead letters, sorted. */
export async function pipelinesWithLetters(client: Client): Promise<readonly string[]> {
  return (await client.streams()).map(pipelineOfLetters).filter(name => name !== undefined)
}

/** Throws `NO_SUCH_PIPELINE` for a name under which nothing ever ran. */
export async function checkPipeline(pipeline: string, log: string, bucket: Bucket): Promise<void> {
  const names = await pipelinesIn(bucket)
  if (!names.includes(pipeline)) throw noPipeline(pipeline, log, names)
}

export function noPipeline(pipeline: string, log: string, names: readonly string[]): DefinitionError {
  const near = didYouMean(pipeline, names)
  const some = names.length > NAMED_MAX ? [...names.slice(0, NAMED_MAX), '...'] : names
  const mend = names.length === 0 ? 'none did' : near.startsWith('did') ? near : `those that did: ${some.join(', ')}`
  return new DefinitionError('NO_SUCH_PIPELINE', `no pipeline "${pipeline}" ever ran on ${log}`, mend)
}

/** How many names an error lists. */
const NAMED_MAX = 10

interface Standing {
  readonly partition: number
  readonly position: Position
  readonly value: DeadLetter | Resolution
}

async function* lettersIn(
  client: Client,
  pipeline: string,
  options: ReadingOptions,
): AsyncGenerator<Standing, undefined> {
  try {
    const stream = await client.stream(deadLettersName(pipeline))
    if (options.partition !== undefined && options.partition >= stream.partitions) {
      const what = `--partition is ${options.partition}, but pipeline "${pipeline}" has ${stream.partitions}`
      throw new UsageError(what, 'they count from 0')
    }
    for await (const { value, partition, position } of client.read(stream, options)) {
      if (isLetter(value) || isResolution(value)) yield { value, partition, position }
    }
  } catch (error) {
    // It was never made, or deleted by a reset.
    if (!(error instanceof StreamNodeError && error.code === 'NO_SUCH_STREAM')) throw error
  }
}

function holds({ error: { name, code, message, where } }: DeadLetter, text: string | undefined): boolean {
  if (text === undefined) return true
  const wanted = text.toLowerCase()
  return [name, code, message, where].some(one => one?.toLowerCase().includes(wanted))
}
