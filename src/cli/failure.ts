/**
 * How the command ends when it fails: one readable line with the mend on stderr, and an exit code that says what kind
 * of failure it was.
 */
import { DefinitionError, StreamNodeError, messageOf, type ErrorCode } from '../errors.js'
import { redact } from '../log/jetstream/servers.js'

/** What an exit code means. `docs/cli.md` lists them. */
export const exits = {
  ok: 0,
  failed: 1,
  usage: 2,
  unreachable: 3,
  integrity: 4,
  timedOut: 5,
  badConfig: 78,
} as const

/** The command was called wrongly: the fault is in the arguments. */
export class UsageError extends Error {
  override readonly name = 'UsageError'
  readonly code: string

  constructor(what: string, mend: string, code = 'USAGE') {
    super(mend === '' ? what : `${what}; ${mend}`)
    this.code = code
  }
}

/** A file that is to be run is wrong: no fault of the call or of a setting, whatever the code says of what is in it. */
export class FileFault extends DefinitionError {}

/** What should have gone to stdout cannot be written there: a full disk, for one. */
export class OutputError extends Error {
  override readonly name = 'OutputError'
  readonly code = 'STDOUT'

  constructor(cause: Error) {
    super(`stdout cannot be written (${cause.message}); see where it leads`, { cause })
  }
}

/** A failure in the middle of a work: where it happened, and what is done by then. */
export class Stopped extends Error {
  override readonly name = 'Stopped'
  constructor(
    readonly where: string,
    override readonly cause: unknown,
    readonly done: string,
  ) {
    super(where)
  }
}

/** The verb has said itself what failed: only the exit code is left to give. */
export class Told extends Error {
  override readonly name = 'Told'
  constructor(readonly exitCode: number) {
    super('told')
  }
}

const BY_CODE: Partial<Record<ErrorCode, number>> = {
  BAD_CREDENTIALS: exits.unreachable,
  PERMISSION_DENIED: exits.unreachable,
  BAD_TLS: exits.unreachable,
  NO_JETSTREAM: exits.unreachable,
  SERVER_TOO_OLD: exits.unreachable,
  NO_SERVER: exits.unreachable,
  DISCONNECTED: exits.unreachable,
  NOBODY_THERE: exits.unreachable,
  TIMED_OUT: exits.timedOut,
  BAD_NAME: exits.usage,
  BAD_OPTION: exits.badConfig,
  UNKNOWN_OPTION: exits.badConfig,
  BAD_DATA_FOLDER: exits.badConfig,
}

/** The exit code for what was thrown. */
export function exitCodeOf(thrown: unknown): number {
  if (thrown instanceof UsageError) return exits.usage
  if (thrown instanceof FileFault) return exits.failed
  if (thrown instanceof Told) return thrown.exitCode
  if (thrown instanceof Stopped) return exitCodeOf(thrown.cause)
  if (!(thrown instanceof StreamNodeError)) return exits.failed
  if (thrown.name === 'IntegrityError') return exits.integrity
  return BY_CODE[thrown.code] ?? exits.failed
}

/**
 * One line for people: what happened, the mend, the code in brackets; empty when all was said. What we did not foresee
 * comes with its trace.
 */
export function lineOf(thrown: unknown): string {
  if (thrown instanceof Told) return ''
  const error = thrown instanceof Stopped ? thrown.cause : thrown
  const [before, after] = thrown instanceof Stopped ? [`${thrown.where}: `, `; ${thrown.done}`] : ['', '']
  if (error instanceof UsageError || error instanceof OutputError) {
    return `${before}${oneLine(error.message)}${after} [${error.code}]`
  }
  // What code of the user threw may stand in it.
  if (error instanceof StreamNodeError) return `${before}${redact(oneLine(error.message))}${after} [${error.code}]`
  const what = `${before}${oneLine(messageOf(error))}${after}; this is a bug in stream-node, please report it [INVARIANT]`
  return redact(error instanceof Error && error.stack !== undefined ? `${what}\n${error.stack}` : what)
}

function oneLine(text: string): string {
  return text.replace(/\s*[\r\n]+\s*/g, ' ')
}
