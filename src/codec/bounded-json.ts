/**
 * JSON that is no record: definitions, notes and answers, which are read by whoever finds them and written by whoever may.
 */
import { badBytes, FORBIDDEN_KEY, tooDeep } from './guards.js'
import { holdsForbiddenKey, textIsDeep } from './json-values.js'

/** A bomb below this takes no time to speak of; above it the text is looked through before it is parsed. */
const PARSE_FIRST_BYTES = 16 * 1024
const DEPTH_MAX = 32

/** What the bytes say. Throws for what is no JSON, is nested deeper than `depthMax`, or has a key that changes prototypes. */
export function boundedJson(bytes: Uint8Array, depthMax = DEPTH_MAX): unknown {
  if (bytes.length > PARSE_FIRST_BYTES && textIsDeep(bytes, depthMax)) throw tooDeep(depthMax)
  const value: unknown = JSON.parse(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('utf8'))
  if (holdsForbiddenKey(value, depthMax)) throw badBytes(`there is a key "${FORBIDDEN_KEY}"`)
  return value
}
