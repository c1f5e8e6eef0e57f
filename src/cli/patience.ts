/** How long the command waits for a log that does not answer before it gives up. */
import { UnavailableError } from '../errors.js'
import { durationOf } from './arguments.js'

/** Enough for a server to be restarted, and for a cluster to choose a leader. */
const DEFAULT_MS = 30_000

/** Gives up when something is awaited and nothing comes for too long. Close it when the work is done. */
export class Patience {
  readonly #gaveUp = new AbortController()
  readonly #limitMs: number
  readonly #timer: NodeJS.Timeout
  #sinceMs: number | undefined

  /** `timeout` as the flag has it. `what` is awaited: `the answer of the log`. */
  constructor(timeout: string | undefined, what: string) {
    this.#limitMs = timeout === undefined ? DEFAULT_MS : durationOf('--timeout', timeout)
    this.#timer = setInterval(() => this.#look(what), Math.min(this.#limitMs / 4, 1000))
  }

  /** Aborted when it has given up; the reason is a `TIMED_OUT`. */
  get signal(): AbortSignal {
    return this.#gaveUp.signal
  }

  /** Something came; `more` says whether something is still awaited. */
  came(more: boolean): void {
    this.#sinceMs = more ? performance.now() : undefined
  }

  /** Something is awaited, from now on if nothing was. */
  awaits(): void {
    this.#sinceMs ??= performance.now()
  }

  close(): void {
    clearInterval(this.#timer)
  }

  #look(what: string): void {
    if (this.#sinceMs === undefined || performance.now() - this.#sinceMs < this.#limitMs) return
    const mend = 'see whether it is up and reachable, or raise --timeout'
    this.#gaveUp.abort(new UnavailableError('TIMED_OUT', `${what} did not come within ${this.#limitMs} ms`, mend))
  }
}
