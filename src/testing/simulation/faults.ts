/**
 * What goes wrong between a process and the log: a share for each kind of fault, drawn anew for each seed so that some
 * seeds have much of one kind and none of another, and a count of those that did happen.
 */
import type { SimChance } from './chance.js'

/** Of how many requests, in shares of 1, each fault is the fate. */
export interface Shares {
  /** Never arrives. */
  requestLost: number
  /** Arrives, but the answer does not. */
  replyLost: number
  /** Never arrives, nor do some that were sent right after it to the same stream, while others before and after do. */
  middleLost: number
  /** Arrives late, and all that is sent after it over the same connection too. */
  stalled: number
  /** Arrives late, after what was sent after it. Only what carries an id. */
  overtaken: number
  /** The answer comes late. */
  replyLate: number
  /** Arrives a second time later on. Only what carries an id. */
  repeated: number
  /** The connection breaks right after it. */
  disconnected: number
  /** The process dies: before it was sent, after that, or when the answer comes. */
  crashed: number
  /** The process stands still for a while: right after it was sent, or before it sees the answer. */
  frozen: number
}

export type FaultKind =
  keyof Shares | 'killed' | 'restarted' | 'revived' | 'leaderless' | 'full' | 'clockJumped' | 'amnesia' | 'damaged'

export const NO_FAULTS: Shares = {
  ...{ requestLost: 0, replyLost: 0, middleLost: 0, stalled: 0, overtaken: 0, replyLate: 0, repeated: 0 },
  ...{ disconnected: 0, crashed: 0, frozen: 0 },
}

/** How long things last, in ms. */
export interface Spans {
  /** One way, at the least and at the most. */
  readonly latency: readonly [number, number]
  /** After which a request without an answer ends. */
  readonly timeoutMs: number
  /** What is late is so by up to this. */
  readonly lateMs: number
  /** How long a lost link is away. */
  readonly awayMs: readonly [number, number]
  readonly frozenMs: readonly [number, number]
  /** How many records the server gives at once, at the most. Absent: as many as are asked for. */
  readonly portion?: number
}

export class Faults {
  readonly #landed = new Map<FaultKind, number>()
  #shares: Shares

  constructor(
    readonly chance: SimChance,
    shares: Shares = NO_FAULTS,
    readonly spans: Spans = { latency: [0.1, 0.5], timeoutMs: 2000, lateMs: 0, awayMs: [0, 0], frozenMs: [0, 0] },
  ) {
    this.#shares = shares
  }

  /** Whether this fault happens now; counted if so. */
  strikes(kind: keyof Shares): boolean {
    if (!this.due(kind)) return false
    this.land(kind)
    return true
  }

  /** Whether this fault is to happen now; to be counted by `land` once it has. */
  due(kind: keyof Shares): boolean {
    return this.chance.happens(this.#shares[kind])
  }

  land(kind: FaultKind): void {
    this.#landed.set(kind, (this.#landed.get(kind) ?? 0) + 1)
  }

  /** No more faults from now on. */
  heal(): void {
    this.#shares = NO_FAULTS
  }

  /** How many of each kind have happened. */
  get landed(): ReadonlyMap<FaultKind, number> {
    return this.#landed
  }

  get total(): number {
    let total = 0
    for (const count of this.#landed.values()) total += count
    return total
  }
}
