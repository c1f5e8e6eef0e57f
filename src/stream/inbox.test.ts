import fc from 'fast-check'
import { expect, test } from 'vitest'
import { encodeHeaders, LogRecord, START, type Position } from '../log/record.js'
import type { Event } from '../telemetry/events.js'
import { Inbox, type Cursor, type InboxOptions } from './inbox.js'
import { OUT_HEADER, OUTPUT_WINDOW, outHeader, outOf, outputId, outputWriter } from './output-id.js'

const writers = ['a', 'b', 'c'].map(pipeline => outputWriter({ pipeline, incarnation: 'x', stage: 0, partition: 2 }, 1))
const [A, B] = writers as [string, string, string]

const output = (position: Position, writer: string, n: number, confirmed: number, entry = '00000001') =>
  new LogRecord(
    1,
    position,
    0,
    encodeHeaders({ [OUT_HEADER]: outHeader(confirmed, entry) }, outputId(writer, n)),
    Buffer.from(`${n}`),
  )
const foreign = (position: Position) =>
  new LogRecord(1, position, 0, encodeHeaders({}, `c/${position}`), Buffer.from(''))

/** Short text: `a3` for an output, its position for another record. */
const short = (record: LogRecord) => {
  const out = outOf(record)
  return out === undefined ? `${record.position}` : `${out.writer[0]}${out.n}`
}

class Reader {
  readonly cursors = new Map<string, Cursor>()
  readonly events: Event[] = []
  readonly inbox: Inbox

  constructor(options: Partial<InboxOptions> = {}, cursors: Iterable<[string, Cursor]> = []) {
    this.cursors = new Map(cursors)
    const tell = (event: Event) => void this.events.push(event)
    this.inbox = new Inbox(this.cursors, {
      ...{ fromStart: true, foreignAfter: START, tell, stream: 's' },
      ...options,
    })
  }

  take(...records: LogRecord[]): string[] {
    return this.inbox.take(records).map(short)
  }

  /** Takes and processes. */
  process(...records: LogRecord[]): string[] {
    const given = this.inbox.take(records)
    for (const record of given) this.inbox.passed(record)
    return given.map(short)
  }
}

test('hands a batch through as it is when nothing in it is out of order', () => {
  const reader = new Reader()
  const records = [foreign(1), output(2, A, 1, 0), output(3, B, 1, 0), output(4, A, 2, 0), foreign(9)]
  expect(reader.inbox.take(records)).toBe(records)
})

test('drops what it has given before, and tells no one', () => {
  const reader = new Reader()
  expect(reader.take(output(1, A, 1, 0), output(2, A, 1, 0), output(3, A, 2, 1), output(4, A, 1, 0))).toEqual([
    'a1',
    'a2',
  ])
  expect(reader.take(output(5, A, 2, 0))).toEqual([])
  expect(reader.events).toEqual([])
})

test('holds the records of a writer whose output is still to come, and nobody else', () => {
  const reader = new Reader()
  const given = reader.take(output(1, A, 2, 0), foreign(2), output(3, A, 3, 0), output(4, B, 1, 0), output(5, A, 2, 0))
  expect(given).toEqual(['2', 'b1'])
  expect(reader.inbox.held.records).toBe(2)
  expect(reader.take(foreign(6), output(7, A, 1, 0), output(8, A, 4, 3))).toEqual(['6', 'a1', 'a2', 'a3', 'a4'])
  expect(reader.inbox.held).toEqual({ records: 0, bytes: 0 })
})

test('keeps a copy of what it holds', () => {
  const reader = new Reader()
  const held = output(1, A, 2, 0)
  reader.take(held)
  const { head, payload } = held
  expect(reader.inbox.held.bytes).toBe(held.bytes)
  head.fill(0)
  payload.fill(0)
  const [, given] = reader.inbox.take([output(2, A, 1, 0)])
  expect(outOf(given as LogRecord)).toMatchObject({ writer: A, n: 2 })
  expect(Buffer.from((given as LogRecord).payload).toString()).toBe('2')
})

test('goes on behind outputs that were confirmed and are gone, and tells which', () => {
  const reader = new Reader()
  expect(reader.take(output(1, A, 1, 0), output(2, A, 4, 1), output(3, A, 7, 1))).toEqual(['a1'])
  expect(reader.take(output(9, A, 9, 5))).toEqual(['a4'])
  expect(reader.take(output(10, A, 10, 8))).toEqual(['a7', 'a9', 'a10'])
  const gone = { type: 'stream.outputs-missing', stream: 's', partition: 1, writer: A }
  expect(reader.events).toEqual([
    { ...gone, from: 2, to: 3 },
    { ...gone, from: 5, to: 5 },
    { ...gone, from: 6, to: 6 },
    { ...gone, from: 8, to: 8 },
  ])
})

