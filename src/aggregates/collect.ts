/** `collect()`: all values in a list. */
import { aggregateOf, type Aggregate } from './aggregate.js'
import { kept } from './frozen.js'
import { mustBeFunction } from './given.js'

/**
 * All values, or what `of` gives for each, in the order in which they are processed. They are kept, and frozen. Memory
 * grows with each value, and the whole list is stored again by each commit that adds to it: meant for some hundreds.
 */
export function collect<T>(): Aggregate<T, T[]>
export function collect<T, R>(of: (value: T) => R): Aggregate<T, R[]>
export function collect<T>(of: (value: T) => unknown = value => value): Aggregate<T, unknown[]> {
  mustBeFunction('the function of collect', of)
  return aggregateOf<T, Chunks, unknown[]>('collect', where => ({
    zero: () => [],
    add: (acc, value) => appended(acc, kept(where, of(value))),
    merge: (a, b) => [...a, ...b],
    result: acc => acc.flat(),
  }))
}

/** In chunks, so that one more copies a chunk and not everything. */
type Chunks = readonly (readonly unknown[])[]
const CHUNK_MAX = 64

function appended(chunks: Chunks, value: unknown): Chunks {
  const tail = chunks.at(-1)
  if (tail === undefined || tail.length >= CHUNK_MAX) return [...chunks, [value]]
  const next = chunks.slice()
  next[chunks.length - 1] = [...tail, value]
  return next
}
