/**
 * The port to the log: streams of records in partitions, appended and read in order. Everything above rests on what is
 * promised here and on nothing else; `stream-node/testing` has the suite that every kind must pass.
 */
import type { DefinitionError, FencedError, IntegrityError, UnavailableError } from '../errors.js'
import type { LogRecord, Position } from './record.js'

export interface Log {
  /** What stands behind the port, for people: `JetStream 2.10.27 at 127.0.0.1:4222`, `embedded log in .stream-node`. */
  readonly description: string
  /** The largest record, headers included, that `append` takes, in bytes. */
  readonly recordBytesMax: number
  /**
   * Opens a stream and makes it when it is not there. One that is there must be as asked for: another number of
   * partitions, other retention, replicas or window is a `STREAM_DIFFERS` error that names both values, and nothing is
   * changed. Safe to call from many nodes at once. Works without the right to make streams when the stream is there.
   */
  open(spec: StreamSpec): Promise<LogStream>
  /** Opens a stream as it stands, or gives undefined when there is none. */
  find(name: string): Promise<LogStream | undefined>
  /** The names of the streams that this framework made, sorted. */
  names(): Promise<readonly string[]>
  /** Deletes a stream with all its records. Deleting one that is not there is no error. */
  drop(name: string): Promise<void>
}

/** What a stream is to be. */
export interface StreamSpec {
  /** Letters, digits, `-` and `_`, at most 200. */
  readonly name: string
  /** How many partitions, 1 to 4096; they are numbered from 0. */
  readonly partitions: number
  /** What may be dropped, oldest first; an absent bound does not bind. */
  readonly retention: Retention
  /** How many copies the log keeps. Kinds that keep one take only 1. */
  readonly replicas: number
  /** For how long the log remembers ids at the least, in ms. */
  readonly dedupWindowMs: number
  /**
   * Set when the records belong to somebody else: an existing JetStream stream and one of its subjects, wildcards
   * included, read unchanged as one partition. Such a stream is never made, changed, purged or appended to.
   */
  readonly source?: { readonly stream: string; readonly subject: string }
}

export interface Retention {
  readonly ageMs?: number
  readonly bytes?: number
  readonly records?: number
}

export interface LogStream {
  readonly spec: StreamSpec
  /**
   * What tells this stream from another of the same name made later: changes when, and only when, it is made anew.
   */
  readonly incarnation: string

  /**
   * Sends one record, now, in this tick: the order of calls is the order in the log, as far as it stores them. Many may
   * be in flight; ask `room()` first, since beyond the window an append is refused as `unavailable`. The promise never
   * rejects: it tells how the append ended.
   *
   * Atomic is one record, nothing more: of several in flight any may be lost, the first of them too, while later ones
   * are stored.
   *
   * With an `id`: if a record with this id was stored in this stream less than the window ago, nothing is stored and
   * the ending is `stored`, `repeat: true`, with the position of the one that is there.
   *
   * With `expect`: stored only if the last record of the partition stands at that position (0: the partition never had
   * one, or all are gone). This holds against any number of racing writers. It needs an `id`, and racing writers who
   * expect the same must give the same id only if they write the same: name the id after the ordinal of the record in
   * its partition. A repeat of the partition's last record, by its id, is `stored` with `repeat: true`, whatever it
   * expects; compare what is there before you call it yours.
   */
  append(record: Append): Promise<Ending>

  /**
   * `append` for those who append very many: tells the ending by a call, which spares about a seventh of the cost.
   * `ended` is called exactly once, never within `send` itself, and must not throw.
   */
  send(record: Append, ended: (ending: Ending) => void): void

  /**
   * Undefined when another record may be appended, else a promise for when that may be so (ask again). The bound is on
   * records and bytes in flight. While the log is away the promise waits until it is back; it rejects only with
   * `CLOSED`.
   */
  room(): Promise<void> | undefined

