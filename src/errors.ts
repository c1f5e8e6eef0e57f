/**
 * Every error we throw, grouped by what happens next. The class tells the caller what to do, the `code` names the
 * case for ever, and the message has two parts: what happened, and the mend. `docs/reference/errors.md` lists every
 * code; a test holds the two lists together.
 */

/** The codes, by class. A code never changes its meaning; a new case gets a new code. */
export const errorCodes = {
  DefinitionError: [
    'UNKNOWN_OPTION', // an option nobody reads, with the nearest one that exists
    'BAD_OPTION', // an option with a wrong type or value
    'BAD_NAME', // a name that the log cannot carry
    'BAD_KEY', // a key function that gave no text
    'BAD_TIME', // a time function that gave no time
    'BAD_ID', // an id that the log cannot carry
    'STREAM_DIFFERS', // a stream that exists with other settings than those asked for
    'BAD_PIPELINE', // a pipeline that cannot run as it is written
    'BAD_MODULE', // a file of pipelines that cannot be loaded, or has none in it
    'PIPELINE_DIFFERS', // a pipeline whose memory was written by another version of it
    'PIPELINE_RUNS', // a pipeline that a node runs, and that must stand still for what is asked
    'RESET_UNFINISHED', // a pipeline of which a reset was begun and not finished
    'NO_SUCH_PIPELINE', // a pipeline that never ran on this log
    'NO_SUCH_LETTER', // a dead letter that is not there
    'NOT_STORABLE', // state that no ledger can hold
    'NO_SUCH_STREAM', // a stream that does not exist and was not to be made
    'READ_ONLY_STREAM', // an append to a stream that others own
    'RECORD_TOO_LARGE', // a record above the server's limit
    'CODEC_DIFFERS', // a stream written with another codec than the one that reads it
    'NO_SCHEMA', // a codec that needs a schema and got none
    'BAD_SCHEMA', // an Avro schema that is wrong, or that we refuse to read with
    'NO_SUCH_POSITION', // a position beyond the end of a stream
    'NOT_PAUSED', // a partition that was to go on, and that nothing holds up
    'BAD_CREDENTIALS', // the server refuses who we say we are
    'PERMISSION_DENIED', // the server knows us, and forbids it
    'BAD_TLS', // certificates that do not fit
    'NO_JETSTREAM', // a server without JetStream, or an account without it
    'SERVER_TOO_OLD', // a server below the oldest we can trust
    'UNSAFE_SERVER', // a server that stores what it must refuse
    'DATA_FOLDER_IN_USE', // another node runs on this data folder
    'BAD_DATA_FOLDER', // a data folder that holds something else, or that cannot be read or written
  ],
  UnavailableError: [
    'DISCONNECTED', // no link to the log at the moment
    'NO_SERVER', // nothing answers at the address
    'TIMED_OUT', // no answer in time: what was asked may or may not have happened
    'NOBODY_THERE', // nobody serves this subject
    'LOG_FULL', // the disk or a limit of the stream is full
    'CLOSED', // used after close
    'ANSWERED_WITH_ERROR', // the other side got the request and failed at it
    'SINK_FAILED', // a sink that could not write what it was given; it is tried again
    'STUCK', // a partition that has something to do and gets nowhere
  ],
  RetryableError: [
    'RETRYABLE', // a step says that what failed may soon be well
  ],
  RecordError: [
    'BAD_BYTES', // bytes that the codec cannot read
    'INVALID_VALUE', // a value that the schema or the codec refuses
    'UNKNOWN_SCHEMA', // a record written under a schema that the log does not keep
    'INCOMPATIBLE_SCHEMA', // a record written under a schema that cannot be read as the stream's
    'STEP_FAILED', // a record at which a step of a pipeline threw
    'TOO_MANY_OUTPUTS', // a record of which a step makes more than one entry can hold
    'TOO_DEEP_OR_LARGE', // a record that would cost more than the guards allow
    'KILLS_PROCESS', // a record at which the process ended, each time it was tried
  ],
  FencedError: [
    'FENCED', // another owner has claimed this
  ],
  IntegrityError: [
    'OVERRUN', // records that were still to be read are gone from the log
    'STREAM_RECREATED', // the stream was deleted and made anew under us
    'LOG_REWOUND', // the log lost or took back what it had acknowledged
    'BAD_LOG', // the log holds something that we never wrote
  ],
  InvariantError: [
    'INVARIANT', // our bug
  ],
} as const

