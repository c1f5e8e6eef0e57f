/**
 * The definitions of streams as the log keeps them, in the bucket `stream-node` under `streams.<name>`: written when a
 * stream is first used, held against every later user's own, and enough to read and write the stream by name alone.
 */
import { isDeepStrictEqual } from 'node:util'
import { boundedJson } from '../codec/bounded-json.js'
import { codecOf, movedOn, type CodecDefinition, type Use } from '../codec/codec.js'
import { DefinitionError, IntegrityError, messageOf } from '../errors.js'
import { didYouMean } from '../options.js'
import type { Bucket } from '../log/bucket.js'
import type { Ports } from '../log/ports.js'
import { idRule, keyRule, timeRule, type Rule } from './derive.js'
import {
  IDLE_AFTER_DEFAULT_MS,
  OUT_OF_ORDERNESS_DEFAULT_MS,
  settingsOf,
  streamOf,
  type Format,
  type Stream,
} from './stream.js'

/** The name of the bucket. */
export const BUCKET = 'stream-node'
const STREAMS = 'streams'
const VERSION = 1
/** More than any schema has. What is nested deeper could be read, and not be written or compared. */
const DEPTH_MAX = 300
/** How many names an error lists. */
const NAMED_MAX = 10

/** How a key, time or id is found: in a field, or by a function that only code knows. */
export type KeptRule = { readonly field: string } | { readonly function: true }

/** A stream's definition as it is kept. */
export interface KeptStream {
  readonly version: typeof VERSION
  readonly partitions: number
  readonly format: Format
  readonly codec: CodecDefinition
  readonly key?: KeptRule
  readonly time?: KeptRule
  readonly id?: KeptRule
  readonly source?: { readonly stream: string; readonly subject: string }
}

/** Gives the bucket; `replicas`: how many copies it gets if this makes it. Else it stays as it is. */
export type BucketOf = (replicas?: number) => Promise<Bucket>

/** The bucket of a log, opened when it is first asked for, so that the first stream can say how many copies it gets. */
export function bucketOf(ports: Pick<Ports, 'bucket'>, replicasDefault: number): BucketOf {
  let opening: Promise<Bucket> | undefined
  return (replicas = replicasDefault) =>
    (opening ??= opened(ports, replicas).catch((error: unknown) => {
      opening = undefined
      throw error
    }))
}

async function opened(ports: Pick<Ports, 'bucket'>, replicas: number): Promise<Bucket> {
  try {
    return await ports.bucket({ name: BUCKET, replicas })
  } catch (error) {
    if (!(error instanceof DefinitionError && error.code === 'STREAM_DIFFERS')) throw error
    return ports.bucket({ name: BUCKET })
  }
}

/** The definitions in one log. */
export class KeptStreams {
  constructor(readonly bucket: BucketOf) {}

  /**
   * Throws what `settle` throws for a definition that differs; writes nothing. True when what is kept says all that this
   * one does, so that nothing is left to settle.
   */
  async verify<T>(stream: Stream<T>, use: Use): Promise<boolean> {
    const kept = await this.#find(stream.name, await this.bucket(settingsOf(stream).replicas))
    return kept !== undefined && isSettled(kept, merged(stream.name, kept, keptOf(stream), use), use)
  }

  /**
   * Writes a stream's definition down, or holds it against the one that is kept: other partitions, format, source or
   * key rule are `STREAM_DIFFERS`, another codec is `CODEC_DIFFERS`, each naming both. A writer adds what the kept one
   * lacks, and brings its schema up to date. Gives the refusal when nothing is kept, for we may not write here.
   */
  async settle<T>(stream: Stream<T>, use: Use): Promise<Error | undefined> {
    const own = keptOf(stream)
    const bucket = await this.bucket(settingsOf(stream).replicas)
    for (;;) {
      const entry = await bucket.get(entryKey(stream.name))
      const kept = entry?.value === undefined ? undefined : parse(stream.name, entry.value)
      const wanted = kept === undefined ? own : merged(stream.name, kept, own, use)
      if (kept !== undefined && isSettled(kept, wanted, use)) return undefined
      const ending = await bucket.put(entryKey(stream.name), bytesOf(wanted), entry?.revision ?? 0)
      if (ending.ending === 'stored') return undefined
      if (ending.ending === 'refused' && ending.why === 'denied') return kept === undefined ? ending.error : undefined
      // Somebody was first, or nobody can say: what is kept now tells.
      if (ending.ending === 'unknown' || ending.why === 'expected') continue
      throw ending.error
    }
  }

