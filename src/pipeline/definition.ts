/** What stands behind flows and pipelines: the plain parts that were written. */
import type { Operator } from '../operators/operator.js'
import type { Sink, Writable } from '../stream/sink.js'
import type { Stream, Target } from '../stream/stream.js'
import type { Rules } from './rules.js'

/** What a program exports to be run. */
export interface Definition {
  readonly kind: 'pipeline'
  readonly name: string
}

/** Says for each value where it goes: to one target, to several, or nowhere. */
export type Choose<in T> = (value: T) => Target<T> | readonly Target<T>[] | undefined

/** What was written up to a point. Only what was checked is known to be what it says. */
export interface Flowed {
  readonly name: string
  readonly sources: readonly Stream<unknown>[]
  readonly steps: readonly Operator<unknown, unknown>[]
  readonly rules: Rules
}

/** A whole definition as it was written. */
export interface Written extends Flowed {
  readonly target: Writable | Choose<unknown>
  /** Those that the function may choose. */
  readonly sinks: readonly Sink<unknown>[]
}

/** A whole definition that was checked. */
export interface PipelineParts extends Written {
  /** For each step what it is called: `map`. */
  readonly names: readonly string[]
  /** What cannot be judged, to be told once when it is run. */
  readonly warnings: readonly Warning[]
}

/** What cannot be said to be wrong, nor to be right. */
export interface Warning {
  readonly what: string
  readonly mend: string
}
