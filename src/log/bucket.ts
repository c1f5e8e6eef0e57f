/**
 * The port to a bucket: a small store of named values with compare-and-set and watch, for definitions, schemas,
 * members and witnesses. Not for records.
 */
import { DefinitionError } from '../errors.js'
import type { Ending } from './log.js'
import type { Position } from './record.js'

export interface BucketSpec {
  /** As for a stream: letters, digits, `-` and `_`. */
  readonly name: string
  /** Absent: as many as the bucket has; one that is made has 1. */
  readonly replicas?: number
  /** Entries older than this vanish, without a word to watchers. Absent: they stay. */
  readonly ageMs?: number
}

/** Counts writes to the bucket; each write gives its entry a higher one. */
export type Revision = Position

export interface Entry {
  readonly key: string
  /** Undefined where a watcher is told of a deletion. */
  readonly value: Uint8Array | undefined
  readonly revision: Revision
  /** When it was written: ms since 1970 by the log's own clock. */
  readonly time: number
}

export interface Bucket {
  /** The entry as the leader has it, never a stale copy; undefined when there is none. */
  get(key: string): Promise<Entry | undefined>
  /**
   * Writes a value. With `revision`: only if the entry stands at it (0: there is no entry). Ends as an append does;
   * `position` is the new revision, `expected` means that somebody else was there first. A writer whose put ended
   * `unknown` reads the entry back.
   *
   * Keys are letters, digits and `-/_=.`, at most 400, neither beginning nor ending with a dot.
   */
  put(key: string, value: Uint8Array, revision?: Revision): Promise<Ending>
  /** Deletes an entry, likewise. Deleting what is not there is `stored`. */
  delete(key: string, revision?: Revision): Promise<Ending>
  /** The keys under `prefix`: those that begin with its words and have more; absent: all. Sorted. */
  keys(prefix?: string): Promise<readonly string[]>
  /**
   * First one list of all entries there are under `prefix` (it may be empty), then each change, in order, in lists.
   * Changes to one key may be told as the last of them; the last is always told. Outlives a lost link by itself.
   */
  watch(prefix?: string): Watch
}

/** Ends at `return()` or when the link is closed. */
export type Watch = AsyncIterableIterator<readonly Entry[], undefined>

const WORDS = /^[-/_=a-zA-Z0-9]+(?:\.[-/_=a-zA-Z0-9]+)*$/
const KEY_MAX = 400

/** The error for a key that no kind takes, or undefined. */
export function keyFault(key: string): DefinitionError | undefined {
  if (key.length <= KEY_MAX && WORDS.test(key)) return undefined
  const what = `${JSON.stringify(key)} cannot be the key of an entry`
  return new DefinitionError(
    'BAD_NAME',
    what,
    `use letters, digits and -/_= with single dots between, at most ${KEY_MAX}`,
  )
}
