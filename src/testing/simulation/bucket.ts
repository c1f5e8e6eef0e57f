/** The bucket port over a link. */
import { pause } from '../../clock.js'
import { UnavailableError } from '../../errors.js'
import { keyFault } from '../../log/bucket.js'
import type { Bucket, Entry, Revision, Watch } from '../../log/bucket.js'
import type { Ending } from '../../log/log.js'
import type { SimLink } from './link.js'
import type { StoredBucket } from './stored-bucket.js'
import { refused } from './stored-stream.js'

export class SimBucket implements Bucket {
  constructor(
    readonly link: SimLink,
    readonly stored: StoredBucket,
  ) {}

  get(key: string): Promise<Entry | undefined> {
    if (keyFault(key) !== undefined && this.link.ended === undefined) return Promise.resolve(undefined)
    return this.link.call('bucket get', () => this.stored.get(key), key)
  }

  put(key: string, value: Uint8Array, revision?: Revision): Promise<Ending> {
    return this.#change('bucket put', key, new Uint8Array(value), revision)
  }

  delete(key: string, revision?: Revision): Promise<Ending> {
    return this.#change('bucket delete', key, undefined, revision)
  }

  #change(site: string, key: string, value: Uint8Array | undefined, revision: Revision | undefined): Promise<Ending> {
    const { ended } = this.link
    if (ended !== undefined) return Promise.resolve(refused('unavailable', ended))
    const fault = keyFault(key)
    if (fault !== undefined) return Promise.resolve(refused('denied', fault))
    return new Promise(resolve => {
      this.link.send({
        site,
        about: key,
        arrive: () => this.stored.put(key, value, revision),
        answered: resolve,
        failed: (error, sent) => {
          resolve(sent ? { ending: 'unknown', error } : refused('unavailable', error))
        },
      })
    })
  }

  keys(prefix?: string): Promise<readonly string[]> {
    const keys = () => {
      const standing = this.stored.after(0, prefix).filter(entry => entry.value !== undefined)
      return standing.map(entry => entry.key).sort()
    }
    return this.link.call('bucket keys', keys, prefix)
  }

  watch(prefix?: string): Watch {
    return new SimWatch(this.link, this.stored, prefix)
  }
}

class SimWatch implements AsyncIterableIterator<readonly Entry[], undefined> {
  #seen: Revision | undefined
  #ended = false
  #wake: (() => void) | undefined
  readonly #stop: (() => void)[]

  constructor(
    readonly link: SimLink,
    readonly stored: StoredBucket,
    readonly prefix: string | undefined,
  ) {
    const wake = () => this.#wakeUp()
    this.#stop = [link.onUp(wake), link.onDown(wake)]
  }

  [Symbol.asyncIterator](): this {
    return this
  }

  async next(): Promise<IteratorResult<readonly Entry[], undefined>> {
    for (;;) {
      const entries = this.#over ? undefined : await this.#look()
      if (this.#over) return this.return()
      if (entries !== undefined) return { done: false, value: entries }
    }
  }

  get #over(): boolean {
    return this.#ended || this.link.ended !== undefined
  }

  /** What has changed; undefined when the link was lost or nothing has. Waits for either. */
  async #look(): Promise<readonly Entry[] | undefined> {
    if (!this.link.up || this.#seen === this.stored.revision) return this.#change()
    const after = this.#seen
    try {
      const found = await this.link.call('bucket watch', () => ({
        revision: this.stored.revision,
        entries: this.stored.after(after ?? 0, this.prefix),
      }))
      this.#seen = found.revision
      if (after === undefined) return found.entries.filter(entry => entry.value !== undefined)
      return found.entries.length === 0 ? undefined : found.entries
    } catch (error) {
      if (!(error instanceof UnavailableError)) throw error
      await pause(this.link.process.clock, 100)
      return undefined
    }
  }

  /** Waits until something has changed, in the bucket or with the link. */
  #change(): Promise<undefined> {
    const { clock, chance, faults } = this.link.ground
    return new Promise(wake => {
      this.#wake = () => wake(undefined)
      const told = () => this.link.process.deliver(() => this.#wakeUp())
      this.#stop.push(this.stored.onChange(() => clock.after(chance.between(...faults.spans.latency), told)))
    })
  }

  #wakeUp(): void {
    this.#wake?.()
    this.#wake = undefined
  }

  return(): Promise<IteratorResult<readonly Entry[], undefined>> {
    this.#ended = true
    for (const stop of this.#stop.splice(0)) stop()
    this.#wakeUp()
    return Promise.resolve({ done: true, value: undefined })
  }
}
