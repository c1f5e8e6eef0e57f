/**
 * Sums whose error does not grow with the number of addends (Neumaier): beside the sum stands what rounding took from
 * it. While nothing was lost, as with whole numbers, a sum is just a number.
 */
export type Sum = number | readonly [sum: number, lost: number]

/** With one more addend. */
export function plus(sum: Sum, addend: number): Sum {
  if (typeof sum === 'number') return added(sum, 0, addend)
  return added(sum[0], sum[1], addend)
}

/** Of both. */
export function plusSum(a: Sum, b: Sum): Sum {
  if (typeof b === 'number') return plus(a, b)
  const both = plus(a, b[0])
  return typeof both === 'number' ? [both, b[1]] : [both[0], both[1] + b[1]]
}

/** The sum as one number. Infinite when it is beyond what numbers reach. */
export function total(sum: Sum): number {
  if (typeof sum === 'number') return sum
  return Number.isFinite(sum[0]) ? sum[0] + sum[1] : sum[0]
}

function added(sum: number, lost: number, addend: number): Sum {
  const next = sum + addend
  const more = Math.abs(sum) >= Math.abs(addend) ? sum - next + addend : addend - next + sum
  const now = lost + more
  return now === 0 ? next : [next, now]
}
