/** `publish`: values from the arguments or from stdin into a stream, at the pace of the log, and what came of each. */
import type { Client, Published } from '../client/client.js'
import type { PublishAllOptions } from '../client/publishing.js'
import { bytes } from '../codec/bytes.js'
import { DefinitionError, RecordError, StreamNodeError, messageOf } from '../errors.js'
import { idRule, keyRule, timeRule } from '../stream/derive.js'
import { settingsOf, stream, type Stream, type StreamOptions } from '../stream/stream.js'
import { countOf, timeOf } from './arguments.js'
import { Stopped, Told, UsageError, exits } from './failure.js'
import { interrupted } from './interrupt.js'
import { jsonOf, linesOf } from './lines.js'
import { linked } from './link.js'
import type { PublishFlags } from './flags.js'
import { Progress, counted, say, write } from './terminal.js'

/** Publishes the values, or stdin when there are none. Throws what stopped it, saying how far it came. */
export async function publish(name: string, values: readonly string[], flags: PublishFlags): Promise<void> {
  checkFlags(values, flags)
  const client = await linked(flags, { make: flags.create === true })
  try {
    const target = await targetOf(client, name, flags)
    const work = new Work(target, flags)
    await work.run(client, values.length > 0 ? argumentsAs(values) : stdinAs())
  } finally {
    await client.close()
  }
}

function checkFlags(values: readonly string[], flags: PublishFlags): void {
  const pairs = [
    ['--key', flags.key, '--key-field', flags.keyField],
    ['--id', flags.id, '--id-field', flags.idField],
    ['--time', flags.time, '--time-field', flags.timeField],
  ] as const
  for (const [one, a, other, b] of pairs) {
    if (a !== undefined && b !== undefined) throw new UsageError(`${one} and ${other} are given`, 'leave one out')
  }
  if (flags.id !== undefined && values.length !== 1) {
    throw new UsageError('--id is for one value, given as an argument', 'use --id-field for many')
  }
  creation(flags)
  if (flags.time !== undefined) timeOf('--time', flags.time)
  if (flags.create) return
  for (const [flag, value] of [
    ['--partitions', flags.partitions],
    ['--codec', flags.codec],
  ] as const) {
    if (value !== undefined) throw new UsageError(`${flag} says how to make a stream`, 'add --create, or leave it out')
  }
}

/** The stream as it is kept, or a new one with `--create`. */
async function targetOf(client: Client, name: string, flags: PublishFlags): Promise<Stream<unknown>> {
  const options = creation(flags)
  // A stream that is there already has its own settings: the flags of --create must agree with it, or be absent.
  const there = await client.stream(name).catch((error: unknown) => {
    if (!(error instanceof StreamNodeError) || error.code !== 'NO_SUCH_STREAM') throw error
    if (flags.create) return undefined
    const near = /did you mean .*/.exec(error.message)?.[0]
    const mend = near === undefined ? '--create makes it' : `${near} --create makes a new one`
    throw new DefinitionError('NO_SUCH_STREAM', `there is no stream "${name}"`, mend, { cause: error })
  })
  if (there === undefined) return stream(name, options)
  const { partitions = there.partitions, codec } = options
  const kept = settingsOf(there).codec.name
  if (partitions !== there.partitions) {
    const what = `stream "${name}" exists with ${there.partitions} partitions, not ${partitions}`
    throw new DefinitionError('STREAM_DIFFERS', what, 'leave --partitions out, or use another stream')
  }
  if (codec !== undefined && codec.name !== kept) {
    const what = `stream "${name}" exists with the codec ${kept}, not ${codec.name}`
    throw new DefinitionError('CODEC_DIFFERS', what, 'leave --codec out, or use another stream')
  }
  if (flags.key === undefined && flags.keyField === undefined) await checkKeyRule(client, there)
  return there
}

function creation(flags: PublishFlags): StreamOptions<unknown> {
  const { codec, keyField, timeField, idField } = flags
  if (codec !== undefined && codec !== 'json' && codec !== 'bytes') {
    throw new UsageError(`--codec must be json or bytes, but is ${codec}`, 'a program can make streams of other codecs')
  }
  return {
    ...(flags.partitions !== undefined && {
      partitions: countOf('--partitions', flags.partitions, { min: 1, max: 4096 }),
    }),
    ...(codec === 'bytes' && { codec: bytes() }),
    ...(keyField !== undefined && { key: keyField }),
    ...(timeField !== undefined && { time: timeField }),
    ...(idField !== undefined && { id: idField }),
  }
}

/** Records without their key would go anywhere, and the order of each key with them. */
async function checkKeyRule(client: Client, target: Stream<unknown>): Promise<void> {
  if (settingsOf(target).key !== undefined) return
  const { key } = await client.describe(target)
  if (key === null) return
  const what = `the key of stream "${target.name}" is a function that only its program knows`
  throw new DefinitionError('BAD_KEY', what, 'say where the key is: --key-field <field>, or --key <text> for all')
}

/** Bytes on their way to become a value, and where they stood. */
interface Raw {
  readonly where: string
  readonly bytes: Buffer
}

async function* argumentsAs(values: readonly string[]): AsyncGenerator<readonly Raw[], void> {
  yield values.map((value, i) => ({ where: `value ${i + 1}`, bytes: Buffer.from(value) }))
}

