/** What functions of users give to aggregates: checked, with errors that name the aggregate. */
import { inWords } from '../codec/guards.js'
import { RecordError } from '../errors.js'
import { badOption } from '../options.js'

/** Refuses anything but a function at definition; `which` is in words: `the function of sum`. */
export function mustBeFunction(which: string, given: unknown): void {
  if (typeof given !== 'function') throw badOption(which, 'a function', given)
}

/** A finite number; -0 as 0. The error says `sum "total": the function gave undefined, not a number`. */
export function numberFrom(where: string, given: number): number {
  if (Number.isFinite(given)) return given + 0
  throw misfit(where, given, 'a finite number')
}

/** What can be ordered and compared: a text, or a finite number; -0 as 0, as in a Set. */
export function scalarFrom<V extends string | number>(where: string, given: V): V {
  if (typeof given === 'string') return given
  if (Number.isFinite(given)) return given === 0 ? (0 as V) : given
  throw misfit(where, given, 'a text or a finite number')
}

function misfit(where: string, given: unknown, want: string): RecordError {
  const shown = typeof given === 'number' ? String(given) : inWords(given)
  const wanted = typeof given === 'number' ? want : want.replace('finite ', '')
  return new RecordError(
    'STEP_FAILED',
    `${where}: the function gave ${shown}, not ${wanted}`,
    `give ${want}, or filter such records out before`,
  )
}
