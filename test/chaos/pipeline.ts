/**
 * What the nodes run while they are killed, as a user would write it: two pipelines with memory, one after the other, of
 * which each step draws a number, so that work which was done again shows. The checker knows what must come of it.
 */
import { filter, map } from 'rxjs'
import { pipeline, scan, stream } from 'stream-node'

export interface Given {
  id: string
  key: string
  value: number
  /** When it was published, in ms since 1970. */
  at: number
}

export interface Folded {
  of: string
  key: string
  count: number
  sum: number
  fold: number
  drawn: number
  drawnBefore: number
  at: number
  /** When it was made. */
  made: number
}

/** `CHAOS_CHAINED=no` leaves the second pipeline out; `CHAOS_SAMPLES` says every how many ms to tell what is held. */
const { CHAOS_CHAINED, CHAOS_SAMPLES } = process.env

const options = { key: 'key', partitions: 4 } as const
export const numbers = stream<Given>('numbers', { ...options, id: 'id' })

const nothing: Folded = { of: '', key: '', count: 0, sum: 0, fold: 7, drawn: 0, drawnBefore: 0, at: 0, made: 0 }

let isAtWork = false

function folded(before: Folded, { id, key, value, at }: Given): Folded {
  if (!isAtWork) process.stderr.write('at work\n')
  isAtWork = true
  return {
    ...{ of: id, key, at, count: before.count + 1, sum: before.sum + value },
    fold: (before.fold * 31 + value) % 1_000_003,
    drawn: 1 + Math.floor(Math.random() * 1_000_000_000),
    drawnBefore: before.drawn,
    made: Date.now(),
  }
}

const first = pipeline('chaos-first')
  .from(numbers)
  .pipe(
    filter(({ value }) => value % 5 !== 0),
    map(one => ({ ...one, value: one.value * 2 })),
    scan(folded, nothing),
  )
export const sums = first.as('sums', options)
export const toSums = first.to(sums)

const second = pipeline('chaos-second')
  .from(sums)
  .pipe(
    map(({ of, key, sum, at }) => ({ id: of, key, value: sum, at })),
    scan(folded, nothing),
  )
export const sumsOfSums = second.as('sums-of-sums', options)
export const toSumsOfSums = CHAOS_CHAINED === 'no' ? undefined : second.to(sumsOfSums)

if (CHAOS_SAMPLES !== undefined) {
  const sample = () => {
    const { heapUsed, rss } = process.memoryUsage()
    const handles = process.getActiveResourcesInfo().length
    process.stderr.write(`sample ${JSON.stringify({ heapUsed, rss, handles, uptime: process.uptime() })}\n`)
  }
  setInterval(sample, parseInt(CHAOS_SAMPLES)).unref()
}
