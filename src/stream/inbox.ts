/**
 * Puts what is read from a stream, one partition or all, back into what was written: each output of a pipeline once and in
 * its writer's order, however often and in whatever order it was sent; records of others as they stand. Pure: it is
 * given records and gives records.
 *
 * What lives where: the cursors (through `Cursors`) say what was processed, and only `passed` writes them, so they are
 * undone and committed with the caller's turn. The inbox itself remembers what it has given and what it holds; neither
 * is ever taken back. So after an undone turn the same records are walked again, with `passed` for each, and nothing is
 * taken a second time. Whoever does not walk them again drops the inbox, reads on from the low water it last committed,
 * and gives a new inbox the cursors as they were committed.
 */
import { IntegrityError } from '../errors.js'
import { LogRecord, START, type Position } from '../log/record.js'
import type { Tell } from '../telemetry/events.js'
import { OUTPUT_WINDOW, outOf, outputId, type Out } from './output-id.js'

/**
 * How far a writer's outputs were processed: the next number. With more: then, in pairs, the first and last of the
 * numbers below it that may still come, ascending.
 */
export type Cursor = number | readonly number[]

/**
 * The cursors of what one inbox reads; the ids in another stream may be the same. Under the name `''`, which no writer
 * has, stands `foreignAfter`.
 */
export interface Cursors {
  get(writer: string): Cursor | undefined
  set(writer: string, cursor: Cursor): void
}

export interface InboxOptions {
  /**
   * Everything since the stream's very first record was or will be read, so that what a writer sent first is seen.
   * Stays true for who reads on from where such a reader stood.
   */
  readonly fromStart: boolean
  /** Of records without an id of ours, those up to here were processed. `START` for who begins. */
  readonly foreignAfter: Position
  readonly tell: Tell
  /** Its name. */
  readonly stream: string
}

export class Inbox {
  readonly #cursors: Cursors
  readonly #options: InboxOptions
  readonly #lines = new Map<string, Line>()
  /** Those that hold records, or gave held ones that may not have been processed. */
  readonly #waiting = new Set<Line>()
  #heldRecords = 0
  #heldBytes = 0

  constructor(cursors: Cursors, options: InboxOptions) {
    this.#cursors = cursors
    this.#options = options
  }

