/** The order of texts and numbers: numbers first, each kind in its own order. */

export type Ordered = string | number

/** Negative when `a` stands before `b`, 0 when they are the same. */
export function compare(a: Ordered, b: Ordered): number {
  if (typeof a === typeof b) return a < b ? -1 : a > b ? 1 : 0
  return typeof a === 'number' ? -1 : 1
}
