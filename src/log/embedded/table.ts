/** A table of the store as far as we use it, and what is said when its pages cannot be made sense of. */
import { IntegrityError, messageOf } from '../../errors.js'

/** Writes are legal inside a job only. */
export interface Table<Key, Value, Written = Value> {
  get(key: Key): Value | undefined
  putSync(key: Key, value: Written): void
  removeSync(key: Key): void
  getRange(range: Range<Key>): Iterable<{ readonly key: Key; readonly value: Value }>
}

/** From `start`, included, to `end`, excluded. Reversed: from the higher `start` down. */
export interface Range<Key> {
  readonly start: Key
  readonly end: Key
  readonly limit?: number
  readonly reverse?: boolean
}

// Too many readers, no memory, too many open files: no fault of what is stored.
const SCARCE: ReadonlySet<unknown> = new Set([-30790, 12, 24])

/** The same table, whose reads throw `BAD_LOG` for whatever the library or a decoder stumbles over. */
export function guarded<Key, Value, Written>(table: Table<Key, Value, Written>): Table<Key, Value, Written> {
  return {
    get: key => {
      try {
        return table.get(key)
      } catch (thrown) {
        throw faultOf(thrown)
      }
    },
    *getRange(range) {
      try {
        yield* table.getRange(range)
      } catch (thrown) {
        throw faultOf(thrown)
      }
    },
    putSync: (key, value) => table.putSync(key, value),
    removeSync: key => table.removeSync(key),
  }
}

const faultOf = (thrown: unknown): unknown =>
  SCARCE.has((thrown as { code?: unknown } | undefined)?.code) ? thrown : damaged(thrown)

/** The error for a log that holds what nobody wrote there; as it is when it was said already. */
export function damaged(cause: unknown): IntegrityError {
  if (cause instanceof IntegrityError) return cause
  const what = `the embedded log is damaged: ${messageOf(cause)}`
  const mend = 'stop what runs on its data folder and put the folder back from a copy, or go on with another one'
  return new IntegrityError('BAD_LOG', what, mend, { cause })
}
