/** What operators with memory ask before they touch it: whether a turn is on. */
import { DefinitionError } from '../errors.js'
import { ambient } from './operator.js'

/** Throws `BAD_PIPELINE` for a value that comes outside a turn, where no table may be changed. */
export function mustBeInTurn(where: string): void {
  if (ambient.on) return
  throw new DefinitionError(
    'BAD_PIPELINE',
    `a value came to ${where} outside a turn`,
    'a step before it gave it later, by a timer or a promise; take the twin of that step',
  )
}
