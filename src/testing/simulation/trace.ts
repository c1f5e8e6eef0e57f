/** What happened in a simulation, in order: always as one number, and as lines when somebody wants to read it. */

export class Trace {
  #low = 0x811c9dc5
  #high = 0x1b873593
  readonly #lines: string[] | undefined

  constructor(
    readonly elapsed: () => number,
    keepLines: boolean,
  ) {
    this.#lines = keepLines ? [] : undefined
  }

  add(what: string): void {
    const elapsed = this.elapsed()
    let low = Math.imul(this.#low ^ Math.round(elapsed * 1000), 0x85ebca6b)
    for (let i = 0; i < what.length; i++) low = Math.imul(low ^ what.charCodeAt(i), 0x01000193)
    this.#high = Math.imul(this.#high ^ low ^ (low >>> 15), 0xc2b2ae35)
    this.#low = low ^ (this.#high >>> 13)
    this.#lines?.push(`${elapsed.toFixed(3)} ${what}`)
  }

  /** Two runs with one hash did the same things at the same times. */
  get hash(): string {
    const hex = (part: number) => (part >>> 0).toString(16).padStart(8, '0')
    return hex(this.#low) + hex(this.#high)
  }

  /** Empty unless lines are kept. */
  get lines(): readonly string[] {
    return this.#lines ?? []
  }
}
