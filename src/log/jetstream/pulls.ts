/**
 * What the readers of one link may have asked for together. The server cuts a link off to which it owes 64 MB, and all
 * that is asked for may come at once; so every reader asks for a share, and few at a time for a record larger than it.
 */

/** Half of it is for shares, two to a reader; half for large records. */
const LINK_BYTES = 24 * 1024 * 1024
const SHARE_MIN = 4096
/** What stands around the largest payload in the server's count: subject, reply and headers. */
const AROUND_PAYLOAD = 64 * 1024

export class Pulls {
  #readers = 0
  #large = 0
  #largeMax = 1
  readonly #waiting = new Set<() => void>()

  /** A reader begins to pull; gives what ends it. */
  join(): () => void {
    this.#readers++
    return () => {
      this.#readers--
    }
  }

  /** The bytes that one ordinary pull may ask for. */
  share(): number {
    return Math.max(SHARE_MIN, Math.floor(LINK_BYTES / 4 / Math.max(1, this.#readers)))
  }

  /** The bytes to ask for so that one record of any size comes. */
  static bytesOfLargest(payloadMax: number): number {
    return payloadMax + AROUND_PAYLOAD
  }

  /** True when one large record may be asked for now, and counts it; else calls `again` when one may. */
  takeLarge(payloadMax: number, again: () => void): boolean {
    this.#largeMax = Math.max(1, Math.floor(LINK_BYTES / 2 / Pulls.bytesOfLargest(payloadMax)))
    if (this.#large >= this.#largeMax) {
      this.#waiting.add(again)
      return false
    }
    this.#large++
    return true
  }

  /** What was asked for has come, or will not. */
  giveLarge(): void {
    this.#large--
    for (const again of [...this.#waiting]) {
      if (this.#large >= this.#largeMax) return
      this.#waiting.delete(again)
      again()
    }
  }

  /** Asks for a record that may be large, when its turn has come. */
  async whole<T>(payloadMax: number, ask: () => Promise<T>): Promise<T> {
    for (;;) {
      let again = () => {}
      const turn = new Promise<void>(resolve => (again = resolve))
      if (this.takeLarge(payloadMax, again)) break
      await turn
    }
    try {
      return await ask()
    } finally {
      this.giveLarge()
    }
  }

  /** The reader waits no longer. */
  leave(again: () => void): void {
    this.#waiting.delete(again)
  }
}
