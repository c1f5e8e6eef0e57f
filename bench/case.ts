/** One line of a benchmark, and how it comes about: ours and the rival in turn, in one run, and the median pair of all. */

/** What we do against what the bare library does. */
export interface Case {
  readonly case: string
  readonly ours: number
  readonly rival: number
  readonly rivalName: string
  /** Ours by rival's: above 1 we are faster. */
  readonly ratio: number
  readonly unit: string
}

/** What is measured: each run gives a rate, more is better. */
export interface Contest {
  readonly case: string
  readonly rivalName: string
  readonly unit: string
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
  const { rivalName, unit } = of
  return { case: of.case, ours: Math.round(ours), rival: Math.round(rival), rivalName, ratio: round(ratio), unit }
}

function round(ratio: number): number {
  return Math.round(ratio * 100) / 100
}
