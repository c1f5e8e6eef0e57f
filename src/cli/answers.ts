/** What came of each record, as lines on stdout, at the pace of whoever reads them. */
import type { Published } from '../client/client.js'
import { write } from './terminal.js'

const ANSWERS_BYTES_MAX = 64 * 1024

/** One line on stdout for each record stored, gathered so that many go out at once. */
export class Answers {
  #text = ''
  #writing: Promise<void> | undefined

  add(where: string, { partition, position, repeat }: Published): void {
    const line = Number(/^line (\d+)$/.exec(where)?.[1]) || undefined
    this.#text += `${JSON.stringify({ line, partition, position, repeat })}\n`
    if (this.#writing === undefined) this.#writing = this.#write()
  }

  /** Undefined when more may come, else a promise for when. */
  room(): Promise<void> | undefined {
    return this.#text.length < ANSWERS_BYTES_MAX ? undefined : this.#writing
  }

  async flush(): Promise<void> {
    while (this.#writing !== undefined) await this.#writing
  }

  async #write(): Promise<void> {
    while (this.#text !== '') {
      await new Promise(setImmediate)
      const text = this.#text
      this.#text = ''
      await write(text)
    }
    this.#writing = undefined
  }
}
