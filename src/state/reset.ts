/**
 * Begins a pipeline anew: its ledgers get another life, under an incarnation that no output ever had, and all that they held
 * goes. What is to be done is written down before anything is done, and no owner claims anything until all is: whatever
 * dies on the way, the pipeline lives its old life, or its new one, or says that the reset is to be run again.
 */
import { pause, type Chance } from '../clock.js'
import { boundedJson } from '../codec/bounded-json.js'
import { DefinitionError, IntegrityError, StreamNodeError } from '../errors.js'
import type { Bucket, Revision } from '../log/bucket.js'
import type { Ending, LogStream } from '../log/log.js'
import type { Ports } from '../log/ports.js'
import { START, type LogRecord } from '../log/record.js'
import { untilAnswered, type Asking } from '../log/until-answered.js'
import { sinkNamed } from '../stream/sink.js'
import { bodyReader, readState } from './entry.js'
import { seal, unseal, type Sealed } from './message.js'
import { encodeWitness, ledgerName, LEDGERS, lifeIn, witnessKey } from './witness.js'

/** Where a pipeline reads its sources from after a reset: their start, what comes after it, or a time in ms since 1970. */
export type From = 'start' | 'end' | number

/** A reset that was asked for. */
export interface Reset {
  readonly from: From
  /** The streams that are deleted. */
  readonly drops: readonly string[]
  /** When it was begun, by the clock of the log. */
  readonly begunAt: number
}

/** What a pipeline has that a reset changes. */
export interface Lives {
  readonly ledgers: readonly LedgerOf[]
  /** The streams it writes to, as far as its ledgers can be read. */
  readonly outputs: readonly string[]
  /** Likewise the sinks. */
  readonly sinks: readonly string[]
  /** A reset that was begun and not finished. */
  readonly unfinished: Reset | undefined
}

/** The ledgers of one stage. */
export interface LedgerOf {
  readonly stage: number
  readonly partitions: number
  readonly name: string
  /** Undefined when the stream is gone, and only its witnesses are there. */
  readonly log: LogStream | undefined
}

export interface ResetParts extends Asking {
  readonly ports: Pick<Ports, 'log'>
  readonly bucket: Bucket
  readonly chance: Chance
}

interface Kept {
  readonly version: 1
  readonly incarnation: string
  readonly from: From
  readonly drops: readonly string[]
  readonly done: boolean
}

const RESETS = 'resets'
const RETRY_MS = 100
const OWNER = 'reset'

/**
 * Where a partition that has no memory begins to read: a time in ms since 1970, or undefined for the start. Throws
 * `RESET_UNFINISHED` while a reset is under way.
 */
export async function beginningOf(pipeline: string, bucket: Bucket, asking: Asking): Promise<number | undefined> {
  const found = await keptOf(pipeline, { ...asking, bucket })
  if (found === undefined) return undefined
  if (!found.kept.done) throw unfinishedError(pipeline)
  const { from } = found.kept
  return typeof from === 'number' ? from : undefined
}

/** The names of the pipelines that ever ran on a log, sorted. */
export async function pipelinesIn(bucket: Bucket): Promise<readonly string[]> {
  const names = (await bucket.keys(LEDGERS)).map(key => key.split('.')[1] ?? '')
  return [...new Set(names)].sort()
}

/** What a reset of a pipeline would change; undefined when it never ran. Reads what it can, also of broken ledgers. */
export async function livesOf(pipeline: string, parts: ResetParts): Promise<Lives | undefined> {
  const { ports, bucket } = parts
  const found = await keptOf(pipeline, parts)
  const keys = await untilAnswered(() => bucket.keys(`${LEDGERS}.${pipeline}`), parts)
  const witnesses = keys.map(key => key.split('.').slice(2).map(Number) as [stage: number, partition: number])
  const ledgers: LedgerOf[] = []
  for (let stage = 0; ; stage++) {
    const name = ledgerName(pipeline, stage)
    const log = await untilAnswered(() => ports.log.find(name), parts)
    const known = witnesses.filter(([of]) => of === stage).map(([, partition]) => partition + 1)
    if (log === undefined && known.length === 0) break
    ledgers.push({ stage, name, log, partitions: log?.spec.partitions ?? Math.max(...known) })
  }
  if (ledgers.length === 0 && found === undefined) return undefined
  const targets = new Set<string>()
  for (const { log } of ledgers) if (log !== undefined) await addTargets(log, targets, parts)
  const called = [...targets].sort()
  const outputs = called.filter(name => sinkNamed(name) === undefined)
  const sinks = called.map(sinkNamed).filter(name => name !== undefined)
  const isBegun = found !== undefined && !found.kept.done
  return { ledgers, outputs, sinks, unfinished: isBegun ? resetOf(found) : undefined }
}

