/** Makes streams, or verifies those that are there; knows which ones are ours. */
import { DiscardPolicy, RetentionPolicy, StorageType, type StreamConfig, type StreamInfo } from '@nats-io/jetstream'
import { DefinitionError } from '../../errors.js'
import type { Log, LogStream, StreamSpec } from '../log.js'
import { codeOf, NO_STREAM, notMade } from './api-error.js'
import type { Floors } from './floors.js'
import { infoOf, isMade } from './leader.js'
import type { Link } from './link.js'
import { JetStreamStream, subjectsOf } from './stream.js'
import type { Writer } from './writer.js'

/** Marks the streams that we made, on servers without metadata too. */
const MARK = 'a stream of stream-node'
const NS_PER_MS = 1_000_000

export class JetStreamLog implements Log {
  readonly #link: Link
  readonly #writer: Writer
  readonly #floors: Floors

  constructor(link: Link, writer: Writer, floors: Floors) {
    this.#link = link
    this.#writer = writer
    this.#floors = floors
  }

  get description(): string {
    return `JetStream ${this.#link.version} at ${this.#link.server}`
  }

  get recordBytesMax(): number {
    return this.#link.payloadMax
  }

  async open(spec: StreamSpec): Promise<LogStream> {
    if (spec.source !== undefined) return this.#openSource(spec, spec.source)
    const info = (await this.#info(spec.name)) ?? (await this.#make(spec))
    verify(spec, info.config)
    return new JetStreamStream(this.#link, this.#writer, this.#floors, spec, info)
  }

  async find(name: string): Promise<LogStream | undefined> {
    const info = await this.#info(name)
    if (info === undefined) return undefined
    return new JetStreamStream(this.#link, this.#writer, this.#floors, specOf(info.config), info)
  }

  async names(): Promise<readonly string[]> {
    const names = await this.#link.call('list the streams', async jsm => {
      const found: string[] = []
      for await (const { config } of jsm.streams.list()) if (config.description === MARK) found.push(config.name)
      return found
    })
    return names.sort()
  }

  async drop(name: string): Promise<void> {
    await this.#link.call(`delete stream "${name}"`, async jsm => {
      await jsm.streams.delete(name).catch((error: unknown) => {
        if (codeOf(error) !== NO_STREAM) throw error
      })
    })
  }

  async #openSource(spec: StreamSpec, source: { stream: string; subject: string }): Promise<LogStream> {
    const info = await this.#info(source.stream)
    if (info === undefined) {
      const what = `stream "${spec.name}" reads the JetStream stream "${source.stream}", which is not there`
      throw new DefinitionError('NO_SUCH_STREAM', what, 'check its name, the account and the domain')
    }
    return new JetStreamStream(this.#link, this.#writer, this.#floors, { ...spec, partitions: 1 }, info)
  }

  #info(name: string): Promise<StreamInfo | undefined> {
    return infoOf(this.#link, name, `open stream "${name}"`)
  }

  /**
   * Two who make it at once are answered alike when they want the same; else the later one finds it and is told. A server
   * may tell the later one too, instead, that its subjects are taken, namely by the very stream that both make.
   */
  async #make(spec: StreamSpec): Promise<StreamInfo> {
    let failure: unknown
    const made = await this.#link
      .call(`make stream "${spec.name}"`, jsm => jsm.streams.add(configOf(spec)))
      .catch((error: unknown) => {
        if (codeOf(error) !== NAME_IN_USE && codeOf(error) !== SUBJECTS_OVERLAP) throw notMade(nameOf(spec), error)
        failure = error
        return undefined
      })
    if (made !== undefined && isMade(made)) return made
    const info = await this.#info(spec.name)
    if (info !== undefined) return info
    if (codeOf(failure) === SUBJECTS_OVERLAP) throw notMade(nameOf(spec), failure)
    return this.#make(spec)
  }
}

