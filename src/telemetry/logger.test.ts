import { expect, test } from 'vitest'
import type { Clock } from '../clock.js'
import { RecordError, UnavailableError } from '../errors.js'
import type { Event } from './events.js'
import { logger, type LoggerOptions } from './logger.js'

/** A clock that stands still until it is moved. */
function handClock() {
  let now = Date.UTC(2026, 10, 20, 12, 0, 0)
  let timers: { at: number; then: () => void }[] = []
  const clock: Clock = {
    now: () => now,
    elapsed: () => now,
    after(ms, then) {
      const timer = { at: now + ms, then }
      timers.push(timer)
      return () => void (timers = timers.filter(other => other !== timer))
    },
    soon: then => void setImmediate(then),
  }
  const move = (ms: number) => {
    now += ms
    const due = timers.filter(({ at }) => at <= now)
    timers = timers.filter(({ at }) => at > now)
    for (const { then } of due) then()
  }
  return { clock, move, timers: () => timers.length }
}

function lines(options: Partial<LoggerOptions> = {}) {
  let text = ''
  const { clock, move, timers } = handClock()
  const log = logger({
    ...{ level: 'debug', people: false, clock, write: more => (text += more), redact: given => given },
    ...options,
  })
  const written = () => text.split('\n').filter(line => line !== '')
  const objects = () => written().map(line => JSON.parse(line) as Record<string, unknown>)
  return { log, move, timers, written, objects }
}

const at = { pipeline: 'clicks', stage: 0, partition: 3 }
const fault = (error: unknown): Event => ({ type: 'partition.fault', ...at, error, then: 'stop' })
const poison = new RecordError('STEP_FAILED', 'it threw', 'mend it')

test('writes one line of JSON for each event, with where it happened as fields', () => {
  const { log, objects } = lines()
  log.tell({ type: 'partition.committed', ...at, number: 5, records: 12, outputs: 7, bytes: 300, ms: 2 })
  log.tell({ type: 'partition.state', ...at, from: 'claiming', to: 'running', fence: 2 })
  log.tell(fault(poison))
  expect(objects()).toEqual([
    {
      ...{ level: 'debug', time: '2026-11-20T12:00:00.000Z', ...at, number: 5 },
      ...{ records: 12, outputs: 7, bytes: 300, ms: 2, msg: 'committed' },
    },
    { level: 'debug', time: '2026-11-20T12:00:00.000Z', ...at, fence: 2, msg: 'claiming -> running' },
    {
      ...{ level: 'error', time: '2026-11-20T12:00:00.000Z', ...at, then: 'stop', code: 'STEP_FAILED' },
      msg: 'stopped before a record: it threw; mend it',
    },
  ])
})

test('has a line for every kind of event', () => {
  const events: { readonly [Type in Event['type']]: Extract<Event, { readonly type: Type }> } = {
    'log.disconnected': { type: 'log.disconnected', server: 'a' },
    'log.reconnected': { type: 'log.reconnected', server: 'a' },
    'log.error': { type: 'log.error', error: new Error('it says') },
    'log.reader-resumed': { type: 'log.reader-resumed', stream: 's', after: 4, why: 'lost' },
    'log.warning': { type: 'log.warning', what: 'what', mend: 'mend' },
    'stream.made': { type: 'stream.made', stream: 's' },
    'stream.outputs-missing': {
      type: 'stream.outputs-missing',
      stream: 's',
      partition: 0,
      writer: 'w',
      from: 1,
      to: 2,
    },
    'partition.state': { type: 'partition.state', ...at, from: 'a', to: 'b', fence: 1 },
    'partition.committed': { type: 'partition.committed', ...at, number: 1, records: 1, outputs: 1, bytes: 1, ms: 1 },
    'partition.published': { type: 'partition.published', ...at, outputs: 1, stream: 's' },
    'partition.written': { type: 'partition.written', ...at, outputs: 1, sink: 'rows' },
    'partition.fault': { type: 'partition.fault', ...at, error: poison, then: 'stop' },
    'partition.restarting': { type: 'partition.restarting', ...at, error: poison, waitMs: 120, restarts: 2 },
    'partition.paused': { type: 'partition.paused', ...at, error: poison, restarts: 5 },
    'partition.ended': { type: 'partition.ended', ...at, why: 'fenced' },
    'partition.waits': { type: 'partition.waits', ...at, on: 'the log' },
    'node.started': { type: 'node.started', node: 'n', log: 'l', pipelines: ['p', 'q'], partitions: 12 },
    'node.stopping': { type: 'node.stopping', node: 'n' },
    'node.ended': { type: 'node.ended', node: 'n', why: 'late' },
  }
  const { log, objects } = lines()
  for (const event of Object.values(events)) log.tell(event)
  for (const { msg, level } of objects())
    expect([msg, level]).toEqual([expect.stringMatching(/\S/), expect.any(String)])
  expect(objects()).toHaveLength(Object.keys(events).length)
})

test('says what became of a record that could not be processed; only what holds the partition up is an error', () => {
  const { log, objects } = lines()
  for (const then of ['deadLetter', 'skip', 'retry', 'pause', 'budget', 'stop'] as const) {
    log.tell({ type: 'partition.fault', ...at, error: poison, then })
  }
  expect(objects().map(({ level, msg, then }) => [level, then, msg])).toEqual([
    ['warn', 'deadLetter', 'a record went to the dead letters: it threw; mend it'],
    ['warn', 'skip', 'a record was skipped: it threw; mend it'],
    ['warn', 'retry', 'a record is tried again: it threw; mend it'],
    ['error', 'pause', 'paused before a record until it is resumed: it threw; mend it'],
    [
      'error',
      'budget',
      'paused until it is resumed, for too many records could not be processed; the next: it threw; mend it',
    ],
    ['error', 'stop', 'stopped before a record: it threw; mend it'],
  ])
})

