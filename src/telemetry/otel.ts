/** Trace context in and out of records' headers, by whatever OpenTelemetry SDK the process has registered. */
import { context, propagation, ROOT_CONTEXT } from '@opentelemetry/api'

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
