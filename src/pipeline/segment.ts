/**
 * A run of RxJS operators as one small chain, pushed to value by value. It sees to it that nothing is thrown into RxJS,
 * that an error of a step costs one push and no more, and that a step which ends the flow, or gives a value at another
 * time than in the push that it comes from, is found out.
 */
import { Observable, Subscriber } from 'rxjs'
import { DefinitionError, messageOf } from '../errors.js'
import type { Operator, Push } from '../operators/operator.js'

/** What the parts of one chain tell the turn about what went wrong. */
export class Trace {
  /** Where the error that is on its way was thrown; undefined when no step threw it. */
  where: string | undefined
  /** A step that no turn can run. Once found, the chain is not used again. */
  misuse: DefinitionError | undefined
}

/** The steps of a segment, for errors. */
export interface SegmentSteps {
  readonly operators: readonly Operator<unknown, unknown>[]
  /** For each: `step 2 (map)`. */
  readonly called: readonly string[]
  /** `pipeline "p"`. */
  readonly of: string
}

const ANSWER = 'use only what answers at once'

/** Part of the chain. Not to be used once its trace has a misuse. */
export class Segment {
  readonly #steps: SegmentSteps
  readonly #next: Push<unknown>
  readonly #trace: Trace
  /** Those who subscribed to the head: most often one. */
  #heads: Subscriber<unknown>[] = []
  #tail: Tail | undefined
  /** How many subscriptions the chain has when nothing is in flight. */
  #quiet = 0
  #building = false
  /** A push is on. */
  #on = false
  /** Something happened in this push that `#settle` must look at. */
  #disturbed = false
  #broken = false
  #thrown: { readonly what: unknown } | undefined

  constructor(steps: SegmentSteps, next: Push<unknown>, trace: Trace) {
    this.#steps = steps
    this.#next = next
    this.#trace = trace
    this.#build()
  }

