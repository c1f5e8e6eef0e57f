/** `publish`: values from the arguments or from stdin into a stream, at the pace of the log, and what came of each. */
import { fstatSync } from 'node:fs'
import type { Client } from '../client/client.js'
import type { PublishAllOptions } from '../client/publishing.js'
import { RecordError, StreamNodeError, messageOf } from '../errors.js'
import { checkedId, idRule, keyRule, timeRule } from '../stream/derive.js'
import { settingsOf, type Stream } from '../stream/stream.js'
import { Answers } from './answers.js'
import { timeOf } from './arguments.js'
import { Stopped, Told, UsageError, exits } from './failure.js'
import { interrupted } from './interrupt.js'
import { jsonOf, linesOf } from './lines.js'
import { asUsage, linked } from './link.js'
import type { PublishFlags } from './flags.js'
import { creation, targetOf } from './target.js'
import { Patience } from './patience.js'
import { Progress, counted, say, write } from './terminal.js'

/** Publishes the values, or stdin when there are none. Throws what stopped it, saying how far it came. */
export async function publish(name: string, values: readonly string[], flags: PublishFlags): Promise<void> {
  checkFlags(values, flags)
  if (values.length === 0) checkInput(process.stdin.fd)
  const client = await linked(flags, { make: flags.create === true })
  try {
    const target = await targetOf(client, name, flags)
    const work = new Work(target, flags)
    await work.run(client, values.length > 0 ? argumentsAs(values) : stdinAs(isRaw(target)))
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
  asUsage(() => flags.id !== undefined && checkedId('publish', '--id', flags.id))
  if (flags.time !== undefined) timeOf('--time', flags.time)
  if (flags.create) return
  for (const [flag, value] of [
    ['--partitions', flags.partitions],
    ['--codec', flags.codec],
  ] as const) {
    if (value !== undefined) throw new UsageError(`${flag} says how to make a stream`, 'add --create, or leave it out')
  }
}

/** Throws for a folder in place of the input: it would read as an empty one. */
export function checkInput(fd: number): void {
  if (fstatSync(fd).isDirectory()) throw new UsageError('stdin is a folder', 'give it a file, as in "publish < file"')
}

/** Bytes on their way to become a value, and where they stood. */
interface Raw {
  readonly where: string
  readonly bytes: Buffer
}

/** Whether the bytes are the records, and not JSON for them. */
function isRaw(target: Stream<unknown>): boolean {
  return settingsOf(target).codec.name === 'bytes'
}

async function* argumentsAs(values: readonly string[]): AsyncGenerator<readonly Raw[], void> {
  yield values.map((value, i) => ({ where: `value ${i + 1}`, bytes: Buffer.from(value) }))
}

async function* stdinAs(raw: boolean): AsyncGenerator<readonly Raw[], void> {
  if (process.stdin.isTTY) say('reading one value a line from the terminal; Ctrl-D ends it')
  for await (const lines of linesOf(process.stdin, raw)) {
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
  readonly #patience: Patience
  /** Where the values on their way stood, by index. */
  readonly #places = new Map<number, string>()
  #taken = 0
  #stored = 0
  #bad: { readonly where: string; readonly why: string } | undefined

  constructor(target: Stream<unknown>, flags: PublishFlags) {
    this.#target = target
    this.#flags = flags
    this.#patience = new Patience(flags.timeout, 'the answer of the log')
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
      throw new Stopped(place ?? 'stopped', error, this.#done())
    } finally {
      this.#patience.close()
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
    const raw = isRaw(this.#target)
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
          this.#patience.awaits()
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
      signal: this.#patience.signal,
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
        this.#patience.came(this.#places.size > 0)
        this.#progress.show(this.#stored)
      },
    }
  }
}
