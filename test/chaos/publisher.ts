/** Publishes records at a set rate while everything around it fails, and tells which were acknowledged. */
import { setTimeout as sleep } from 'node:timers/promises'
import type { Client } from '../../src/client/client.js'
import type { SimChance } from '../../src/testing/simulation/chance.js'
import { numbers, type Given } from './pipeline.js'

export interface PublisherOptions {
  readonly client: Client
  readonly chance: SimChance
  readonly keys: number
  readonly perSecond: number
  /** At least so many. */
  readonly records: number
  /** Told of each record that the log has acknowledged. */
  readonly stored: (id: string, position: number) => void
}

const PAUSE_MS = 5

export class Publisher {
  /** Resolves with how many there were, once all are acknowledged. */
  readonly done: Promise<number>
  readonly #options: PublisherOptions
  #isHurried = false

  constructor(options: PublisherOptions) {
    this.#options = options
    this.done = this.#publish()
    // Who awaits it hears of it; until then it is no accident.
    this.done.catch(() => {})
  }

  /** Nothing more will befall it: what is left comes as fast as the log takes it. */
  finish(): void {
    this.#isHurried = true
  }

  async #publish(): Promise<number> {
    const { client, stored } = this.#options
    const onStored = ({ position }: { readonly position: number }, index: number) => stored(idOf(index), position)
    const { stored: count } = await client.publishAll(numbers, this.#records(), { onStored })
    return count
  }

  async *#records(): AsyncGenerator<Given> {
    const { chance, keys, perSecond, records } = this.#options
    const began = performance.now()
    const due = () => ((performance.now() - began) / 1000) * perSecond
    for (let n = 0; !this.#isHurried || n < records; n++) {
      while (!this.#isHurried && n > due()) await sleep(PAUSE_MS)
      const key = `k${chance.whole(keys)}`
      yield { id: idOf(n), key, value: 1 + chance.whole(1000), at: Date.now() }
    }
  }
}

function idOf(n: number): string {
  return `r/${n + 1}`
}