test("shows where a user's code threw, also when that was at a record", () => {
  const { log, objects } = lines()
  log.tell(fault(new RecordError('STEP_FAILED', 'step 1 failed', '', { cause: new TypeError('theirs') })))
  const ours = new RecordError('STEP_FAILED', 'step 2 failed', '', { cause: poison })
  log.tell({ type: 'partition.fault', ...at, partition: 4, error: ours, then: 'stop' })
  expect(objects().map(({ stack }) => stack)).toEqual([expect.stringContaining('TypeError: theirs'), undefined])
})

test('says when and why a partition begins anew, and with whom, and that it is paused in the end', () => {
  const { log, objects } = lines()
  const error = new UnavailableError('STUCK', 'no progress', 'wait')
  log.tell({ type: 'partition.restarting', ...at, error, waitMs: 120.4, restarts: 5 })
  log.tell({ type: 'partition.restarting', ...at, error: 3, waitMs: 0, restarts: 6, with: { stage: 0, partition: 1 } })
  log.tell({ type: 'partition.paused', ...at, error, restarts: 6 })
  expect(objects().map(({ level, msg, code, restarts }) => [level, msg, code, restarts])).toEqual([
    ['warn', 'begins anew in 120 ms: no progress; wait', 'STUCK', 5],
    ['warn', 'begins anew with partition 1 in 0 ms: 3', undefined, 6],
    ['error', 'paused until it is resumed, after 6 restarts: no progress; wait', 'STUCK', 6],
  ])
})

test('says what a partition waits for, once', () => {
  const { log, objects } = lines()
  log.tell({ type: 'partition.waits', ...at, on: 'the log' })
  const error = new UnavailableError('LOG_FULL', 'full', 'make room')
  log.tell({ type: 'partition.waits', ...at, on: error.message, error })
  expect(objects().map(({ msg }) => msg)).toEqual(['waits for the log', 'waits: full; make room'])
})

test('writes nothing below its level, and nothing at all when it is silent', () => {
  const { log, objects } = lines({ level: 'warn' })
  log.tell({ type: 'log.reconnected', server: 'a' })
  log.tell({ type: 'log.disconnected', server: 'a' })
  expect(objects().map(({ level }) => level)).toEqual(['warn'])
  const none = lines({ level: 'silent' })
  none.log.tell(fault(poison))
  none.log.close()
  expect(none.written()).toEqual([])
})

test('writes what comes again once a second, with how many were left out, and forgets what comes no more', () => {
  const { log, move, timers, objects } = lines()
  for (let i = 0; i < 100; i++) log.tell(fault(poison))
  expect(objects()).toHaveLength(1)
  move(1000)
  expect(objects().map(({ repeats }) => repeats)).toEqual([undefined, 99])
  log.tell(fault(poison))
  move(500)
  expect(objects()).toHaveLength(2)
  move(500)
  expect(objects().map(({ repeats }) => repeats)).toEqual([undefined, 99, 1])
  move(1000)
  expect(timers()).toBe(0)
  log.tell(fault(poison))
  expect(objects().map(({ repeats }) => repeats)).toEqual([undefined, 99, 1, undefined])
})

test('holds back nothing that is about another partition or another error, and all that is left at the close', () => {
  const { log, timers, objects } = lines()
  log.tell(fault(poison))
  log.tell({ type: 'partition.fault', ...at, partition: 4, error: poison, then: 'stop' })
  log.tell(fault(new UnavailableError('LOG_FULL', 'full', 'make room')))
  expect(objects()).toHaveLength(3)
  log.tell(fault(poison))
  log.close()
  expect(objects().map(({ repeats }) => repeats)).toEqual([undefined, undefined, undefined, 1])
  expect(timers()).toBe(0)
})

test('takes secrets out of messages and traces', () => {
  const { log, written } = lines({ redact: text => text.replaceAll('planted', '***') })
  log.tell(fault(new Error('planted')))
  log.tell({ type: 'log.warning', what: 'planted', mend: 'planted' })
  expect(written()).toHaveLength(2)
  expect(written().join()).not.toContain('planted')
})

test('writes short lines for people, where what a record holds can not drive their terminal', () => {
  const { log, written } = lines({ people: true })
  log.tell({ type: 'node.started', node: 'n', log: 'embedded log in x', pipelines: ['clicks'], partitions: 6 })
  log.tell(fault(new RecordError('BAD_BYTES', '\u001b[31mred\nline', 'mend')))
  log.tell({ type: 'partition.committed', ...at, number: 5, records: 12, outputs: 7, bytes: 300, ms: 2 })
  expect(written()).toEqual([
    '12:00:00.000 info  running clicks with 6 partitions on embedded log in x',
    '12:00:00.000 error clicks/0/3 stopped before a record:  [31mred line; mend [BAD_BYTES]',
    '12:00:00.000 debug clicks/0/3 committed number=5 records=12 outputs=7 bytes=300 ms=2',
  ])
})

test("shows people where a user's code threw", () => {
  const { log, written } = lines({ people: true })
  log.tell(fault(new TypeError('no such thing')))
  expect(written()[0]).toContain('no such thing')
  expect(written().some(line => line.includes('logger.test.ts:'))).toBe(true)
})
