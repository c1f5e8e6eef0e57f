/**
 * The bucket port on LMDB: an entry by its key, and for each revision that still stands the key written then, so that a
 * watcher reads on from the revision it has seen.
 */
import type { Cancel } from '../../clock.js'
import { DefinitionError, FencedError } from '../../errors.js'
import { badOption } from '../../options.js'
import { keyFault } from '../bucket.js'
import type { Bucket, BucketSpec, Entry, Revision, Watch } from '../bucket.js'
import type { Ending } from '../log.js'
import { closedError, Feed } from './feed.js'
import type { Step } from './feed.js'
import { decodeEntry, decodeTail, encodeEntry, encodeTail, freshTail, POSITION_MAX } from './layout.js'
import { checkName, differs, nextId } from './log.js'
import type { Ground } from './stream.js'
import { failedEnding, refused } from './writer.js'

interface Listed {
  readonly id: number
  readonly spec: BucketSpec
}

const BUCKET = 'bucket '
// A watcher in this or another process looks every few milliseconds; one that slept longer than this begins anew.
const TRACE_MS = 3_600_000
const SWEEP = 4
/** There is one folder. */
const COPIES = 1

/** Opens a bucket and makes it when it is not there; `STREAM_DIFFERS` when it is there with other settings. */
export async function openBucket(ground: Ground, spec: BucketSpec): Promise<Bucket> {
  if (ground.link.closed) throw closedError()
  checkName('bucket', spec.name)
  const { store } = ground
  store.refresh()
  const name = BUCKET + spec.name
  const found = store.catalog.get(name) as Listed | undefined
  const listed = found ?? (await store.write(() => make(ground, name, spec)))
  const difference =
    differs('ageMs', spec.ageMs, listed.spec.ageMs) ?? differs('replicas', spec.replicas ?? COPIES, COPIES)
  if (difference !== undefined) {
    const what = `bucket "${spec.name}" is there with other settings: ${difference}`
    const facts = { bucket: spec.name, asked: spec, actual: listed.spec }
    throw new DefinitionError('STREAM_DIFFERS', what, 'ask for what is there, or give it another name', { facts })
  }
  return new EmbeddedBucket(ground, listed)
}

/** A bucket as it stands; undefined when there is none. */
export function findBucket(ground: Ground, name: string): Bucket | undefined {
  if (ground.link.closed) throw closedError()
  ground.store.refresh()
  const listed = ground.store.catalog.get(BUCKET + name) as Listed | undefined
  return listed && new EmbeddedBucket(ground, listed)
}

function make(ground: Ground, name: string, spec: BucketSpec): Listed {
  const { catalog, tails } = ground.store
  const there = catalog.get(name) as Listed | undefined
  if (there !== undefined) return there
  if ((spec.replicas ?? COPIES) !== COPIES) {
    throw badOption(`the replicas of bucket "${spec.name}"`, '1 on the embedded log', spec.replicas)
  }
  const listed = { id: nextId(ground), spec }
  catalog.putSync(name, listed)
  tails.putSync(listed.id, encodeTail(freshTail()))
  return listed
}

class EmbeddedBucket implements Bucket {
  constructor(
    readonly ground: Ground,
    readonly listed: Listed,
  ) {}

  async get(key: string): Promise<Entry | undefined> {
    this.refresh()
    if (keyFault(key) !== undefined) return undefined
    const entry = this.#standing(key)
    return entry?.value === undefined ? undefined : entry
  }

  put(key: string, value: Uint8Array, revision?: Revision): Promise<Ending> {
    return this.#change(key, value, revision)
  }

  delete(key: string, revision?: Revision): Promise<Ending> {
    return this.#change(key, undefined, revision)
  }

