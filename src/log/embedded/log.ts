/** The log port on LMDB: the catalog of streams, made, found, verified and dropped. */
import type { Chance } from '../../clock.js'
import { DefinitionError } from '../../errors.js'
import { badOption } from '../../options.js'
import type { Log, LogStream, StreamSpec } from '../log.js'
import { closedError } from './feed.js'
import { encodeTail, freshTail, Place, POSITION_MAX } from './layout.js'
import { SourceStream } from './source.js'
import { EmbeddedStream } from './stream.js'
import type { Ground } from './stream.js'
import { RECORD_BYTES_MAX } from './writer.js'

/** What the catalog holds of a stream. */
interface Listed {
  readonly id: number
  readonly incarnation: string
  readonly spec: StreamSpec
}

const STREAM = 'stream '
const DROPPED = 'dropped '

export class EmbeddedLog implements Log {
  readonly recordBytesMax = RECORD_BYTES_MAX
  /** By id: handles of one stream share what is known of it. */
  readonly #open = new Map<number, EmbeddedStream>()

  constructor(
    readonly description: string,
    readonly ground: Ground,
    readonly chance: Chance,
  ) {}

  async open(spec: StreamSpec): Promise<LogStream> {
    this.#alive()
    checkName('stream', spec.name)
    if (spec.source !== undefined) return this.#openSource(spec, spec.source)
    checkSpec(spec)
    const { store } = this.ground
    const found = this.#listed(spec.name)
    const listed = found ?? (await store.write(() => this.#make(spec)))
    checkSame(spec, listed.spec)
    if (listed.spec.replicas !== 1)
      throw badOption(`the replicas of stream "${spec.name}"`, '1 on the embedded log', spec.replicas)
    return this.#handle(listed)
  }

  #openSource(spec: StreamSpec, source: { readonly stream: string; readonly subject: string }): LogStream {
    const theirs = this.#listed(source.stream)
    if (theirs === undefined) {
      const what = `there is no stream "${source.stream}" for "${spec.name}" to read`
      throw new DefinitionError('NO_SUCH_STREAM', what, 'check the name, or make it first')
    }
    return new SourceStream(this.#handle(theirs), spec, source.subject)
  }

  #make(spec: StreamSpec): Listed {
    const { catalog, tails } = this.ground.store
    const there = catalog.get(STREAM + spec.name) as Listed | undefined
    if (there !== undefined) return there
    if (spec.replicas !== 1)
      throw badOption(`the replicas of stream "${spec.name}"`, '1 on the embedded log', spec.replicas)
    const listed = { id: nextId(this.ground), incarnation: this.chance.name(), spec }
    catalog.putSync(STREAM + spec.name, listed)
    tails.putSync(listed.id, encodeTail(freshTail()))
    return listed
  }

  #listed(name: string): Listed | undefined {
    if (!isName(name)) return undefined
    this.ground.store.refresh()
    return this.ground.store.catalog.get(STREAM + name) as Listed | undefined
  }

