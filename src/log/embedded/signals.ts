/** The signals port between the processes of one data folder, or within one process. */
import type { Cancel, Clock } from '../../clock.js'
import { messageOf, UnavailableError } from '../../errors.js'
import type { Listening, Signals } from '../signals.js'
import { closedError } from './feed.js'
import { frame } from './frames.js'
import type { Frame, Line } from './frames.js'
import type { Meet } from './meeting.js'

type Serve = (payload: Uint8Array, subject: string) => Uint8Array | Promise<Uint8Array>
type Hear = (payload: Uint8Array, subject: string) => void

type Handler = { readonly kind: 'serve'; readonly handle: Serve } | { readonly kind: 'listen'; readonly handle: Hear }

interface Ear {
  readonly subject: string
  readonly handler: Handler
  readonly ready: () => void
  readonly failed: (error: Error) => void
}

interface Asking {
  readonly subject: string
  readonly resolve: (answer: Uint8Array) => void
  readonly reject: (error: Error) => void
  readonly cancel: Cancel
}

// What is published before the first line stands waits for it; more than this is gone, as if nobody listened.
const EARLY_MAX = 1000

export class EmbeddedSignals implements Signals {
  readonly #ears = new Map<number, Ear>()
  readonly #asking = new Map<number, Asking>()
  #line: Line | undefined
  #connecting: Promise<Line> | undefined
  #early: Frame[] = []
  #named = 0
  #closed = false

  constructor(
    readonly meet: Meet,
    readonly clock: Clock,
  ) {}

  async request(
    subject: string,
    payload: Uint8Array,
    { timeoutMs }: { readonly timeoutMs: number },
  ): Promise<Uint8Array> {
    let line = await this.#connect()
    while (line !== this.#line) line = await this.#connect()
    return new Promise((resolve, reject) => {
      const id = this.#name()
      const cancel = this.clock.after(timeoutMs, () => {
        this.#asking.delete(id)
        const what = `no answer to "${subject}" within ${timeoutMs} ms`
        reject(new UnavailableError('TIMED_OUT', what, 'it may have been acted on; look, or ask again'))
      })
      this.#asking.set(id, { subject, resolve, reject, cancel })
      line.send(frame('ask', id, { subject, payload }))
    })
  }

  serve(subject: string, handle: Serve): Promise<Listening> {
    return this.#listen(subject, { kind: 'serve', handle })
  }

  subscribe(subject: string, handle: Hear): Promise<Listening> {
    return this.#listen(subject, { kind: 'listen', handle })
  }

  publish(subject: string, payload: Uint8Array): void {
    if (this.#closed) return
    const said = frame('publish', 0, { subject, payload: Uint8Array.from(payload) })
    if (this.#line !== undefined) return this.#line.send(said)
    if (this.#early.length < EARLY_MAX) this.#early.push(said)
    // Without a line the publication is gone, and that is no error.
    this.#connect().catch(() => {})
  }

  async #listen(subject: string, handler: Handler): Promise<Listening> {
    let line = await this.#connect()
    while (line !== this.#line) line = await this.#connect()
    const id = this.#name()
    await new Promise<void>((ready, failed) => {
      this.#ears.set(id, { subject, handler, ready, failed })
      line.send(frame(handler.kind, id, { subject }))
    })
    return {
      close: () => {
        if (this.#ears.delete(id)) this.#line?.send(frame('leave', id))
      },
    }
  }

  #name(): number {
    this.#named = (this.#named + 1) % 2 ** 32
    return this.#named
  }

  /** The line may be gone again by the time that the promise is looked at: whoever awaits it compares, and asks again. */
  #connect(): Promise<Line> {
    if (this.#closed) return Promise.reject(closedError())
    return (this.#connecting ??= this.#reach())
  }

  async #reach(): Promise<Line> {
    let line: Line
    try {
      line = await this.meet(
        heard => this.#hear(heard),
        () => this.#lost(),
      )
    } catch (error) {
      this.#connecting = undefined
      const what = `the other processes of the data folder cannot be reached: ${messageOf(error)}`
      throw new UnavailableError('DISCONNECTED', what, 'try again', { cause: error })
    }
    if (this.#closed) {
      line.close()
      throw closedError()
    }
    this.#line = line
    for (const [id, { subject, handler }] of this.#ears) line.send(frame(handler.kind, id, { subject }))
    for (const early of this.#early.splice(0)) line.send(early)
    return line
  }

  /** The hub is gone. What was asked may have been acted on; those who listen find the next hub at once. */
  #lost(): void {
    this.#line = undefined
    this.#connecting = undefined
    const what = 'the process that passed the request on is gone'
    this.#failAll(new UnavailableError('DISCONNECTED', what, 'it may have been acted on; look, or ask again'))
    if (!this.#closed && this.#ears.size > 0) this.#connect().catch(() => {})
  }

  #failAll(error: Error): void {
    for (const { reject, cancel } of this.#asking.values()) {
      cancel()
      reject(error)
    }
    this.#asking.clear()
  }

  #hear(heard: Frame): void {
    const { kind, id } = heard
    if (kind === 'ready') this.#ears.get(id)?.ready()
    else if (kind === 'heard') this.#heard(heard)
    else if (kind === 'asked') void this.#asked(heard)
    else this.#ended(heard)
  }

  #heard({ id, subject, payload }: Frame): void {
    const handler = this.#ears.get(id)?.handler
    if (handler?.kind !== 'listen') return
    try {
      handler.handle(payload, subject)
    } catch {
      // A listener that throws has no one to tell; the others still hear.
    }
  }

  async #asked({ id, to, subject, payload }: Frame): Promise<void> {
    const handler = this.#ears.get(to)?.handler
    const line = this.#line
    if (handler?.kind !== 'serve') return line?.send(frame('nobody', id))
    try {
      const answer = await handler.handle(payload, subject)
      line?.send(frame('answer', id, { payload: answer }))
    } catch (error) {
      line?.send(frame('failed', id, { payload: Buffer.from(messageOf(error)) }))
    }
  }

  #ended({ kind, id, payload }: Frame): void {
    const asking = this.#asking.get(id)
    if (asking === undefined) return
    this.#asking.delete(id)
    asking.cancel()
    if (kind === 'answer') asking.resolve(payload)
    else asking.reject(endOf(kind, asking.subject, payload))
  }

  close(): void {
    this.#closed = true
    this.#failAll(closedError())
    for (const { failed } of this.#ears.values()) failed(closedError())
    this.#ears.clear()
    this.#line?.close()
    this.#line = undefined
  }
}

function endOf(kind: Frame['kind'], subject: string, payload: Uint8Array): UnavailableError {
  if (kind === 'failed') {
    const what = `"${subject}" was answered with an error: ${Buffer.from(payload).toString('utf8')}`
    return new UnavailableError('ANSWERED_WITH_ERROR', what, 'see the other side')
  }
  if (kind === 'nobody') {
    return new UnavailableError('NOBODY_THERE', `nobody serves "${subject}"`, 'start a node on this data folder')
  }
  const what = `the process that was to answer "${subject}" is gone`
  return new UnavailableError('DISCONNECTED', what, 'it may have been acted on; look, or ask again')
}
