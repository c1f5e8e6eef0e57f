/**
 * Up to where each partition was purged. JetStream forgets that as soon as other partitions of the stream hold older
 * records, and a reader that comes back later would skip the gap in silence; so it is noted before each purge.
 */
import { boundedJson } from '../../codec/bounded-json.js'
import { IntegrityError } from '../../errors.js'
import type { Bucket } from '../bucket.js'
import type { Position } from '../record.js'

/** The bucket in which it is noted, beside the definitions of streams. */
export const NOTES_BUCKET = 'stream-node'

interface Floor {
  readonly incarnation: string
  readonly before: Position
}

export class Floors {
  readonly #open: (make: boolean) => Promise<Bucket | undefined>

  /** `open` gives the bucket; undefined when there is none and none is to be made. */
  constructor(open: (make: boolean) => Promise<Bucket | undefined>) {
    this.#open = open
  }

  /** The position below which the partition, or any partition, was purged; 0 when none was. */
  async get(stream: string, incarnation: string, partition: number | undefined): Promise<Position> {
    const bucket = await this.#open(false)
    if (bucket === undefined) return 0
    const keys = partition === undefined ? await bucket.keys(`floors.${stream}`) : [key(stream, partition)]
    const entries = await Promise.all(keys.map(key => bucket.get(key)))
    const noted = entries.map(entry => floorIn(entry?.value))
    return Math.max(0, ...noted.map(floor => (floor?.incarnation === incarnation ? floor.before : 0)))
  }

  /** Notes that the partition is about to be purged. Never lowers what is noted; rejects when it could not be noted. */
  async raise(stream: string, incarnation: string, partition: number, before: Position): Promise<void> {
    const bucket = (await this.#open(true)) as Bucket
    for (;;) {
      const entry = await bucket.get(key(stream, partition))
      const noted = floorIn(entry?.value)
      if (noted?.incarnation === incarnation && noted.before >= before) return
      const value = Buffer.from(JSON.stringify({ incarnation, before } satisfies Floor))
      const ending = await bucket.put(key(stream, partition), value, entry?.revision ?? 0)
      if (ending.ending === 'stored') return
      if (ending.ending === 'refused' && ending.why !== 'expected') throw ending.error
      // Another purge was first, or nobody can say: what is noted now decides.
    }
  }
}

function key(stream: string, partition: number): string {
  return `floors.${stream}.${partition}`
}

/** What was noted; undefined when nothing was. Throws `BAD_LOG` for what nobody of us wrote there. */
export function floorIn(value: Uint8Array | undefined): Floor | undefined {
  if (value === undefined) return undefined
  try {
    const { incarnation, before } = boundedJson(value) as Floor
    if (typeof incarnation === 'string' && Number.isSafeInteger(before) && before >= 0) return { incarnation, before }
  } catch {
    // Told below, with all else that it is not.
  }
  const what = `a note of what was purged, in the bucket ${NOTES_BUCKET}, is none that this release can read`
  throw new IntegrityError('BAD_LOG', what, 'look at its entries floors.*, and find out who else writes there')
}
