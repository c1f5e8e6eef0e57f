/** One record as users see it: its value, and what the wire and the stream's rules say about it. */
import { inspect } from 'node:util'
import type { LogRecord, Position } from '../log/record.js'
import type { Key } from './key.js'

/** One record of a stream. */
export class StreamRecord<out T> {
  readonly #from: LogRecord

  constructor(
    readonly value: T,
    /** Undefined when the record brings none and the stream has no rule for it, or one that only code knows. */
    readonly key: Key | undefined,
    /** When it happened, in ms since 1970: as the record says, else by the stream's rule, else when the log took it. */
    readonly time: number,
    readonly partition: number,
    /** Grows within a stream; the records of one batch share theirs. */
    readonly position: Position,
    from: LogRecord,
    private readonly own?: Readonly<Record<string, string>>,
  ) {
    this.#from = from
  }

  /** What the log drops repeats by, if it has one; the records of one batch share theirs. */
  get id(): string | undefined {
    return this.#from.id
  }

  /** The headers that its publisher gave, `traceparent` among them. */
  get headers(): Readonly<Record<string, string>> {
    if (this.own !== undefined) return this.own
    if (this.#from.head.length === 0) return NONE
    return Object.fromEntries(Object.entries(this.#from.headers()).filter(([name]) => !isReserved(name)))
  }

  toJSON(): object {
    const { key, value, time, partition, position, id, headers } = this
    return { key, value, time, partition, position, id, headers }
  }

  [inspect.custom](): object {
    return this.toJSON()
  }
}

const NONE: Readonly<Record<string, string>> = Object.freeze(Object.create(null) as Record<string, string>)

/** Whether a header's name is kept for NATS or for us. */
export function isReserved(name: string): boolean {
  return /^(nats|sn)-/i.test(name)
}
