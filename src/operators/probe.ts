/**
 * Reads which operators of RxJS a step is made of, without running it: the step is applied to an imitation of an
 * Observable, and what RxJS then does to it is looked up on the call stack, where the files of its operators stand. At
 * the first touch it is stopped, before it subscribes to anything; no function that maps, filters or the like is called.
 */
import type { Operator } from './operator.js'

/** What a step turned out to be made of. */
export interface Probed {
  /** Operators of RxJS by the file they are in, outermost first. None for a step that users wrote without any. */
  readonly names: readonly string[]
  /** RxJS was there but could not be read, since it is bundled or minified. */
  readonly unreadable: boolean
  /** What the step gave is no Observable; what it gave, or what it threw. */
  readonly wrong?: unknown
}

// With source maps on, frames name the sources of RxJS.
const FRAME = /[\\/]rxjs[\\/].*[\\/]internal[\\/]operators[\\/](\w+)\.[cm]?[jt]s/
const FRAMES = 200
/** Files beside the operators, on which some of them rest. */
const INNER = new Set(['OperatorSubscriber', 'mergeInternals', 'joinAllInternals'])

/** Never throws, whatever the step is. */
export function probe(step: Operator<unknown, unknown>): Probed {
  const imitation = new Imitation()
  try {
    const given: unknown = step(imitation as never)
    return given === undefined || given === null || typeof (given as { subscribe?: unknown }).subscribe !== 'function'
      ? { ...imitation.found(), wrong: given }
      : imitation.found()
  } catch (thrown) {
    if (thrown instanceof Touched) return imitation.found()
    return { ...imitation.found(), wrong: thrown }
  }
}

class Touched extends Error {}

/** An Observable as far as operators look at it before they run. */
class Imitation {
  readonly #names: string[] = []
  #unreadable = false

  found(): Probed {
    return { names: this.#names, unreadable: this.#unreadable }
  }

  /** Each operator is put on by this, with the function that subscribes. */
  lift(subscribe: Subscribe): this {
    // One that is made of others puts them on itself, and stands outermost.
    const name = outermost(stack()) ?? nameOf(subscribe)
    this.#note(name === 'share' && replays(subscribe) ? 'shareReplay' : name)
    return this
  }

  pipe(...steps: ((source: unknown) => unknown)[]): unknown {
    const name = outermost(stack())
    if (name !== undefined) this.#note(name)
    return steps.reduce<unknown>((source, step) => step(source), this)
  }

  subscribe(): never {
    throw new Touched()
  }

  /** How RxJS knows an Observable that is not of its own making. */
  readonly '@@observable' = (): this => this

  #note(name: string | undefined): void {
    if (name === undefined) this.#unreadable = true
    else if (this.#names.at(-1) !== name) this.#names.push(name)
  }
}

type Subscribe = (this: unknown, source: unknown) => unknown

/** The operator that subscribes by this function: what is on the stack when it first touches what it is given. */
function nameOf(subscribe: Subscribe): string | undefined {
  let name: string | undefined
  const trap = trapped((what: string | symbol): unknown => {
    name ??= outermost(stack())
    // What was started before the first touch, such as a timer, is ended here; what was thrown says where.
    if (what === 'add') return stopAndThrow
    if (what === 'error') return (thrown: unknown) => (name ??= outermost(thrown instanceof Error ? thrown.stack : ''))
    throw new Touched()
  })
  applied(subscribe, trap, trap)
  if (name !== 'scanInternals') return name
  return endsLater(subscribe) ? 'reduce' : 'scan'
}

/** What tells `reduce` from `scan`: it has something to say when the flow ends. */
function endsLater(subscribe: Subscribe): boolean {
  let ends = false
  const source = {
    subscribe(subscriber: { _complete?: unknown }): void {
      const base = Object.getPrototypeOf(Object.getPrototypeOf(subscriber)) as { _complete?: unknown }
      ends = subscriber._complete !== base._complete
    },
  }
  applied(subscribe, {}, source)
  return ends
}

/** What tells `shareReplay` from `share`: who subscribes later gets what was there before. */
function replays(subscribe: Subscribe): boolean {
  let flowsIn: ((value: unknown) => void) | undefined
  const source = {
    subscribe(connection: { next(value: unknown): void }): void {
      flowsIn = value => connection.next(value)
    },
    '@@observable': (): object => source,
  }
  let got = 0
  const observer = { next: () => (got += 1), error() {}, complete() {} }
  const subscriber = { ...observer, closed: false, add() {}, remove() {}, unsubscribe() {} }
  applied(subscribe, subscriber, source)
  flowsIn?.(undefined)
  applied(subscribe, subscriber, source)
  return got > 1
}

function trapped(touched: (what: string | symbol) => unknown): object {
  return new Proxy(() => {}, {
    get: (_, what) => touched(what),
    has: (_, what) => touched(what) !== undefined,
    getPrototypeOf: () => touched('') as null,
  })
}

function applied(subscribe: Subscribe, subscriber: object, source: object): void {
  const limit = Error.stackTraceLimit
  Error.stackTraceLimit = FRAMES
  try {
    Reflect.apply(subscribe, subscriber, [source])
  } catch {
    // The touch that ended it, or what was made of that.
  } finally {
    Error.stackTraceLimit = limit
  }
}

function stopAndThrow(started: { unsubscribe?(): void } | undefined): never {
  started?.unsubscribe?.()
  throw new Touched()
}

function stack(): string {
  const limit = Error.stackTraceLimit
  Error.stackTraceLimit = FRAMES
  const { stack = '' } = new Error()
  Error.stackTraceLimit = limit
  return stack
}

function outermost(stack = ''): string | undefined {
  const names = stack.split('\n').map(line => FRAME.exec(line)?.[1])
  return names.findLast(name => name !== undefined && !INNER.has(name))
}
