/**
 * What the readers of one link may have asked for together. The server cuts a link off to which it owes 64 MB, and all
 * that is asked for may come at once; so every reader asks for a share, and few at a time for a record larger than it.
 */

/** Half of it is for shares, two to a reader; half for large records. */
const LINK_BYTES = 16 * 1024 * 1024
const SHARE_MIN = 4096
/** What stands around the largest payload in the server's count: subject, reply and headers. */
const AROUND_PAYLOAD = 64 * 1024

export class Pulls {
  #readers = 0
  #large = 0
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

  /** True when a pull for one large record may go out now, and counts it; else calls `again` when one may. */
  takeLarge(payloadMax: number, again: () => void): boolean {
    const most = Math.max(1, Math.floor(LINK_BYTES / 2 / Pulls.bytesOfLargest(payloadMax)))
    if (this.#large >= most) {
      this.#waiting.add(again)
      return false
    }
    this.#large++
    return true
  }

  /** A pull for a large record is over. */
  giveLarge(): void {
    this.#large--
    const [next] = this.#waiting
    if (next === undefined) return
    this.#waiting.delete(next)
    next()
  }

  /** The reader waits no longer. */
  leave(again: () => void): void {
    this.#waiting.delete(again)
  }
}
