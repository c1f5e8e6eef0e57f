/** Where the values go that come out of a chain: encoded for the targets they are written to, gathered until the turn ends. */
import { DefinitionError, InvariantError, RecordError } from '../errors.js'
import { ambient } from '../operators/operator.js'
import { deadLettersName } from '../stream/dead-letters.js'
import type { Key } from '../stream/key.js'
import { isSink, targetName, type Sink, type Writable } from '../stream/sink.js'
import { isStream, settingsOf, type Stream } from '../stream/stream.js'
import type { Framer } from '../stream/wire.js'
import type { Choose } from './definition.js'
import type { Stage } from './plan.js'
import type { Trace } from './segment.js'

/** A stream or a sink that is open for outputs. */
export interface TurnTarget {
  readonly index: number
  readonly to: Writable
  readonly wire: Framer<unknown>
}

/** A value that the steps gave, encoded. */
export interface Output {
  readonly target: TurnTarget
  readonly partition: number
  /** Only where a reader could not derive it; the time likewise. */
  readonly key?: Key | undefined
  readonly time?: number | undefined
  readonly payload: Uint8Array
}

/** A stream was chosen that is not open yet. Whoever catches it undoes the turn and opens the stream. */
export class NotOpen extends Error {
  constructor(readonly stream: Stream<unknown>) {
    super(`stream "${stream.name}" is not open`)
  }
}

export class Outlet {
  outputs: Output[] = []
  bytes = 0
  /** Whether a stream that is open takes the key of the record at hand, having no rule of its own; the time likewise. */
  asksKey = false
  asksTime = false
  /** Whether the record at hand has a key. */
  keyed = false

  /** How much there was when the record at hand began, and when its message did. */
  #outputsBefore = 0
  #bytesBefore = 0
  readonly #stage: Stage
  readonly #trace: Trace
  readonly #open = new Map<string, Opened>()
  /** What `frame` is asked with, made once. */
  readonly #about: { key: Key | undefined; time: number | undefined } = { key: undefined, time: undefined }

  constructor(stage: Stage, trace: Trace, targets: readonly TurnTarget[]) {
    this.#stage = stage
    this.#trace = trace
    for (const target of targets) this.add(target)
  }

  add(target: TurnTarget): void {
    const { to } = target
    const { key, time } = isSink(to) ? NO_RULES : settingsOf(to)
    const opened: Opened = { target, where: this.#where(to), takesKey: !key, takesTime: !time }
    this.#open.set(targetName(to), opened)
    this.asksKey ||= opened.takesKey
    this.asksTime ||= opened.takesTime
  }

  /** What takes the values. It throws `NotOpen`, or what the rules and the codec of a target throw. */
  give(): (value: unknown) => void {
    const { choose, targets, sinks } = this.#stage
    if (choose !== undefined) return value => this.#choose(choose, value)
    const target = (targets[0] ?? sinks[0]) as Writable
    return value => this.#write(this.#opened(target), value)
  }

  /** Writes to a partition of a stream what is encoded already, in at most so many bytes. Throws `NotOpen`. */
  letter(stream: Stream<unknown>, partition: number, encode: (bytesMax: number) => Uint8Array): void {
    const { target } = this.#opened(stream)
    const payload = encode(target.wire.limits.recordBytesMax - HEADERS_BYTES)
    this.outputs.push({ target, partition, payload })
    this.bytes += payload.length
  }

  /** The next message begins. */
  begin(): void {
    this.#bytesBefore = this.bytes
    this.beginRecord()
  }

  /** The next record begins, of a message that may hold many; what comes of a message stands in one entry. */
  beginRecord(): void {
    this.#outputsBefore = this.outputs.length
  }

  /** What comes now is of no record: there may be any number. */
  end(): void {
    this.#outputsBefore = Infinity
    this.#bytesBefore = Infinity
  }

  /** Takes back what came after the first `count` outputs. */
  keep(count: number, bytes: number): void {
    this.outputs.length = count
    this.bytes = bytes
  }

  #choose(choose: Choose<unknown>, value: unknown): void {
    let chosen: unknown
    try {
      chosen = choose(value)
      if (chosen === undefined) return
      if (Array.isArray(chosen)) for (const one of chosen) this.#check(one)
      else this.#check(chosen)
    } catch (thrown) {
      this.#trace.where ??= this.#where()
      throw thrown
    }
    // All are opened before anything is written, and each opening is a walk.
    if (!Array.isArray(chosen)) this.#write(this.#opened(chosen), value)
    else for (const one of chosen as Writable[]) this.#write(this.#opened(one), value)
  }

