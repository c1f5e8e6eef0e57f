/** What can be said about a stream from outside: its kept definition and how it stands in the log. */
import type { CodecDefinition } from '../codec/codec.js'
import type { Position } from '../log/record.js'
import type { KeptRule } from '../stream/kept.js'
import type { Streams } from '../stream/open.js'
import type { Format } from '../stream/stream.js'

/** A stream, described in plain JSON. */
export interface StreamDescription {
  readonly name: string
  readonly partitions: number
  readonly format: Format
  readonly codec: CodecDefinition
  /** How the key is found; null when each record brings its own, or has none. */
  readonly key: KeptRule | null
  readonly time: KeptRule | null
  readonly id: KeptRule | null
  readonly retention: { readonly ageMs?: number; readonly bytes?: number; readonly records?: number }
  readonly replicas: number
  readonly dedupWindowMs: number
  readonly source: { readonly stream: string; readonly subject: string } | null
  /** The first position still there; one above `last` when the stream is empty. */
  readonly first: Position
  readonly last: Position
  readonly incarnation: string
}

/** Describes a stream; rejects with `NO_SUCH_STREAM`. */
export async function describe(streams: Streams, name: string): Promise<StreamDescription> {
  const { kept, log } = await streams.look(name)
  const { first, last, incarnation } = await log.extent()
  const { retention, replicas, dedupWindowMs } = log.spec
  return {
    name,
    partitions: kept.partitions,
    format: kept.format,
    codec: kept.codec,
    key: kept.key ?? null,
    time: kept.time ?? null,
    id: kept.id ?? null,
    retention,
    replicas,
    dedupWindowMs,
    source: kept.source ?? null,
    first,
    last,
    incarnation,
  }
}
