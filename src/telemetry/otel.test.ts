import { readFileSync } from 'node:fs'
import { context, metrics, propagation, ROOT_CONTEXT, SpanStatusCode, trace } from '@opentelemetry/api'
import type {
  Attributes,
  Context,
  ContextManager,
  Meter,
  ObservableCallback,
  SpanOptions,
  Tracer,
} from '@opentelemetry/api'
import { afterEach, expect, test } from 'vitest'
import { systemClock, type Clock } from '../clock.js'
import { RecordError } from '../errors.js'
import { measures, withTraceContext } from './otel.js'

afterEach(() => {
  context.disable()
  propagation.disable()
  metrics.disable()
  trace.disable()
})

/** A context manager as an SDK registers one, with this context active. */
function active(now: Context): void {
  const manager: ContextManager = {
    active: () => now,
    with: (_, fn, self, ...args) => fn.apply(self, args),
    bind: (_, target) => target,
    enable: () => manager,
    disable: () => manager,
  }
  context.setGlobalContextManager(manager)
  propagation.setGlobalPropagator({
    inject: (of, carrier, setter) => setter.set(carrier, 'traceparent', `00-${String(of.getValue(TRACE))}`),
    extract: of => of,
    fields: () => ['traceparent'],
  })
}

const TRACE = Symbol('trace')

test('gives the very headers it got when no SDK is registered', () => {
  const headers = { a: 'b' }
  expect(withTraceContext(headers)).toBe(headers)
  expect(withTraceContext(undefined)).toBeUndefined()
})

test('adds the active trace', () => {
  active(ROOT_CONTEXT.setValue(TRACE, 'abc'))
  expect(withTraceContext(undefined)).toEqual({ traceparent: '00-abc' })
  expect(withTraceContext({ a: 'b' })).toEqual({ a: 'b', traceparent: '00-abc' })
})

test('leaves a trace that the caller gives alone', () => {
  active(ROOT_CONTEXT.setValue(TRACE, 'abc'))
  expect(withTraceContext({ traceparent: '00-mine' })).toEqual({ traceparent: '00-mine' })
})

const at = { pipeline: 'clicks', stage: 0, partition: 3 }
const place = {
  'messaging.system': 'stream_node',
  'messaging.consumer.group.name': 'clicks',
  'stream_node.pipeline': 'clicks',
  'stream_node.stage': 0,
}

test('gives counts and times of commits, outputs, faults and restarts to the meter that is registered', () => {
  const { measured, collect } = registered()
  const { tell } = measures(clock, () => [])
  tell({ type: 'partition.committed', ...at, number: 5, records: 12, outputs: 7, bytes: 300, ms: 20 })
  tell({ type: 'partition.published', ...at, outputs: 7, stream: 'per-user' })
  tell({ type: 'partition.fault', ...at, error: new RecordError('STEP_FAILED', 'it threw', ''), then: 'stop' })
  tell({ type: 'partition.fault', ...at, error: new TypeError('it threw'), then: 'deadLetter' })
  tell({ type: 'partition.restarting', ...at, error: new TypeError('it threw'), waitMs: 5, restarts: 1 })
  tell({ type: 'log.disconnected', server: 'a' })
  const fault = { ...place, 'error.type': 'STEP_FAILED', 'stream_node.then': 'stop' }
  const sent = { ...place, 'messaging.destination.name': 'per-user', 'messaging.operation.name': 'send' }
  expect(measured).toEqual([
    ['stream_node.commit.duration', 0.02, place],
    ['stream_node.commit.size', 300, place],
    ['messaging.client.consumed.messages', 12, { ...place, 'messaging.operation.name': 'process' }],
    ['messaging.client.sent.messages', 7, sent],
    ['stream_node.faults', 1, fault],
    ['stream_node.faults', 1, { ...fault, 'error.type': 'TypeError', 'stream_node.then': 'deadLetter' }],
    ['stream_node.restarts', 1, { ...place, 'error.type': 'TypeError' }],
  ])
  expect(collect()).toEqual([])
})

test('shows lag and outbox of each partition when they are collected, until it is closed', () => {
  const { collect } = registered()
  const { close } = measures(clock, () => [
    { ...at, lag: 40, outbox: 2 },
    { ...at, partition: 4, outbox: 0 },
  ])
  const at3 = { ...place, 'stream_node.partition': 3 }
  expect(collect()).toEqual([
    ['stream_node.lag', 40, at3],
    ['stream_node.outbox', 2, at3],
    ['stream_node.outbox', 0, { ...place, 'stream_node.partition': 4 }],
  ])
  close()
  expect(collect()).toEqual([])
})

