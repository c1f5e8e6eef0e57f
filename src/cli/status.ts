/** `status`: how the nodes that run on a log stand, asked of themselves. */
import type { PartitionStatus } from '../actor/status.js'
import { statusOfNodes, type NodeStatus } from '../node/status.js'
import { durationOf } from './arguments.js'
import { columns } from './columns.js'
import type { Flags } from './flags.js'
import { opened } from './link.js'
import { say, write } from './terminal.js'

const TIMEOUT_MS = 5000

/** Prints one line for each partition of each node. */
export async function status(flags: Flags): Promise<void> {
  const timeoutMs = flags.timeout === undefined ? TIMEOUT_MS : durationOf('--timeout', flags.timeout)
  const { ports, parts } = await opened(flags)
  try {
    await show(await statusOfNodes(ports, { ...parts, timeoutMs }), flags)
  } finally {
    await ports.close()
  }
}

async function show(nodes: readonly NodeStatus[], { output }: Flags): Promise<void> {
  if (output === 'json') return write(`${JSON.stringify(nodes, null, 2)}\n`)
  if (output === 'jsonl') {
    const lines = nodes.flatMap(({ name, partitions }) => partitions.map(at => JSON.stringify({ node: name, ...at })))
    return write(lines.map(line => `${line}\n`).join(''))
  }
  for (const { name, pid, log, since } of nodes) {
    say(`node "${name}" (process ${pid}) on ${log}, since ${new Date(since).toISOString()}`)
  }
  const rows = nodes.flatMap(({ name, partitions }) => partitions.map(at => [name, ...cellsOf(at)]))
  await write(columns([HEAD, ...rows]))
}

const HEAD = [
  'node',
  'pipeline',
  'partition',
  'state',
  'fence',
  'number',
  'position',
  'behind',
  'outbox',
  'rows',
  'letters',
  'restarts',
  'error',
]

function cellsOf(at: PartitionStatus): string[] {
  const { pipeline, stage, partition, state, fence, number, positions, lag, outbox, rows, letters, restarts } = at
  const places = Object.entries(positions)
  const named = places.length > 1
  return [
    pipeline,
    stage === 0 ? String(partition) : `${stage}/${partition}`,
    state,
    ...[fence, number].map(String),
    places.map(([stream, position]) => (named ? `${stream} ${position}` : String(position))).join(', '),
    lag === undefined ? '-' : String(lag),
    ...[outbox, rows, letters, restarts].map(String),
    errorOf(at).replace(/\s+/g, ' '),
  ]
}

/** What it stands still for, or what it was last started again for. */
function errorOf({ error, lastError }: PartitionStatus): string {
  if (error !== undefined) return error
  return lastError === undefined ? '' : `(before: ${lastError})`
}
