/** What stands behind a flow and a pipeline: the plain parts that were written, as they were given. */
import type { Operator } from '../operators/operator.js'
import type { Stream, Target } from '../stream/stream.js'

/** What a program exports to be run. */
export interface Definition {
  readonly kind: 'pipeline'
  readonly name: string
}

/** Says for each value where it goes: to one stream, to several, or nowhere. */
export type Choose<in T> = (value: T) => Target<T> | readonly Target<T>[] | undefined

/** What was written so far. Only what has been through `checked` is known to be what it says. */
export interface FlowParts {
  readonly name: string
  readonly sources: readonly Stream<unknown>[]
  readonly steps: readonly Operator<unknown, unknown>[]
}

/** All of it. */
export interface PipelineParts extends FlowParts {
  readonly target: Stream<unknown> | Choose<unknown>
}