  #handle({ id, spec, incarnation }: Listed): EmbeddedStream {
    this.#alive()
    let stream = this.#open.get(id)
    if (stream === undefined) this.#open.set(id, (stream = new EmbeddedStream(this.ground, id, spec, incarnation)))
    return stream
  }

  async find(name: string): Promise<LogStream | undefined> {
    this.#alive()
    const listed = this.#listed(name)
    return listed && this.#handle(listed)
  }

  async names(): Promise<readonly string[]> {
    this.#alive()
    this.ground.store.refresh()
    return [...namesUnder(this.ground, STREAM)].sort()
  }

  async drop(name: string): Promise<void> {
    this.#alive()
    if (!isName(name)) return
    const { store, pulse } = this.ground
    const id = await store.write(() => {
      const listed = store.catalog.get(STREAM + name) as Listed | undefined
      if (listed === undefined) return undefined
      store.catalog.removeSync(STREAM + name)
      store.tails.removeSync(listed.id)
      store.catalog.putSync(`${DROPPED}${listed.id}`, listed.spec.partitions)
      return listed.id
    })
    if (id === undefined) return
    this.#open.get(id)?.close()
    this.#open.delete(id)
    pulse.beat(id)
    await this.clear()
  }

  /** Deletes what is left of dropped streams: a drop may have been cut short by a crash. */
  async clear(): Promise<void> {
    const { store, link } = this.ground
    store.refresh()
    for (const id of namesUnder(this.ground, DROPPED)) {
      await store.takeAway(async most => !link.closed && (await store.write(() => this.#clearSome(Number(id), most))))
    }
  }

  #clearSome(id: number, most: number): boolean {
    const { store } = this.ground
    const partitions = (store.catalog.get(`${DROPPED}${id}`) as number | undefined) ?? 0
    const gone: Place[] = []
    store.codec.headersOnly = true
    try {
      const range = { start: new Place(id, 0, 0), end: new Place(id, partitions, 0), limit: most }
      for (const { value } of store.records.getRange(range)) {
        gone.push(new Place(id, value.record.partition, value.record.position))
      }
    } finally {
      store.codec.headersOnly = false
    }
    for (const place of gone) store.records.removeSync(place)
    if (gone.length === most) return true
    const rest = { start: [id, 0], end: [id, POSITION_MAX] } as const
    for (const table of [store.floors, store.ids]) {
      for (const { key } of [...table.getRange(rest)]) table.removeSync(key)
    }
    store.catalog.removeSync(`${DROPPED}${id}`)
    return false
  }

  #alive(): void {
    if (this.ground.link.closed) throw closedError()
  }

  close(): void {
    for (const stream of this.#open.values()) stream.close()
  }
}

/** A number that no stream or bucket had before. Inside a transaction. */
export function nextId({ store }: Ground): number {
  const id = ((store.catalog.get('ids') as number | undefined) ?? 0) + 1
  store.catalog.putSync('ids', id)
  return id
}

function* namesUnder({ store }: Ground, prefix: string): Generator<string> {
  for (const { key } of store.catalog.getRange({ start: prefix, end: `${prefix}\uffff` }))
    yield key.slice(prefix.length)
}

function isName(name: unknown): boolean {
  return typeof name === 'string' && /^[A-Za-z0-9_-]{1,200}$/.test(name)
}

/** Throws for a name that the other kind could not carry. */
export function checkName(what: string, name: unknown): void {
  if (isName(name)) return
  const given = `the name ${JSON.stringify(name)} of a ${what}`
  throw new DefinitionError(
    'BAD_NAME',
    `${given} is not made of letters, digits, - and _`,
    'choose another, of at most 200 characters',
  )
}

function checkSpec({ name, partitions }: StreamSpec): void {
  if (Number.isInteger(partitions) && partitions >= 1 && partitions <= 4096) return
  throw badOption(`the partitions of stream "${name}"`, 'a whole number from 1 to 4096', partitions)
}

function checkSame(asked: StreamSpec, actual: StreamSpec): void {
  const differences = [
    differs('partitions', asked.partitions, actual.partitions),
    differs('replicas', asked.replicas, actual.replicas),
    differs('dedupWindowMs', asked.dedupWindowMs, actual.dedupWindowMs),
    differs('retention.ageMs', asked.retention.ageMs, actual.retention.ageMs),
    differs('retention.bytes', asked.retention.bytes, actual.retention.bytes),
    differs('retention.records', asked.retention.records, actual.retention.records),
  ].filter(one => one !== undefined)
  if (differences.length === 0) return
  throw new DefinitionError(
    'STREAM_DIFFERS',
    `stream "${asked.name}" is there with other settings: ${differences.join(', ')}`,
    'ask for what is there, or give the stream another name',
    { facts: { stream: asked.name, asked, actual } },
  )
}

/** `partitions 7 asked for, 3 there`, or undefined when both are the same. */
export function differs(what: string, asked: number | undefined, actual: number | undefined): string | undefined {
  if (asked === actual) return undefined
  return `${what} ${asked ?? 'none'} asked for, ${actual ?? 'none'} there`
}