  /** Throws what a step threw at the value, or what is behind the segment. */
  readonly push = (value: unknown): void => {
    this.#on = true
    try {
      const heads = this.#heads
      if (heads.length === 1) (heads[0] as Subscriber<unknown>).next(value)
      else for (const head of heads) head.next(value)
    } catch (thrown) {
      // A callback of the user's for the end of a subscription.
      this.#break(thrown)
    }
    this.#on = false
    if (this.#disturbed) this.#settle()
  }

  /** Whether a step still waits for something, such as a promise or a timer. To be asked between two pushes. */
  get waits(): boolean {
    return this.#subscriptions() > this.#quiet
  }

  /** Notes as misuse that it waits. */
  refuseWaiting(): DefinitionError {
    return this.#misuse('something is waited for there beyond the turn, such as a promise or a timer', ANSWER)
  }

  /** Ends the chain; what steps do then is their own affair. */
  stop(): void {
    this.#building = true
    try {
      this.#tail?.unsubscribe()
    } catch {
      // A callback of the user's for the end of a subscription, when nothing is left to fail.
    } finally {
      this.#building = false
    }
  }

  #build(): void {
    this.#building = true
    this.#heads = []
    this.#broken = false
    const head = new Observable<unknown>(subscriber => this.#subscribed(subscriber))
    this.#tail = new Tail(this.#came, this.#break, () => this.#ended())
    try {
      const chain = this.#steps.operators.reduce((source, step) => step(source), head)
      chain.subscribe(this.#tail)
    } catch (thrown) {
      this.#break(thrown)
    }
    this.#building = false
    this.#quiet = this.#subscriptions()
    this.#refuseBroken()
    if (this.#trace.misuse !== undefined) throw this.#trace.misuse
  }

  #refuseBroken(): void {
    if (this.#broken) {
      const why =
        this.#thrown === undefined ? 'the flow ends there before a record comes' : messageOf(this.#thrown.what)
      this.#misuse(`cannot be set up: ${why}`, 'mend what it is made with', this.#thrown?.what)
    } else if (this.#heads.length === 0) {
      this.#misuse('nothing there takes what flows in', 'leave out what waits for connect()')
    }
  }

  #subscribed(subscriber: Subscriber<unknown>): () => void {
    if (!this.#building) this.#ended()
    this.#heads.push(subscriber)
    return () => {
      if (this.#building || this.#broken) return
      this.#ended()
    }
  }

  readonly #came = (value: unknown): void => {
    if (!this.#on) {
      if (!this.#building) this.#untimely()
      else this.#misuse('a value came from there before a record did', 'publish it to a stream instead')
      return
    }
    // The rest of what came of a record that failed.
    if (this.#thrown !== undefined) return
    try {
      this.#next(value)
    } catch (thrown) {
      this.#disturbed = true
      this.#thrown = { what: thrown }
      // A step that gives without end goes on until nobody listens.
      this.#broken = true
      this.stop()
    }
  }

  /** An error came through RxJS, so the chain is dead. */
  readonly #break = (thrown: unknown): void => {
    if (!this.#on && !this.#building) return this.#untimely()
    this.#disturbed = true
    this.#broken = true
    if (this.#thrown !== undefined) return
    this.#thrown = { what: thrown }
    this.#trace.where ??= `${this.#stepAtFault()} of ${this.#steps.of}`
  }

  #ended(): void {
    this.#disturbed = true
    if (this.#building && !this.#on) this.#broken = true
    else this.#misuse('the flow ended there, so every later record would vanish', 'leave out what ends or restarts it')
  }

  #untimely(): void {
    this.#misuse('a value came from there at another time than in the turn of its record', ANSWER)
  }

  #settle(): void {
    const thrown = this.#thrown
    this.#thrown = undefined
    this.#disturbed = false
    if (this.#trace.misuse !== undefined) throw this.#trace.misuse
    if (this.#broken) this.#build()
    if (thrown !== undefined) throw thrown.what
  }

  #misuse(what: string, mend: string, cause?: unknown): DefinitionError {
    const { called, of } = this.#steps
    const where = `${called.join(', ')} of ${of}`
    return (this.#trace.misuse ??= new DefinitionError('BAD_PIPELINE', `${where}: ${what}`, mend, { cause }))
  }

  /** At the moment when the error arrives: those behind the step that threw are stopped, itself is not. */
  #stepAtFault(): string {
    const { called } = this.#steps
    const path = this.#path()
    const running = path.findIndex(subscriber => subscriber.isStopped)
    const told = path.length === called.length + 1 ? called[running - 1] : undefined
    return told ?? called.join(', ')
  }

  /** From head to tail, where each step has one subscriber. */
  #path(): Inner[] {
    const path: Inner[] = []
    if (this.#heads.length !== 1) return path
    let at = this.#heads[0] as unknown as Inner | undefined
    for (; at !== undefined && path.length <= this.#steps.called.length; at = at.destination) {
      path.push(at)
      if (at === (this.#tail as unknown)) break
    }
    return path
  }

  #subscriptions(): number {
    const seen = new Set<unknown>()
    count(this.#tail, seen)
    for (const head of this.#heads) {
      let at: Inner | undefined = head as unknown as Inner
      for (; at !== undefined && typeof at === 'object'; at = at.destination) count(at, seen)
    }
    return seen.size
  }
}

/** What RxJS 7 keeps inside a subscriber; nothing breaks when it is not there, only less is found out. */
interface Inner {
  readonly isStopped?: boolean
  readonly destination?: Inner
  readonly _finalizers?: readonly unknown[] | null
}

function count(at: unknown, seen: Set<unknown>): void {
  if (at === undefined || at === null || seen.has(at)) return
  seen.add(at)
  for (const finalizer of (at as Inner)._finalizers ?? []) count(finalizer, seen)
}

/** The end of the chain, without the two calls that an observer of RxJS takes for each value. */
class Tail extends Subscriber<unknown> {
  readonly #came: Push<unknown>
  readonly #failed: (thrown: unknown) => void
  readonly #ended: () => void

  constructor(came: Push<unknown>, failed: (thrown: unknown) => void, ended: () => void) {
    // eslint-disable-next-line @typescript-eslint/no-deprecated -- it is to become internal in RxJS 8, and 7 is what we rest on
    super()
    this.#came = came
    this.#failed = failed
    this.#ended = ended
  }

  protected override _next(value: unknown): void {
    this.#came(value)
  }

  protected override _error(thrown: unknown): void {
    this.#failed(thrown)
    this.unsubscribe()
  }

  protected override _complete(): void {
    this.#ended()
    this.unsubscribe()
  }
}
