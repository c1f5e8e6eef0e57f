/** Checks values with a Standard Schema: the common face of zod, valibot, arktype and others. */
import type { StandardSchemaV1 } from '@standard-schema/spec'
import { DefinitionError, messageOf, RecordError } from '../errors.js'
import { placeOf } from './guards.js'

/** Which way the value goes; it stands in the error. */
export type Direction = 'encode' | 'decode'

/**
 * The value as the schema gives it back, with defaults and conversions. Throws `INVALID_VALUE` with the first issue in
 * its message and all of them in its facts; a `DefinitionError` when the schema answers with a promise, since a record
 * is checked between two others.
 */
export function validated<Output>(
  schema: StandardSchemaV1<unknown, Output>,
  value: unknown,
  direction: Direction,
): Output {
  const result = validate(schema, value, direction)
  if (result.issues === undefined) return result.value
  const issues = result.issues.map(issue => ({ path: pathOf(issue), message: issue.message }))
  const [first] = issues
  const rest = issues.length > 1 ? ` (and ${issues.length - 1} more)` : ''
  const found = first === undefined ? 'the schema refuses the value' : `${first.path}: ${first.message}${rest}`
  const mend = direction === 'encode' ? 'mend the value, or the schema' : 'mend its producer, or widen the schema'
  throw new RecordError('INVALID_VALUE', found, mend, { facts: { path: first?.path ?? 'value', issues, direction } })
}

function validate<Output>(schema: StandardSchemaV1<unknown, Output>, value: unknown, direction: Direction) {
  let result: ReturnType<(typeof schema)['~standard']['validate']>
  try {
    result = schema['~standard'].validate(value)
  } catch (cause) {
    const what = `the schema threw while it checked a value (${messageOf(cause)})`
    throw new RecordError('INVALID_VALUE', what, 'mend the schema', { cause, facts: { path: 'value', direction } })
  }
  if (!(result instanceof Promise)) return result
  // Nobody waits for it, and its rejection must not end the process.
  result.catch(() => undefined)
  const what = `validate is asynchronous (${schema['~standard'].vendor})`
  throw new DefinitionError('BAD_OPTION', what, 'give a schema that answers at once, and ask others in mapAsync')
}

function pathOf(issue: StandardSchemaV1.Issue): string {
  const steps = (issue.path ?? []).map(step => (typeof step === 'object' ? step.key : step))
  return placeOf(steps.map(step => (typeof step === 'symbol' ? String(step) : step)))
}
