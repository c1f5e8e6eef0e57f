/** An iterator that is asked for one thing at a time and waits for it: what readers and watches have in common. */
import { UnavailableError } from '../../errors.js'
import type { Cancel } from '../../clock.js'

/** The state of the link: open until told otherwise. */
export interface Link {
  readonly closed: boolean
}

export const closedError = (): UnavailableError =>
  new UnavailableError('CLOSED', 'the embedded log is closed', 'open it again')

/** What a step gives: something to hand out, `wait` for more, or the `end`. */
export type Step<T> = { readonly value: T } | 'wait' | 'end'

export abstract class Feed<T> implements AsyncIterableIterator<T, undefined> {
  #ended = false
  #interrupt: (() => void) | undefined

  /** Whether a closed link is its end; else it is an error, so that nobody takes it for the end of what there is. */
  protected readonly endsWithLink: boolean = false

  constructor(readonly link: Link) {}

  /** Takes the next thing, without waiting; throws what ends the feed. */
  protected abstract step(): Step<T>
  /** Calls `wake` once there may be more. */
  protected abstract await(wake: () => void): Cancel
  /** Lets go of what it holds. */
  protected abstract release(): void

  async next(): Promise<IteratorResult<T, undefined>> {
    try {
      for (;;) {
        if (this.#ended) return { done: true, value: undefined }
        if (this.link.closed) {
          if (this.endsWithLink) return this.#end()
          throw closedError()
        }
        const step = this.step()
        if (step === 'end') return this.#end()
        if (step !== 'wait') return { done: false, value: step.value }
        await this.#more()
      }
    } catch (error) {
      this.#end()
      throw error
    }
  }

  #more(): Promise<void> {
    return new Promise(resolve => {
      const wake = () => {
        this.#interrupt = undefined
        resolve()
      }
      const cancel = this.await(wake)
      this.#interrupt = () => {
        cancel()
        wake()
      }
    })
  }

  return(): Promise<IteratorResult<T, undefined>> {
    return Promise.resolve(this.#end())
  }

  #end(): IteratorResult<T, undefined> {
    this.#ended = true
    this.release()
    this.#interrupt?.()
    return { done: true, value: undefined }
  }

  [Symbol.asyncIterator](): this {
    return this
  }
}
