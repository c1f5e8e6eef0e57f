/** Ways to look at the records of a partition, as the transaction or the snapshot of this tick has them. */
import type { Position } from '../record.js'
import { Place, POSITION_MAX } from './layout.js'
import type { Stored } from './layout.js'
import type { Store } from './store.js'

/** The last record of a partition. */
export function lastOf(store: Store, stream: number, partition: number): Stored | undefined {
  const range = { start: new Place(stream, partition, POSITION_MAX), end: new Place(stream, partition, 0) }
  for (const { value } of store.records.getRange({ ...range, reverse: true, limit: 1 })) return value
  return undefined
}

/** The first record of a partition after a position. */
export function firstAfter(store: Store, stream: number, partition: number, after: Position): Stored | undefined {
  const range = { start: new Place(stream, partition, after + 1), end: new Place(stream, partition, POSITION_MAX) }
  for (const { value } of store.records.getRange({ ...range, limit: 1 })) return value
  return undefined
}

/** The id of the record at a place, also when the record was taken away and its id still counts. */
export function idAt(store: Store, at: Place): string | undefined {
  const { codec } = store
  codec.headersOnly = true
  try {
    return store.records.get(at)?.record.id ?? store.ids.get([at.stream, at.position])?.[1]
  } finally {
    codec.headersOnly = false
  }
}

/** How far records of a partition were taken away: position and ordinal of the last of them. */
export function floorOf(store: Store, stream: number, partition: number): { position: Position; ordinal: number } {
  const [position, ordinal] = store.floors.get([stream, partition]) ?? [0, 0]
  return { position, ordinal }
}

/** The records of a partition from the last to the first, without payloads. */
export function* backwards(store: Store, stream: number, partition: number): Generator<Stored> {
  const { codec } = store
  const range = { start: new Place(stream, partition, POSITION_MAX), end: new Place(stream, partition, 0) }
  const entries = store.records.getRange({ ...range, reverse: true })[Symbol.iterator]()
  try {
    for (;;) {
      codec.headersOnly = true
      const next = entries.next()
      codec.headersOnly = false
      if (next.done) return
      yield next.value.value
    }
  } finally {
    entries.return?.()
  }
}

/** Bounds of one look: what is enough. */
export interface Portion {
  readonly records: number
  readonly bytes: number
  readonly headersOnly: boolean
}

/** Records of a partition after a position, up to a portion of them; the first comes whatever it weighs. */
export function portionAfter(store: Store, at: Place, portion: Portion): Stored[] {
  const { codec } = store
  const found: Stored[] = []
  let bytes = 0
  codec.headersOnly = portion.headersOnly
  try {
    const end = new Place(at.stream, at.partition, POSITION_MAX)
    for (const { value } of store.records.getRange({ start: at, end, limit: portion.records })) {
      bytes += value.record.bytes
      found.push(value)
      if (bytes >= portion.bytes) break
    }
  } finally {
    codec.headersOnly = false
  }
  return found
}
