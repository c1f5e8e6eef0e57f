/**
 * What the engine tells while it works. Rooms emit these plain values and know no logger; `telemetry/` turns them into
 * log lines, spans and counters.
 */

export type LogEvent =
  /** The link to the log is gone; writes in flight have ended unknown. */
  | { readonly type: 'log.disconnected'; readonly server: string }
  /** The link is back. */
  | { readonly type: 'log.reconnected'; readonly server: string }
  /** The server said something went wrong that no caller waits for. */
  | { readonly type: 'log.error'; readonly error: Error }
  /** A reader lost its place on the server and has taken it up again, without a gap. */
  | { readonly type: 'log.reader-resumed'; readonly stream: string; readonly after: number; readonly why: string }
  /** The server is weaker than it should be for what is asked of it. */
  | { readonly type: 'log.warning'; readonly what: string; readonly mend: string }

export type Event = LogEvent

/** Takes an event. Must not throw and must not wait. */
export type Tell = (event: Event) => void

/** Tells nobody. */
export const silent: Tell = () => {}
