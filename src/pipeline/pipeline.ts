/**
 * What users write: `pipeline(name).from(...).pipe(...).to(...)`. All of it are frozen values: nothing runs and nothing
 * connects until a node is given one, and a mistake is told as soon as the definition is whole.
 */
import type { Operator } from '../operators/operator.js'
import { badOption, knownOptions } from '../options.js'
import { deadLettersOf, type DeadLetter, type Resolution } from '../stream/dead-letters.js'
import { stream, type Source, type Stream, type StreamOptions, type Target } from '../stream/stream.js'
import type { Choose, Definition, Flowed, PipelineParts, Written } from './definition.js'
import { rulesFrom, type OnError, type Supervise } from './rules.js'
import { checked } from './validate.js'

// Symbol.for, so that definitions made by one copy of the package are known to another.
const FLOW: unique symbol = Symbol.for('stream-node.flow/1')
const PIPELINE: unique symbol = Symbol.for('stream-node.pipeline/1')

export interface PipelineOptions {
  /** What becomes of records that cannot be processed. Default: dead letters. */
  readonly onError?: OnError
  /** What becomes of partitions that end though nobody asked them to. Default: they are started again. */
  readonly supervise?: Supervise
}

/** A pipeline that has a name and no sources yet. */
export interface PipelineStart {
  /** The streams it reads, each record once. All must have the same number of partitions. */
  from<S extends readonly [Source<unknown>, ...Source<unknown>[]]>(...sources: S): Flow<ValueOf<S[number]>>
}

/** What a source gives. */
export type ValueOf<S> = S extends Source<infer T> ? T : never

/** What a flow gives. */
export type OutputOf<F> = F extends { readonly [FLOW]: Flowing<infer T> } ? T : never

/** What flows at this point of a pipeline. */
export interface Flow<T> {
  readonly [FLOW]: Flowing<T>
  /** More steps: operators of RxJS and of ours, in this order. The flow itself stays as it is. */
  pipe(): Flow<T>
  pipe<A>(a: Op<T, A>): Flow<A>
  pipe<A, B>(a: Op<T, A>, b: Op<A, B>): Flow<B>
  pipe<A, B, C>(a: Op<T, A>, b: Op<A, B>, c: Op<B, C>): Flow<C>
  pipe<A, B, C, D>(a: Op<T, A>, b: Op<A, B>, c: Op<B, C>, d: Op<C, D>): Flow<D>
  pipe<A, B, C, D, E>(a: Op<T, A>, b: Op<A, B>, c: Op<B, C>, d: Op<C, D>, e: Op<D, E>): Flow<E>
  pipe<A, B, C, D, E, F>(
    ...steps: [a: Op<T, A>, b: Op<A, B>, c: Op<B, C>, d: Op<C, D>, e: Op<D, E>, f: Op<E, F>]
  ): Flow<F>
  pipe<A, B, C, D, E, F, G>(
    ...steps: [a: Op<T, A>, b: Op<A, B>, c: Op<B, C>, d: Op<C, D>, e: Op<D, E>, f: Op<E, F>, g: Op<F, G>]
  ): Flow<G>
  pipe<A, B, C, D, E, F, G, H>(
    ...steps: [a: Op<T, A>, b: Op<A, B>, c: Op<B, C>, d: Op<C, D>, e: Op<D, E>, f: Op<E, F>, g: Op<F, G>, h: Op<G, H>]
  ): Flow<H>
  pipe<A, B, C, D, E, F, G, H, I>(
    ...steps: [
      a: Op<T, A>,
      b: Op<A, B>,
      c: Op<B, C>,
      d: Op<C, D>,
      e: Op<D, E>,
      f: Op<E, F>,
      g: Op<F, G>,
      h: Op<G, H>,
      i: Op<H, I>,
    ]
  ): Flow<I>
  pipe<A, B, C, D, E, F, G, H, I, J>(
    ...steps: [
      a: Op<T, A>,
      b: Op<A, B>,
      c: Op<B, C>,
      d: Op<C, D>,
      e: Op<D, E>,
      f: Op<E, F>,
      g: Op<F, G>,
      h: Op<G, H>,
      i: Op<H, I>,
      j: Op<I, J>,
    ]
  ): Flow<J>
  pipe<A, B, C, D, E, F, G, H, I, J, K>(
    ...steps: [
      a: Op<T, A>,
      b: Op<A, B>,
      c: Op<B, C>,
      d: Op<C, D>,
      e: Op<D, E>,
      f: Op<E, F>,
      g: Op<F, G>,
      h: Op<G, H>,
      i: Op<H, I>,
      j: Op<I, J>,
      k: Op<J, K>,
    ]
  ): Flow<K>
  pipe<A, B, C, D, E, F, G, H, I, J, K, L>(
    ...steps: [
      a: Op<T, A>,
      b: Op<A, B>,
      c: Op<B, C>,
      d: Op<C, D>,
      e: Op<D, E>,
      f: Op<E, F>,
      g: Op<F, G>,
      h: Op<G, H>,
      i: Op<H, I>,
      j: Op<I, J>,
      k: Op<J, K>,
      l: Op<K, L>,
    ]
  ): Flow<L>
  /** The stream that takes what this flow gives, under this name. The same call gives an equal stream. */
  as(name: string, options?: StreamOptions<T>): Stream<T>
  /**
   * Ends the definition: where what flows is written. A function chooses for each value; the sinks that it may choose are
   * named beside it. Throws a `DefinitionError` that lists all that is wrong.
   */
  to<U = T>(target: (Target<U> & Fits<T, U>) | Choose<T>, options?: ToOptions<T>): Pipeline<T>
}