test('waits for the first outputs of a writer when it reads from the start', () => {
  const reader = new Reader()
  expect(reader.take(output(1, A, 2, 0))).toEqual([])
  expect(reader.take(output(2, A, 1, 0))).toEqual(['a1', 'a2'])
})

test('begins in the middle with what comes, waits for nothing before it, and takes once what was late', () => {
  const reader = new Reader({ fromStart: false })
  expect(reader.process(output(101, A, 9, 5))).toEqual(['a9'])
  expect(reader.cursors.get(A)).toEqual([10, 6, 8])
  expect(reader.process(output(102, A, 7, 5), output(103, A, 11, 5))).toEqual(['a7'])
  expect(reader.process(output(104, A, 7, 5), output(105, A, 5, 2))).toEqual([])
  expect(reader.cursors.get(A)).toEqual([10, 6, 6, 8, 8])
  expect(reader.process(output(106, A, 10, 6))).toEqual(['a10', 'a11'])
  expect(reader.cursors.get(A)).toEqual([12, 8, 8])
  expect(reader.process(output(107, A, 6, 5), output(108, A, 12, 11))).toEqual(['a12'])
  expect(reader.cursors.get(A)).toBe(13)
  expect(reader.events).toEqual([])
})

test('knows after a restart what came late and what may still', () => {
  const reader = new Reader({ fromStart: false }, [[A, [10, 6, 6, 8, 8]]])
  expect(reader.process(output(102, A, 7, 5), output(104, A, 8, 5), output(105, A, 9, 5))).toEqual(['a8'])
  expect(reader.cursors.get(A)).toEqual([10, 6, 6])
})

test('drops records of others that were processed before a restart', () => {
  const reader = new Reader({ foreignAfter: 3 })
  expect(reader.inbox.foreignAfter).toBe(3)
  expect(reader.process(foreign(2), output(3, A, 1, 0), foreign(4))).toEqual(['a1', '4'])
  expect(reader.inbox.foreignAfter).toBe(4)
})

test('moves what is processed with the cursors alone, so that an undo takes it back', () => {
  const reader = new Reader()
  const records = reader.inbox.take([foreign(1), output(2, A, 1, 0)])
  const walk = () => {
    for (const record of records) reader.inbox.passed(record)
  }
  walk()
  reader.cursors.clear()
  expect(reader.inbox.foreignAfter).toBe(START)
  walk()
  expect(reader.inbox.foreignAfter).toBe(1)
  expect(reader.cursors.get(A)).toBe(2)
})

test('keeps the low water below what is held, what was held until it is processed, and what is unprocessed', () => {
  const reader = new Reader()
  expect(reader.process(foreign(1), output(5, A, 2, 0), foreign(6))).toEqual(['1', '6'])
  expect(reader.inbox.lowWater(8, undefined)).toBe(4)
  const given = reader.inbox.take([output(9, A, 1, 0), foreign(10)])
  expect(given.map(short)).toEqual(['a1', 'a2', '10'])
  expect(reader.inbox.lowWater(10, 9)).toBe(4)
  reader.inbox.passed(given[0] as LogRecord)
  expect(reader.inbox.lowWater(10, 5)).toBe(4)
  reader.inbox.passed(given[1] as LogRecord)
  expect(reader.inbox.lowWater(10, 10)).toBe(9)
  reader.inbox.passed(given[2] as LogRecord)
  expect(reader.inbox.lowWater(12, undefined)).toBe(12)
})

test('counts what was held as unprocessed again when its turn is undone', () => {
  const reader = new Reader()
  reader.take(output(5, A, 2, 0))
  const given = reader.inbox.take([output(9, A, 1, 0)])
  for (const record of given) reader.inbox.passed(record)
  reader.cursors.set(A, 2)
  expect(reader.inbox.lowWater(9, undefined)).toBe(4)
})

test('drains what is held in order for a reader that ends', () => {
  const reader = new Reader()
  expect(reader.take(output(1, A, 5, 0), output(2, B, 2, 0), output(3, A, 3, 0), output(4, A, 4, 0))).toEqual([])
  expect(reader.inbox.drain().map(short)).toEqual(['a3', 'a4', 'a5', 'b2'])
  expect(reader.inbox.held.records).toBe(0)
  expect(reader.events).toEqual([])
})

test.each([
  ['given', [output(1, A, 1, 0, '00000001'), output(2, A, 1, 0, '0000000f')], 'a/x/0.2>1/1'],
  ['held', [output(1, A, 2, 0, '00000001'), output(2, A, 2, 0, '0000000f')], 'a/x/0.2>1/2'],
])('stops at an id that is %s and comes again from another entry', (_, records, id) => {
  const reader = new Reader()
  expect(() => reader.take(...records)).toThrow(
    expect.objectContaining({
      code: 'LOG_REWOUND',
      message: expect.stringMatching(
        new RegExp(`output ${id} .*entry 00000001, .*position 2 of stream "s", partition 1, .*entry 0000000f`),
      ) as string,
    }),
  )
})

