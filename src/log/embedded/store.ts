/**
 * The one LMDB environment of a data folder: its tables, and group commit. All that is asked for in one tick, and all
 * that comes while a commit is under way, becomes one transaction; nobody hears of it before it is as safe as `sync`
 * says.
 */
import { open, TransactionFlags } from 'lmdb'
import type { RootDatabase } from 'lmdb'
import { pause, type Clock } from '../../clock.js'
import { IntegrityError, messageOf, UnavailableError } from '../../errors.js'
import type { Anchor } from './anchor.js'
import { RecordCodec } from './layout.js'
import type { Draft, Place, Stored } from './layout.js'
import type { Opening } from './opening.js'
import { damaged, guarded } from './table.js'
import type { Table } from './table.js'

/** Work for the next transaction. `run` sees everything committed so far, by any process, and must not wait. */
export interface Job {
  run(): void
  /** The transaction is committed. */
  done(): void
  /** The transaction came to nothing, with all its jobs. */
  failed(error: UnavailableError | IntegrityError): void
}

/** What a store needs whose folder other processes open, too. */
export interface Shared {
  readonly opening: Opening
  readonly clock: Clock
  /** A name that no other store has. */
  readonly name: string
}

/** Among the tails, where no stream is: the mark of the last transaction. */
const LAST = 0xffffffff
const LOOK_MS = 1

/** `os`: what the operating system holds counts as stored; `disk`: only what is on the disk. */
export type Sync = 'os' | 'disk'

// Number and name of what a full or failing disk says: LMDB makes a short write an I/O error.
const FULL: ReadonlySet<unknown> = new Set([28, 5, 27, 122, 30, -30792])

/** The most records that one transaction takes away, so that none holds the others up for long. */
export const PORTION = 4000

// Taking records away writes pages too, a dozen or so, before it frees any.
const RESERVE = 256 * 1024
const RESERVE_KEY = [0, 'reserve'] as const

// Said for each transaction, not for the environment: a process has one for a file, as whoever came first opened it.
const { ABORTABLE, SYNCHRONOUS_COMMIT, NO_SYNC_FLUSH } = TransactionFlags
const UNFLUSHED = (ABORTABLE | SYNCHRONOUS_COMMIT | NO_SYNC_FLUSH) as TransactionFlags
const SYNC = 'sync'

export class Store {
  readonly codec = new RecordCodec()
  readonly records: Table<Place, Stored, Draft>
  readonly catalog: Table<string, unknown>
  readonly tails: Table<number, Buffer>
  /** By stream and partition: position and ordinal of the last record that was taken away. */
  readonly floors: Table<readonly [number, number], readonly [number, number]>
  /** By stream and position: time and id of records that were taken away while their ids still count. */
  readonly ids: Table<readonly [number, number], readonly [number, string]>
  /** By bucket and key. */
  readonly entries: Table<readonly [number, string], Buffer>
  /** By bucket and revision: the key last written then. */
  readonly changes: Table<readonly [number, number], string>
  readonly #root: RootDatabase
  #sync: Sync
  #anchor: Anchor | undefined
  readonly #shared: Shared | undefined
  /** Of our last transaction: the name of this store, and a count. */
  readonly #mark: Buffer
  #transactions = 0
  #queued: Job[] = []
  #scheduled = false
  #committing: Promise<void> | undefined

  /**
   * Throws what LMDB throws. `name` is a folder; one that is not `shared` with other processes is not kept beyond this
   * one, and never flushed.
   */
  constructor(name: string, sync: Sync, shared?: Shared) {
    this.#sync = sync
    this.#shared = shared
    this.#mark = Buffer.from(`${shared?.name ?? ''}        `)
    const opened = () => this.#open(name, shared !== undefined)
    this.#root = shared === undefined ? opened() : shared.opening.run(opened)
    const { codec } = this
    this.records = this.#table('records', { keyEncoder: codec, encoder: codec })
    this.catalog = this.#table('catalog', { encoding: 'json' })
    this.tails = this.#table('tails', { keyEncoding: 'uint32' })
    this.floors = this.#table('floors', { encoding: 'json' })
    this.ids = this.#table('ids', { encoding: 'json' })
    this.entries = this.#table('entries', {})
    this.changes = this.#table('changes', { encoding: 'json' })
  }