async function* stdinAs(): AsyncGenerator<readonly Raw[], void> {
  if (process.stdin.isTTY) say('reading one value a line from the terminal; Ctrl-D ends it')
  for await (const lines of linesOf(process.stdin)) {
    yield lines.map(line => ({ where: `line ${line.number}`, bytes: line.bytes }))
  }
}

/** One run: the values on their way, and what is known of them. */
class Work {
  readonly #target: Stream<unknown>
  readonly #flags: PublishFlags
  readonly #progress = new Progress('published')
  readonly #answers: Answers | undefined
  readonly #stop = interrupted()
  /** Where the values on their way stood, by index. */
  readonly #places = new Map<number, string>()
  #taken = 0
  #stored = 0
  #bad: { readonly where: string; readonly why: string } | undefined

  constructor(target: Stream<unknown>, flags: PublishFlags) {
    this.#target = target
    this.#flags = flags
    if (flags.output === 'jsonl') this.#answers = new Answers()
  }

  async run(client: Client, input: AsyncIterable<readonly Raw[]>): Promise<void> {
    const { name } = this.#target
    let repeats
    try {
      const result = await client.publishAll(this.#target, this.#values(input), this.#options())
      repeats = result.repeats
    } catch (error) {
      const index = error instanceof StreamNodeError ? error.facts['index'] : undefined
      const place = typeof index === 'number' ? this.#places.get(index) : undefined
      throw place === undefined ? error : new Stopped(place, error, this.#done())
    } finally {
      this.#progress.clear()
      await this.#answers?.flush()
    }
    if (this.#bad !== undefined) {
      const fault = new RecordError('BAD_BYTES', this.#bad.why, 'mend it')
      throw new Stopped(this.#bad.where, fault, this.#done())
    }
    if (this.#flags.output === 'json') {
      await write(`${JSON.stringify({ stream: name, records: this.#stored, repeats })}\n`)
    }
    const were = repeats === 0 ? '' : `, ${counted(repeats, 'record')} of them there already`
    const summary = `published ${this.#progress.rate(this.#stored)}, to "${name}"${were}`
    say(summary)
    if (!this.#stop.aborted) return
    say('interrupted: the rest of the input was not published')
    throw new Told(exits.failed)
  }

  #done(): string {
    return this.#stored === 0
      ? 'nothing was published'
      : `${counted(this.#stored, 'record')} before it ${this.#stored === 1 ? 'is' : 'are'} published`
  }

  async *#values(input: AsyncIterable<readonly Raw[]>): AsyncGenerator<unknown, void> {
    const raw = settingsOf(this.#target).codec.name === 'bytes'
    const halt = () => process.stdin.destroy()
    this.#stop.addEventListener('abort', halt, { once: true })
    try {
      for await (const chunk of input) {
        for (const { where, bytes } of chunk) {
          if (this.#stop.aborted) return
          let value: unknown = bytes
          try {
            if (!raw) value = jsonOf(bytes)
          } catch (error) {
            this.#bad = { where, why: messageOf(error) }
            return
          }
          this.#places.set(this.#taken++, where)
          const room = this.#answers?.room()
          if (room !== undefined) await room
          yield value
        }
      }
    } catch (error) {
      if (!this.#stop.aborted) this.#bad = { where: 'the input', why: messageOf(error) }
    }
  }

  #options(): PublishAllOptions<unknown> {
    const { key, id, time, keyField, idField, timeField } = this.#flags
    const where = `stream "${this.#target.name}"`
    const keyOf = keyRule(where, keyField)?.of
    const idOf = idRule(where, idField)?.of
    const timeFrom = timeRule(where, timeField)?.of
    const at = time === undefined ? undefined : timeOf('--time', time)
    return {
      ...(key !== undefined && { key: () => key }),
      ...(keyOf !== undefined && { key: keyOf }),
      ...(id !== undefined && { id: () => id }),
      ...(idOf !== undefined && { id: idOf }),
      ...(at !== undefined && { time: () => at }),
      ...(timeFrom !== undefined && { time: timeFrom }),
      onStored: (published, index) => {
        this.#stored++
        this.#answers?.add(this.#places.get(index) ?? '', published)
        this.#places.delete(index)
        this.#progress.show(this.#stored)
      },
    }
  }
}

const ANSWERS_BYTES_MAX = 64 * 1024

/** One line on stdout for each record stored, gathered so that many go out at once. */
class Answers {
  #text = ''
  #writing: Promise<void> | undefined

  add(where: string, { partition, position, repeat }: Published): void {
    const line = Number(/^line (\d+)$/.exec(where)?.[1]) || undefined
    this.#text += `${JSON.stringify({ line, partition, position, repeat })}\n`
    if (this.#writing === undefined) this.#writing = this.#write()
  }

  /** Undefined when more may come, else a promise for when. */
  room(): Promise<void> | undefined {
    return this.#text.length < ANSWERS_BYTES_MAX ? undefined : this.#writing
  }

  async flush(): Promise<void> {
    while (this.#writing !== undefined) await this.#writing
  }

  async #write(): Promise<void> {
    while (this.#text !== '') {
      await new Promise(setImmediate)
      const text = this.#text
      this.#text = ''
      await write(text)
    }
    this.#writing = undefined
  }
}
