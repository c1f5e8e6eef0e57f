/**
 * The port to signals: messages between processes without memory. What nobody hears is gone; nothing is kept, repeated
 * or ordered between senders. For beats, probes, queries and replies, never for records.
 */

export interface Signals {
  /**
   * Asks whoever serves the subject and gives the answer. Rejects with `NOBODY_THERE` at once when nobody does, with
   * `TIMED_OUT` after `timeoutMs` (it may have been acted on), with `ANSWERED_WITH_ERROR` when the other side threw,
   * with `DISCONNECTED` while the link is down.
   */
  request(subject: string, payload: Uint8Array, options: { readonly timeoutMs: number }): Promise<Uint8Array>
  /**
   * Answers requests to a subject, until closed. When the promise resolves, requests find it. Of several that serve
   * one subject each request reaches one. What the handler throws goes to the asker, as its message.
   */
  serve(
    subject: string,
    handler: (payload: Uint8Array, subject: string) => Uint8Array | Promise<Uint8Array>,
  ): Promise<Listening>
  /** Sends to all who listen at this moment. No answer, no error: while the link is down it is gone. */
  publish(subject: string, payload: Uint8Array): void
  /**
   * Hears what is published to a subject, until closed. When the promise resolves, everything published later by
   * anyone is heard, while the link holds. `*` stands for one word between dots, a last `>` for one or more.
   */
  subscribe(subject: string, handler: (payload: Uint8Array, subject: string) => void): Promise<Listening>
}

export interface Listening {
  /** Ends it; nothing is heard afterwards. Idempotent. */
  close(): void
}
