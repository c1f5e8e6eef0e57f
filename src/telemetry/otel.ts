/**
 * Trace context in and out of records' headers, and what the engine tells as spans and measures, by whatever
 * OpenTelemetry SDK the process has registered. `docs/telemetry.md` lists every name.
 */
import { context, metrics, propagation, ROOT_CONTEXT, SpanKind, SpanStatusCode, trace } from '@opentelemetry/api'
import type { Counter, ObservableResult } from '@opentelemetry/api'
import type { Clock } from '../clock.js'
import { messageOf, StreamNodeError } from '../errors.js'
import type { PartitionEvent, Tell } from './events.js'

/**
 * The headers with the active trace context added, or the very headers given when no trace is active: without an SDK
 * that is always so, and costs one comparison. Headers of the user's own win.
 */
export function withTraceContext(
  headers: Readonly<Record<string, string>> | undefined,
): Readonly<Record<string, string>> | undefined {
  const active = context.active()
  if (active === ROOT_CONTEXT) return headers
  const carrier: Record<string, string> = {}
  propagation.inject(active, carrier)
  return { ...carrier, ...headers }
}

/** What a gauge asks of each partition when measures are collected. */
export interface Gauged {
  readonly pipeline: string
  readonly stage: number
  readonly partition: number
  readonly lag?: number | undefined
  readonly outbox: number
}

export interface Measures {
  readonly tell: Tell
  /** Stops the gauges. */
  readonly close: () => void
}

const SCOPE = 'stream-node'
const SYSTEM = 'stream_node'

/**
 * Spans and measures by the SDK that is registered at this moment; one that is registered later gets spans only. Without
 * one it costs a few calls of nothing for each commit, and never anything for a record.
 */
export function measures(clock: Clock, partitions: () => readonly Gauged[]): Measures {
  const meter = metrics.getMeter(SCOPE)
  const tracer = trace.getTracer(SCOPE)
  const commits = meter.createHistogram('stream_node.commit.duration', {
    description: 'From the sending of an entry of the ledger to its acknowledgement',
    unit: 's',
    advice: { explicitBucketBoundaries: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10] },
  })
  const bytes = counter('stream_node.commit.size', 'By', 'Bytes written to ledgers')
  const consumed = counter('messaging.client.consumed.messages', '{message}', 'Records processed and committed')
  const sent = counter('messaging.client.sent.messages', '{message}', 'Outputs published to their streams')
  const written = counter('stream_node.written', '{message}', 'Outputs written to their sinks')
  const faults = counter('stream_node.faults', '{fault}', 'Records that could not be processed')
  const restarts = counter('stream_node.restarts', '{restart}', 'Partitions that ended with an error and begin anew')
  const lag = meter.createObservableGauge('stream_node.lag', {
    description: 'Records still to be read, where that is known',
    unit: '{message}',
  })
  const outbox = meter.createObservableGauge('stream_node.outbox', {
    description: 'Outputs committed and not yet published',
    unit: '{message}',
  })
  const seeLag = (result: ObservableResult) => {
    for (const at of partitions()) if (at.lag !== undefined) result.observe(at.lag, placeOf(at))
  }
  const seeOutbox = (result: ObservableResult) => {
    for (const at of partitions()) result.observe(at.outbox, placeOf(at))
  }
  lag.addCallback(seeLag)
  outbox.addCallback(seeOutbox)

  function counter(name: string, unit: string, description: string): Counter {
    return meter.createCounter(name, { unit, description })
  }

  function committed(event: Extract<PartitionEvent, { type: 'partition.committed' }>): void {
    const { number, records, outputs, ms } = event
    const of = pipelineOf(event)
    commits.record(ms / 1000, of)
    bytes.add(event.bytes, of)
    consumed.add(records, { ...of, 'messaging.operation.name': 'process' })
    const now = clock.now()
    tracer
      .startSpan(
        `commit ${event.pipeline}`,
        {
          kind: SpanKind.CONSUMER,
          startTime: now - ms,
          attributes: {
            ...placeOf(event),
            'messaging.operation.name': 'commit',
            'messaging.operation.type': 'settle',
            'messaging.batch.message_count': records,
            'stream_node.outputs': outputs,
            'stream_node.number': number,
          },
        },
        ROOT_CONTEXT,
      )
      .end(now)
  }

  function fault(event: Extract<PartitionEvent, { type: 'partition.fault' }>): void {
    const what = { 'error.type': typeOf(event.error), 'stream_node.then': event.then }
    faults.add(1, { ...pipelineOf(event), ...what })
    const now = clock.now()
    const attributes = { ...placeOf(event), 'messaging.operation.name': 'process', ...what }
    const options = { kind: SpanKind.CONSUMER, startTime: now, attributes }
    const span = tracer.startSpan(`process ${event.pipeline}`, options, ROOT_CONTEXT)
    span.setStatus({ code: SpanStatusCode.ERROR, message: messageOf(event.error) })
    span.end(now)
  }

  return {
    tell(event) {
      if (event.type === 'partition.committed') committed(event)
      else if (event.type === 'partition.fault') fault(event)
      else if (event.type === 'partition.restarting') {
        restarts.add(1, { ...pipelineOf(event), 'error.type': typeOf(event.error) })
      } else if (event.type === 'partition.published') {
        const where = { 'messaging.destination.name': event.stream, 'messaging.operation.name': 'send' }
        sent.add(event.outputs, { ...pipelineOf(event), ...where })
      } else if (event.type === 'partition.written') {
        written.add(event.outputs, { ...pipelineOf(event), 'stream_node.sink': event.sink })
      }
    },
    close() {
      lag.removeCallback(seeLag)
      outbox.removeCallback(seeOutbox)
    },
  }
}

type Place = Pick<Gauged, 'pipeline' | 'stage' | 'partition'>

/** Without the partition: measures of thousands of partitions would be thousands of series. */
function pipelineOf({ pipeline, stage }: Place) {
  return {
    'messaging.system': SYSTEM,
    'messaging.consumer.group.name': pipeline,
    'stream_node.pipeline': pipeline,
    'stream_node.stage': stage,
  }
}

function placeOf(at: Place) {
  return {
    ...pipelineOf(at),
    'stream_node.partition': at.partition,
  }
}

function typeOf(error: unknown): string {
  if (error instanceof StreamNodeError) return error.code
  return error instanceof Error ? error.name : typeof error
}
