/**
 * One connection to NATS and what everybody on it must know: is it up, when did it go down, and what an error of the
 * client means in our words. Nothing is published while it is down, since the client would forget it.
 */
import { connect, type Msg, type NatsConnection, type Subscription } from '@nats-io/transport-node'
import { jetstreamManager, type JetStreamManager } from '@nats-io/jetstream'
import type { Socket } from 'node:net'
import { type Chance, type Clock, pause } from '../../clock.js'
import { DefinitionError, messageOf, StreamNodeError, UnavailableError } from '../../errors.js'
import type { Tell } from '../../telemetry/events.js'
import { Pulls } from './pulls.js'
import type { Environment } from './context.js'
import { connectionOptions, type Dial, type JetStreamOptions, tooOld } from './settings.js'

/** What a kind of log is given from outside. */
export interface Tools {
  readonly clock: Clock
  readonly chance: Chance
  readonly tell: Tell
  /** Where the `nats` command's names are looked up; absent: nowhere. */
  readonly env?: Environment
}

interface Hearing {
  readonly failed?: (error: Error) => void
  /** Of all who listen in one queue, each message reaches one. */
  readonly queue?: string | undefined
}

export class Link {
  /** The server's own address, without secrets. */
  server: string
  /** What the readers of this link ask for together. */
  readonly pulls = new Pulls()
  #up = true
  readonly #name: string
  #inboxes = 0
  #ended: StreamNodeError | undefined
  /** How often in a row the server did not let us in again. */
  #refusals = 0
  readonly #downHooks = new Set<() => void>()
  readonly #upHooks = new Set<() => void>()
  readonly #deniedHooks = new Set<(subject: string) => boolean>()

  private constructor(
    readonly nc: NatsConnection,
    readonly jsm: JetStreamManager,
    readonly tools: Tools,
    readonly dial: Dial,
  ) {
    this.server = nc.getServer()
    this.#name = tools.chance.name().slice(0, 8)
  }

  /** How long a call may take, retries included, in ms. */
  get timeoutMs(): number {
    return this.dial.timeoutMs
  }

  /** The first word or words of the JetStream API: `$JS.API`, or that of the domain. */
  get api(): string {
    return this.dial.domain === undefined ? '$JS.API' : `$JS.${this.dial.domain}.API`
  }

  /** A subject for answers that nobody else listens to. Short, since it goes with every record and every ack. */
  inbox(): string {
    return `${this.dial.connect.inboxPrefix ?? '_INBOX'}.${this.#name}${(this.#inboxes++).toString(36)}`
  }

  /** Connects, or says why not: nothing there, wrong credentials, no JetStream, a server too old. */
  static async open(options: JetStreamOptions, tools: Tools): Promise<Link> {
    const dial = await connectionOptions(options, { env: tools.env ?? {}, chance: tools.chance })
    const nc = await connect(dial.connect).catch((error: unknown) => {
      throw dial.explain(error)
    })
    try {
      const old = tooOld(nc.info?.version ?? '', nc.getServer())
      if (old !== undefined) throw old
      const domain = dial.domain === undefined ? {} : { domain: dial.domain }
      const jsm = await jetstreamManager(nc, { timeout: dial.timeoutMs, checkAPI: false, ...domain })
      const link = new Link(nc, jsm, tools, dial)
      void link.#watch()
      await link.#askForJetStream()
      return link
    } catch (error) {
      await nc.close()
      throw error
    }
  }

  get up(): boolean {
    return this.#up && this.#ended === undefined
  }

  /** The error that every call gets from now on, once the link has ended for good. */
  get ended(): StreamNodeError | undefined {
    return this.#ended
  }

  get version(): string {
    return this.nc.info?.version ?? 'unknown'
  }

  get payloadMax(): number {
    return this.nc.info?.max_payload ?? 1024 * 1024
  }

  /** Calls back each time the link goes down, the last time too; gives a function that stops it. */
  onDown(hook: () => void): () => void {
    this.#downHooks.add(hook)
    return () => this.#downHooks.delete(hook)
  }

  /** Calls back each time the link is up again. */
  onUp(hook: () => void): () => void {
    this.#upHooks.add(hook)
    return () => this.#upHooks.delete(hook)
  }

  /** Asks whose publish the server forbade, until one says that it was theirs; gives a function that stops it. */
  onDenied(hook: (subject: string) => boolean): () => void {
    this.#deniedHooks.add(hook)
    return () => this.#deniedHooks.delete(hook)
  }