  /** The definition of a stream, if one is kept. */
  async find(name: string): Promise<KeptStream | undefined> {
    return this.#find(name, await this.bucket())
  }

  async #find(name: string, bucket: Bucket): Promise<KeptStream | undefined> {
    const entry = await bucket.get(entryKey(name))
    return entry?.value === undefined ? undefined : parse(name, entry.value)
  }

  /** The names of all streams with a definition, sorted. */
  async names(): Promise<readonly string[]> {
    const keys = await (await this.bucket()).keys(STREAMS)
    return keys.map(key => key.slice(STREAMS.length + 1)).sort()
  }

  /** `NO_SUCH_STREAM`, with the nearest name there is, or some of those there are. */
  async missing(name: string): Promise<DefinitionError> {
    const names = await this.names()
    if (names.includes(name)) {
      const what = `stream "${name}" was deleted, and only its definition is still kept`
      const mend = 'a program that defines it and publishes to it makes it anew'
      return new DefinitionError('NO_SUCH_STREAM', what, mend, { facts: { name } })
    }
    const near = didYouMean(name, names)
    const some = names.length > NAMED_MAX ? [...names.slice(0, NAMED_MAX), '...'] : names
    const mend =
      names.length === 0
        ? 'there are none yet; a program that publishes to it makes it'
        : near.startsWith('did you mean')
          ? near
          : `there ${names.length === 1 ? 'is' : 'are'} ${some.join(', ')}`
    return new DefinitionError('NO_SUCH_STREAM', `there is no stream "${name}"`, mend, { facts: { name } })
  }
}

/** A stream as its kept definition has it. Rules that only code knows are left out. */
export function streamFrom(name: string, kept: KeptStream): Stream<unknown> {
  const where = `stream "${name}"`
  return streamOf<unknown>(name, kept.partitions, {
    key: keyRule(where, fieldOf(kept.key)),
    byName: { keyInCode: kept.key !== undefined && 'function' in kept.key },
    time: timeRule(where, fieldOf(kept.time)),
    id: idRule(where, fieldOf(kept.id)),
    codec: codecOf(where, kept.codec),
    format: kept.format,
    outOfOrdernessMs: OUT_OF_ORDERNESS_DEFAULT_MS,
    idleAfterMs: IDLE_AFTER_DEFAULT_MS,
    ...(kept.source !== undefined && { source: kept.source }),
  })
}

function keptOf<T>(stream: Stream<T>): KeptStream {
  const settings = settingsOf(stream)
  return {
    version: VERSION,
    partitions: stream.partitions,
    format: settings.format,
    codec: settings.codec.definition,
    ...(settings.key !== undefined && { key: keptRule(settings.key) }),
    ...(settings.time !== undefined && { time: keptRule(settings.time) }),
    ...(settings.id !== undefined && { id: keptRule(settings.id) }),
    ...(settings.source !== undefined && { source: settings.source }),
  }
}

function keptRule(rule: Rule<never, unknown>): KeptRule {
  return rule.field === undefined ? { function: true } : { field: rule.field }
}

function fieldOf(rule: KeptRule | undefined): string | undefined {
  return rule !== undefined && 'field' in rule ? rule.field : undefined
}

/**
 * What should be kept when both agree: what is given later is the newer truth, as a field where a function was. Throws
 * when they differ.
 */
