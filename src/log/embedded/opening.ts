/**
 * The moment in which a process opens the data file. LMDB notes then, for all processes and without a lock, which
 * transaction was the last one: what another process commits at that very moment is forgotten, and written over. So who
 * opens says so by a file beside it, and who has committed meanwhile looks again before it tells anybody.
 */
import { existsSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import type { Clock } from '../../clock.js'

export const OPENING_FILE = 'opening'
/** Nobody takes so long: the process died there, and its number was given to another. */
const STALE_MS = 10_000
/** So long a transaction may take that was begun before: seldom is there anything to look for again. */
const SETTLE_MS = 2
const LOOK_MS = 1

export class Opening {
  readonly #path: string
  readonly #clock: Clock
  /** The file as it was seen first, and when. */
  #seen: { readonly file: string; readonly sinceMs: number } | undefined

  constructor(folder: string, clock: Clock) {
    // The process may come to work in another folder.
    this.#path = resolve(join(folder, OPENING_FILE))
    this.#clock = clock
  }

  /** Opens the data file while no other process does. Throws what `open` throws, and what the folder does not let us do. */
  run<T>(open: () => T): T {
    while (!this.#begins()) wait(LOOK_MS)
    try {
      wait(SETTLE_MS)
      return open()
    } finally {
      rmSync(this.#path, { force: true })
    }
  }

  /** Whether a process is opening the data file now. Without one it costs a microsecond. */
  get isUnderWay(): boolean {
    if (!existsSync(this.#path)) return false
    if (!this.#isStale()) return true
    rmSync(this.#path, { force: true })
    return false
  }

  #begins(): boolean {
    if (this.isUnderWay) return false
    try {
      writeFileSync(this.#path, `${process.pid}`, { flag: 'wx' })
      return true
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false
      throw error
    }
  }

  /** Whoever began will not end it. */
  #isStale(): boolean {
    try {
      const { ino, mtimeMs } = statSync(this.#path)
      const pid = Number(readFileSync(this.#path, 'utf8'))
      const file = `${ino}/${mtimeMs}/${pid}`
      if (this.#seen?.file !== file) this.#seen = { file, sinceMs: this.#clock.elapsed() }
      return (pid > 0 && !isAlive(pid)) || this.#clock.elapsed() - this.#seen.sinceMs > STALE_MS
    } catch {
      // It has ended meanwhile.
      return false
    }
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return (error as NodeJS.ErrnoException).code !== 'ESRCH'
  }
}

function wait(ms: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms)
}
