/**
 * The JSON codec: UTF-8 text that gives back the value it was made from, or no text at all. What JSON would drop or
 * bend without a word is refused when it is written.
 */
import { messageOf, RecordError } from '../errors.js'
import type { Codec, OpenCodec } from './codec.js'
import { badBytes, FORBIDDEN_KEY, guards, tooDeep, tooLarge, type GuardOptions, type Guards } from './guards.js'
import { carries, faultOf, holdsForbiddenKey, isFlat, textIsDeep } from './json-values.js'

/**
 * JSON, as UTF-8.
 *
 * Written are objects, arrays, text, booleans, null and finite numbers; a property that is `undefined` is left out, and
 * what has a `toJSON`, like a `Date`, is written as that says. Anything else is `INVALID_VALUE`. `-0` comes back as 0.
 * Read is any JSON text; the key `__proto__` is refused at every depth, in both directions.
 */
export function json<T = unknown>(options: GuardOptions = {}): Codec<T> {
  const open = new OpenJson<T>(guards('the codec json()', options))
  return Object.freeze({
    name: 'json',
    definition: Object.freeze({ name: 'json' }),
    open: () => Promise.resolve(open),
  })
}

/** A BOM stays in the text, where the parser refuses it: it would be lost in silence otherwise. */
const UTF8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/** Parsing a bomb below this takes less than a millisecond or two; above it the text is looked through beforehand. */
const PARSE_FIRST_BYTES = 16 * 1024

class OpenJson<T> implements OpenCodec<T> {
  /** A text shorter than this cannot be too deep: each level takes two brackets. */
  readonly #flatBytes: number

  constructor(readonly guards: Guards) {
    this.#flatBytes = 2 * guards.depthMax
  }

  encode(value: T): Uint8Array {
    if (!carries(value, this.guards.depthMax)) {
      const fault = faultOf(value, this.guards.depthMax)
      if (fault !== undefined) throw fault
    }
    const bytes = Buffer.from(textOf(value))
    if (bytes.length > this.guards.bytesMax) throw tooLarge(bytes.length, this.guards)
    return bytes
  }

  decode(bytes: Uint8Array): T {
    if (bytes.length > this.guards.bytesMax) throw tooLarge(bytes.length, this.guards)
    if (bytes.length === 0) throw badBytes('the record is empty, which is no JSON')
    const text = utf8Of(bytes)
    const { depthMax } = this.guards
    const flat = bytes.length < this.#flatBytes || isFlat(text, depthMax)
    if (!flat && bytes.length > PARSE_FIRST_BYTES && textIsDeep(bytes, depthMax)) throw tooDeep(depthMax)
    const value = parsed(text)
    // A key may hide behind escapes, so these too call for a look at the keys themselves.
    if (!flat || text.includes(FORBIDDEN_KEY) || text.includes('\\u00')) {
      if (holdsForbiddenKey(value, depthMax)) throw badBytes(`the record has a key "${FORBIDDEN_KEY}"`)
    }
    return value as T
  }

  ready(): undefined {
    return undefined
  }
}

function textOf(value: unknown): string {
  try {
    return JSON.stringify(value)
  } catch (cause) {
    const what = `the value cannot be written as JSON (${messageOf(cause)})`
    throw new RecordError('INVALID_VALUE', what, 'look at its getters and toJSON', { cause, facts: { path: 'value' } })
  }
}

function utf8Of(bytes: Uint8Array): string {
  try {
    return UTF8.decode(bytes)
  } catch (cause) {
    throw badBytes('the record is not UTF-8 text', cause)
  }
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch (cause) {
    throw badBytes(`the record is not JSON (${messageOf(cause)})`, cause)
  }
}
