/**
 * A stream of CloudEvents 1.0 in their JSON form: who published an event, when, and which ones belong together, read
 * from the attributes that every event has.
 */
import { key, stream, type Stream, type StreamOptions } from 'stream-node'

/** An event as the standard has it. `time` may be left out there, and must be given here: windows go by it. */
export interface CloudEvent<Data = unknown> {
  readonly specversion: '1.0'
  /** Unique together with `source`. */
  readonly id: string
  readonly source: string
  readonly type: string
  /** RFC 3339, such as `2026-01-31T12:00:00Z`. */
  readonly time: string
  /** What of the source the event is about. */
  readonly subject?: string
  /** The standard's extension that says which events keep their order. */
  readonly partitionkey?: string
  readonly datacontenttype?: string
  readonly dataschema?: string
  readonly data?: Data
}

/**
 * The stream `name` of CloudEvents. Order is kept per `partitionkey`, else per source and subject; an event published
 * twice within the dedup window is stored once. Publishing fails with `BAD_TIME` for an event without a time.
 */
export default function cloudEvents<Data = unknown>(
  name: string,
  options: Omit<StreamOptions<CloudEvent<Data>>, 'key' | 'time' | 'id'> = {},
): Stream<CloudEvent<Data>> {
  return stream(name, {
    ...options,
    key: event => event.partitionkey ?? key(event.source, event.subject ?? ''),
    time: event => Date.parse(event.time),
    id: event => `${encodeURIComponent(event.source)}/${encodeURIComponent(event.id)}`,
  })
}