  #open(name: string, kept: boolean): RootDatabase {
    return open({
      path: name,
      noSubdir: false,
      maxDbs: 16,
      encoding: 'binary',
      // A batch that the library opens by itself has a promise nobody holds, and its rejection would end the process.
      eventTurnBatching: false,
      // Costs a third copy of the root and pages kept longer, and gains nothing for one commit at a time.
      overlappingSync: false,
      noSync: !kept,
    })
  }

  #table<Key, Value, Written = Value>(name: string, options: object): Table<Key, Value, Written> {
    return guarded(this.#root.openDB({ name, ...options }) as unknown as Table<Key, Value, Written>)
  }

  /** How safe a transaction is when its jobs are told; never less than what the folder has been raised to. */
  get sync(): Sync {
    return this.#sync
  }

  /** Binds all processes on the folder to write so from their next transaction on. */
  async bind(sync: Sync): Promise<void> {
    this.refresh()
    if ((this.catalog.get(SYNC) ?? 'os') !== sync) await this.write(() => this.catalog.putSync(SYNC, sync))
    this.#sync = sync
  }

  /** From now on nothing is committed once the anchor is lost: all jobs end with its error. */
  moor(anchor: Anchor): void {
    this.#anchor = anchor
  }

  /** Reads after this see what any process has committed by now. */
  refresh(): void {
    this.#root.resetReadTxn()
  }

  /** Puts a job into the next transaction, after those before it. */
  enqueue(job: Job): void {
    this.#queued.push(job)
    if (this.#committing === undefined) this.#schedule()
  }

  #schedule(): void {
    if (this.#scheduled) return
    this.#scheduled = true
    setImmediate(() => {
      const opening = this.#lastOpening()
      if (opening === undefined) void this.#opened().then(last => this.#commit(last))
      else this.#commit(opening)
    })
  }

  /** As `last` of `Opening`; always the same where no other process can open the file. */
  #lastOpening(): string | undefined {
    return this.#shared === undefined ? '' : this.#shared.opening.last
  }

  /** Waits until no process is opening the data file, and gives the last opening. */
  async #opened(): Promise<string> {
    const { opening, clock } = this.#shared as Shared
    for (;;) {
      const { last } = opening
      if (last !== undefined) return last
      await pause(clock, LOOK_MS)
    }
  }

  /**
   * Runs `work` in the next transaction and gives what it gives, once that is committed. When the transaction comes to
   * nothing, `undo` is called and it rejects. What `work` throws must leave nothing half written.
   */
  write<T>(work: () => T, undo?: () => void): Promise<T> {
    return new Promise((resolve, reject) => {
      let result: { readonly value: T } | { readonly thrown: unknown }
      this.enqueue({
        run: () => {
          try {
            result = { value: work() }
          } catch (thrown) {
            if (isLmdb(thrown) || isDamage(thrown)) throw thrown
            result = { thrown }
          }
        },
        done: () => ('value' in result ? resolve(result.value) : reject(result.thrown)),
        failed: error => {
          undo?.()
          reject(error)
        },
      })
    })
  }

  /** `opening` is the last one before it. */
  #commit(opening = this.#lastOpening()): void {
    this.#scheduled = false
    // It was closed amid that, which commits as well.
    if (this.#committing !== undefined) return
    const jobs = this.#queued
    if (jobs.length === 0) return
    this.#queued = []
    const lost = this.#anchor?.lost()
    if (lost !== undefined) return fail(jobs, lost)
    const all = () => {
      for (const job of jobs) job.run()
      this.#leaveMark()
    }
    if (this.#sync === 'os') {
      try {
        this.#root.transactionSync(() => {
          // Whoever needs the disk may have come since: what it was promised holds only when all write so.
          if (this.catalog.get(SYNC) === 'disk') this.#sync = 'disk'
          else all()
        }, UNFLUSHED)
      } catch (thrown) {
        return fail(jobs, thrown)
      }
    }
    if (this.sync === 'disk') this.#committing = this.#onDisk(all, jobs, opening)
    else if (this.#isSure(opening)) for (const job of jobs) job.done()
    else this.#committing = this.#look(jobs)
  }

  /** Whether nobody has opened the data file since, and nobody is doing so. */
  #isSure(opening: string | undefined): boolean {
    return opening !== undefined && this.#lastOpening() === opening
  }

  #leaveMark(): void {
    if (this.#shared === undefined) return
    this.#mark.writeUIntBE(++this.#transactions, this.#mark.length - 6, 6)
    this.tails.putSync(LAST, this.#mark)
  }

  async #look(jobs: readonly Job[]): Promise<void> {
    try {
      await this.#settle(jobs)
    } catch (thrown) {
      fail(jobs, thrown)
    } finally {
      this.#goOn()
    }
  }

  /**
   * Tells of a transaction that was committed while another process opened the data file: it may be forgotten. Where
   * others have committed since, nobody can say whether it is.
   */
  async #settle(jobs: readonly Job[]): Promise<void> {
    await this.#opened()
    this.refresh()
    if (this.tails.get(LAST)?.equals(this.#mark) === true) for (const job of jobs) job.done()
    else fail(jobs, forgotten())
  }

  #goOn(): void {
    this.#committing = undefined
    if (this.#queued.length > 0) this.#schedule()
  }

  /** The sync happens on a thread of the library; the child transaction is what can be undone. */
  async #onDisk(all: () => void, jobs: readonly Job[], opening: string | undefined): Promise<void> {
    try {
      await this.#root.childTransaction(all)
      if (this.#isSure(opening)) for (const job of jobs) job.done()
      else await this.#settle(jobs)
    } catch (thrown) {
      fail(jobs, await causeOf(thrown))
    } finally {
      this.#goOn()
    }
  }

  /**
   * Takes things away portion by portion; `some` gives whether there may be more. On a full disk this needs room too:
   * what was set aside, then a little at a time, and more as it goes.
   */
  async takeAway(some: (most: number) => Promise<boolean>): Promise<void> {
    const all = async (first: number) => {
      for (let most = first; await some(most); most = Math.min(most * 2, PORTION));
    }
    try {
      await all(PORTION)
    } catch (error) {
      if (!(error instanceof UnavailableError) || error.code !== 'LOG_FULL') throw error
      await this.#spendReserve()
      await all(1)
      await this.reserve()
    }
  }

  /** Sets room aside, so that a full disk can be emptied. That it does not fit is no error: then nothing else does. */
  async reserve(): Promise<void> {
    this.refresh()
    if (this.entries.get(RESERVE_KEY) !== undefined) return
    await this.write(() => this.entries.putSync(RESERVE_KEY, Buffer.alloc(RESERVE))).catch(() => {})
  }

  /** Makes the room that was set aside free to be written to, by anything. */
  async #spendReserve(): Promise<void> {
    await this.write(() => this.entries.removeSync(RESERVE_KEY))
    // LMDB writes to pages only when they have been free for two transactions.
    for (const turn of [1, 2]) await this.write(() => this.catalog.putSync('reserve spent', turn))
  }

  /** Commits what is queued, then lets go of the files. */
  async close(): Promise<void> {
    while (this.#queued.length > 0 || this.#committing !== undefined) {
      if (this.#committing === undefined) this.#commit()
      await this.#committing
    }
    await this.#root.close()
  }
}

