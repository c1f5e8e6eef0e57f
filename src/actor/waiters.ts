/** Those who wait until all is processed and published that was there when they asked. */
import type { Position } from '../log/record.js'
import type { Held } from './claim.js'

/** Somebody who waits until the sources are read to these ends, then until that is committed, then until it is out. */
interface Waiter {
  readonly ends: readonly Position[]
  step: 'read' | 'commit' | 'publish'
  /** The entry, or the message of the ledger, that is waited for. */
  until: number
  readonly resolve: (caughtUp: boolean) => void
}

export class Waiters {
  #waiting: Waiter[] = []

  /** True once the sources are read to these ends and all that came of it is out; false when that is not to be. */
  add(ends: readonly Position[]): Promise<boolean> {
    return new Promise(resolve => void this.#waiting.push({ ends, step: 'read', until: 0, resolve }))
  }

  /** Looks who has waited long enough. Who is not read to their end waits in vain while the partition is paused. */
  look({ inputs, commit, publisher, ledger }: Held, isPaused: boolean): void {
    if (this.#waiting.length === 0) return
    this.#waiting = this.#waiting.filter(waiter => {
      if (waiter.step === 'read' && inputs.every(({ position }, i) => position >= (waiter.ends[i] as Position))) {
        waiter.step = 'commit'
        waiter.until = commit.holdsAll
      }
      if (waiter.step === 'read' && isPaused) {
        waiter.resolve(false)
        return false
      }
      if (waiter.step === 'commit' && commit.acknowledged >= waiter.until) {
        waiter.step = 'publish'
        waiter.until = ledger.tail.number
      }
      if (waiter.step !== 'publish' || publisher.oldest <= waiter.until) return true
      waiter.resolve(true)
      return false
    })
  }

  /** Nothing more will come. */
  end(): void {
    for (const { resolve } of this.#waiting.splice(0)) resolve(false)
  }
}
