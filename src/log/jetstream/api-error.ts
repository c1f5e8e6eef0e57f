/** What the JetStream API refuses with, by its codes. */
import { DefinitionError, messageOf, StreamNodeError, UnavailableError } from '../../errors.js'

/** The server's codes for a stream and for a message that are not there. */
export const NO_STREAM = 10059
export const NO_MESSAGE = 10037
/** The server's codes for a limit of the account, or of the server, that leaves no room for another stream. */
const NO_ROOM: readonly unknown[] = [10002, 10023, 10027, 10028, 10047]

/** The JetStream API's code of an error, if it has one. */
export function codeOf(error: unknown): unknown {
  return (error as { code?: unknown } | undefined)?.code
}

/** Why the server did not make a stream or a bucket, in our words. */
export function notMade(what: string, error: unknown): StreamNodeError {
  if (error instanceof StreamNodeError) return error
  const said = `${what} cannot be made: ${messageOf(error)}`
  if (NO_ROOM.includes(codeOf(error))) {
    const mend = 'drop what is not needed, or raise the limit of the account or the server'
    return new UnavailableError('LOG_FULL', said, mend, { cause: error })
  }
  const mend =
    'look at the limits of the account, at the number of servers for the replicas, and at other streams with its subjects'
  return new DefinitionError('STREAM_DIFFERS', said, mend, { cause: error })
}