export interface ToOptions<T> {
  /**
   * The sinks that the function may choose. What was committed for one of them, and not written, the next owner writes before
   * any value is chosen for: so it must know them.
   */
  readonly sinks?: readonly (Target<T> & { readonly kind: 'sink' })[]
}

/** A whole definition: a node can run it. What flows to its end can also be piped on, into another pipeline's target. */
export interface Pipeline<T> extends Flow<T>, Definition {
  readonly [PIPELINE]: PipelineParts
  /** The records that it could not process, and which of them are done with. Made when the first of them is written. */
  readonly deadLetters: Stream<DeadLetter | Resolution>
}

type Op<A, B> = Operator<A, B>

/** The parts, and for TypeScript what flows. */
interface Flowing<out T> extends Flowed {
  readonly gives?: readonly [T]
}

/** Nothing more when what flows fits the target; else a type that says what does not. */
export type Fits<T, U> = [T] extends [U] ? unknown : { readonly 'does not fit': Unfit<T, U> }
export type Unfit<T, U> = U extends object
  ? {
      [
        K in keyof U as K extends keyof T ? ([T[K]] extends [U[K]] ? never : K) : undefined extends U[K] ? never : K
      ]: K extends keyof T ? { given: T[K]; wanted: U[K] } : { missing: U[K] }
    }
  : { given: T; wanted: U }

/** Begins the definition of a pipeline. Its name is for good: its memory is found by it. */
export function pipeline(name: string, options: PipelineOptions = {}): PipelineStart {
  if (typeof name !== 'string') throw badOption('the name of a pipeline', 'a text', name)
  const where = `pipeline "${name}"`
  knownOptions(where, options, ['onError', 'supervise'])
  const rules = rulesFrom(where, options.onError, options.supervise)
  const from = (...sources: readonly unknown[]) =>
    flowOf({
      name,
      sources: Object.freeze([...sources]) as readonly Stream<unknown>[],
      steps: Object.freeze([]),
      rules,
    })
  return Object.freeze({ from }) as PipelineStart
}

function flowOf(parts: Flowed): Flow<unknown> {
  return frozen(methodsOf(parts))
}

function pipelineOf(written: Written): Pipeline<unknown> {
  const parts: PipelineParts = Object.freeze({ ...written, ...checked(written) })
  const { name, sources } = parts
  const deadLetters = deadLettersOf(name, (sources[0] as Stream<unknown>).partitions)
  return frozen({ kind: 'pipeline' as const, name, deadLetters, ...methodsOf(written), [PIPELINE]: parts })
}

function methodsOf({ name, sources, steps, rules }: Flowed): Flow<unknown> {
  return {
    [FLOW]: Object.freeze({ name, sources, steps, rules }),
    pipe: (...more: Op<unknown, unknown>[]) =>
      flowOf({ name, sources, steps: Object.freeze([...steps, ...more]), rules }),
    as: (name, options) => stream(name, options),
    to: (target: unknown, options: ToOptions<unknown> = {}) => {
      knownOptions(`to(...) of pipeline "${name}"`, options, ['sinks'])
      const sinks = (options.sinks ?? []) as Written['sinks']
      return pipelineOf({ name, sources, steps, rules, target: target as Written['target'], sinks })
    },
  }
}

function frozen<V extends object>(value: V): V {
  // What a person prints should be what they wrote, not the brands.
  for (const brand of Object.getOwnPropertySymbols(value)) Object.defineProperty(value, brand, { enumerable: false })
  return Object.freeze(value)
}

/** Whether `to` of a flow made it, of this copy of the package or another. */
export function isPipeline(given: unknown): given is Pipeline<unknown> {
  return typeof given === 'object' && given !== null && PIPELINE in given
}

/** What stands behind a pipeline; throws `BAD_OPTION` for anything else. */
export function partsOf(given: unknown): PipelineParts {
  if (isPipeline(given)) return given[PIPELINE]
  throw badOption('the pipeline', "a value that pipeline('name').from(...).to(...) made", given)
}
