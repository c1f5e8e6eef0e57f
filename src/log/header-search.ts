/**
 * Finds a header in a block of bytes without making a text of it: for what is asked of each record of every stream,
 * where a text, or a call out of JavaScript, would cost more than the answer.
 */

/** Looks for one header by its exact name. */
export class HeaderSearch {
  readonly #line: Uint8Array
  /** By the byte under the end of the line sought (Horspool): how far it must move on at the least. */
  readonly #steps: Uint8Array

  constructor(name: string) {
    const line = Buffer.from(`\r\n${name}:`)
    const last = line.length - 1
    this.#line = line
    this.#steps = new Uint8Array(256).fill(line.length)
    for (let i = 0; i < last; i++) this.#steps[line[i] as number] = last - i
  }

  /** Where the header's value begins, spaces included, or -1. */
  in(head: Uint8Array): number {
    const line = this.#line
    const steps = this.#steps
    const last = line.length - 1
    const end = head.length
    for (let at = last; at < end; at += steps[head[at] as number] as number) {
      let i = last
      while (i >= 0 && head[at - last + i] === line[i]) i--
      if (i < 0) return at + 1
    }
    return -1
  }
}
