/** What becomes of records and partitions that fail: the rules of a pipeline, as users write them and with all set. */
import { badOption, duration, knownOptions, whole, type Duration } from '../options.js'

/** What becomes of a record that cannot be processed. */
export interface OnError {
  /**
   * How often, and after which wait, a record is tried again whose step throws a `RetryableError`, an `UnavailableError` or
   * a timeout. The wait doubles each time, up to 30 seconds. Whatever else is thrown, waiting would not mend it. Default 3
   * attempts, '100 ms'.
   */
  readonly retry?: { readonly attempts?: number; readonly backoff?: Duration }
  /**
   * `deadLetter`, the default: its bytes go to the stream `<pipeline>-dead-letters`, in the very commit that passes it.
   * `skip`: it is passed, and an event says so. `pause`: its partition waits before it until it is resumed or started
   * again. `stop`: its partition ends.
   */
  readonly then?: Then
  /**
   * More dead letters and skipped records than this pause their partition: what drowns in them is broken itself. Default
   * 100 in '5 minutes', counted in each partition; `false` for no bound.
   */
  readonly budget?: false | { readonly records: number; readonly per: Duration }
}

export type Then = 'deadLetter' | 'skip' | 'pause' | 'stop'

/** What becomes of a partition that ends though nobody asked it to. */
export interface Supervise {
  /**
   * What is started again with it: nothing, the default; all partitions of the pipeline; or those of its stage and of the
   * stages behind it.
   */
  readonly strategy?: Strategy
  /** How often, in `within`, before the pipeline gives up on it. Default 5 in '60 seconds'. */
  readonly restarts?: number
  readonly within?: Duration
  /** Then it waits to be resumed, the default, or ends. */
  readonly then?: 'pause' | 'stop'
}

export type Strategy = 'one-for-one' | 'one-for-all' | 'rest-for-one'

/** All of it, set and checked. */
export interface Rules {
  readonly onError: {
    readonly attempts: number
    readonly backoffMs: number
    readonly then: Then
    readonly budget: { readonly records: number; readonly perMs: number } | undefined
  }
  readonly supervise: {
    readonly strategy: Strategy
    readonly restarts: number
    readonly withinMs: number
    readonly then: 'pause' | 'stop'
  }
}

const THEN: readonly Then[] = ['deadLetter', 'skip', 'pause', 'stop']
const STRATEGIES: readonly Strategy[] = ['one-for-one', 'one-for-all', 'rest-for-one']

/** The rules with everything set. Throws a `DefinitionError` for what cannot be. `where`: `pipeline "clicks"`. */
export function rulesFrom(where: string, onError: OnError = {}, supervise: Supervise = {}): Rules {
  return Object.freeze({ onError: errorRules(where, onError), supervise: superviseRules(where, supervise) })
}

function errorRules(where: string, given: OnError): Rules['onError'] {
  knownOptions(`onError of ${where}`, given, ['retry', 'then', 'budget'])
  const { retry = {}, then = 'deadLetter', budget = { records: 100, per: '5 minutes' } } = given
  knownOptions(`onError.retry of ${where}`, retry, ['attempts', 'backoff'])
  const { attempts = 3, backoff = '100 ms' } = retry
  return Object.freeze({
    attempts: whole(`onError.retry.attempts of ${where}`, attempts, { min: 0, max: 1000 }),
    backoffMs: duration(`onError.retry.backoff of ${where}`, backoff, { min: 1 }),
    then: oneOf(`onError.then of ${where}`, then, THEN),
    budget: budget === false ? undefined : budgetFrom(where, budget),
  })
}

function budgetFrom(where: string, given: Exclude<OnError['budget'], false | undefined>): Rules['onError']['budget'] {
  knownOptions(`onError.budget of ${where}`, given, ['records', 'per'])
  return Object.freeze({
    records: whole(`onError.budget.records of ${where}`, given.records),
    perMs: duration(`onError.budget.per of ${where}`, given.per, { min: 1 }),
  })
}

function superviseRules(where: string, given: Supervise): Rules['supervise'] {
  knownOptions(`supervise of ${where}`, given, ['strategy', 'restarts', 'within', 'then'])
  const { strategy = 'one-for-one', restarts = 5, within = '60 seconds', then = 'pause' } = given
  return Object.freeze({
    strategy: oneOf(`supervise.strategy of ${where}`, strategy, STRATEGIES),
    restarts: whole(`supervise.restarts of ${where}`, restarts),
    withinMs: duration(`supervise.within of ${where}`, within, { min: 1 }),
    then: oneOf(`supervise.then of ${where}`, then, ['pause', 'stop'] as const),
  })
}

function oneOf<T extends string>(where: string, given: T, known: readonly T[]): T {
  if (known.includes(given)) return given
  throw badOption(where, known.map(one => `'${one}'`).join(' or '), given)
}