test('sees that a writer began again before it takes anything new from it', () => {
  const reader = new Reader()
  for (let n = 1; n <= 100; n++) reader.take(output(n, A, n, 0, '00000001'))
  const again = () => {
    for (let n = 1; n <= 101; n++) expect(reader.take(output(100 + n, A, n, 0, '0000000f'))).toEqual([])
  }
  expect(again).toThrow(expect.objectContaining({ code: 'LOG_REWOUND' }))
})

test.each([
  ['confirmed itself', output(1, A, 4, 4)],
  ['beyond the window', output(1, A, OUTPUT_WINDOW + 5, 4)],
])('stops at an output that is %s, as no writer sends it', (_, record) => {
  const reader = new Reader()
  expect(() => reader.take(record)).toThrow(expect.objectContaining({ code: 'BAD_LOG' }))
})

test('holds no more of a writer than its window', () => {
  const reader = new Reader()
  for (let n = 2; n <= OUTPUT_WINDOW; n++) expect(reader.take(output(n, A, n, 0))).toEqual([])
  expect(reader.inbox.held.records).toBe(OUTPUT_WINDOW - 1)
  expect(reader.take(output(9999, A, 1, 0))).toHaveLength(OUTPUT_WINDOW)
})

/** What happens to a log and a reader of it: each number chooses among what can happen next. */
const happenings = fc.array(fc.nat(1_000_000), { minLength: 20, maxLength: 200 })

/** A writer that sends in runs of which some are lost, sends again, and confirms what was stored. */
class Writer {
  made = 0
  confirmed = 0
  readonly stored = new Set<number>()

  constructor(readonly name: string) {}

  confirm(): void {
    while (this.stored.has(this.confirmed + 1)) this.confirmed++
  }
}

/** A partition of a log with all that is written to it and taken from it. */
class Partition {
  readonly records: LogRecord[] = []
  end = 0
  /** Deleted by hand or by retention. */
  readonly gone = new Set<LogRecord>()
  readonly writers = writers.map(name => new Writer(name))

  foreign(gap: number): void {
    this.end += 1 + gap
    this.records.push(foreign(this.end))
  }

  send(writer: Writer, n: number, confirmed: number): void {
    this.records.push(output(++this.end, writer.name, n, confirmed, n.toString(16).padStart(8, '0')))
    writer.stored.add(n)
  }

  /** What a writer has not confirmed, with some that are new: each is stored or lost. */
  run(writer: Writer, fresh: number, lost: number): void {
    writer.made += fresh
    // What the writer knows of its acknowledgements may be old by the time that the record is stored.
    const known = writer.confirmed
    for (let n = known + 1; n <= writer.made; n++) if (((lost >> (n % 8)) & 1) === 0) this.send(writer, n, known)
    if (lost % 3 !== 0) writer.confirm()
  }

  after(position: Position): LogRecord[] {
    return this.records.filter(record => record.position > position && !this.gone.has(record))
  }
}

/** An owner that processes in turns, undoes some, commits, dies and comes back: only what is committed counts. */
class Owner {
  committed: { low: Position; foreignAfter: Position; cursors: Map<string, Cursor>; processed: LogRecord[] }
  reader!: Reader
  processed!: LogRecord[]
  #given!: LogRecord[]
  #at!: Position
  readonly missing = new Set<string>()

  constructor(
    readonly log: Partition,
    readonly fromStart: boolean,
    readonly begun: Position,
  ) {
    this.committed = { low: begun, foreignAfter: begun, cursors: new Map(), processed: [] }
    this.restart()
  }

  restart(): void {
    const { low, foreignAfter, cursors, processed } = this.committed
    const tell = (event: Event) => {
      if (event.type !== 'stream.outputs-missing') throw new Error(event.type)
      for (let n = event.from; n <= event.to; n++) this.missing.add(`${event.writer[0]}${n}`)
    }
    this.reader = new Reader({ fromStart: this.fromStart, foreignAfter, tell }, cursors)
    this.processed = [...processed]
    this.#given = []
    this.#at = low
  }

