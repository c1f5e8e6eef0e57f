/**
 * How often each of many values came, as plain data that is never changed in place: a sorted list in chunks, so that
 * counting one more copies one chunk and not everything.
 */
import { compare, type Ordered } from './order.js'

/** Chunks in order, none of them empty; each has its values in order, and beside them their counts. */
export type Tally<K extends Ordered> = readonly Chunk<K>[]
type Chunk<K> = readonly [values: readonly K[], counts: readonly number[]]

/** A chunk that grows beyond this is cut in two halves. */
const CHUNK_MAX = 64

/** With `by` more of this value. */
export function tallied<K extends Ordered>(tally: Tally<K>, value: K, by = 1): Tally<K> {
  if (tally.length === 0) return [[[value], [by]]]
  const at = chunkOf(tally, value)
  const [values, counts] = tally[at] as Chunk<K>
  const place = placeIn(values, value)
  if (values[place] === value) {
    const more = counts.slice()
    more[place] = (more[place] as number) + by
    return replaced(tally, at, [[values, more]])
  }
  return replaced(tally, at, halved(inserted(values, place, value), inserted(counts, place, by)))
}

/** Whether it was counted. */
export function hasTallied<K extends Ordered>(tally: Tally<K>, value: K): boolean {
  if (tally.length === 0) return false
  const [values] = tally[chunkOf(tally, value)] as Chunk<K>
  return values[placeIn(values, value)] === value
}

/** Both together. */
export function talliedBoth<K extends Ordered>(a: Tally<K>, b: Tally<K>): Tally<K> {
  const [large, small] = differentIn(a) < differentIn(b) ? [b, a] : [a, b]
  let both = large
  for (const [value, count] of countsIn(small)) both = tallied(both, value, count)
  return both
}

/** How many different values there are. */
export function differentIn(tally: Tally<Ordered>): number {
  let different = 0
  for (const [values] of tally) different += values.length
  return different
}

/** Each value with its count, in order. */
export function* countsIn<K extends Ordered>(tally: Tally<K>): IterableIterator<[value: K, count: number]> {
  for (const [values, counts] of tally) {
    for (let i = 0; i < values.length; i++) yield [values[i] as K, counts[i] as number]
  }
}

/** A tally of values that come in order, each once. */
export function tallyOf<K extends Ordered>(inOrder: readonly (readonly [value: K, count: number])[]): Tally<K> {
  const chunks: Chunk<K>[] = []
  for (let i = 0; i < inOrder.length; i += CHUNK_MAX / 2) {
    const part = inOrder.slice(i, i + CHUNK_MAX / 2)
    chunks.push([part.map(([value]) => value), part.map(([, count]) => count)])
  }
  return chunks
}

/** The last chunk that begins at or before the value, else the first. */
function chunkOf<K extends Ordered>(tally: Tally<K>, value: K): number {
  let low = 0
  let high = tally.length - 1
  while (low < high) {
    const middle = (low + high + 1) >>> 1
    if (compare((tally[middle] as Chunk<K>)[0][0] as K, value) <= 0) low = middle
    else high = middle - 1
  }
  return low
}

/** Where the value stands, or would stand. */
function placeIn<K extends Ordered>(values: readonly K[], value: K): number {
  let low = 0
  let high = values.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if (compare(values[middle] as K, value) < 0) low = middle + 1
    else high = middle
  }
  return low
}

function inserted<V>(list: readonly V[], place: number, one: V): V[] {
  const longer = list.slice()
  longer.splice(place, 0, one)
  return longer
}

function halved<K>(values: readonly K[], counts: readonly number[]): Chunk<K>[] {
  if (values.length <= CHUNK_MAX) return [[values, counts]]
  const half = values.length >>> 1
  return [
    [values.slice(0, half), counts.slice(0, half)],
    [values.slice(half), counts.slice(half)],
  ]
}

function replaced<K extends Ordered>(tally: Tally<K>, at: number, by: readonly Chunk<K>[]): Tally<K> {
  const chunks = tally.slice()
  if (by.length === 1) chunks[at] = by[0] as Chunk<K>
  else chunks.splice(at, 1, ...by)
  return chunks
}
