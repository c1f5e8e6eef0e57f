/** The stream that `publish` writes to: as it is kept in the log, or a new one. */
import type { Client } from '../client/client.js'
import { bytes } from '../codec/bytes.js'
import { DefinitionError, StreamNodeError } from '../errors.js'
import { settingsOf, stream, type Stream, type StreamOptions } from '../stream/stream.js'
import { countOf } from './arguments.js'
import { UsageError } from './failure.js'
import type { PublishFlags } from './flags.js'

/** The stream as it is kept, or a new one with `--create`. */
export async function targetOf(client: Client, name: string, flags: PublishFlags): Promise<Stream<unknown>> {
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
  if (flags.create) checkRules(there, options)
  if (flags.key === undefined && flags.keyField === undefined) await checkKeyRule(client, there)
  return there
}

export function creation(flags: PublishFlags): StreamOptions<unknown> {
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

/** Flags that say how a stream is to be made must say what it is, when it is there. */
function checkRules(there: Stream<unknown>, asked: StreamOptions<unknown>): void {
  const kept = settingsOf(there)
  for (const rule of ['key', 'time', 'id'] as const) {
    const field = kept[rule]?.field
    if (asked[rule] === undefined || asked[rule] === field) continue
    const is = field === undefined ? `no field as ${rule}` : `the field "${field}" as ${rule}`
    const what = `stream "${there.name}" exists with ${is}, and --create asks for "${String(asked[rule])}"`
    throw new DefinitionError('STREAM_DIFFERS', what, `leave --create out to take the ${rule} from there this once`)
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
