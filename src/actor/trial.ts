/**
 * Finds the record that ends the process, and no other. When owners of a partition died soon after their claim, twice in
 * a row, what they can have had in hand is walked again while no other suspect walks anything; when the owner dies of
 * that too, the next one walks it record by record, with a mark in the ledger before each. A record at which three owners
 * died is passed over without a look into it.
 */
import { pause, type Cancel, type Clock } from '../clock.js'
import { RecordError } from '../errors.js'
import type { LogRecord, Position } from '../log/record.js'
import { UNSUSPECTED, type Accused, type Left, type Notes, type Place, type TrialNotes } from '../state/notes.js'
import type { Seat } from './solo.js'

/** An owner that ends after fewer entries has died soon. */
const SOON_ENTRIES = 64
/** So many that died in a row make a partition suspect. */
const SUSPECT_DEATHS = 2
/** So many at one record make it guilty: a neighbour that is not suspect yet can be at fault for two of them. */
export const GUILTY_DEATHS = 3
/** Before the last of them: whatever else would end this owner soon shall do so while nothing is tried. */
const CALM_MS = 2000
/** Of the batch so many are walked and committed at a time, so that no more need be walked alone after a death. */
const TURN_RECORDS_MAX = 64
/** With several sources more than one record may have been tried alone. */
const ACCUSED_MAX = 16
/** Whoever has the slot and tries nothing for so long lets others try theirs. */
const STUCK_MS = 30_000

/** What a new owner's claim says, from what the one before left. `isRestart`: in the same process, which did not die. */
export function inherited({ notes, commits, how }: Left, isRestart: boolean): Notes {
  if (how !== 'cut off') return notes
  const { deaths, trial } = notes
  if (trial === undefined) {
    if (isRestart) return notes
    return { deaths: commits < SOON_ENTRIES ? deaths + 1 : 1, trial }
  }
  if (trial.walks === 'batch') {
    if (isRestart) return { deaths, trial: undefined }
    // Nothing else was walked and not committed.
    const sources = trial.sources.map(source => ({ ...source, left: Math.min(source.left, TURN_RECORDS_MAX) }))
    return { deaths, trial: { ...trial, walks: 'nothing', sources } }
  }
  const [first, ...others] = trial.accused
  if (trial.walks === 'nothing' || first === undefined) return notes
  const accused = [...others]
  // What it was tried for is committed, unless nothing was.
  if (commits === 0) accused.unshift(isRestart ? first : { ...first, deaths: first.deaths + 1 })
  return { deaths, trial: { ...trial, walks: 'nothing', accused } }
}

export function isSuspect({ deaths, trial }: Notes): boolean {
  return deaths >= SUSPECT_DEATHS || trial !== undefined
}

/** Why a guilty record is passed over. */
export function verdictOn(stream: string, { partition, position }: LogRecord, deaths: number): RecordError {
  const at = `stream "${stream}", partition ${partition}, position ${position}`
  const what = `${at}: the process ended at this record each time it was tried, ${deaths} times`
  const mend = 'see what the steps do with it: an endless loop, too much memory, process.exit()'
  return new RecordError('KILLS_PROCESS', what, mend, { facts: { stream, partition, position, deaths } })
}

/** What a trial needs of its owner. */
export interface TrialParts<S extends Source = Source> {
  /** As the claim has them. */
  readonly notes: Notes
  readonly seat: Seat
  readonly clock: Clock
  /** Its owner has ended. */
  readonly signal: AbortSignal
  readonly sources: readonly S[]
  /** The position of the last record of a source, as the leader has it. */
  readonly end: (source: S) => Promise<Position>
  /** How many records of a source an owner can have had in hand, about. */
  readonly recordsMax: number
  readonly guiltyDeaths: number
  /** Nothing that was walked is still to be committed. */
  readonly isIdle: () => boolean
  /** No sink is still to take what was committed: one that ends the process is not to be taken for a record. */
  readonly isOut: () => boolean
  /** Writes a mark. */
  readonly mark: (notes: Notes) => Promise<void>
}

export interface Source {
  readonly stream: string
  /** How far it is read. */
  readonly position: Position
}

export class Trial<S extends Source = Source> {
  readonly #parts: TrialParts<S>
  readonly #deaths: number
  /** As the ledger has it, but for what was walked since; undefined until it begins, when no owner before began one. */
  #trial: TrialNotes | undefined
  /** The record that is walked alone, until that is committed or it is held up. */
  #on: Accused | undefined
  /** A person decides about the record at this position, so if it comes again it is to be tried. */
  #excused: Place | undefined
  #isOpen = false
  #isStuck = false
  #cancel: Cancel = () => {}

  constructor(parts: TrialParts<S>) {
    this.#parts = parts
    this.#deaths = parts.notes.deaths
    this.#trial = parts.notes.trial
  }