type Codes = typeof errorCodes
export type ErrorCode = Codes[keyof Codes][number]

/** What an error carries beside its message. */
export interface ErrorDetails {
  readonly cause?: unknown
  /** Plain facts for logs and programs: names, positions, sizes. Never a secret. */
  readonly facts?: Readonly<Record<string, unknown>>
}

/** The base of all; catch by class or by `code`. */
export abstract class StreamNodeError extends Error {
  abstract override readonly name: keyof Codes
  readonly code: ErrorCode
  readonly facts: Readonly<Record<string, unknown>>

  protected constructor(code: ErrorCode, what: string, mend: string, details: ErrorDetails = {}) {
    super(mend === '' ? what : `${what}; ${mend}`, details.cause === undefined ? undefined : { cause: details.cause })
    this.code = code
    this.facts = details.facts ?? {}
  }
}

/** You mend it: a definition, an option, a setting or a permission is wrong. Trying again changes nothing. */
export class DefinitionError extends StreamNodeError {
  override readonly name = 'DefinitionError'
  constructor(code: Codes['DefinitionError'][number], what: string, mend: string, details?: ErrorDetails) {
    super(code, what, mend, details)
  }
}

/** The log or a peer is out of reach for now. It is safe to try again; the framework does. */
export class UnavailableError extends StreamNodeError {
  override readonly name = 'UnavailableError'
  constructor(code: Codes['UnavailableError'][number], what: string, mend: string, details?: ErrorDetails) {
    super(code, what, mend, details)
  }
}

/**
 * For steps of pipelines to throw when what they lack may soon be there: the record is tried again, with the waits of
 * `onError.retry`, before it counts as one that cannot be processed.
 */
export class RetryableError extends StreamNodeError {
  override readonly name = 'RetryableError'
  constructor(what: string, details?: ErrorDetails) {
    super('RETRYABLE', what, '', details)
  }
}

/** One record cannot be read or written. Its neighbours are well. */
export class RecordError extends StreamNodeError {
  override readonly name = 'RecordError'
  constructor(code: Codes['RecordError'][number], what: string, mend: string, details?: ErrorDetails) {
    super(code, what, mend, details)
  }
}

/** Another owner has taken over: stop quietly. */
export class FencedError extends StreamNodeError {
  override readonly name = 'FencedError'
  constructor(what: string, details?: ErrorDetails) {
    super('FENCED', what, 'this owner stops; nothing is to be done', details)
  }
}

/** The log lost or changed what it had acknowledged. We stop there; a person decides. */
export class IntegrityError extends StreamNodeError {
  override readonly name = 'IntegrityError'
  constructor(code: Codes['IntegrityError'][number], what: string, mend: string, details?: ErrorDetails) {
    super(code, what, mend, details)
  }
}

/** A bug of ours. It stops loudly. */
export class InvariantError extends StreamNodeError {
  override readonly name = 'InvariantError'
  constructor(what: string, details?: ErrorDetails) {
    super('INVARIANT', what, 'this is a bug in stream-node; please report it with this message', details)
  }
}

/** Text for a log or a message, from whatever was thrown: it may be an object that has none, or no text as its message. */
export function messageOf(thrown: unknown): string {
  try {
    return String(thrown instanceof Error ? thrown.message : thrown)
  } catch {
    return 'something was thrown that has no text'
  }
}
