/** A bucket as the simulated server keeps it. */
import { FencedError } from '../../errors.js'
import type { BucketSpec, Entry, Revision } from '../../log/bucket.js'
import type { Ending } from '../../log/log.js'
import { refused } from './stored-stream.js'

export class StoredBucket {
  revision: Revision = 0
  /** The last write to each key, deletions too, in the order of the writes. */
  readonly #entries = new Map<string, Entry>()
  readonly #waiting = new Set<() => void>()

  constructor(
    readonly spec: BucketSpec,
    readonly now: () => number,
  ) {}

  get(key: string): Entry | undefined {
    const entry = this.#standing(key)
    return entry?.value === undefined ? undefined : entry
  }

  #standing(key: string): Entry | undefined {
    const entry = this.#entries.get(key)
    const outlived = this.spec.ageMs !== undefined && entry !== undefined && entry.time <= this.now() - this.spec.ageMs
    return outlived ? undefined : entry
  }

  put(key: string, value: Uint8Array | undefined, revision: Revision | undefined): Ending {
    const at = this.get(key)?.revision ?? 0
    if (revision !== undefined && revision !== at) {
      return refused('expected', new FencedError(`the entry "${key}" stands at revision ${at}, not at ${revision}`))
    }
    if (value === undefined && at === 0) return { ending: 'stored', position: this.revision, repeat: false }
    this.revision++
    this.#entries.delete(key)
    this.#entries.set(key, { key, value, revision: this.revision, time: Math.floor(this.now()) })
    const waiting = [...this.#waiting]
    this.#waiting.clear()
    for (const then of waiting) then()
    return { ending: 'stored', position: this.revision, repeat: false }
  }

  /** What was last written to each key after a revision, in that order. */
  after(revision: Revision, prefix: string | undefined): Entry[] {
    const found: Entry[] = []
    for (const key of this.#entries.keys()) {
      if (prefix !== undefined && !key.startsWith(`${prefix}.`)) continue
      const entry = this.#standing(key)
      if (entry !== undefined && entry.revision > revision) found.push(entry)
    }
    return found
  }

  onChange(then: () => void): () => void {
    this.#waiting.add(then)
    return () => this.#waiting.delete(then)
  }
}
