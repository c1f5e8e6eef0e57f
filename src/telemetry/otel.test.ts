import { context, propagation, ROOT_CONTEXT, type Context, type ContextManager } from '@opentelemetry/api'
import { afterEach, expect, test } from 'vitest'
import { withTraceContext } from './otel.js'

afterEach(() => {
  context.disable()
  propagation.disable()
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
    inject: (of, carrier, setter) => setter.set(carrier, 'traceparent', `00-${String(of.getValue(trace))}`),
    extract: of => of,
    fields: () => ['traceparent'],
  })
}

const trace = Symbol('trace')

test('gives the very headers it got when no SDK is registered', () => {
  const headers = { a: 'b' }
  expect(withTraceContext(headers)).toBe(headers)
  expect(withTraceContext(undefined)).toBeUndefined()
})

test('adds the active trace', () => {
  active(ROOT_CONTEXT.setValue(trace, 'abc'))
  expect(withTraceContext(undefined)).toEqual({ traceparent: '00-abc' })
  expect(withTraceContext({ a: 'b' })).toEqual({ a: 'b', traceparent: '00-abc' })
})

test('leaves a trace that the caller gives alone', () => {
  active(ROOT_CONTEXT.setValue(trace, 'abc'))
  expect(withTraceContext({ traceparent: '00-mine' })).toEqual({ traceparent: '00-mine' })
})