function merged(name: string, kept: KeptStream, own: KeptStream, use: Use): KeptStream {
  const differ = (what: string, there: string, here: string, mend: string) => {
    const facts = { stream: name, kept: there, given: here }
    const text = `stream "${name}" is kept with ${there} ${what}, but this program says ${here}`
    return new DefinitionError('STREAM_DIFFERS', text, mend, { facts })
  }
  const agree = 'say the same, or use another stream'
  const codec = movedOn(`stream "${name}"`, kept.codec, own.codec, use) ? own.codec : kept.codec
  if (kept.partitions !== own.partitions) {
    const mend = `set partitions: ${kept.partitions}, or use another stream: the count decides where every key is`
    throw differ('as number of partitions', String(kept.partitions), String(own.partitions), mend)
  }
  if (kept.format !== own.format) throw differ('as format', `'${kept.format}'`, `'${own.format}'`, agree)
  const [keptKey, ownKey] = [fieldOf(kept.key), fieldOf(own.key)]
  // Two functions cannot be compared; a function where a field is kept would leave the command line with a wrong rule.
  if (keptKey !== undefined && own.key !== undefined && keptKey !== ownKey) {
    throw differ('as key', `'${keptKey}'`, ownKey === undefined ? 'a function' : `'${ownKey}'`, agree)
  }
  const [there, here] = [sourceText(kept), sourceText(own)]
  if (there !== here) throw differ('as source', there, here, agree)
  return { ...kept, ...own, codec }
}

function sourceText({ source }: KeptStream): string {
  return source === undefined ? 'none' : `${source.subject} of ${source.stream}`
}

/** Only writers add to what is kept. */
function isSettled(kept: KeptStream, wanted: KeptStream, use: Use): boolean {
  return use === 'read' || isDeepStrictEqual(kept, JSON.parse(JSON.stringify(wanted)))
}

function entryKey(name: string): string {
  return `${STREAMS}.${name}`
}

function bytesOf(kept: KeptStream): Uint8Array {
  return Buffer.from(JSON.stringify(kept))
}

function parse(name: string, bytes: Uint8Array): KeptStream {
  let found: unknown
  try {
    found = boundedJson(bytes, DEPTH_MAX)
  } catch (cause) {
    throw badEntry(name, `cannot be read (${messageOf(cause)})`, cause)
  }
  if (isObject(found) && typeof found['version'] === 'number' && found['version'] > VERSION) {
    const what = `the definition of stream "${name}" has version ${found['version']}, and this program knows ${VERSION}`
    throw new DefinitionError('STREAM_DIFFERS', what, 'use a newer stream-node')
  }
  if (!isKept(found)) throw badEntry(name, 'is not one of ours')
  return found
}

function isKept(found: unknown): found is KeptStream {
  if (!isObject(found) || found['version'] !== VERSION) return false
  const { partitions, format, codec, key, time, id, source } = found
  return (
    Number.isSafeInteger(partitions) &&
    (partitions as number) >= 1 &&
    (partitions as number) <= 4096 &&
    (format === 'message' || format === 'batch') &&
    isObject(codec) &&
    typeof codec['name'] === 'string' &&
    [key, time, id].every(isRule) &&
    (source === undefined ||
      (isObject(source) && typeof source['stream'] === 'string' && typeof source['subject'] === 'string'))
  )
}

function isRule(rule: unknown): boolean {
  if (rule === undefined) return true
  return isObject(rule) && (rule['function'] === true || (typeof rule['field'] === 'string' && rule['field'] !== ''))
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null
}

function badEntry(name: string, what: string, cause?: unknown): IntegrityError {
  const mend = `look at the entry ${entryKey(name)} of the bucket ${BUCKET}; deleted, it is written anew at the next use`
  return new IntegrityError('BAD_LOG', `the kept definition of stream "${name}" ${what}`, mend, { cause })
}
