/** What a seed is made of: how it treats its processes, drawn so that seeds differ much from one another. */
import type { SimChance } from './chance.js'
import { NO_FAULTS } from './faults.js'
import type { Shares, Spans } from './faults.js'

/**
 * `base`: all faults within what the log promises. `zombie`: owners stand still for longer than ids are known. `late`:
 * requests are on their way for longer than half of that, so the stream may hold repeats, but readers may not give any. `blind`:
 * compare-and-set as on replicated 2.9 servers. `trimmed`: the output stream keeps too little. `amnesia`: the ledger
 * loses acknowledged messages. `forgetful`: a stream of outputs does. `reborn`: the ledger's stream is deleted.
 * `damaged`: bytes in the ledger are not what they were, or a message amid it is gone.
 */
export type Mode = 'base' | 'zombie' | 'late' | 'blind' | 'trimmed' | 'amnesia' | 'forgetful' | 'reborn' | 'damaged'

/** In which the log breaks its own promises: who notices halts, and nothing wrong may come out in silence. */
export const FAITHLESS: ReadonlySet<Mode> = new Set<Mode>(['amnesia', 'forgetful', 'reborn', 'damaged'])

const MODES: readonly (readonly [Mode, number])[] = [
  ...([
    ['base', 50],
    ['zombie', 14],
    ['late', 5],
    ['blind', 8],
    ['trimmed', 5],
  ] as const),
  ...([
    ['amnesia', 8],
    ['forgetful', 4],
    ['reborn', 3],
    ['damaged', 3],
  ] as const),
]

export interface Swarm {
  readonly mode: Mode
  /** For how long the streams know ids. */
  readonly windowMs: number
  /** How long it takes from one blow to the next, about. */
  readonly everyMs: number
  readonly shares: Shares
  readonly spans: Spans
  /** How many of the records that come in cannot be processed, or not at first. */
  readonly illShare: number
}

export function drawSwarm(chance: SimChance, only?: Mode): Swarm {
  const mode = only ?? drawMode(chance)
  const windowMs = chance.pick([1000, 4000, 20_000])
  // An id may be half a window old when it is sent again, and may come late twice: as itself and as its copy.
  const late = mode === 'late' ? chance.pick([1, 2]) * windowMs : Math.min(5000, windowMs / 5)
  const frozen = mode === 'zombie' ? 3 * windowMs : windowMs / 2
  const share = (often: number, most: number) => (chance.happens(often) ? most * chance.fraction() : 0)
  const swarm: Swarm = {
    mode,
    windowMs,
    everyMs: chance.pick([400, 800, 1500]),
    illShare: 0,
    shares: {
      ...NO_FAULTS,
      requestLost: share(0.6, 0.06),
      replyLost: share(0.6, 0.06),
      stalled: share(0.5, 0.08),
      overtaken: share(0.4, 0.1),
      replyLate: share(0.5, 0.1),
      repeated: share(0.5, 0.3),
      disconnected: share(0.4, 0.02),
      crashed: share(0.8, 0.015),
      frozen: share(0.7, 0.02),
    },
    spans: {
      latency: [0.2, chance.pick([1, 5, 20])],
      timeoutMs: chance.pick([300, 1000, 2000]),
      lateMs: late,
      awayMs: [20, chance.pick([200, 2000])],
      frozenMs: [10, frozen],
      portion: chance.pick([4, 16, 1000]),
    },
  }
  return { ...swarm, shares: { ...swarm.shares, middleLost: share(0.5, 0.05) }, illShare: share(0.4, 0.2) }
}

function drawMode(chance: SimChance): Mode {
  let at = chance.whole(MODES.reduce((sum, [, weight]) => sum + weight, 0))
  for (const [mode, weight] of MODES) {
    if (at < weight) return mode
    at -= weight
  }
  return 'base'
}