/**
 * Begins a pipeline anew, or finishes the reset of it that was begun, whatever is asked for now. Nobody may run it; an owner
 * that does all the same cannot write to its ledger any more, and halts. Idempotent up to its end.
 */
export async function resetPipeline(
  pipeline: string,
  { ledgers }: Lives,
  { from, drops }: Omit<Reset, 'begunAt'>,
  parts: ResetParts,
): Promise<void> {
  const { ports, chance } = parts
  const begun = await begin(pipeline, { version: 1, incarnation: chance.name(), from, drops, done: false }, parts)
  const { incarnation } = begun.kept
  for (const { stage, partitions, log } of ledgers) {
    for (let partition = 0; partition < partitions; partition++) {
      // Somebody else may be at the same, and be done.
      if (!(await isUnderWay(pipeline, incarnation, parts))) return
      const key = witnessKey(pipeline, stage, partition)
      if (log === undefined) await vouch(key, { incarnation, fence: 0, number: 0, hash: '' }, parts)
      else await reborn(log, partition, key, incarnation, parts)
    }
  }
  for (const name of begun.kept.drops) {
    // Else this would be the output of the new life.
    if (!(await isUnderWay(pipeline, incarnation, parts))) return
    await untilAnswered(() => ports.log.drop(name), parts)
  }
  await finish(pipeline, begun, parts)
}

/** Writes down what is to be done, unless a reset is under way: then that is done. */
async function begin(pipeline: string, wanted: Kept, parts: ResetParts): Promise<Found> {
  for (;;) {
    const found = await keptOf(pipeline, parts)
    if (found !== undefined && !found.kept.done) return found
    // It is read back in any case: when the log took it is a part of what it says.
    await put(resetKey(pipeline), bytesOf(wanted), found?.revision ?? 0, parts)
  }
}

async function isUnderWay(pipeline: string, incarnation: string, parts: ResetParts): Promise<boolean> {
  const found = await keptOf(pipeline, parts)
  return found !== undefined && !found.kept.done && found.kept.incarnation === incarnation
}

async function finish(pipeline: string, begun: Found, parts: ResetParts): Promise<void> {
  const from = begun.kept.from === 'end' ? begun.time : begun.kept.from
  for (;;) {
    const found = await keptOf(pipeline, parts)
    if (found === undefined || found.kept.done || found.kept.incarnation !== begun.kept.incarnation) return
    await put(resetKey(pipeline), bytesOf({ ...found.kept, from, done: true }), found.revision, parts)
  }
}

/**
 * One ledger gets its new life: a first message of it, by compare-and-set, so that no owner of the old one can write any
 * more; then the witness of it; then what was before goes. The stream stays, and with it its count of positions, so that
 * nobody who comes late finds one that it knows.
 */
async function reborn(log: LogStream, partition: number, key: string, incarnation: string, parts: ResetParts) {
  const sealed = seal({
    ...{ kind: 'release', incarnation, fence: 1, owner: OWNER, number: 1 },
    ...{ previous: '', part: 0, floor: 1, body: new Uint8Array(0) },
  })
  const id = `${log.spec.name}.${partition}/${incarnation}/1`
  let last: LogRecord | undefined
  for (;;) {
    last = await untilAnswered(() => log.last(partition), parts)
    if (last !== undefined && unsealed(last)?.incarnation === incarnation) break
    await settled(await log.append({ partition, payload: sealed.bytes, id, expect: last?.position ?? START }), parts)
  }
  await vouch(key, { incarnation, fence: 1, number: 1, hash: sealed.hash }, parts)
  // Where more than this one stands, another reset has done all and the new life has begun.
  if (unsealed(last)?.number === 1) {
    const { position } = last
    await untilAnswered(() => log.purge(partition, position), parts)
  }
}