  /** What the next owner is to know when this one ends and its process lives on. */
  get notes(): Notes {
    const trial = this.#trial
    if (trial === undefined || trial.walks === 'batch') return { deaths: this.#deaths, trial: undefined }
    return { deaths: this.#deaths, trial: { ...trial, walks: 'nothing' } }
  }

  /** Whether something may be walked now. */
  get mayWalk(): boolean {
    if (!this.#isOpen || this.#isThrough) return false
    const { isIdle, isOut } = this.#parts
    return this.#on === undefined && isIdle() && isOut()
  }

  /** It is not its turn yet, or a sink has not taken all: nothing is to be expected of its owner. */
  get waits(): boolean {
    return !this.#isOpen || !this.#parts.isOut()
  }

  /** To be called whenever something has changed. True once all was walked that was to be tried. */
  async proceed(isPaused: boolean): Promise<boolean> {
    const { seat, isIdle, isOut } = this.#parts
    if (!this.#isOpen) {
      if (isPaused || !isOut()) return false
      if (!seat.holds) seat.ask()
      if (!seat.holds) return false
      await this.#open()
    }
    if (!isIdle()) return false
    await this.#settle()
    if (this.#isThrough) {
      await this.#write(UNSUSPECTED)
      this.end()
      return true
    }
    if (isPaused || (this.#isStuck && seat.isWanted)) {
      await this.#write(this.notes)
      this.end()
      if (!isPaused) seat.ask()
    }
    this.#isStuck = false
    return false
  }

  /**
   * To be asked before this record of a source is walked: how many records may be, beginning with this one. None if it is
   * guilty; if it is only one, a mark in the ledger names it.
   */
  async next(stream: string, { position }: Pick<LogRecord, 'position'>): Promise<number> {
    const trial = this.#trial
    if (trial === undefined || trial.walks === 'batch') return TURN_RECORDS_MAX
    const known = trial.accused.find(one => isSame(one, { stream, position }))
    // Each was there when an owner died of one of them.
    const on = (this.#on = known ?? { stream, position, deaths: 1 })
    const { guiltyDeaths } = this.#parts
    if (on.deaths >= guiltyDeaths && !isSame(on, this.#excused)) return 0
    const others = trial.accused.filter(one => one !== known).slice(0, ACCUSED_MAX - 1)
    // When this is the last time, nobody else shall be at fault.
    if (on.deaths >= guiltyDeaths - 1) await this.#beAlone()
    await this.#write({ deaths: this.#deaths, trial: { ...trial, walks: 'one', accused: [on, ...others] } })
    return 1
  }

  /** So many records of a source were walked; with none the next one is held up. */
  walked(stream: string, count: number): void {
    this.#isStuck = false
    const trial = this.#trial
    if (trial === undefined || count === 0) return
    const sources = trial.sources.map(one =>
      one.stream === stream ? { ...one, left: Math.max(0, one.left - count) } : one,
    )
    if (trial.walks === 'batch') this.#trial = { ...trial, sources }
    else this.#trial = { ...trial, sources, walks: 'nothing', accused: trial.accused.filter(one => one !== this.#on) }
  }

  /** A person is to decide about this record; when they say that it goes on, it is tried even if it is guilty. */
  excuse(stream: string, { position }: Pick<LogRecord, 'position'>): void {
    this.#excused = { stream, position }
  }

  /** Whatever way its owner ends. */
  end(): void {
    this.#isOpen = false
    this.#cancel()
    this.#parts.seat.give()
  }

  get #isThrough(): boolean {
    const trial = this.#trial
    if (trial === undefined) return false
    return this.#parts.sources.every(({ stream, position }) => {
      const tried = trial.sources.find(one => one.stream === stream)
      // A source that was not there when the trial began has nothing to try.
      return tried === undefined || tried.left === 0 || position >= tried.position
    })
  }

  /** Only for who holds the slot. */
  async #open(): Promise<void> {
    const { sources, end, recordsMax } = this.#parts
    if (this.#trial === undefined) {
      const tried = sources.map(async one => ({ stream: one.stream, position: await end(one), left: recordsMax }))
      const trial: TrialNotes = { walks: 'batch', sources: await Promise.all(tried), accused: [] }
      this.#trial = trial
      if (!this.#isThrough) await this.#write({ deaths: this.#deaths, trial })
    }
    this.#isOpen = true
    this.#isStuck = false
    this.#watch()
  }

  async #beAlone(): Promise<void> {
    const { seat, clock, signal } = this.#parts
    await pause(clock, CALM_MS, signal)
    signal.throwIfAborted()
    seat.setAlone(true)
    // Who began a turn before ends it before.
    await new Promise<void>(go => clock.soon(go))
  }

  /** What was walked alone is committed, or it is held up and so not on trial any more. */
  async #settle(): Promise<void> {
    if (this.#on === undefined) return
    if (this.#trial?.walks === 'one') await this.#write(this.notes)
    this.#on = undefined
    this.#parts.seat.setAlone(false)
  }

  #watch(): void {
    this.#cancel = this.#parts.clock.after(STUCK_MS, () => {
      if (this.#isStuck) this.#parts.seat.wake()
      this.#isStuck = true
      this.#watch()
    })
  }

  async #write(notes: Notes): Promise<void> {
    await this.#parts.mark(notes)
    this.#trial = notes.trial
  }
}

function isSame(a: Place, b: Place | undefined): boolean {
  return a.stream === b?.stream && a.position === b.position
}
