/** One question that many have at the same time, such as all readers of a stream after a lost link. */

/**
 * All who ask while the question is on its way share the one that follows it, so that no answer is older than its
 * question.
 */
export class AskedTogether<T> {
  readonly #ask: () => Promise<T>
  #now: Promise<T> | undefined
  #next: Promise<T> | undefined

  constructor(ask: () => Promise<T>) {
    this.#ask = ask
  }

  get(): Promise<T> {
    if (this.#now !== undefined) return (this.#next ??= this.#now.then(this.#again, this.#again))
    const over = () => {
      this.#now = undefined
    }
    this.#now = this.#ask()
    this.#now.then(over, over)
    return this.#now
  }

  readonly #again = () => {
    this.#next = undefined
    return this.get()
  }
}
