/** `tail`: the records of a stream to stdout, at the pace of whoever reads it. */
import type { ReadingOptions } from '../client/reading.js'
import { partitionOf } from '../stream/partitioner.js'
import type { Stream } from '../stream/stream.js'
import type { StreamRecord } from '../stream/record.js'
import { countOf, placeOf } from './arguments.js'
import { exits, Told, UsageError } from './failure.js'
import { interrupted } from './interrupt.js'
import { linked } from './link.js'
import type { TailFlags } from './flags.js'
import { Patience } from './patience.js'
import { plain, visible } from './shown.js'
import { counted, readerGone, say, write } from './terminal.js'

/** Prints until the end, the limit, a signal, or until nobody reads it any more. */
export async function tail(name: string, flags: TailFlags): Promise<void> {
  const from = placeOf('--from', flags.from)
  const limit = flags.limit === undefined ? Infinity : countOf('--limit', flags.limit, { min: 1 })
  const partition = flags.partition === undefined ? undefined : countOf('--partition', flags.partition)
  const stop = interrupted(readerGone)
  const follow = flags.follow ?? from === 'end'
  const client = await linked(flags)
  const show = PRINTERS[flags.output]
  const patience = new Patience(flags.timeout, 'the next records of the log')
  let bad = 0
  let shown = 0
  let keyless = 0
  try {
    const stream = await client.stream(name)
    const mine = partitionFor(stream, partition, flags.key)
    const options: ReadingOptions = {
      from,
      follow,
      signal: AbortSignal.any([stop, patience.signal]),
      ...(mine !== undefined && { partition: mine }),
      onBadRecord(error) {
        bad++
        say(error.message)
      },
    }
    await write(show.head)
    if (!follow) patience.awaits()
    for await (const { records } of client.read(stream, options).batches()) {
      patience.came(false)
      let text = ''
      for (const record of records) {
        if (record.key === undefined) keyless++
        if (flags.key !== undefined && record.key !== flags.key) continue
        text += show.line(record, shown++ === 0)
        if (shown >= limit) break
      }
      if (text !== '') await write(text)
      if (shown >= limit) break
      if (!follow) patience.awaits()
    }
  } catch (error) {
    if (!stop.aborted) throw error
  } finally {
    patience.close()
    await write(show.foot)
    await client.close()
  }
  if (flags.key !== undefined && shown === 0 && keyless > 0) {
    say(
      `no record says that its key is ${JSON.stringify(flags.key)}; ${counted(keyless, 'record')} say none, perhaps only their program knows`,
    )
  }
  if (bad === 0) return
  say(`${counted(bad, 'record')} could not be read and ${bad === 1 ? 'was' : 'were'} left out`)
  throw new Told(exits.failed)
}

/** The partition to read, when only one can hold what is asked for. */
function partitionFor({ name, partitions }: Stream<unknown>, asked: number | undefined, key: string | undefined) {
  if (asked !== undefined && asked >= partitions) {
    throw new UsageError(`--partition is ${asked}, but stream "${name}" has ${partitions}`, 'they count from 0')
  }
  if (key === undefined) return asked
  const own = partitionOf(key, partitions)
  if (asked === undefined || asked === own) return own
  throw new UsageError(`the key ${JSON.stringify(key)} is in partition ${own}, not ${asked}`, 'leave --partition out')
}

interface Printer {
  readonly head: string
  readonly foot: string
  line(record: StreamRecord<unknown>, first: boolean): string
}

const PRINTERS: Readonly<Record<TailFlags['output'], Printer>> = {
  text: { head: '', foot: '', line: textOf },
  json: {
    head: '[',
    foot: '\n]\n',
    line: (record, first) => `${first ? '' : ','}\n${jsonOf(record)}`,
  },
  jsonl: { head: '', foot: '', line: record => `${jsonOf(record)}\n` },
}

/** Time, partition and position, key, value: with tabs between. */
function textOf(record: StreamRecord<unknown>): string {
  const { time, partition, position, key = '-', value } = record
  const when = Math.abs(time) <= 8.64e15 ? new Date(time).toISOString() : String(time)
  const what = value instanceof Uint8Array ? Buffer.from(value).toString('utf8') : JSON.stringify(value, plain)
  return `${when}\t${partition}/${position}\t${visible(key)}\t${visible(what)}\n`
}

function jsonOf(record: StreamRecord<unknown>): string {
  const { partition, position, time, key, id, headers, value } = record
  const some = Object.keys(headers).length > 0
  return JSON.stringify({ partition, position, time, key, id, ...(some && { headers }), value }, plain)
}