  /** The error for what the server forbids, such as `publish "clicks.0"`. */
  denied(what: string, forbidden: string, cause?: unknown): DefinitionError {
    const mend = 'grant it to this user; docs/permissions.md lists what is needed'
    return new DefinitionError('PERMISSION_DENIED', `could not ${what}: the server forbids ${forbidden}`, mend, {
      cause,
    })
  }

  /** Resolves when the link is up; rejects when it has ended, or is not up in time. Without a time it waits on. */
  whenUp(timeoutMs?: number): Promise<void> {
    if (this.up) return Promise.resolve()
    if (this.#ended !== undefined) return Promise.reject(this.#ended)
    return new Promise((resolve, reject) => {
      const settle = () => {
        stops.forEach(stop => stop())
        if (this.up) resolve()
        else reject(this.#ended ?? this.disconnected())
      }
      const down = () => {
        if (this.#ended !== undefined) settle()
      }
      const stops: (() => void)[] = [this.onUp(settle), this.onDown(down)]
      if (timeoutMs !== undefined) stops.push(this.tools.clock.after(timeoutMs, settle))
    })
  }

  /**
   * Hears what comes to a subject. When the server forbids it, or `take` throws, `failed` is called, else the event is
   * told: in the client's own hands a throw would end the reading of everything.
   */
  listen(
    subject: string,
    take: (message: Msg) => void,
    { failed = error => this.tools.tell({ type: 'log.error', error }), queue }: Hearing = {},
  ): Subscription {
    const callback = (error: Error | null, message: Msg) => {
      if (error !== null) {
        failed(error)
        return
      }
      try {
        take(message)
      } catch (thrown) {
        failed(thrown instanceof Error ? thrown : new Error(messageOf(thrown)))
      }
    }
    return this.nc.subscribe(subject, queue === undefined ? { callback } : { callback, queue })
  }

  /**
   * Makes a call that may be repeated safely, again and again while the log is away, until it answers or the time is
   * up. `what` says it in the error: `read the end of stream "clicks"`.
   */
  async call<T>(what: string, ask: (jsm: JetStreamManager) => Promise<T>): Promise<T> {
    const { clock, chance } = this.tools
    const deadline = clock.elapsed() + this.timeoutMs
    for (;;) {
      await this.whenUp(deadline - clock.elapsed())
      try {
        return await this.whileUp(ask(this.jsm))
      } catch (error) {
        const ours = this.ours(what, error)
        const hopeless = !(ours instanceof UnavailableError) || ours.code === 'CLOSED'
        if (hopeless || clock.elapsed() >= deadline) throw ours
        await pause(clock, 20 + 80 * chance.fraction())
      }
    }
  }

  /** One try of a JetStream API call that the client's manager lacks, or answers without what we need of it. */
  async ask<T>(verb: string, body: unknown): Promise<T> {
    const answer = await this.nc.request(`${this.api}.${verb}`, JSON.stringify(body), { timeout: this.timeoutMs })
    return answer.json<T>()
  }

  /** What the client threw, in our words. */
  ours(what: string, error: unknown): Error {
    if (error instanceof StreamNodeError) return error
    if (!(error instanceof Error))
      return new UnavailableError('TIMED_OUT', `could not ${what}: ${messageOf(error)}`, '')
    const denied = permission(error)
    if (denied !== undefined) return this.denied(what, denied, error)
    if (this.#ended !== undefined) return this.#ended
    switch (error.name) {
      case 'TimeoutError':
        return new UnavailableError(
          'TIMED_OUT',
          `could not ${what}: no answer in ${this.timeoutMs} ms`,
          'it may have happened; ask again',
          { cause: error },
        )
      case 'JetStreamNotEnabled':
      case 'NoResponders':
      case 'RequestError':
      case 'ClosedConnectionError':
      case 'DrainingConnectionError': {
        const why = isNoResponders(error) ? 'JetStream does not answer' : `the link to ${this.server} broke`
        return new UnavailableError('DISCONNECTED', `could not ${what}: ${why}`, 'it is tried again', { cause: error })
      }
      default: {
        if (!AWAY.includes((error as { code?: unknown }).code)) return error
        const mend = 'it is tried again; see to it that most servers of the cluster are up'
        return new UnavailableError('DISCONNECTED', `could not ${what}: ${error.message}`, mend, { cause: error })
      }
    }
  }

  async close(): Promise<void> {
    this.#end(new UnavailableError('CLOSED', 'the log is closed', 'open it again'))
    await this.nc.close()
  }

  /** The error for what cannot be done while the link is down, or ever again. */
  disconnected(): UnavailableError {
    if (this.#ended instanceof UnavailableError) return this.#ended
    return new UnavailableError('DISCONNECTED', `no link to ${this.server}`, 'it is being made anew; try again')
  }

  /** Rejects as soon as the link goes down, instead of waiting for a time-out. */
  whileUp<T>(asked: Promise<T>): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      const stop = this.onDown(() => reject(this.#ended ?? this.disconnected()))
      asked.then(resolve, reject).finally(stop)
    })
  }

  async #askForJetStream(): Promise<void> {
    const mend = 'start nats-server with -js, or enable JetStream for this account'
    try {
      await this.whileUp(this.jsm.getAccountInfo())
    } catch (error) {
      const ours = this.ours('ask for JetStream', error)
      // Without the right to ask we go on: what is needed will be asked for by name.
      if (ours instanceof DefinitionError && ours.code === 'PERMISSION_DENIED') return
      const { code, cause } = error as { code?: unknown; cause?: { code?: unknown } }
      const none = [code, cause?.code].includes(JETSTREAM_NOT_ENABLED_FOR_ACCOUNT)
      if (none || (this.up && this.nc.info?.jetstream !== true)) {
        throw new DefinitionError('NO_JETSTREAM', `${this.server} has no JetStream for us`, mend, { cause: error })
      }
      throw ours
    }
  }

  async #watch(): Promise<void> {
    for await (const status of this.nc.status()) {
      switch (status.type) {
        case 'disconnect':
          this.#down()
          break
        case 'reconnect':
          this.server = this.nc.getServer()
          this.#up = true
          this.#refusals = 0
          this.tools.tell({ type: 'log.reconnected', server: this.server })
          for (const hook of [...this.#upHooks]) hook()
          break
        case 'staleConnection':
          this.#reset()
          break
        case 'error': {
          if (isRefusal(status.error) && ++this.#refusals > REFUSALS_MAX) {
            this.#end(this.dial.explain(status.error))
            void this.nc.close()
            break
          }
          const subject = deniedPublish(status.error)
          const answered = subject !== undefined && subject.startsWith(`${this.api}.`)
          const taken = subject !== undefined && [...this.#deniedHooks].some(hook => hook(subject))
          if (!answered && !taken) this.tools.tell({ type: 'log.error', error: this.ours('send', status.error) })
          break
        }
      }
    }
    const why = await this.nc.closed()
    this.#end(
      why instanceof Error
        ? this.dial.explain(why)
        : new UnavailableError('CLOSED', `the link to ${this.server} is closed`, 'open it again'),
    )
  }

  #down(): void {
    if (!this.#up) return
    this.#up = false
    this.tools.tell({ type: 'log.disconnected', server: this.server })
    for (const hook of [...this.#downHooks]) hook()
  }

  #end(error: StreamNodeError): void {
    if (this.#ended !== undefined) return
    this.#ended = error
    for (const hook of [...this.#downHooks]) hook()
  }

  /**
   * Resets a link that no longer answers. The client would close it in good order, which waits for ever when the other
   * side reads nothing, and leaves bytes on the way that a woken server would still store. It shows no way to its
   * socket, so we reach for it, and do without when it is not where we know it.
   */
  #reset(): void {
    const inside = this.nc as unknown as { protocol?: { transport?: { socket?: Socket } } }
    const socket = inside.protocol?.transport?.socket
    if (typeof socket?.resetAndDestroy === 'function') socket.resetAndDestroy()
  }
}

const JETSTREAM_NOT_ENABLED_FOR_ACCOUNT = 10039
/** What a cluster answers while it has no leader, or while the servers with the stream are down. */
const AWAY: readonly unknown[] = [10004, 10008, 10009, 10118]
/** A slow server, or one that reads its users anew, refuses now and then; this many times in a row is a no. */
const REFUSALS_MAX = 20

function isRefusal(error: Error): boolean {
  return error.name === 'AuthorizationError' || error.name === 'UserAuthenticationExpiredError'
}

/** True when the server says that nobody takes requests to the subject. */
export function isNoResponders(error: unknown): boolean {
  return error instanceof Error && (error.name === 'NoResponders' || isNoResponders(error.cause))
}

function permission(error: Error): string | undefined {
  for (let at: unknown = error; at instanceof Error; at = at.cause) {
    const { operation, subject } = at as { operation?: string; subject?: string }
    if (at.name === 'PermissionViolationError') return `${operation ?? 'use of'} "${subject ?? ''}"`
  }
  return undefined
}

function deniedPublish(error: Error): string | undefined {
  const { operation, subject } = error as { operation?: string; subject?: string }
  return error.name === 'PermissionViolationError' && operation === 'publish' ? subject : undefined
}
