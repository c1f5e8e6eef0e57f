/** One record by its place. */
import { IntegrityError } from '../errors.js'
import type { LogStream } from './log.js'
import { LogRecord, type Position } from './record.js'

/** A copy of the record that stands there; undefined when there is none, or none any more. */
export async function recordAt(log: LogStream, partition: number, position: Position): Promise<LogRecord | undefined> {
  try {
    for await (const { records } of log.read({ partition, after: position - 1, recordsMax: 1, untilEnd: true })) {
      const [found] = records
      if (found === undefined) continue
      if (found.position !== position) return undefined
      return new LogRecord(partition, position, found.time, new Uint8Array(found.head), new Uint8Array(found.payload))
    }
  } catch (error) {
    if (!isGone(error)) throw error
  }
  return undefined
}

/** Whether a reading ended because records that it was to begin with are gone, or never were. */
export function isGone(error: unknown): boolean {
  return error instanceof IntegrityError && (error.code === 'OVERRUN' || error.code === 'LOG_REWOUND')
}
