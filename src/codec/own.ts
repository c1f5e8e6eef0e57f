/**
 * Codecs that users bring: two functions and a name, made into a codec like ours, with our guards and errors around
 * them.
 */
import { badOption } from '../options.js'
import { DefinitionError, messageOf, RecordError } from '../errors.js'
import type { Size } from '../options.js'
import type { Codec, OpenCodec } from './codec.js'
import { badBytes, badValue, guards, inWords, tooLarge, type Guards } from './guards.js'

/** A codec of one's own: give it to `stream` as `codec`. Both functions answer at once; what they throw costs one record. */
export interface OwnCodec<T> {
  /**
   * Kept with the stream's definition, so that no program reads the bytes with another codec: 1 to 64 letters, digits,
   * `.`, `_`, `+`, `/` and `-`. A program that gives a codec of this name is believed to mean this one.
   */
  readonly name: string
  /** The largest record, in bytes, that is written or read; default 8 MB. */
  readonly bytesMax?: Size
  /** The bytes of a value, which nobody changes afterwards. */
  encode(value: T): Uint8Array
  /** The value of bytes that may come from anywhere, and that are a view into what was read: copy what is kept long. */
  decode(bytes: Uint8Array): T
}

/** The names of the codecs that come with the package. */
export const CODECS: readonly string[] = ['json', 'avro', 'bytes']

/** Makes it a codec. A `DefinitionError` (`BAD_OPTION`) says what it lacks; `where` names the stream. */
export function ownCodec<T>(where: string, given: OwnCodec<T>): Codec<T> {
  const { name, bytesMax } = given
  if (typeof name !== 'string' || !/^[\w.+/-]{1,64}$/.test(name)) {
    throw badOption(`the name of the codec of ${where}`, '1 to 64 letters, digits, ".", "_", "+", "/" or "-"', name)
  }
  if (CODECS.includes(name)) throw badOption(`the name of the codec of ${where}`, `another than ${name}()`, name)
  const bounds = guards(`the codec ${name}`, bytesMax === undefined ? {} : { bytesMax })
  const open = new OpenOwn<T>(given, bounds)
  return Object.freeze({ name, definition: Object.freeze({ name }), open: () => Promise.resolve(open) })
}

class OpenOwn<T> implements OpenCodec<T> {
  constructor(
    readonly own: OwnCodec<T>,
    readonly guards: Guards,
  ) {}

  encode(value: T): Uint8Array {
    const { name } = this.own
    let bytes: unknown
    try {
      bytes = this.own.encode(value)
    } catch (thrown) {
      if (thrown instanceof RecordError) throw thrown
      throw badValue(
        [],
        `is refused by the codec ${name} (${messageOf(thrown)})`,
        'mend the value, or the codec',
        thrown,
      )
    }
    refusePromise(name, 'encode', bytes)
    if (!(bytes instanceof Uint8Array)) {
      const why = `became ${inWords(bytes)} by the codec ${name}, which must give a Uint8Array`
      throw badValue([], why, 'mend its encode')
    }
    if (bytes.length > this.guards.bytesMax) throw tooLarge(bytes.length, this.guards)
    return bytes
  }

  decode(bytes: Uint8Array): T {
    if (bytes.length > this.guards.bytesMax) throw tooLarge(bytes.length, this.guards)
    const { name } = this.own
    let value: T
    try {
      value = this.own.decode(bytes)
    } catch (thrown) {
      if (thrown instanceof RecordError) throw thrown
      throw badBytes(`the codec ${name} cannot read the record (${messageOf(thrown)})`, thrown)
    }
    refusePromise(name, 'decode', value)
    return value
  }

  ready(): undefined {
    return undefined
  }
}

/** A record is written and read between two others, so nobody can wait here. */
function refusePromise(name: string, call: 'encode' | 'decode', given: unknown): void {
  if (!(given instanceof Promise)) return
  // Nobody waits for it, and its rejection must not end the process.
  given.catch(() => undefined)
  const mend = 'let it answer at once, and do what must wait in the program'
  throw new DefinitionError('BAD_OPTION', `${call} of the codec ${name} is asynchronous`, mend)
}