  async #change(key: string, value: Uint8Array | undefined, revision: Revision | undefined): Promise<Ending> {
    const { store, pulse, link } = this.ground
    const { id } = this.listed
    if (link.closed) return refused('unavailable', closedError())
    const fault = keyFault(key)
    if (fault !== undefined) return refused('denied', fault)
    const bytes = value && Uint8Array.from(value)
    return new Promise(resolve => {
      let ending: Ending
      store.enqueue({
        run: () => {
          ending = this.#write(key, bytes, revision)
        },
        done: () => {
          resolve(ending)
          pulse.beat(id)
        },
        failed: error => resolve(failedEnding(error)),
      })
    })
  }

  #write(key: string, value: Uint8Array | undefined, revision: Revision | undefined): Ending {
    const { store, clock } = this.ground
    const { id } = this.listed
    const tail = decodeTail(store.tails.get(id) as Buffer)
    const now = Math.max(tail.time, Math.floor(clock.now()))
    const there = decodeEntry(key, store.entries.get([id, key]))
    const standing = there?.value !== undefined && !this.#outlived(there, now) ? there : undefined
    const at = standing?.revision ?? 0
    if (revision !== undefined && revision !== at) return refused('expected', elsewhere(key, revision, at))
    if (value === undefined && standing === undefined) return { ending: 'stored', position: tail.last, repeat: false }
    if (there !== undefined) store.changes.removeSync([id, there.revision])
    tail.last++
    tail.edits++
    tail.time = now
    store.entries.putSync([id, key], encodeEntry(tail.last, now, value))
    store.changes.putSync([id, tail.last], key)
    this.#sweep(now)
    store.tails.putSync(id, encodeTail(tail))
    return { ending: 'stored', position: tail.last, repeat: false }
  }

  /** Takes away the oldest entries that have outlived their age, and old traces of deletions: a few with each write. */
  #sweep(now: number): void {
    const { store } = this.ground
    const { id } = this.listed
    const oldest = [...store.changes.getRange({ start: [id, 0], end: [id, POSITION_MAX], limit: SWEEP })]
    for (const { key: change, value: key } of oldest) {
      const entry = decodeEntry(key, store.entries.get([id, key]))
      const kept = entry !== undefined && !this.#outlived(entry, now)
      if (kept && (entry.value !== undefined || entry.time > now - TRACE_MS)) continue
      store.changes.removeSync(change)
      store.entries.removeSync([id, key])
    }
  }

  #outlived(entry: Entry, now: number): boolean {
    const { ageMs } = this.listed.spec
    return ageMs !== undefined && entry.time <= now - ageMs
  }

  #standing(key: string): Entry | undefined {
    const entry = decodeEntry(key, this.ground.store.entries.get([this.listed.id, key]))
    return entry === undefined || this.#outlived(entry, this.ground.clock.now()) ? undefined : entry
  }

  async keys(prefix?: string): Promise<readonly string[]> {
    this.refresh()
    return this.entries(0, prefix)
      .filter(entry => entry.value !== undefined)
      .map(entry => entry.key)
      .sort()
  }

  watch(prefix?: string): Watch {
    return new BucketWatch(this, prefix)
  }

  /** What was last written to each key after a revision, deletions included, in that order. */
  entries(after: Revision, prefix: string | undefined): Entry[] {
    const { store } = this.ground
    const range = { start: [this.listed.id, after + 1], end: [this.listed.id, POSITION_MAX] } as const
    const found: Entry[] = []
    for (const { value: key } of store.changes.getRange(range)) {
      if (prefix !== undefined && !key.startsWith(`${prefix}.`)) continue
      const entry = this.#standing(key)
      if (entry !== undefined) found.push(entry)
    }
    return found
  }

  /** The last revision given. */
  revision(): Revision {
    this.refresh()
    return decodeTail(this.ground.store.tails.get(this.listed.id) as Buffer).last
  }

  refresh(): void {
    if (this.ground.link.closed) throw closedError()
    this.ground.store.refresh()
  }
}

class BucketWatch extends Feed<readonly Entry[]> {
  protected override readonly endsWithLink = true
  #seen: Revision | undefined

  constructor(
    readonly bucket: EmbeddedBucket,
    readonly prefix: string | undefined,
  ) {
    super(bucket.ground.link)
  }

  protected override step(): Step<readonly Entry[]> {
    const revision = this.bucket.revision()
    const first = this.#seen === undefined
    if (revision === this.#seen) return 'wait'
    const entries = this.bucket.entries(this.#seen ?? 0, this.prefix)
    this.#seen = revision
    if (first) return { value: entries.filter(entry => entry.value !== undefined) }
    return entries.length === 0 ? 'wait' : { value: entries }
  }

  protected override await(wake: () => void): Cancel {
    const { ground, listed } = this.bucket
    return ground.pulse.wait(listed.id, () => this.bucket.revision() !== this.#seen, wake)
  }

  protected override release(): void {}
}

function elsewhere(key: string, revision: Revision, at: Revision): FencedError {
  return new FencedError(`the entry "${key}" stands at revision ${at}, not at ${revision}`)
}
