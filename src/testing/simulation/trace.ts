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
    const line = `${this.elapsed().toFixed(3)} ${what}`
    let [low, high] = [this.#low, this.#high]
    for (let i = 0; i < line.length; i++) {
      const code = line.charCodeAt(i)
      low = Math.imul(low ^ code, 0x01000193)
      high = Math.imul(high ^ code, 0x85ebca6b)
    }
    this.#low = Math.imul(low ^ (high >>> 15), 0x01000193)
    this.#high = Math.imul(high ^ (low >>> 13), 0xc2b2ae35)
    this.#lines?.push(line)
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
