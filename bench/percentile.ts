/** Many spans of time, and the one below which so and so many of them are. */

export class Spans {
  readonly #spans: { readonly ms: number; readonly count: number }[] = []
  #count = 0

  add(ms: number, count = 1): void {
    this.#spans.push({ ms, count })
    this.#count += count
  }

  /** `share`: of 1. */
  at(share: number): number {
    this.#spans.sort((a, b) => a.ms - b.ms)
    let before = 0
    for (const { ms, count } of this.#spans) {
      before += count
      if (before >= this.#count * share) return ms
    }
    return NaN
  }

  get longest(): number {
    return this.at(1)
  }
}
