/** Keys of several parts: joined into one text and taken apart again, whatever stands in the parts. */
import { DefinitionError } from '../errors.js'

/** What records of one key share: their partition, so their order, and their rows in tables. */
export type Key = string

const BETWEEN = '/'

/**
 * Joins parts to one key, so that different parts never give the same key: `key('eu', 'a/b')` is `eu/a%2Fb`. Throws
 * `BAD_KEY` when a part is no text, number or boolean, for `undefined` in a key is nearly always a mistake.
 */
export function key(first: string | number | boolean, ...more: readonly (string | number | boolean)[]): Key {
  let joined = part(first)
  for (const next of more) joined += BETWEEN + part(next)
  return joined
}

/** The parts that `key` joined, as texts. */
export function keyParts(joined: Key): string[] {
  return joined.split(BETWEEN).map(text => text.replaceAll('%2F', BETWEEN).replaceAll('%25', '%'))
}

function part(given: unknown): string {
  if (typeof given === 'string') {
    return given.includes('%') || given.includes(BETWEEN)
      ? given.replaceAll('%', '%25').replaceAll(BETWEEN, '%2F')
      : given
  }
  if (typeof given === 'boolean' || (typeof given === 'number' && Number.isFinite(given))) return String(given)
  throw new DefinitionError('BAD_KEY', `a part of a key is ${String(given)}`, 'give texts, finite numbers or booleans')
}