const NAME_IN_USE = 10058
const SUBJECTS_OVERLAP = 10065

function nameOf(spec: StreamSpec): string {
  return `stream "${spec.name}"`
}

function configOf(spec: StreamSpec): Partial<StreamConfig> & { name: string } {
  const { ageMs = 0, bytes = -1, records = -1 } = spec.retention
  return {
    name: spec.name,
    description: MARK,
    subjects: subjectsOf(spec),
    retention: RetentionPolicy.Limits,
    storage: StorageType.File,
    discard: DiscardPolicy.Old,
    num_replicas: spec.replicas,
    max_age: ageMs * NS_PER_MS,
    max_bytes: bytes,
    max_msgs: records,
    duplicate_window: windowOf(spec) * NS_PER_MS,
    allow_direct: false,
  }
}

/** The server remembers ids no longer than it keeps records. */
function windowOf({ dedupWindowMs, retention }: StreamSpec): number {
  return Math.min(dedupWindowMs, retention.ageMs ?? dedupWindowMs)
}

/** What a stream is, by its settings; one whose subjects are not ours is read as the source of others. */
export function specOf(config: StreamConfig): StreamSpec {
  const subjects = subjectsIn(config)
  const ours = subjects.length > 0 && subjects.every((subject, partition) => subject === `${config.name}.${partition}`)
  return {
    name: config.name,
    partitions: ours ? subjects.length : 1,
    retention: {
      ...(config.max_age > 0 && { ageMs: config.max_age / NS_PER_MS }),
      ...(config.max_bytes >= 0 && { bytes: config.max_bytes }),
      ...(config.max_msgs >= 0 && { records: config.max_msgs }),
    },
    replicas: config.num_replicas,
    dedupWindowMs: config.duplicate_window / NS_PER_MS,
    ...(!ours && { source: { stream: config.name, subject: '>' } }),
  }
}

/** The client's type has them always; a mirror has none. */
function subjectsIn({ subjects = [] }: { readonly subjects?: readonly string[] }): readonly string[] {
  return subjects
}

/** Throws when a stream is not as asked for, naming each difference with both values. */
function verify(spec: StreamSpec, config: StreamConfig): void {
  const there = specOf(config)
  if (there.source !== undefined) {
    const what = `there is a JetStream stream "${spec.name}" with the subjects ${subjectsIn(config).join(', ')}, which is none of ours`
    const mend = `choose another name, or read it with source: { stream: '${spec.name}', subject: ... }`
    throw new DefinitionError('STREAM_DIFFERS', what, mend)
  }
  const wanted = { ...spec, dedupWindowMs: windowOf(spec) }
  const differences = differencesOf(wanted, there)
  if (differences.length === 0) return
  const what = `stream "${spec.name}" is there with ${differences.join(', and ')}`
  throw new DefinitionError(
    'STREAM_DIFFERS',
    what,
    'ask for what it has, change it on the server, or choose another name',
    {
      facts: { stream: spec.name },
    },
  )
}

function differencesOf(wanted: StreamSpec, there: StreamSpec): string[] {
  const rows: [string, number | undefined, number | undefined, string][] = [
    ['partitions', there.partitions, wanted.partitions, ''],
    ['replicas', there.replicas, wanted.replicas, ''],
    ['retention age', there.retention.ageMs, wanted.retention.ageMs, ' ms'],
    ['retention bytes', there.retention.bytes, wanted.retention.bytes, ''],
    ['retention records', there.retention.records, wanted.retention.records, ''],
    ['dedup window', there.dedupWindowMs, wanted.dedupWindowMs, ' ms'],
  ]
  return rows
    .filter(([, is, want]) => is !== want)
    .map(([name, is, want, unit]) => `${name} ${show(is, unit)} where ${show(want, unit)} is asked for`)
}

function show(value: number | undefined, unit: string): string {
  return value === undefined ? 'without bound' : `${value}${unit}`
}
