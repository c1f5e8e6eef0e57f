/** One reader that follows a stream to its end and on, and hands over what came since it was last asked. */
import { messageOf } from '../../src/errors.js'

/** Some records, and how far they bring the reader. */
interface Some<R> {
  readonly records: readonly R[]
  readonly position: number
}

/** So many may wait to be taken; then nothing more is read. */
const WAITING_MAX = 20_000

export class View<R, T> {
  /** All up to here was read. */
  position = 0
  /** Why it does not go on. */
  broken: string | undefined
  #waiting: T[] = []
  #roomy = () => {}
  readonly #batches: AsyncIterableIterator<Some<R>>
  #isClosed = false

  /** `decode` is called before the next batch is asked for. */
  constructor(
    readonly name: string,
    batches: AsyncIterableIterator<Some<R>>,
    decode: (record: R) => T,
  ) {
    this.#batches = batches
    void this.#follow(decode)
  }

  /** What came since the last call, in order. */
  take(): readonly T[] {
    const taken = this.#waiting
    this.#waiting = []
    this.#roomy()
    return taken
  }

  async close(): Promise<void> {
    this.#isClosed = true
    this.#roomy()
    await this.#batches.return?.()
  }

  async #follow(decode: (record: R) => T): Promise<void> {
    try {
      for await (const { records, position } of this.#batches) {
        for (const record of records) this.#waiting.push(decode(record))
        this.position = position
        if (this.#waiting.length > WAITING_MAX) await new Promise<void>(resolve => (this.#roomy = resolve))
      }
    } catch (error) {
      if (!this.#isClosed) this.broken = `the reader of ${this.name} ended: ${messageOf(error)}`
    }
  }
}