  #check(chosen: unknown): asserts chosen is Writable {
    const { pipeline, sources } = this.#stage
    if (isSink(chosen)) return this.#checkSink(chosen)
    if (!isStream(chosen)) {
      const what = `what is given to to() chose ${chosen === null ? 'null' : `a value of type ${typeof chosen}`}`
      throw new DefinitionError(
        'BAD_PIPELINE',
        what,
        'choose a stream or a sink, an array of them, or undefined for none',
      )
    }
    if (settingsOf(chosen).source !== undefined) {
      const what = `it chose "${chosen.name}", which reads a stream that others write`
      throw new DefinitionError('READ_ONLY_STREAM', what, 'choose streams of your own')
    }
    const isLetters = chosen.name === deadLettersName(pipeline)
    if (!isLetters && sources.every(({ name }) => name !== chosen.name)) return
    const why = isLetters
      ? 'the stream of its own dead letters'
      : `a source of pipeline "${pipeline}", which would never end`
    throw new DefinitionError('BAD_PIPELINE', `it chose "${chosen.name}", ${why}`, 'choose other streams')
  }

  /** No record is at fault where the definition is: the next owner would not know where to write what it finds. */
  #checkSink(chosen: Sink<unknown>): void {
    if (this.#stage.sinks.includes(chosen)) return
    const { name } = chosen
    const isAnother = this.#stage.sinks.some(sink => sink.name === name)
    const what = isAnother ? `another sink "${name}" than the one` : `sink "${name}", and that is not among those`
    const mend = 'name it there, as to(value => ..., { sinks: [...] }), and make it once, outside the function'
    this.#trace.misuse ??= new DefinitionError('BAD_PIPELINE', `${this.#where()} chose ${what} that it names`, mend)
    throw this.#trace.misuse
  }

  #opened(to: Writable): Opened {
    const opened = this.#open.get(targetName(to))
    if (opened !== undefined) return opened
    // All sinks are open from the start.
    throw isSink(to) ? new InvariantError(`sink "${to.name}" is not open`) : new NotOpen(to)
  }

  #write({ target, where, takesKey, takesTime }: Opened, value: unknown): void {
    try {
      if (value === undefined) throw new TypeError('undefined came out of the last step, and nothing can carry it')
      if (value instanceof Promise) throw promised(value)
      const about = this.#about
      about.key = takesKey && this.keyed ? ambient.key : undefined
      about.time = takesTime ? ambient.time : undefined
      const { partition, key, time, payload } = target.wire.frame(value, about)
      const bytesMax = target.wire.limits.recordBytesMax - HEADERS_BYTES
      if (payload.length + KEY_ESCAPE * (key?.length ?? 0) > bytesMax) throw tooLarge(target, payload, bytesMax)
      if (this.outputs.length - this.#outputsBefore >= OF_RECORD_MAX) throw tooMany(`${OF_RECORD_MAX} outputs`)
      if (this.bytes - this.#bytesBefore > BYTES_OF_RECORD_MAX) throw tooMany('64 MB of outputs')
      this.outputs.push({ target, partition, key, time, payload })
      this.bytes += payload.length
    } catch (thrown) {
      this.#trace.where ??= where
      throw thrown
    }
  }

  #where(to?: Writable): string {
    const name = to && `${isSink(to) ? 'sink ' : ''}"${to.name}"`
    return `${name === undefined ? 'to(...)' : `to ${name}`} of pipeline "${this.#stage.pipeline}"`
  }
}

/** Of an async function, most often. Nobody looks at it any more, and what it rejects with must not end the process. */
function promised(value: Promise<unknown>): TypeError {
  value.catch(() => {})
  return new TypeError('a promise came out of the last step, and a turn waits for none: steps give values at once')
}

/** What may come of one record, which all stands in one entry. More would be a step without an end. */
const OF_RECORD_MAX = 100_000
const BYTES_OF_RECORD_MAX = 64 * 1024 * 1024

function tooMany(what: string): RecordError {
  const mend = 'if that is no mistake, publish them as records of a stream of their own'
  return new RecordError('TOO_MANY_OUTPUTS', `more than ${what} came of one record`, mend)
}

/** What the log counts beside the payload: the id and the other headers. */
const HEADERS_BYTES = 1024
/** How much longer a key may be in a header. */
const KEY_ESCAPE = 9

/** Found here it costs one record; once it was committed, the log would refuse it for ever. */
function tooLarge({ to }: TurnTarget, { length }: Uint8Array, bytesMax: number): DefinitionError {
  const what = `an output for stream "${to.name}" has ${length} bytes, and with its headers the log takes ${bytesMax}`
  const mend = "make it smaller, or raise the server's max_payload"
  return new DefinitionError('RECORD_TOO_LARGE', what, mend, { facts: { bytes: length, bytesMax } })
}

/** A sink takes key and time as they are. */
const NO_RULES = { key: undefined, time: undefined }

interface Opened {
  readonly target: TurnTarget
  readonly where: string
  readonly takesKey: boolean
  readonly takesTime: boolean
}
