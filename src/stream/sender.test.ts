import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { Cancel, Clock } from '../clock.js'
import { DefinitionError, FencedError, IntegrityError, UnavailableError } from '../errors.js'
import type { Append, Batch, BatchReader, Ending, LogStream, ReadOptions } from '../log/log.js'
import { LogRecord, encodeHeaders } from '../log/record.js'
import { Sender, type SenderRules } from './sender.js'

/** A clock that tests move; timers fire when the time has come. */
class HandClock implements Clock {
  #now = 0
  #timers: { readonly at: number; readonly then: () => void }[] = []
  now = () => this.#now
  elapsed = () => this.#now
  after(ms: number, then: () => void): Cancel {
    const timer = { at: this.#now + ms, then }
    this.#timers.push(timer)
    return () => (this.#timers = this.#timers.filter(other => other !== timer))
  }
  soon(then: () => void): void {
    this.after(0, then)
  }
  /** Goes on until nothing is due within `ms`, letting promises run in between. */
  async run(ms: number): Promise<void> {
    const end = this.#now + ms
    for (;;) {
      await settle()
      const due = this.#timers.filter(timer => timer.at <= end).sort((a, b) => a.at - b.at)[0]
      if (due === undefined) break
      this.#now = due.at
      this.#timers = this.#timers.filter(timer => timer !== due)
      due.then()
    }
    this.#now = end
    await settle()
  }
}

const settle = () => new Promise<void>(resolve => setImmediate(resolve))

type Fate = 'store' | 'lose' | 'store, no answer' | 'not sent' | 'full' | 'denied'
const away = new UnavailableError('DISCONNECTED', 'no link', 'wait')

/** A stream in memory that remembers ids for a window and ends each append as told. */
class FakeStream {
  readonly spec = { name: 's', partitions: 1, retention: {}, replicas: 1, dedupWindowMs: 20_000 }
  readonly stored: { readonly id: string; readonly at: number; readonly text: string }[] = []
  readonly fates: Fate[] = []
  readonly sends: string[] = []
  readonly looksAfter: number[] = []
  onceLooked = () => {}
  first = 1
  window = 4
  inFlight = 0
  broken: Promise<void> | undefined
  #room: (() => void)[] = []

  constructor(readonly clock: Clock) {}

  send(record: Append, ended: (ending: Ending) => void): void {
    void this.append(record).then(ended)
  }

  async append(record: Append): Promise<Ending> {
    const fate = this.fates.shift() ?? 'store'
    const id = record.id as string
    this.sends.push(id)
    this.inFlight++
    let position = 0
    let repeat = false
    if (fate === 'store' || fate === 'store, no answer') {
      const since = this.clock.elapsed() - this.spec.dedupWindowMs
      const there = this.stored.findIndex(one => one.id === id && one.at > since)
      repeat = there >= 0
      if (!repeat) this.stored.push({ id, at: this.clock.elapsed(), text: Buffer.from(record.payload).toString() })
      position = repeat ? there + 1 : this.stored.length
    }
    await Promise.resolve()
    this.inFlight--
    for (const give of this.#room.splice(0)) give()
    if (fate === 'store') return { ending: 'stored', position, repeat }
    if (fate === 'not sent') return { ending: 'refused', why: 'unavailable', error: away }
    if (fate === 'full') return { ending: 'refused', why: 'full', error: new UnavailableError('LOG_FULL', 'full', '') }
    if (fate === 'denied')
      return { ending: 'refused', why: 'denied', error: new DefinitionError('RECORD_TOO_LARGE', 'big', '') }
    return { ending: 'unknown', error: away }
  }

  room(): Promise<void> | undefined {
    if (this.broken !== undefined) return this.broken
    return this.inFlight < this.window ? undefined : new Promise(resolve => this.#room.push(resolve))
  }

  async extent() {
    return { first: this.first, last: this.stored.length, incarnation: 'i' }
  }

  read({ after, headersOnly, untilEnd }: ReadOptions): BatchReader {
    expect({ headersOnly, untilEnd }).toEqual({ headersOnly: true, untilEnd: true })
    this.looksAfter.push(after)
    if (after !== 0 && after < this.first - 1) throw new IntegrityError('OVERRUN', 'gone', '')
    const records = this.stored.map(
      ({ id }, i) => new LogRecord(0, i + 1, 0, encodeHeaders(undefined, id), Buffer.alloc(0)),
    )
    const batch: Batch = {
      records: records.slice(Math.max(after, this.first - 1)),
      position: this.stored.length,
      behind: 0,
    }
    this.onceLooked()
    return [batch][Symbol.iterator]() as unknown as BatchReader
  }

  get looks(): number {
    return this.looksAfter.length
  }

  get ids(): string[] {
    return this.stored.map(({ id }) => id)
  }
}

const SAID = { no: '', maybe: ' maybe', yes: ' again' }

function setUp(end = 0, rules: SenderRules = {}) {
  const clock = new HandClock()
  const log = new FakeStream(clock)
  const sender = new Sender(log as unknown as LogStream, end, clock, rules)
  const ended: string[] = []
  const send = (id: string, signal?: AbortSignal) =>
    sender.send(
      { partition: 0, payload: Buffer.from(`value of ${id}`), id },
      {
        stored: (position, before) => void ended.push(`${id} at ${position}${SAID[before]}`),
        failed: error => void ended.push(`${id} ${error.code}`),
        signal,
      },
    )
  return { clock, log, sender, ended, send }
}

test('stores in the order of the calls, more than the window holds', async () => {
  const { clock, log, send, ended } = setUp()
  const ids = Array.from({ length: 20 }, (_, i) => `r${i}`)
  ids.forEach(id => send(id))
  expect(log.sends).toHaveLength(4)
  await clock.run(0)
  for (let i = 0; i < 10; i++) await settle()
  expect(log.ids).toEqual(ids)
  expect(ended).toEqual(ids.map((id, i) => `${id} at ${i + 1}`))
})

test('says when there is room, and for how long there is none', async () => {
  const { clock, sender, send } = setUp()
  expect(sender.room()).toBeUndefined()
  for (let i = 0; i < 4; i++) send(`r${i}`)
  let roomy = false
  const room = sender.room()
  expect(room).toBeInstanceOf(Promise)
  void room?.then(() => (roomy = true))
  send('r4')
  await Promise.resolve()
  expect(roomy).toBe(false)
  await clock.run(0)
  expect(roomy).toBe(true)
  expect(sender.room()).toBeUndefined()
})

test('sends all unsettled again, from the oldest on, when an answer does not come', async () => {
  const { clock, log, send, ended } = setUp()
  log.fates.push('store', 'store, no answer', 'lose', 'store, no answer')
  for (const id of ['a', 'b', 'c', 'd', 'e']) send(id)
  await clock.run(1000)
  expect(log.sends.filter(id => id !== 'e')).toEqual(['a', 'b', 'c', 'd', 'b', 'c', 'd'])
  expect(log.ids.sort()).toEqual(['a', 'b', 'c', 'd', 'e'])
  expect(ended.map(line => line.split(' ')[0]).sort()).toEqual(['a', 'b', 'c', 'd', 'e'])
})

test('does not call its own record a repeat, and calls a former one that', async () => {
  const { clock, log, sender, send, ended } = setUp()
  send('mine')
  await sender.drained()
  log.fates.push('store, no answer', 'lose')
  send('new')
  send('mine')
  await clock.run(1000)
  expect(ended).toEqual(['mine at 1', 'new at 2 maybe', 'mine at 1 again'])
})

test('waits for the log to be back when nothing was sent', async () => {
  const { clock, log, send, ended } = setUp()
  log.fates.push('not sent', 'not sent')
  let back = () => {}
  log.broken = undefined
  send('a')
  send('b')
  log.broken = new Promise(resolve => (back = resolve))
  await clock.run(60_000)
  expect(ended).toEqual([])
  log.broken = undefined
  back()
  await clock.run(1000)
  expect(ended).toEqual(['a at 1', 'b at 2'])
})

test('looks for a record that is older than half the window before it sends it again', async () => {
  const { clock, log, send, ended } = setUp()
  log.fates.push('store, no answer', 'lose')
  let back = () => {}
  send('there')
  send('lost')
  log.broken = new Promise(resolve => (back = resolve))
  await clock.run(30_000)
  log.broken = undefined
  back()
  await clock.run(1000)
  expect(log.looks).toBe(1)
  expect(log.ids).toEqual(['there', 'lost'])
  expect(log.sends).toEqual(['there', 'lost', 'lost'])
  expect(ended).toEqual(['there at 1 maybe', 'lost at 2'])
})

test('fails what was sent long ago and may not be looked for, instead of trying for ever, and sends the next', async () => {
  const { clock, log, sender, ended, send } = setUp()
  log.onceLooked = () => {
    throw new DefinitionError('PERMISSION_DENIED', 'the server forbids it', 'grant it')
  }
  const answer = { stored: () => {}, failed: (error: Error) => void ended.push(`old: ${error.message}`) }
  sender.send({ partition: 0, payload: Buffer.from('x'), id: 'old' }, answer, { ms: -20_000, floor: 0 })
  send('new')
  await clock.run(5000)
  expect(ended).toEqual(['old: the server forbids it; grant it', 'new at 1'])
  expect(log.looks).toBe(1)
})

test('does not call its own record a repeat whose first bytes arrive after the look for it', async () => {
  const { clock, log, send, ended } = setUp()
  log.fates.push('lose', 'lose')
  send('late')
  send('lost')
  let back = () => {}
  log.broken = new Promise(resolve => (back = resolve))
  await clock.run(30_000)
  log.onceLooked = () => {
    if (log.looks === 1) log.stored.push({ id: 'late', at: clock.elapsed(), text: 'value of late' })
  }
  log.broken = undefined
  back()
  await clock.run(1000)
  expect(log.sends).toEqual(['late', 'lost', 'late', 'lost'])
  expect(ended).toEqual(['late at 1 maybe', 'lost at 2'])
})

test('looks again when what it did not find is to be sent long after the look, and only at what came since', async () => {
  let gate: Promise<void> | undefined
  const { clock, log, send, ended } = setUp(0, { guard: () => gate })
  log.fates.push('lose')
  send('late')
  let back = () => {}
  log.broken = new Promise(resolve => (back = resolve))
  await clock.run(30_000)
  let open = () => {}
  gate = new Promise(resolve => (open = resolve))
  for (let i = 0; i < 3; i++) log.stored.push({ id: `other ${i}`, at: clock.elapsed(), text: '' })
  log.broken = undefined
  back()
  await clock.run(1000)
  expect(log.looks).toBe(1)
  log.stored.push({ id: 'late', at: clock.elapsed(), text: 'value of late' })
  await clock.run(60_000)
  gate = undefined
  open()
  await clock.run(1000)
  expect(log.sends).toEqual(['late'])
  expect(log.looksAfter).toEqual([0, 3])
  expect(ended).toEqual(['late at 4 maybe'])
})

test('looks also for a record that grew old while it waited for room to be sent again', async () => {
  const { clock, log, send, ended } = setUp()
  log.fates.push('store, no answer', 'store, no answer')
  send('a')
  send('b')
  log.window = 1
  let back = () => {}
  const append = log.append.bind(log)
  log.append = record => {
    log.broken = new Promise(resolve => (back = resolve))
    return append(record)
  }
  await clock.run(30_000)
  expect(ended).toEqual(['a at 1 maybe'])
  log.append = append
  log.broken = undefined
  back()
  await clock.run(1000)
  expect(log.ids).toEqual(['a', 'b'])
  expect(ended).toEqual(['a at 1 maybe', 'b at 2 maybe'])
})

test('sends again within half the window without a look', async () => {
  const { clock, log, send } = setUp()
  log.fates.push('store, no answer')
  send('a')
  await clock.run(1000)
  expect(log.looks).toBe(0)
  expect(log.ids).toEqual(['a'])
})

test('a record that is refused fails alone', async () => {
  const { clock, log, send, ended } = setUp()
  log.fates.push('store', 'denied', 'full', 'store')
  for (const id of ['a', 'b', 'c', 'd']) send(id)
  await clock.run(0)
  expect(ended).toEqual(['a at 1', 'b RECORD_TOO_LARGE', 'c LOG_FULL', 'd at 2'])
})

test('does not say that a record failed when an earlier send of it was stored', async () => {
  const { clock, log, send, ended } = setUp()
  log.fates.push('store, no answer', 'full')
  send('a')
  await clock.run(1000)
  expect(ended).toEqual(['a at 1 maybe'])
})

test('says that it failed when the earlier send was not stored', async () => {
  const { clock, log, send, ended } = setUp()
  log.fates.push('lose', 'full')
  send('a')
  await clock.run(1000)
  expect(ended).toEqual(['a LOG_FULL'])
  expect(log.looks).toBe(1)
})

test('waits out a full log where that is its rule, also for a record that may be stored', async () => {
  const told: string[] = []
  const { clock, log, send, ended } = setUp(0, { full: error => void told.push(error.message) })
  log.fates.push('lose', 'full', 'full')
  send('a')
  await clock.run(2000)
  expect(ended).toEqual(['a at 1'])
  expect(told.length).toBe(2)
})

test('asks its guard once at a time, and fails with it', async () => {
  let asked = 0
  let refuse: (error: Error) => void = () => {}
  const guard = () => {
    asked++
    return new Promise<void>((_, reject) => (refuse = reject))
  }
  const { send, ended } = setUp(0, { guard })
  for (const id of ['a', 'b', 'c']) send(id)
  expect(asked).toBe(1)
  refuse(new FencedError('another owner'))
  await settle()
  expect(asked).toBe(1)
  expect(ended).toEqual(['a FENCED', 'b FENCED', 'c FENCED'])
})

test('looks from the first record there is when retention has passed the place', async () => {
  const { clock, log, sender, send, ended } = setUp()
  for (const id of ['a', 'b', 'c']) send(id)
  await sender.drained()
  log.fates.push('store, no answer')
  let back = () => {}
  send('d')
  log.broken = new Promise(resolve => (back = resolve))
  await clock.run(30_000)
  for (const id of ['x', 'y']) log.stored.push({ id, at: 0, text: '' })
  log.first = 5
  log.broken = undefined
  back()
  await clock.run(1000)
  expect(ended.at(-1)).toBe('d at 7')
})

test('never sends what was given up while it waited', async () => {
  const { clock, log, send, ended } = setUp()
  const giveUp = new AbortController()
  for (const id of ['a', 'b', 'c', 'd']) send(id)
  send('e', giveUp.signal)
  send('f')
  giveUp.abort()
  await clock.run(0)
  expect(log.ids).toEqual(['a', 'b', 'c', 'd', 'f'])
  expect(ended).toHaveLength(5)
})

test('fails what is unsettled when it is closed, and what comes later', async () => {
  const { sender, send, ended } = setUp()
  for (const id of ['a', 'b', 'c', 'd', 'e']) send(id)
  sender.close()
  send('f')
  await sender.drained()
  expect(ended).toEqual(['a', 'b', 'c', 'd', 'e', 'f'].map(id => `${id} CLOSED`))
})

test('stores each record once and answers each once, whatever the link does', async () => {
  const fate = fc.constantFrom<Fate>('store', 'store', 'store', 'lose', 'store, no answer', 'not sent')
  const ms = fc.integer({ min: 0, max: 15_000 })
  const runs = fc.tuple(
    fc.array(fate, { maxLength: 60 }),
    fc.array(fc.record({ ms, away: fc.boolean() }), { maxLength: 12 }),
    fc.integer({ min: 1, max: 4 }),
  )
  await fc.assert(
    fc.asyncProperty(runs, async ([fates, pauses, window]) => {
      const { clock, log, sender, send, ended } = setUp()
      log.fates.push(...fates)
      const ids = Array.from({ length: 25 }, (_, i) => `r${i}`)
      for (const [i, id] of ids.entries()) {
        send(id)
        log.window = 1 + ((i + window) % 4)
        const pause = pauses[i]
        if (pause === undefined) continue
        let back = () => {}
        if (pause.away) log.broken = new Promise(resolve => (back = resolve))
        await clock.run(pause.ms)
        log.broken = undefined
        back()
      }
      await clock.run(60_000)
      await sender.drained()
      expect([...log.ids].sort()).toEqual([...ids].sort())
      expect(ended.map(line => line.split(' ')[0]).sort()).toEqual([...ids].sort())
      expect(ended.filter(line => line.endsWith('again'))).toEqual([])
      for (const line of ended) {
        const [id, , position] = line.split(' ')
        expect(log.stored[Number(position) - 1]).toMatchObject({ id, text: `value of ${id}` })
      }
    }),
    { numRuns: 150 },
  )
})