test('makes a span of each commit and each fault, from when it began to when it ended', () => {
  const { spans } = registered()
  const { tell } = measures(clock, () => [])
  tell({ type: 'partition.committed', ...at, number: 5, records: 12, outputs: 7, bytes: 300, ms: 20 })
  tell({ type: 'partition.fault', ...at, error: new Error('it threw'), then: 'stop' })
  expect(spans).toEqual([
    {
      ...{ name: 'commit clicks', from: 980, to: 1000, status: undefined },
      attributes: expect.objectContaining({
        ...{ 'stream_node.partition': 3, 'stream_node.number': 5, 'stream_node.outputs': 7 },
        'messaging.batch.message_count': 12,
      }),
    },
    {
      ...{ name: 'process clicks', from: 1000, to: 1000, status: { code: SpanStatusCode.ERROR, message: 'it threw' } },
      attributes: expect.objectContaining({ 'error.type': 'Error', 'stream_node.then': 'stop' }),
    },
  ])
})

test('works without any SDK', () => {
  const { tell, close } = measures(clock, () => expect.fail('nobody collects'))
  tell({ type: 'partition.committed', ...at, number: 5, records: 12, outputs: 7, bytes: 300, ms: 20 })
  close()
})

test('every name of a span, a measure and an attribute stands in docs/telemetry.md', () => {
  const { names } = registered()
  const { tell } = measures(clock, () => [{ ...at, lag: 1, outbox: 1 }])
  tell({ type: 'partition.committed', ...at, number: 5, records: 12, outputs: 7, bytes: 300, ms: 20 })
  tell({ type: 'partition.published', ...at, outputs: 7, stream: 'per-user' })
  tell({ type: 'partition.fault', ...at, error: new Error('it threw'), then: 'stop' })
  tell({ type: 'partition.restarting', ...at, error: new Error('it threw'), waitMs: 5, restarts: 1 })
  const page = readFileSync(new URL('../../docs/telemetry.md', import.meta.url), 'utf8')
  expect([...names()].filter(name => !page.includes(`\`${name}\``))).toEqual([])
  expect(names().size).toBeGreaterThan(15)
})

const clock: Clock = { ...systemClock, now: () => 1000 }

type Measured = [name: string, value: number, attributes: Attributes | undefined]

interface SpanTold {
  readonly name: string
  readonly from: unknown
  to?: unknown
  status?: unknown
  readonly attributes: Attributes
}

/** A meter and a tracer, registered as an SDK registers its own, that keep what they are told. */
function registered() {
  const measured: Measured[] = []
  const gauges: { name: string; callbacks: Set<ObservableCallback> }[] = []
  const spans: SpanTold[] = []
  const instrument = (name: string) => ({
    add: (value: number, attributes?: Attributes) => void measured.push([name, value, attributes]),
    record: (value: number, attributes?: Attributes) => void measured.push([name, value, attributes]),
  })
  const meter = {
    createCounter: instrument,
    createHistogram: instrument,
    createObservableGauge(name: string) {
      const callbacks = new Set<ObservableCallback>()
      gauges.push({ name, callbacks })
      return {
        addCallback: (callback: ObservableCallback) => void callbacks.add(callback),
        removeCallback: (callback: ObservableCallback) => void callbacks.delete(callback),
      }
    },
  }
  metrics.setGlobalMeterProvider({ getMeter: () => meter as unknown as Meter })
  const tracer = {
    startSpan(name: string, { startTime, attributes = {} }: SpanOptions) {
      const told: SpanTold = { name, from: startTime, attributes }
      spans.push(told)
      return { setStatus: (status: unknown) => (told.status = status), end: (to: unknown) => (told.to = to) }
    },
  }
  trace.setGlobalTracerProvider({ getTracer: () => tracer as unknown as Tracer })
  const collect = () => {
    const observed: Measured[] = []
    for (const { name, callbacks } of gauges) {
      const observe = (value: number, attributes?: Attributes) => void observed.push([name, value, attributes])
      for (const callback of callbacks) void callback({ observe })
    }
    return observed
  }
  const names = () => {
    const told = [...measured, ...collect()]
    const attributes = [...told.map(([, , some]) => some), ...spans.map(span => span.attributes)]
    return new Set([
      ...told.map(([name]) => name),
      ...spans.map(({ name }) => name.replace(/ .*/, ' <pipeline>')),
      ...attributes.flatMap(some => Object.keys(some ?? {})),
    ])
  }
  return { measured, spans, collect, names }
}
