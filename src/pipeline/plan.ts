/** A definition cut into stages: the parts of a pipeline that partitions run. Until there is re-keying, there is one. */
import type { Operator } from '../operators/operator.js'
import { isSink, type Sink } from '../stream/sink.js'
import type { Stream } from '../stream/stream.js'
import type { Choose, Definition } from './definition.js'
import { partsOf } from './pipeline.js'
import type { Rules } from './rules.js'

/** What a definition says about one stage. Frozen. */
export interface Stage {
  readonly pipeline: string
  readonly index: number
  /** One or more, all with the same number of partitions. */
  readonly sources: readonly Stream<unknown>[]
  readonly partitions: number
  readonly steps: readonly Operator<unknown, unknown>[]
  /** For each step what it is called: `map`. */
  readonly names: readonly string[]
  /** The streams that are known beforehand; none when only `choose` knows. */
  readonly targets: readonly Stream<unknown>[]
  /** All sinks that it may write to. */
  readonly sinks: readonly Sink<unknown>[]
  readonly choose: Choose<unknown> | undefined
  readonly rules: Rules
}

/** The stages of a pipeline that `pipeline(...)` made, which checked it. */
export function plan(definition: Definition): readonly Stage[] {
  const { name, sources, steps, names, target, sinks, rules } = partsOf(definition)
  const stage: Stage = {
    pipeline: name,
    index: 0,
    sources,
    partitions: (sources[0] as Stream<unknown>).partitions,
    steps,
    names,
    targets: typeof target === 'function' || isSink(target) ? [] : [target],
    sinks: isSink(target) ? [target] : sinks,
    choose: typeof target === 'function' ? target : undefined,
    rules,
  }
  return Object.freeze([Object.freeze(stage)])
}
