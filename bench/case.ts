/** One line of a benchmark, and how it comes about: ours and the rival in turn, in one run, and the median pair of all. */

/** What we do against what the bare library does. */
export interface Case {
  readonly case: string
  readonly ours: number
  readonly rival: number
  readonly rivalName: string
  /** Ours by rival's: above 1 we are faster, where more is better. */
  readonly ratio: number
  readonly unit: string
  /** What the ratio is to be: `>= 0.6`. */
  readonly bar?: string
}

/** What is measured of us alone, against a bar and not a rival. */
export interface Figure {
  readonly case: string
  readonly figure: number
  readonly unit: string
  /** What it is to be: `<= 100`. Absent where the figure only explains others. */
  readonly bar?: string
}

/** What is measured: each run gives a rate, more is better. */
export interface Contest {
  readonly case: string
  readonly rivalName: string
  readonly unit: string
  readonly bar?: string
  readonly ours: () => number | Promise<number>
  readonly rival: () => number | Promise<number>
}

/** Runs a contest `pairs` times, each side first in every other pair, and gives the pair with the median ratio. */
export async function contest(of: Contest, pairs: number): Promise<Case> {
  const runs: { ours: number; rival: number; ratio: number }[] = []
  for (let pair = 0; pair < pairs; pair++) {
    const oursFirst = pair % 2 === 0
    const first = oursFirst ? await of.ours() : await of.rival()
    const second = oursFirst ? await of.rival() : await of.ours()
    const [ours, rival] = oursFirst ? [first, second] : [second, first]
    runs.push({ ours, rival, ratio: ours / rival })
  }
  runs.sort((a, b) => a.ratio - b.ratio)
  const { ours, rival, ratio } = runs[runs.length >> 1] as (typeof runs)[number]
  const { rivalName, unit, bar } = of
  const sides = {
    case: of.case,
    ours: Math.round(ours),
    rival: Math.round(rival),
    rivalName,
    ratio: round(ratio),
    unit,
  }
  return bar === undefined ? sides : { ...sides, bar }
}

/** The middle one of several runs. */
export function median(runs: readonly number[]): number {
  return [...runs].sort((a, b) => a - b)[runs.length >> 1] as number
}

export function round(ratio: number): number {
  return Math.round(ratio * 100) / 100
}
