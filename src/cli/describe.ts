/** `describe`: the streams there are, or all that is known about one. */
import type { StreamDescription } from '../client/describe.js'
import { StreamNodeError } from '../errors.js'
import { columns } from './columns.js'
import { linked } from './link.js'
import type { Flags } from './flags.js'
import { counted, say, write } from './terminal.js'

/** Lists the streams of the log, or shows one. */
export async function describe(name: string | undefined, flags: Flags): Promise<void> {
  const client = await linked(flags)
  try {
    if (name !== undefined) {
      await show([await client.describe(name)], flags, true)
      return
    }
    const all: StreamDescription[] = []
    for (const stream of await client.streams()) {
      const description = await client.describe(stream).catch(sayDeleted)
      if (description !== undefined) all.push(description)
    }
    if (flags.output === 'text') say(`${counted(all.length, 'stream')} on ${client.log}`)
    await show(all, flags, false)
  } finally {
    await client.close()
  }
}

/** One that was deleted keeps nobody from seeing the others. */
function sayDeleted(error: unknown): undefined {
  if (!(error instanceof StreamNodeError) || error.code !== 'NO_SUCH_STREAM') throw error
  say(error.message)
}

async function show(all: readonly StreamDescription[], { output }: Flags, one: boolean): Promise<void> {
  if (output === 'jsonl') return write(all.map(description => `${JSON.stringify(description)}\n`).join(''))
  if (output === 'json') return write(`${JSON.stringify(one ? all[0] : all, null, 2)}\n`)
  await write(one ? all.map(details).join('') : table(all))
}

function table(all: readonly StreamDescription[]): string {
  if (all.length === 0) return ''
  const rows = all.map(({ name, partitions, codec, key, first, last }) => [
    name,
    String(partitions),
    codec.name,
    ruleText(key),
    extentText(first, last),
  ])
  return columns([['stream', 'partitions', 'codec', 'key', 'positions'], ...rows])
}

function details(stream: StreamDescription): string {
  const { retention } = stream
  const bounds = Object.entries({ ms: retention.ageMs, bytes: retention.bytes, records: retention.records })
    .filter(([, bound]) => bound !== undefined)
    .map(([unit, bound]) => `${bound} ${unit}`)
  const rows: [string, string][] = [
    ['stream', stream.name],
    ['partitions', String(stream.partitions)],
    ['codec', stream.codec.name],
    ['format', stream.format],
    ['key', ruleText(stream.key)],
    ['time', ruleText(stream.time)],
    ['id', ruleText(stream.id)],
    ['positions', extentText(stream.first, stream.last)],
    ['retention', bounds.length === 0 ? 'none' : bounds.join(', ')],
    ['replicas', String(stream.replicas)],
    ['dedup window', `${stream.dedupWindowMs} ms`],
    ...(stream.source === null ? [] : ([['source', `${stream.source.subject} of ${stream.source.stream}`]] as const)),
    ['incarnation', stream.incarnation],
  ].map(([name = '', value = '']) => [name, value])
  return columns(rows)
}

function ruleText(rule: StreamDescription['key']): string {
  if (rule === null) return '-'
  return 'field' in rule ? `field ${rule.field}` : 'a function of its program'
}

function extentText(first: number, last: number): string {
  return first > last ? 'empty' : `${first} to ${last}`
}
