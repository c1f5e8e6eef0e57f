/** The steps that the contract suites are made of: append many, read to the end, take some, catch an error. */
import { StreamNodeError } from '../../errors.js'
import { pause } from '../../clock.js'
import type { Clock } from '../../clock.js'
import type { BucketSpec } from '../../log/bucket.js'
import type { Append, Batch, BatchReader, Ending, LogStream, ReadOptions, StreamSpec } from '../../log/log.js'
import { START } from '../../log/record.js'
import type { LogRecord, Position } from '../../log/record.js'
import type { Scene } from './contract.js'

/** A stream of a fresh name, of two partitions unless told otherwise. */
export function openStream(scene: Scene, wanted: Partial<StreamSpec> = {}): Promise<LogStream> {
  return scene.ports.log.open(specOf(scene.fresh(), wanted))
}

export function specOf(name: string, wanted: Partial<StreamSpec> = {}): StreamSpec {
  return { name, partitions: 2, retention: {}, replicas: 1, dedupWindowMs: 20_000, ...wanted }
}

/** What a bucket of a fresh name is opened with. */
export function bucketOf(scene: Scene, wanted: Partial<BucketSpec> = {}): BucketSpec {
  return { name: scene.fresh(), replicas: 1, ...wanted }
}

export const bytesOf = (text: string): Uint8Array => new TextEncoder().encode(text)
export const textOf = (payload: Uint8Array): string => new TextDecoder().decode(payload)

/** A record of `text` for a partition. */
export function record(partition: number, text: string, more: Omit<Append, 'partition' | 'payload'> = {}): Append {
  return { partition, payload: bytesOf(text), ...more }
}

/** Texts with a number each: `a0`, `a1`, ... */
export function numbered(prefix: string, count: number): string[] {
  return Array.from({ length: count }, (_, i) => `${prefix}${i}`)
}

/** The position of an append that ended stored; throws for any other ending. */
export async function stored(ending: Promise<Ending>): Promise<Position> {
  return storedAt(await ending)
}

function storedAt(ended: Ending): Position {
  if (ended.ending === 'stored') return ended.position
  const why = ended.ending === 'refused' ? `refused (${ended.why})` : ended.ending
  throw new Error(`the append should be stored, but ended ${why}: ${ended.error.message}`, { cause: ended.error })
}

/** What an append ended as, in one word: `stored`, `repeat`, `unknown`, or why it was refused. */
export async function word(ending: Promise<Ending>): Promise<string> {
  const ended = await ending
  if (ended.ending === 'refused') return ended.why
  return ended.ending === 'stored' && ended.repeat ? 'repeat' : ended.ending
}

/** What a caller's mistake may be told by instead of a refusal. */
export const MISTAKE = 'InvariantError INVARIANT'

/** Like `word`; for what only a mistake of the caller can bring about, and what may therefore throw. */
export async function wordOrMistake(append: () => Promise<Ending>): Promise<string> {
  try {
    return await word(append())
  } catch (thrown) {
    return codeOf(thrown)
  }
}

/** Appends all, pipelined within the room there is, and gives their positions when all are stored. */
export async function appendAll(stream: LogStream, records: readonly Append[]): Promise<Position[]> {
  const endings: Promise<Ending>[] = []
  for (const one of records) {
    for (let wait = stream.room(); wait !== undefined; wait = stream.room()) await wait
    endings.push(stream.append(one))
  }
  return (await Promise.all(endings)).map(storedAt)
}

/** A record as the suites compare it, its bytes copied into text. */
export interface Seen {
  readonly partition: number
  readonly position: Position
  readonly text: string
}

export function seen({ partition, position, payload }: LogRecord): Seen {
  return { partition, position, text: textOf(payload) }
}

/** Everything that is there now, after the start or another position. */
export async function readAll(stream: LogStream, options: Partial<ReadOptions> = {}): Promise<Seen[]> {
  return drain(stream.read({ after: START, untilEnd: true, ...options }))
}

/** What a reader gives until it ends. */
export async function drain(reader: BatchReader): Promise<Seen[]> {
  const all: Seen[] = []
  for await (const batch of reader) for (const one of batch.records) all.push(seen(one))
  return all
}

export async function batchesOf(reader: BatchReader): Promise<Batch[]> {
  const batches: Batch[] = []
  for await (const batch of reader) batches.push(batch)
  return batches
}

export async function textsOf(stream: LogStream, options: Partial<ReadOptions> = {}): Promise<string[]> {
  return (await readAll(stream, options)).map(one => one.text)
}

/** Takes batches until they hold `count` records or the reader ends. The reader stays open. */
export async function take(reader: BatchReader, count: number): Promise<Seen[]> {
  const all: Seen[] = []
  while (all.length < count) {
    const { value: batch } = await reader.next()
    if (batch === undefined) break
    for (const one of batch.records) all.push(seen(one))
  }
  return all
}

/** The code of the error that this fails with, after its class: `IntegrityError OVERRUN`. */
export async function failure(failing: Promise<unknown>): Promise<string> {
  return codeOf(await thrownBy(failing))
}

export async function thrownBy(failing: Promise<unknown>): Promise<unknown> {
  try {
    await failing
  } catch (thrown) {
    return thrown
  }
  return 'no error'
}

export function codeOf(thrown: unknown): string {
  return thrown instanceof StreamNodeError ? `${thrown.name} ${thrown.code}` : String(thrown)
}

/** The message and its facts: a duration may be told in words as long as the facts have the number. */
export function toldBy(thrown: unknown): string {
  return thrown instanceof StreamNodeError ? `${thrown.message} ${JSON.stringify(thrown.facts)}` : String(thrown)
}

/** Tries until it holds, for as long as `withinMs`; gives whether it did. */
export async function eventually(clock: Clock, withinMs: number, holds: () => Promise<boolean>): Promise<boolean> {
  const deadline = clock.elapsed() + withinMs
  while (!(await holds())) {
    if (clock.elapsed() > deadline) return false
    await pause(clock, 25)
  }
  return true
}

/** Gives `late` when it does not end within `ms`, else what it ends as. */
export function within<T>(clock: Clock, ms: number, promised: Promise<T>): Promise<T | 'late'> {
  return new Promise((resolve, reject) => {
    const cancel = clock.after(ms, () => resolve('late'))
    void promised.then(resolve, reject).finally(cancel)
  })
}
