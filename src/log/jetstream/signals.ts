/** Signals on core NATS: requests that fail at once when nobody is there, and publish/subscribe without memory. */
import type { Msg } from '@nats-io/transport-node'
import { messageOf, UnavailableError } from '../../errors.js'
import { encodeHeaders } from '../record.js'
import type { Listening, Signals } from '../signals.js'
import { isNoResponders, type Link } from './link.js'
import { Head } from './writer.js'

/** Set on the answer of a handler that threw: its message, percent-encoded. */
const FAILED = 'Sn-Failed'
const MESSAGE_MAX = 1000
/** All who serve a subject stand in one queue, so that each request reaches one of them. */
const QUEUE = 'sn'

export class JetStreamSignals implements Signals {
  readonly #link: Link

  constructor(link: Link) {
    this.#link = link
  }

  async request(
    subject: string,
    payload: Uint8Array,
    { timeoutMs }: { readonly timeoutMs: number },
  ): Promise<Uint8Array> {
    if (this.#link.ended !== undefined) throw this.#link.ended
    if (!this.#link.up) {
      throw new UnavailableError('DISCONNECTED', `no link to ${this.#link.server}`, 'it is being made anew; try again')
    }
    const answer = await this.#ask(subject, payload, timeoutMs)
    const failed = answer.headers?.get(FAILED)
    if (failed === undefined || failed === '') return answer.data
    const what = `"${subject}" answered with an error: ${failureIn(failed)}`
    throw new UnavailableError('ANSWERED_WITH_ERROR', what, 'look at the log of the node that serves it')
  }

  async serve(
    subject: string,
    handler: (payload: Uint8Array, subject: string) => Uint8Array | Promise<Uint8Array>,
  ): Promise<Listening> {
    return this.#listen(subject, QUEUE, message => void answer(message, handler))
  }

  publish(subject: string, payload: Uint8Array): void {
    if (this.#link.up) this.#link.nc.publish(subject, payload)
  }

  subscribe(subject: string, handler: (payload: Uint8Array, subject: string) => void): Promise<Listening> {
    return this.#listen(subject, undefined, message => handler(message.data, message.subject))
  }

  async #ask(subject: string, payload: Uint8Array, timeoutMs: number): Promise<Msg> {
    try {
      return await this.#link.whileUp(this.#link.nc.request(subject, payload, { timeout: timeoutMs }))
    } catch (error) {
      const { name } = error as Error
      if (isNoResponders(error)) {
        throw new UnavailableError('NOBODY_THERE', `nobody serves "${subject}"`, 'start the node that does')
      }
      if (name === 'TimeoutError') {
        const what = `no answer to "${subject}" in ${timeoutMs} ms`
        throw new UnavailableError('TIMED_OUT', what, 'it may have been acted on; ask again if that does no harm')
      }
      throw this.#link.ours(`ask "${subject}"`, error)
    }
  }

  async #listen(subject: string, queue: string | undefined, callback: (message: Msg) => void): Promise<Listening> {
    if (this.#link.ended !== undefined) throw this.#link.ended
    let denied: Error | undefined
    const subscription = this.#link.listen(subject, callback, {
      queue,
      failed: error => {
        denied ??= error
        this.#link.tools.tell({ type: 'log.error', error })
      },
    })
    // While the link is down the client subscribes as soon as it is back, before anything else.
    if (this.#link.up) await this.#link.nc.flush().catch(() => {})
    if (denied !== undefined) throw this.#link.ours(`listen to "${subject}"`, denied)
    return { close: () => subscription.unsubscribe() }
  }
}

async function answer(
  message: Msg,
  handler: (payload: Uint8Array, subject: string) => Uint8Array | Promise<Uint8Array>,
): Promise<void> {
  try {
    message.respond(await handler(message.data, message.subject))
  } catch (error) {
    const headers = new Head()
    // Half a character cannot be encoded, and a very long message cannot be sent.
    const said = Buffer.from(messageOf(error).slice(0, MESSAGE_MAX)).toString()
    headers.bytes = encodeHeaders({ [FAILED]: encodeURIComponent(said) || '%20' })
    message.respond(new Uint8Array(0), { headers: headers as never })
  }
}

/** What a handler said that failed, which may be no handler of ours: then it is shown as it stands. */
export function failureIn(header: string): string {
  try {
    return decodeURIComponent(header)
  } catch {
    return header
  }
}
