/** `resume`: lets paused partitions go on, on whichever nodes they are. */
import { askToResume } from '../node/resume.js'
import { countOf, durationOf } from './arguments.js'
import type { Flags } from './flags.js'
import { opened } from './link.js'
import { counted, say, write } from './terminal.js'

const TIMEOUT_MS = 5000
const PARTITIONS_MAX = 4096

/** Says how many partitions go on. */
export async function resume(pipeline: string, partition: string | undefined, flags: Flags): Promise<void> {
  const timeoutMs = flags.timeout === undefined ? TIMEOUT_MS : durationOf('--timeout', flags.timeout)
  const bounds = { min: 0, max: PARTITIONS_MAX - 1 }
  const one = partition === undefined ? {} : { partition: countOf('the partition', partition, bounds) }
  const { ports, parts } = await opened(flags)
  try {
    const resumed = await askToResume(ports, { ...parts, timeoutMs }, { pipeline, ...one })
    if (flags.output === 'text') say(`${counted(resumed, 'partition')} of pipeline "${pipeline}" resumed`)
    else await write(`${JSON.stringify({ pipeline, ...one, resumed })}\n`)
  } finally {
    await ports.close()
  }
}