  /**
   * Sorts what was read next: gives what may be processed now, in order, and holds or drops the rest. What it holds it
   * copies. Throws an `IntegrityError` that the reader cannot go on from: `LOG_REWOUND` when two records share an id
   * and come from different entries, `BAD_LOG` when a writer breaks its window.
   */
  take(records: readonly LogRecord[]): readonly LogRecord[] {
    let given: LogRecord[] | undefined
    for (let i = 0; i < records.length; i++) {
      const record = records[i] as LogRecord
      const out = outOf(record, this.#options.stream)
      if (out === undefined) {
        if (record.position > this.#options.foreignAfter) given?.push(record)
        else given ??= records.slice(0, i)
        continue
      }
      const line = this.#line(record, out)
      if (line.next === out.n && line.plain) {
        line.give(out)
        given?.push(record)
      } else {
        given ??= records.slice(0, i)
        this.#sort(line, record, out, given)
      }
    }
    return given ?? records
  }

  /**
   * Call right before processing a record that `take` gave, each time it is processed: moves its writer's cursor, or
   * `foreignAfter`, through `Cursors.set`, so that the caller's undo covers it.
   */
  passed(record: LogRecord): void {
    const out = outOf(record)
    if (out === undefined) {
      if (record.position > this.foreignAfter) this.#cursors.set(FOREIGN, record.position)
      return
    }
    const before = this.#cursors.get(out.writer)
    const { next, late } = before === undefined ? this.#first(out) : positionsOf(before)
    const rest = above(out.n < next ? without(late, out.n) : late, out.confirmed)
    this.#cursors.set(out.writer, cursorOf(Math.max(next, out.n + 1), rest))
  }

  /**
   * The position up to which everything was processed or dropped or is known by a cursor, so that a new inbox with
   * these cursors may read on behind it. `read`: how far the batches given to `take` bring the reader; `unprocessed`:
   * the position of the first record that `take` gave and that is still to be processed. Call it between turns, when
   * what was passed will not be undone.
   */
  lowWater(read: Position, unprocessed: Position | undefined): Position {
    let low = unprocessed === undefined ? read : Math.min(read, unprocessed - 1)
    for (const line of this.#waiting) {
      const cursor = this.#cursors.get(line.writer)
      const first = line.firstWaiting(cursor === undefined ? 1 : positionsOf(cursor).next)
      if (first === undefined) this.#waiting.delete(line)
      else low = Math.min(low, first - 1)
    }
    return low
  }

  /** Whether an output of a pipeline was ever given to it. Until then `passed` has nothing to say. */
  get hasOutputs(): boolean {
    return this.#lines.size > 0
  }

  /** The highest position of a processed record without an id of ours. */
  get foreignAfter(): Position {
    return Math.max(this.#options.foreignAfter, (this.#cursors.get(FOREIGN) as Position | undefined) ?? START)
  }

  /** What it holds because outputs before it are still to come. At most `OUTPUT_WINDOW` records of each writer. */
  get held(): { readonly records: number; readonly bytes: number } {
    return { records: this.#heldRecords, bytes: this.#heldBytes }
  }

  /** Gives all that is held, in each writer's order, to a reader that ends here and will see nothing that is missing. */
  drain(): readonly LogRecord[] {
    const given: LogRecord[] = []
    for (const line of this.#waiting) while (line.held.size > 0) this.#skip(line, line.firstHeld() - 1, given)
    return given
  }

  #line(record: LogRecord, out: Out): Line {
    if (out.n <= out.confirmed || out.n > out.confirmed + OUTPUT_WINDOW) throw this.#outOfWindow(record, out)
    const known = this.#lines.get(out.writer)
    if (known !== undefined) return known
    const cursor = this.#cursors.get(out.writer)
    const line = new Line(out.writer, cursor === undefined ? this.#first(out) : positionsOf(cursor))
    this.#lines.set(out.writer, line)
    return line
  }

  /** Where a writer stands whose first output seen is this. In the middle, those before it may come or have been. */
  #first({ n, confirmed }: Out): Positions {
    if (this.#options.fromStart) return { next: 1, late: NONE }
    return { next: n, late: confirmed + 1 < n ? [confirmed + 1, n - 1] : NONE }
  }

  #sort(line: Line, record: LogRecord, out: Out, given: LogRecord[]): void {
    // All that was confirmed was stored before this record, so what of it was not read by now is gone.
    line.late = above(line.late, out.confirmed)
    while (line.next <= out.confirmed) {
      const to = Math.min(line.firstHeld() - 1, out.confirmed)
      this.#missing(record, line, to)
      this.#skip(line, to, given)
    }
    if (out.n === line.next) {
      line.give(out)
      given.push(record)
      this.#release(line, given)
    } else if (out.n > line.next && !line.held.has(out.n)) {
      this.#hold(line, record, out)
    } else if (out.n < line.next && includes(line.late, out.n)) {
      line.late = without(line.late, out.n)
      line.remember(out)
      given.push(record)
    } else {
      const entry = line.entryOf(out.n)
      if (entry !== undefined && entry !== out.entry) throw this.#rewound(record, out, entry)
    }
  }

  #skip(line: Line, to: number, given: LogRecord[]): void {
    line.next = to + 1
    this.#release(line, given)
  }

  #hold(line: Line, record: LogRecord, out: Out): void {
    const copy = new LogRecord(
      record.partition,
      record.position,
      record.time,
      new Uint8Array(record.head),
      new Uint8Array(record.payload),
    )
    line.held.set(out.n, { record: copy, out })
    this.#waiting.add(line)
    this.#heldRecords++
    this.#heldBytes += copy.bytes
  }

  #release(line: Line, given: LogRecord[]): void {
    if (line.held.size === 0) return
    for (let held = line.held.get(line.next); held !== undefined; held = line.held.get(line.next)) {
      line.release(held)
      given.push(held.record)
      this.#heldRecords--
      this.#heldBytes -= held.record.bytes
    }
  }

  #missing({ partition }: LogRecord, { writer, next }: Line, to: number): void {
    const { tell, stream } = this.#options
    tell({ type: 'stream.outputs-missing', stream, partition, writer, from: next, to })
  }

