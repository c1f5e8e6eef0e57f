/** The partitions of one pipeline in one node: which of them are started again together. */
import type { Strategy } from '../pipeline/rules.js'

/** One of them. */
export interface Sibling {
  readonly stage: number
  readonly partition: number
  /**
   * Ends its actor, if one is at work, and lets another begin once `begun` resolves. Resolves when that actor has ended, at
   * once when there is none, or it has only just begun.
   */
  takeDown(by: Fallen, begun: Promise<void>): Promise<void>
}

/** Who has ended, and takes others along. */
export interface Fallen {
  readonly stage: number
  readonly partition: number
  readonly error: unknown
}

export class Family {
  readonly #strategy: Strategy
  readonly #members: Sibling[] = []

  constructor(strategy: Strategy) {
    this.#strategy = strategy
  }

  join(one: Sibling): void {
    this.#members.push(one)
  }

  /**
   * Takes down whoever is to be started again with this one. Resolves when all of them have ended; then they start, and so
   * may this one.
   */
  async restart(one: Sibling, error: unknown): Promise<void> {
    const { stage, partition } = one
    let begin = () => {}
    const begun = new Promise<void>(resolve => (begin = resolve))
    await Promise.all(this.#with(one).map(other => other.takeDown({ stage, partition, error }, begun)))
    begin()
  }

  #with(one: Sibling): Sibling[] {
    switch (this.#strategy) {
      case 'one-for-one':
        return []
      case 'one-for-all':
        return this.#members.filter(other => other !== one)
      case 'rest-for-one':
        return this.#members.filter(other => other !== one && other.stage >= one.stage)
    }
  }
}
