/**
 * Holds what the log acknowledged against what it holds: each record that was published stands there once, where its
 * publisher was told. Keeps only those of which one side is still missing.
 */
import { Ids } from '../../src/testing/simulation/checker.js'

export class Receipts {
  readonly #acknowledged = new Map<string, number>()
  readonly #held = new Map<string, number>()
  readonly #ids = new Ids()
  readonly #find: (what: string) => void

  constructor(find: (what: string) => void) {
    this.#find = find
  }

  /** The publisher was told that the record is there. */
  acknowledged(id: string, position: number): void {
    this.#match(id, position, this.#held, this.#acknowledged)
  }

  /** The log holds it there. False when it holds it twice. */
  held(id: string, position: number): boolean {
    if (!this.#ids.add(id)) {
      this.#find(`record ${id} stands in the input once more, at ${position}`)
      return false
    }
    this.#match(id, position, this.#acknowledged, this.#held)
    return true
  }

  /** Everything was published, and read. */
  end(): void {
    for (const [id, position] of this.#acknowledged) {
      this.#find(`record ${id} was acknowledged at ${position}, and is not in the log`)
    }
    for (const [id, position] of this.#held) this.#find(`record ${id} stands at ${position}, and nobody was told`)
  }

  #match(id: string, position: number, others: Map<string, number>, own: Map<string, number>): void {
    const other = others.get(id)
    if (other === undefined) return void own.set(id, position)
    others.delete(id)
    if (other !== position) this.#find(`record ${id} is said to stand at ${position} and at ${other}`)
  }
}
