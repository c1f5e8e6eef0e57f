/** Waiting that an `AbortSignal` cuts short: one listener however many waits there are, and nothing left behind. */
import { badOption } from '../options.js'

/** Throws `BAD_OPTION` for a signal that is none. */
export function checkSignal(where: string, signal: unknown): void {
  if (signal === undefined || signal instanceof AbortSignal) return
  throw badOption(`signal of ${where}`, "an AbortController's signal", signal)
}

/** What a caller's signal may interrupt. `end()` it when done. */
export class Interruptible {
  readonly #signal: AbortSignal | undefined
  readonly #abort = () => {
    this.#reject?.(this.#signal?.reason)
    this.#also?.()
  }
  readonly #also: (() => void) | undefined
  #reject: ((reason: unknown) => void) | undefined

  /** `also` is called when the signal aborts. Throws its reason when it has aborted already. */
  constructor(signal: AbortSignal | undefined, also?: () => void) {
    signal?.throwIfAborted()
    this.#signal = signal
    this.#also = also
    signal?.addEventListener('abort', this.#abort, { once: true })
  }

  /**
   * What the promise gives, or rejects with the signal's reason as soon as it aborts. One at a time. Who waits for the
   * same promise goes on in the order of the calls, with a signal or without.
   */
  wait<T>(promise: Promise<T>): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      this.#reject = reject
      promise.then(resolve, reject)
      // Last, so that whatever the promise comes to is heard by somebody.
      this.check()
    })
  }

  check(): void {
    this.#signal?.throwIfAborted()
  }

  end(): void {
    this.#signal?.removeEventListener('abort', this.#abort)
  }
}