async function vouch(key: string, witness: Parameters<typeof encodeWitness>[0], parts: ResetParts): Promise<void> {
  for (;;) {
    const entry = await untilAnswered(() => parts.bucket.get(key), parts)
    if (entry?.value !== undefined && lifeIn(entry.value) === witness.incarnation) return
    await put(key, encodeWitness(witness), entry?.revision ?? 0, parts)
  }
}

async function put(key: string, value: Uint8Array, revision: Revision, parts: ResetParts): Promise<void> {
  await settled(await parts.bucket.put(key, value, revision), parts)
}

/** Throws what trying again does not mend, and waits where it may. Whoever calls looks what stands there now. */
async function settled(ending: Ending, { clock, signal, waits }: Asking): Promise<void> {
  if (ending.ending === 'stored') return
  if (ending.ending === 'refused' && ending.why === 'denied') throw ending.error
  if (ending.ending === 'refused' && ending.why === 'expected') return
  waits(ending.error)
  await pause(clock, RETRY_MS, signal)
}

/** The targets that the entries of all partitions name; what cannot be read is left out. */
async function addTargets(log: LogStream, targets: Set<string>, parts: ResetParts): Promise<void> {
  const all = async () => {
    for await (const { records } of log.read({ after: START, untilEnd: true })) {
      for (const record of records) for (const { name } of targetsIn(record)) targets.add(name)
    }
  }
  await untilAnswered(all, parts)
}

function targetsIn(record: LogRecord): readonly { readonly name: string }[] {
  const message = unsealed(record)
  if (message === undefined || message.part > 0 || (message.kind !== 'commit' && message.kind !== 'part')) return []
  try {
    return readState(bodyReader(message.body, 'an entry')).targets
  } catch (error) {
    if (error instanceof StreamNodeError) return []
    throw error
  }
}

function unsealed(record: LogRecord): Sealed | undefined {
  try {
    return unseal(record.payload, 'a message')
  } catch (error) {
    if (error instanceof IntegrityError) return undefined
    throw error
  }
}

interface Found {
  readonly kept: Kept
  readonly revision: Revision
  readonly time: number
}

async function keptOf(pipeline: string, parts: Asking & Pick<ResetParts, 'bucket'>): Promise<Found | undefined> {
  const key = resetKey(pipeline)
  const entry = await untilAnswered(() => parts.bucket.get(key), parts)
  if (entry?.value === undefined) return undefined
  return { kept: keptIn(entry.value, key), revision: entry.revision, time: entry.time }
}

function keptIn(value: Uint8Array, key: string): Kept {
  try {
    const kept = boundedJson(value) as Kept
    const { version, incarnation, from, drops, done } = kept
    const isFrom = from === 'start' || from === 'end' || Number.isFinite(from)
    const isOurs = (version as number) === 1 && typeof incarnation === 'string' && typeof done === 'boolean'
    if (isOurs && isFrom && Array.isArray(drops) && drops.every(name => typeof name === 'string')) return kept
  } catch {
    // Told below, with all else that it is not.
  }
  const what = `the entry ${key} says nothing of a reset that this release can read`
  throw new IntegrityError(
    'BAD_LOG',
    what,
    'upgrade to the release that wrote it, or delete it and reset the pipeline again',
  )
}

function resetOf({ kept: { from, drops }, time }: Found): Reset {
  return { from, drops, begunAt: time }
}

function resetKey(pipeline: string): string {
  return `${RESETS}.${pipeline}`
}

function bytesOf(kept: Kept): Uint8Array {
  return Buffer.from(JSON.stringify(kept))
}

function unfinishedError(pipeline: string): DefinitionError {
  const what = `a reset of pipeline "${pipeline}" was begun and is not finished`
  return new DefinitionError('RESET_UNFINISHED', what, `run "stream-node reset ${pipeline}" again, which finishes it`)
}