  #rewound({ partition, position }: LogRecord, { writer, n, entry: second }: Out, first: string): IntegrityError {
    const { stream } = this.#options
    const id = outputId(writer, n)
    const what = `output ${id} came from ledger entry ${first}, and at position ${position} of stream "${stream}", partition ${partition}, it comes from entry ${second}`
    const mend = 'the ledger of its writer lost entries that it had acknowledged: see to that one first'
    return new IntegrityError('LOG_REWOUND', what, mend, {
      facts: { stream, partition, position, writer, n, entries: [first, second] },
    })
  }

  #outOfWindow({ partition, position }: LogRecord, { writer, n, confirmed }: Out): IntegrityError {
    const { stream } = this.#options
    const what = `output ${outputId(writer, n)} at position ${position} of stream "${stream}", partition ${partition}, says that all up to ${confirmed} are confirmed`
    const mend = `no pipeline sends a number that is confirmed, or more than ${OUTPUT_WINDOW} above: see who writes to it`
    return new IntegrityError('BAD_LOG', what, mend, { facts: { stream, partition, position, writer, n, confirmed } })
  }
}

/** Where the position of foreign records stands among the cursors. */
const FOREIGN = ''

/** How many of a writer's last numbers are remembered with their entries. */
const REMEMBERED = 16

interface Held {
  readonly record: LogRecord
  readonly out: Out
}

/** What was given and is held of one writer. */
class Line {
  next: number
  late: Late
  /** By number, in the order of their positions. */
  readonly held = new Map<number, Held>()
  /** Given after they were held, and maybe not processed yet: the low water is below them. */
  #released: { readonly n: number; readonly position: Position }[] = []
  /**
   * The last numbers given, with their entries; so much of amnesia is seen. A writer that begins again from an older
   * number must send all from there to here before any that is new, so the last few are enough. Not seen: what it
   * sends again while a reader starts anew, since this is memory only; and what the log drops as a repeat.
   */
  readonly #remembered: (Out | undefined)[] = []

  constructor(
    readonly writer: string,
    { next, late }: Positions,
  ) {
    this.next = next
    this.late = late
  }

  /** Nothing is held and nothing comes late: the next number is all there is to look at. */
  get plain(): boolean {
    return this.held.size === 0 && this.late.length === 0
  }

  give(out: Out): void {
    this.next = out.n + 1
    this.remember(out)
  }

  release({ record, out }: Held): void {
    this.held.delete(out.n)
    this.#released.push({ n: out.n, position: record.position })
    this.give(out)
  }

  remember(out: Out): void {
    const last = this.#remembered[out.n % REMEMBERED]
    if (last === undefined || last.n < out.n) this.#remembered[out.n % REMEMBERED] = out
  }

  entryOf(n: number): string | undefined {
    const remembered = this.#remembered[n % REMEMBERED]
    return remembered?.n === n ? remembered.entry : this.held.get(n)?.out.entry
  }

  /** The lowest number held, Infinity without. */
  firstHeld(): number {
    let first = Infinity
    for (const n of this.held.keys()) if (n < first) first = n
    return first
  }

  /** The lowest position that is held, or was and is not processed by a cursor that stands at `next`. */
  firstWaiting(next: number): Position | undefined {
    let [first] = [...this.held.values()].map(({ record }) => record.position)
    this.#released = this.#released.filter(({ n }) => n >= next)
    for (const { position } of this.#released) if (first === undefined || position < first) first = position
    return first
  }
}

/** Numbers that may still come: the first and last of each run, ascending. Never changed in place. */
type Late = readonly number[]

const NONE: Late = []

interface Positions {
  readonly next: number
  readonly late: Late
}

function positionsOf(cursor: Cursor): Positions {
  return typeof cursor === 'number'
    ? { next: cursor, late: NONE }
    : { next: cursor[0] as number, late: cursor.slice(1) }
}

function cursorOf(next: number, late: Late): Cursor {
  return late.length === 0 ? next : [next, ...late]
}

function includes(late: Late, n: number): boolean {
  for (let i = 0; i < late.length; i += 2) if ((late[i] as number) <= n && n <= (late[i + 1] as number)) return true
  return false
}

function without(late: Late, n: number): Late {
  const rest: number[] = []
  for (let i = 0; i < late.length; i += 2) {
    const [from, to] = [late[i] as number, late[i + 1] as number]
    if (n < from || n > to) rest.push(from, to)
    else {
      if (from < n) rest.push(from, n - 1)
      if (n < to) rest.push(n + 1, to)
    }
  }
  return rest
}

function above(late: Late, confirmed: number): Late {
  if (late.length === 0 || (late[0] as number) > confirmed) return late
  const rest: number[] = []
  for (let i = 0; i < late.length; i += 2) {
    const to = late[i + 1] as number
    if (to > confirmed) rest.push(Math.max(late[i] as number, confirmed + 1), to)
  }
  return rest
}
