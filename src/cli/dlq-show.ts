/** `dlq show`: all that one dead letter says, with its bytes as the stream's kept definition reads them. */
import type { OpenLog } from '../client/connect.js'
import { DefinitionError, messageOf } from '../errors.js'
import { isGone, recordAt } from '../log/record-at.js'
import { START, type LogRecord, type Position } from '../log/record.js'
import {
  deadLettersName,
  isResolution,
  letterIn,
  recordOf,
  type DeadLetter,
  type Resolution,
} from '../stream/dead-letters.js'
import { BUCKET } from '../stream/kept.js'
import { Streams } from '../stream/open.js'
import { isoOf } from './dlq.js'
import type { DlqFlags } from './flags.js'
import { checkPipeline, placeFrom, placeOf } from './letters.js'
import { opened } from './link.js'
import { plain, visible } from './shown.js'
import { write } from './terminal.js'

/** Prints it. */
export async function show(pipeline: string, place: string, flags: DlqFlags): Promise<void> {
  const { partition, position } = placeFrom(place)
  const log = await opened(flags)
  try {
    const { ports } = log
    await checkPipeline(pipeline, ports.log.description, await ports.bucket({ name: BUCKET }))
    const { letter, resolution } = await found(log, pipeline, partition, position)
    const came = await cameAs(log, letter)
    if (flags.output === 'text') {
      await write(textOf(place, letter, resolution, came))
      return
    }
    const whole = { at: placeOf(partition, position), letter, ...(resolution && { resolution }), ...came }
    await write(`${JSON.stringify(whole, plain, flags.output === 'json' ? 2 : undefined)}\n`)
  } finally {
    await log.ports.close()
  }
}

interface Found {
  readonly letter: DeadLetter
  readonly resolution: Resolution | undefined
}

async function found({ ports }: OpenLog, pipeline: string, partition: number, position: Position): Promise<Found> {
  const name = deadLettersName(pipeline)
  const log = await ports.log.find(name)
  let letter: DeadLetter | undefined
  let resolution: Resolution | undefined
  try {
    const is = log !== undefined && partition < log.spec.partitions
    const reading = is ? log.read({ partition, after: Math.max(START, position - 1), untilEnd: true }) : []
    for await (const { records } of reading) {
      for (const record of records) {
        const value = letterIn(record.payload)
        if (value === undefined) continue
        if (!isResolution(value)) letter ??= record.position === position ? value : undefined
        else if (value.resolves === position) resolution ??= value
      }
    }
  } catch (error) {
    if (!isGone(error)) throw error
  }
  if (letter !== undefined) return { letter, resolution }
  const what = `no dead letter of pipeline "${pipeline}" stands at ${placeOf(partition, position)}`
  throw new DefinitionError('NO_SUCH_LETTER', what, '"stream-node dlq ls" shows those that are open')
}

/** The record that a letter is about: its value, or its bytes and why they are no value. */
type Came =
  | { readonly key?: string | undefined; readonly value: unknown }
  | { readonly unreadable: string; readonly text?: string; readonly hex?: string }

async function cameAs(log: OpenLog, letter: DeadLetter): Promise<Came> {
  let record: LogRecord | undefined
  try {
    const streams = new Streams(log.ports, log.parts)
    const { log: source, wire } = await streams.open(await streams.named(letter.stream), 'read')
    const { partition, position } = letter
    record = recordOf(letter, letter.bytes === undefined ? await recordAt(source, partition, position) : undefined)
    if (record === undefined)
      return { unreadable: 'the letter had no room for its bytes, and they are gone from the stream' }
    await wire.ready(record)
    let came: Came | undefined
    wire.read(
      record,
      ({ key, value }) => (came = { ...(key !== undefined && { key }), value }),
      ({ message }) => (came = { unreadable: message, ...bytesOf(letter, record) }),
    )
    return came ?? { unreadable: 'it holds no record', ...bytesOf(letter, record) }
  } catch (error) {
    return { unreadable: messageOf(error), ...bytesOf(letter, record) }
  }
}

/** As text where they are one, else as hex. */
function bytesOf({ bytes }: DeadLetter, record: LogRecord | undefined): { text?: string; hex?: string } {
  const payload = bytes === undefined ? record?.payload : Buffer.from(bytes, 'base64')
  if (payload === undefined) return {}
  const octets = Buffer.from(payload.buffer, payload.byteOffset, payload.byteLength)
  try {
    return { text: new TextDecoder('utf-8', { fatal: true }).decode(octets) }
  } catch {
    return { hex: octets.toString('hex') }
  }
}

function textOf(place: string, letter: DeadLetter, resolution: Resolution | undefined, came: Came): string {
  const { pipeline, stage, stream, partition, position, index, time, headers = {}, error, attempts, at, size } = letter
  const state = resolution === undefined ? 'open' : `${resolution.how} at ${isoOf(resolution.at)}`
  const part = index === undefined ? '' : `, record ${index} of its batch`
  const key = 'key' in came ? came.key : letter.key
  const rows: (readonly [string, string | undefined])[] = [
    ['letter', `${place} of pipeline "${pipeline}"${stage === 0 ? '' : `, stage ${stage}`}: ${state}`],
    ['record', `stream "${stream}", partition ${partition}, position ${position}${part}, of ${isoOf(time)}`],
    ['error', `${error.name}: ${error.message}${error.code === undefined ? '' : ` [${error.code}]`}`],
    ...(error.causes ?? []).map(cause => ['because', cause] as const),
    ['where', error.where],
    ['given up', `${isoOf(at)}, after ${attempts} ${attempts === 1 ? 'attempt' : 'attempts'}`],
    ['key', key],
    ...Object.entries(headers).map(([name, value]) => ['header', `${name}: ${value}`] as const),
    ['size', `${size} bytes`],
    ...('value' in came
      ? ([['value', valueText(came.value)]] as const)
      : ([
          ['unreadable', came.unreadable],
          ['text', came.text],
          ['hex', came.hex],
        ] as const)),
  ]
  const lines = rows.flatMap(([name, text]) => (text === undefined ? [] : [`${name.padEnd(10)}  ${visible(text)}\n`]))
  return lines.join('')
}

function valueText(value: unknown): string {
  return value instanceof Uint8Array ? Buffer.from(value).toString('utf8') : JSON.stringify(value, plain)
}
