/** How owners of partitions end. */
import { FencedError, IntegrityError, InvariantError, UnavailableError } from '../errors.js'

/** How it ended: as asked, by another owner, because the log or we cannot be trusted, or at a record or definition. */
export type ActorEnd =
  { readonly why: 'stopped' | 'fenced' } | { readonly why: 'halted' | 'failed'; readonly error: unknown }

export function endOf(error: unknown): ActorEnd {
  if (error instanceof FencedError) return { why: 'fenced' }
  if (error instanceof IntegrityError || error instanceof InvariantError) return { why: 'halted', error }
  if (error instanceof UnavailableError && error.code === 'CLOSED') return { why: 'stopped' }
  return { why: 'failed', error }
}

export function stopped(): UnavailableError {
  return new UnavailableError('CLOSED', 'the owner of a partition was stopped', 'start it again')
}
