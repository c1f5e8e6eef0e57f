/**
 * For tests: a segment that is doubted. Each value also goes through a chain made for it alone; where the two give
 * different things, a step remembers other values, and what it remembers is in no ledger.
 */
import { isDeepStrictEqual } from 'node:util'
import { DefinitionError } from '../errors.js'
import type { Push } from '../operators/operator.js'
import { Segment, Trace, type SegmentSteps } from './segment.js'

/** A segment, and what to push to instead of it. Functions in its steps are called twice for each value. */
export function doubted(
  steps: SegmentSteps,
  next: Push<unknown>,
  trace: Trace,
): { readonly segment: Segment; readonly push: Push<unknown> } {
  let gave: unknown[] = []
  const segment = new Segment(steps, value => gave.push(value), trace)
  const push = (value: unknown): void => {
    const alone = givenAlone(steps, copyOf(value))
    gave = []
    let failed = false
    let thrown: unknown
    try {
      segment.push(value)
    } catch (caught) {
      failed = true
      thrown = caught
    }
    if (
      trace.misuse === undefined &&
      (failed !== (alone === undefined) || (alone && !isDeepStrictEqual(gave, alone)))
    ) {
      trace.misuse = remembers(steps)
    }
    if (trace.misuse !== undefined) throw trace.misuse
    if (failed) throw thrown
    for (const one of gave) next(one)
  }
  return { segment, push }
}

/** What comes of a value in a chain of its own; undefined when a step throws. */
function givenAlone(steps: SegmentSteps, value: unknown): unknown[] | undefined {
  const gave: unknown[] = []
  const trace = new Trace()
  const segment = new Segment(steps, one => gave.push(one), trace)
  try {
    segment.push(value)
    return gave
  } catch {
    return undefined
  } finally {
    segment.stop()
  }
}

/** So that a step which changes what it is given changes it once. */
function copyOf(value: unknown): unknown {
  try {
    return structuredClone(value)
  } catch {
    return value
  }
}

function remembers({ called, of }: SegmentSteps): DefinitionError {
  const what = `${called.join(', ')} of ${of}: a value alone gives something else there than after others`
  const mend = 'keep what is remembered with scan of stream-node, and let nothing depend on time or chance in this test'
  return new DefinitionError('BAD_PIPELINE', what, mend)
}
