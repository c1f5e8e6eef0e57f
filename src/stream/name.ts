/** What a stream may be called: what every kind of log can carry, for the name becomes subjects and file names. */
import { badOption } from '../options.js'
import { DefinitionError } from '../errors.js'

const LETTERS_MAX = 200

/**
 * Gives the name back, or throws `BAD_NAME` saying what is wrong with it and the nearest name that is good. `what` has
 * the name, and streams of its own whose names begin with it have up to `spare` letters more.
 */
export function goodName(given: unknown, what = 'stream', spare = 0): string {
  if (typeof given !== 'string') throw badOption(`the name of a ${what}`, 'a text', given)
  const fault = faultOf(given, what, LETTERS_MAX - spare)
  if (fault === undefined) return given
  const mend = `use letters, digits, "-" and "_", like ${JSON.stringify(nearest(given, LETTERS_MAX - spare))}`
  throw new DefinitionError('BAD_NAME', `${what} name ${shown(given)} ${fault}`, mend, { facts: { name: given } })
}

function faultOf(name: string, what: string, lettersMax: number): string | undefined {
  if (name === '') return 'is empty'
  if (name.length > lettersMax) return `has ${name.length} letters, and NATS takes ${lettersMax} at the most`
  const bad = /[^A-Za-z0-9_-]/u.exec(name)?.[0]
  if (bad === ' ') return 'has a space, which NATS forbids in names'
  if (bad !== undefined) return `has ${JSON.stringify(bad)}, which is forbidden in names of ${what}s`
  if (/^(KV|OBJ)_/.test(name)) return `begins with "${name.split('_')[0]}_", which NATS keeps for its buckets`
  return undefined
}

function nearest(name: string, lettersMax: number): string {
  const plain = name.normalize('NFKD').replaceAll(/\p{Mark}/gu, '')
  const letters = plain.replaceAll(/[^A-Za-z0-9_-]+/g, '-').replace(/^(?:-|(?:KV|OBJ)_)+/, '')
  return letters.slice(0, lettersMax).replace(/-+$/, '') || 'events'
}

function shown(name: string): string {
  return JSON.stringify(name.length > 60 ? `${name.slice(0, 57)}...` : name)
}
