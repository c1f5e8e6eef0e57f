/** What no kind of log takes, said in the same words by all: checked before a record is sent. */
import { DefinitionError } from '../errors.js'
import type { Append } from './log.js'
import { headerFault } from './record.js'

const ID_LENGTH_MAX = 500
const VISIBLE_ASCII = /^[!-~]+$/

/** The error for a record that can never be appended, or undefined. */
export function appendFault(
  { partition, id, headers, expect }: Append,
  partitions: number,
): DefinitionError | undefined {
  if (!(partition >= 0 && partition < partitions) || partition % 1 !== 0) {
    return denied(`there is no partition ${partition}: they are numbered from 0 to ${partitions - 1}`, 'change it')
  }
  if (id !== undefined && (id.length > ID_LENGTH_MAX || !VISIBLE_ASCII.test(id))) {
    return denied(`the id must be 1 to ${ID_LENGTH_MAX} visible ASCII characters`, 'change the id')
  }
  if (expect !== undefined && id === undefined) {
    return denied('an append with an expectation needs an id', 'name it after the ordinal in its partition')
  }
  for (const name in headers) {
    const fault = headerFault(name, headers[name] as string)
    if (fault !== undefined) return denied(fault, 'change the header')
  }
  return undefined
}

function denied(what: string, mend: string): DefinitionError {
  return new DefinitionError('BAD_OPTION', what, mend)
}