function fail(jobs: readonly Job[], thrown: unknown): void {
  const error = errorOf(thrown)
  for (const job of jobs) job.failed(error)
}

function forgotten(): UnavailableError {
  const what = 'another process opened the data folder in the moment of a write, which may be forgotten therefore'
  return new UnavailableError('TIMED_OUT', what, 'look whether it is there, or try again')
}

function errorOf(thrown: unknown): UnavailableError | IntegrityError {
  if (thrown instanceof UnavailableError) return thrown
  if (FULL.has(codeOf(thrown))) {
    const what = `the embedded log could not write to its disk (${messageOf(thrown)})`
    return new UnavailableError('LOG_FULL', what, 'free space on the disk, or purge streams', { cause: thrown })
  }
  return damaged(thrown)
}

/** A commit that fails on the library's thread says only that it did; the reason comes as a promise that rejects. */
async function causeOf(thrown: unknown): Promise<unknown> {
  const reason = (thrown as { commitError?: Promise<unknown> } | undefined)?.commitError
  if (reason === undefined) return thrown
  return reason.then(
    () => thrown,
    (cause: unknown) => cause,
  )
}

const codeOf = (thrown: unknown): unknown => (thrown as { code?: unknown } | undefined)?.code

const isLmdb = (thrown: unknown): boolean => typeof codeOf(thrown) === 'number'

const isDamage = (thrown: unknown): boolean => thrown instanceof IntegrityError && thrown.code === 'BAD_LOG'
