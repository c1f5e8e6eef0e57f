/** The codec for values that are bytes already. */
import type { Codec, OpenCodec } from './codec.js'
import { badValue, inWords } from './guards.js'

const OPEN: OpenCodec<Uint8Array> = Object.freeze({
  encode(value: Uint8Array): Uint8Array {
    if (value instanceof Uint8Array) return value
    throw badValue(
      [],
      `is ${inWords(value)}, and the codec bytes() takes only a Uint8Array`,
      'give the bytes themselves',
    )
  },
  decode: (bytes: Uint8Array): Uint8Array => bytes,
  ready: () => undefined,
})

const CODEC: Codec<Uint8Array> = Object.freeze({
  name: 'bytes',
  definition: Object.freeze({ name: 'bytes' }),
  open: () => Promise.resolve(OPEN),
})

/**
 * Bytes as they are, in and out. What `decode` gives is the very array it was given: a view into what was read, to be
 * copied by who keeps it long.
 */
export function bytes(): Codec<Uint8Array> {
  return CODEC
}