  /**
   * Reads on from a position, in order, without gaps, until `return()` or the end asked for. The reader holds no more
   * than about two batches: when nobody takes them, it asks the log for no more. It outlives a lost link by itself.
   *
   * Never silently skips: records after `after` that are gone by retention, by purge or with the whole stream end it
   * with an `IntegrityError` (`OVERRUN`, `STREAM_RECREATED`); so does a position beyond the end (`LOG_REWOUND`).
   * `after: START` means "from whatever is there", so it is never overrun before its first batch. This is checked when
   * reading begins and when it goes on after a lost link; a purge of records that a running reader has not reached may
   * pass unseen.
   */
  read(options: ReadOptions): BatchReader

  /** The last record of a partition, as the leader has it, never a stale copy; undefined when there is none. */
  last(partition: number): Promise<LogRecord | undefined>

  /** Where the stream begins and ends, as the leader has it. */
  extent(): Promise<Extent>

  /** The position after which every record was taken by the log at `time` (ms since 1970) or later. */
  positionAt(time: number): Promise<Position>

  /**
   * Deletes the records of one partition before a position. Others keep theirs, and readers of others notice nothing.
   * Idempotent; may end `TIMED_OUT` and be done all the same.
   */
  purge(partition: number, before: Position): Promise<void>
}

export interface Append {
  readonly partition: number
  readonly payload: Uint8Array
  /** At most 500 characters, visible ASCII. */
  readonly id?: string
  /** Without the id. */
  readonly headers?: Readonly<Record<string, string>>
  /** Compare and set: the position of the partition's last record. */
  readonly expect?: Position
}

/** How an append ended. */
export type Ending = Stored | Refused | Unknown

/** It is in the log, at this position. */
export interface Stored {
  readonly ending: 'stored'
  readonly position: Position
  /** True when it was there already, by its id. */
  readonly repeat: boolean
}

/** This send is not in the log and never will be. (A former send of the same id may be.) */
export interface Refused {
  readonly ending: 'refused'
  /**
   * `expected`: the partition ends elsewhere, with another record; `unavailable`: it was not sent, the log is away;
   * `full`: the disk or a limit; `denied`: not permitted, too large, or not ours to write.
   */
  readonly why: 'expected' | 'unavailable' | 'full' | 'denied'
  readonly error: DefinitionError | UnavailableError | FencedError
}

/**
 * Nobody can say: the answer did not come. The record may be stored now, or still become so. Settle it by sending the
 * same id and bytes again while the window lasts, or by reading the tail.
 */
export interface Unknown {
  readonly ending: 'unknown'
  readonly error: UnavailableError | IntegrityError
}

export interface ReadOptions {
  /** Which partition; absent: all of them, in stream order. */
  readonly partition?: number
  /** Read what comes after this position. */
  readonly after: Position
  /** Ends when all that was there when reading began has been read. Absent: never ends, new records come as they do. */
  readonly untilEnd?: boolean
  /** Payloads are left behind, headers come. */
  readonly headersOnly?: boolean
  /** The most records in a batch; default 1000. */
  readonly recordsMax?: number
  /** The most bytes in a batch, though one record always fits; default 1 MiB. */
  readonly bytesMax?: number
}

/** Batches on demand. `next()` may be called once at a time; `return()` at any time, and frees what it holds. */
export interface BatchReader extends AsyncIterableIterator<Batch> {
  next(): Promise<IteratorResult<Batch, undefined>>
  return(): Promise<IteratorResult<Batch, undefined>>
}

/** Records in order, and how far they bring the reader. */
export interface Batch {
  /** May be empty: then only the position has moved. */
  readonly records: readonly LogRecord[]
  /** Everything of ours up to and including this position has been read. At or above that of the last record. */
  readonly position: Position
  /** How many records the log had ready after these when it gave them; 0 means caught up at that moment. */
  readonly behind: number
}

export interface Extent {
  /** The first position still there; one above `last` when the stream is empty. */
  readonly first: Position
  /** The last position ever given, 0 when there was none. */
  readonly last: Position
  readonly incarnation: string
}
