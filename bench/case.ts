/** One line of a benchmark: what we do against what the bare library does, in the same run. */
export interface Case {
  readonly case: string
  readonly ours: number
  readonly rival: number
  readonly rivalName: string
  /** Ours by rival's: above 1 we are faster. */
  readonly ratio: number
  readonly unit: string
}