  read(most: number): void {
    const batch = this.log.after(this.#at).slice(0, most)
    this.#given.push(...this.reader.inbox.take(batch))
    this.#at = batch.length < most ? this.log.end : (batch.at(-1) as LogRecord).position
  }

  turn(records: number, undone: boolean): void {
    const { cursors } = this.reader
    const before = [...cursors]
    const walked = this.#given.slice(0, records)
    for (const record of walked) this.reader.inbox.passed(record)
    if (undone) {
      cursors.clear()
      for (const [name, cursor] of before) cursors.set(name, cursor)
      return
    }
    this.processed.push(...walked)
    this.#given = this.#given.slice(records)
  }

  commit(): void {
    const { inbox, cursors } = this.reader
    const low = inbox.lowWater(this.#at, this.#given[0]?.position)
    expect(low).toBeGreaterThanOrEqual(this.committed.low)
    if (inbox.held.records === 0 && this.#given.length === 0) expect(low).toBe(this.#at)
    const foreignAfter = Math.max(this.begun, inbox.foreignAfter)
    this.committed = { low, foreignAfter, cursors: new Map(cursors), processed: [...this.processed] }
  }
}

function live(log: Partition, fromStart: boolean, numbers: readonly number[]): Owner {
  const owner = new Owner(log, fromStart, fromStart ? START : log.end)
  for (const number of numbers) {
    const detail = Math.floor(number / 20)
    const writer = log.writers[detail % 3] as Writer
    const rest = Math.floor(detail / 3)
    const kind = number % 20
    if (kind < 5) log.run(writer, rest % 5, Math.floor(rest / 5) % 256)
    else if (kind < 7) log.foreign(rest % 3)
    else if (kind === 7) {
      // What an owner that was frozen sends long after: an old id, and what was confirmed then.
      const n = 1 + (rest % Math.max(1, writer.made))
      if (writer.stored.has(n)) log.send(writer, n, Math.min(n - 1, rest % 7, writer.confirmed))
    } else if (kind === 8) {
      const some = log.records[detail % Math.max(1, log.records.length)]
      if (some !== undefined) log.gone.add(some)
    } else if (kind === 9) {
      for (const record of log.records) if (record.position < owner.committed.low - (detail % 9)) log.gone.add(record)
    } else if (kind < 14) owner.read(1 + (detail % 9))
    else if (kind < 17) owner.turn(1 + (detail % 9), detail % 4 === 0)
    else if (kind < 19) owner.commit()
    else owner.restart()
  }
  return owner
}

/** Every writer gets all out and confirms it with one more; the owner reads to the end and processes all. */
function finish(log: Partition, owner: Owner): void {
  for (const writer of log.writers) {
    log.run(writer, 0, 0)
    for (let n = writer.confirmed + 1; n <= writer.made; n++) writer.stored.add(n)
    writer.confirm()
    log.send(writer, ++writer.made, writer.confirmed)
  }
  owner.read(Infinity)
  owner.turn(Infinity, false)
  owner.commit()
}

const since = (begun: Position, records: readonly LogRecord[]) => records.filter(({ position }) => position > begun)

function check(log: Partition, owner: Owner): void {
  const { fromStart, begun, committed, missing } = owner
  const processed = committed.processed.map(short)
  expect(new Set(processed).size).toBe(processed.length)
  expect(owner.reader.inbox.held).toEqual({ records: 0, bytes: 0 })
  expect(committed.low).toBe(log.end)

  const goneOnce = new Set([...log.gone].map(short))
  const known = new Set(processed)
  for (const record of since(begun, log.records)) {
    const id = short(record)
    // Of an output in the middle, an earlier copy may have been before the reader began.
    const before = log.records.some(other => other.position <= begun && short(other) === id)
    if (known.has(id) || before) continue
    expect(goneOnce).toContain(id)
    if (fromStart && outOf(record) !== undefined) expect(missing).toContain(id)
  }

  const others = committed.processed.filter(record => outOf(record) === undefined).map(({ position }) => position)
  expect(others).toEqual([...others].sort((a, b) => a - b))
  for (const writer of log.writers) {
    const numbers = committed.processed
      .map(record => outOf(record))
      .flatMap(out => (out?.writer === writer.name ? [out.n] : []))
    // Started in the middle, its order is kept from the first that was seen on.
    const ordered = fromStart ? numbers : numbers.filter(n => n >= (numbers[0] as number))
    expect(ordered).toEqual([...ordered].sort((a, b) => a - b))
  }
}

test('processes every id once and in order, whatever is lost, repeated, deleted, undone or begun again', () => {
  fc.assert(
    fc.property(happenings, numbers => {
      const log = new Partition()
      const owner = live(log, true, numbers)
      finish(log, owner)
      check(log, owner)
    }),
    { numRuns: 400 },
  )
})

test('does so from the middle on, but for the order of what was under way when it began', () => {
  fc.assert(
    fc.property(happenings, happenings, (before, after) => {
      const log = new Partition()
      // Nobody reads yet: what happens to the log is all that counts.
      live(
        log,
        true,
        before.filter(number => number % 20 < 8),
      )
      const owner = live(log, false, after)
      finish(log, owner)
      check(log, owner)
    }),
    { numRuns: 400 },
  )
})
