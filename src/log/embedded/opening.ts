/**
 * The moment in which a process opens the data file. LMDB notes then, for all processes and without a lock, which
 * transaction was the last one: what another process commits at that very moment is forgotten, and written over. So who
 * opens says so by the name of a file beside it, and who has committed meanwhile looks again before it tells anybody.
 *
 * The one file in the place is `opened.<opening>`, or `opening.<pid>.<space>.<opening>` while that goes on. All is done
 * by renaming it, and no name comes twice: of several only one succeeds, and nobody can end what another has begun.
 */
import { existsSync, mkdirSync, readdirSync, readlinkSync, renameSync, rmdirSync, rmSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import type { Chance, Clock } from '../../clock.js'

export const OPENINGS = 'openings'
/** Nobody takes so long: the process died there, and its number was given to another or means nothing here. */
const STALE_MS = 10_000
/** So long a transaction may take that was begun before: seldom is there anything to look for again. */
const SETTLE_MS = 2
const LOOK_MS = 1

/** Where the numbers of processes are ours: a container has its own. */
const SPACE = spaceOfPids()

export class Opening {
  readonly #place: string
  readonly #clock: Clock
  readonly #chance: Chance
  /** The file of the last opening, as we know it. */
  #last = ''
  /** The opening that was seen under way, and since when. */
  #seen: { readonly name: string; readonly sinceMs: number } | undefined

  constructor(folder: string, clock: Clock, chance: Chance) {
    // The process may come to work in another folder.
    this.#place = resolve(join(folder, OPENINGS))
    this.#clock = clock
    this.#chance = chance
  }

  /** Opens the data file while no other process does. Throws what `open` throws, and what the folder does not let us do. */
  run<T>(open: () => T): T {
    const name = `opening.${process.pid}.${SPACE}.${this.#chance.name()}`
    while (!this.#begins(name)) wait(LOOK_MS)
    try {
      wait(SETTLE_MS)
      return open()
    } finally {
      this.#end(name)
    }
  }

  /**
   * Tells the last opening from all others, or is undefined while one is under way. Between two looks that give the same,
   * none began and ended. Costs a microsecond where there was none since the last look.
   */
  get last(): string | undefined {
    if (this.#last !== '' && existsSync(this.#last)) return this.#last
    try {
      return this.#look()
    } catch {
      // No file can be opened at the moment, say.
      return undefined
    }
  }

  /** As `last`; empty where nobody has opened anything yet. */
  #look(): string | undefined {
    const names = namesIn(this.#place)
    const underWay = names.find(name => name.startsWith('opening.'))
    if (underWay === undefined) {
      const name = names.find(each => each.startsWith('opened.'))
      return (this.#last = name === undefined ? '' : join(this.#place, name))
    }
    if (this.#isStale(underWay)) this.#end(underWay)
    return undefined
  }

  #begins(name: string): boolean {
    const last = this.#look()
    if (last === '') this.#prepare()
    return last !== undefined && last !== '' && renamed(last, join(this.#place, name))
  }

  /** Makes the place with its file at once, so that of several who do only one succeeds. */
  #prepare(): void {
    const name = this.#chance.name()
    const draft = `${this.#place}.${name}`
    mkdirSync(draft)
    try {
      writeFileSync(join(draft, `opened.${name}`), '')
      // What a loss of power has left empty; not every system renames over it.
      if (existsSync(this.#place)) rmdirSync(this.#place)
      renameSync(draft, this.#place)
    } catch (error) {
      rmSync(draft, { recursive: true, force: true })
      // Another process was first, or is about to be.
      if (!isMissing(error) && this.#look() === '') throw error
    }
  }

  /** Does nothing when it has been ended by another, who took us for dead. */
  #end(name: string): void {
    renamed(join(this.#place, name), join(this.#place, `opened.${name.split('.').at(-1)}`))
  }

  /** Whoever began will not end it. */
  #isStale(name: string): boolean {
    const [, pid, space] = name.split('.')
    if (this.#seen?.name !== name) this.#seen = { name, sinceMs: this.#clock.elapsed() }
    return (space === SPACE && !isAlive(Number(pid))) || this.#clock.elapsed() - this.#seen.sinceMs > STALE_MS
  }
}

function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder)
  } catch (error) {
    if (isMissing(error)) return []
    throw error
  }
}

/** False when another was first. */
function renamed(from: string, to: string): boolean {
  try {
    renameSync(from, to)
    return true
  } catch (error) {
    if (isMissing(error)) return false
    throw error
  }
}

const isMissing = (error: unknown): boolean => (error as NodeJS.ErrnoException).code === 'ENOENT'

/** Empty where a machine has but one. */
function spaceOfPids(): string {
  try {
    return readlinkSync('/proc/self/ns/pid').replace(/\D/g, '')
  } catch {
    return ''
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
