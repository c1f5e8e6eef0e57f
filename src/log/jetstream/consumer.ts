/**
 * One ephemeral pull consumer on the server, for as long as it holds: pulls bounded in records and bytes go out as there
 * is room, deliveries come in and are counted. What breaks its count, or ends it, ends it for good; the reader then makes
 * another.
 */
import type { Msg, Subscription } from '@nats-io/transport-node'
import { AckPolicy, ReplayPolicy, type ConsumerConfig } from '@nats-io/jetstream'
import { parseDelivery, type Delivery } from './delivery.js'
import type { Link } from './link.js'
import { Pulls } from './pulls.js'

export interface Consuming {
  readonly stream: string
  /** The subject to read, or undefined for all. */
  readonly filter: string | undefined
  /** The one subject, when there is just one. */
  readonly subject?: string | undefined
  /** Where to begin. */
  readonly start: Pick<ConsumerConfig, 'deliver_policy'> & { readonly opt_start_seq?: number }
  readonly headersOnly: boolean
  readonly recordsMax: number
  readonly bytesMax: number
  /** One record. The bytes are views into what was received. */
  take(delivery: Delivery, subject: string, head: Uint8Array, payload: Uint8Array): void
  /** A pull has ended, so there may be room for another. */
  ready(): void
  /** It must be made anew, for this reason. */
  lost(why: string): void
  failed(error: Error): void
}

/** How often the server says that it is there while it has nothing for us. */
export const HEARTBEAT_MS = 2000
/** How long a pull waits for records. */
const EXPIRES_MS = 30_000
/** When the server forgets a consumer that we left behind. */
const INACTIVE_MS = 30_000
const NS_PER_MS = 1_000_000
const PULL_TIMES = `"expires":${EXPIRES_MS * NS_PER_MS},"idle_heartbeat":${HEARTBEAT_MS * NS_PER_MS}`
/** One on its way while the other is being delivered. */
const PULLS_OUT = 2

interface Pull {
  readonly id: number
  records: number
  bytes: number
  untouched: boolean
  /** For one record of any size. */
  readonly large: boolean
}

/** A message as the client really gives it: its type leaves out the weight that the server counts against `max_bytes`. */
type Sized = Msg & { size(): number }

export class PullConsumer {
  readonly #link: Link
  readonly #of: Consuming
  readonly #name: string
  readonly #inbox: string
  readonly #subscription: Subscription
  readonly #pullSubject: string
  readonly #leavePulls: () => void
  readonly #stopHearingDenials: () => void
  readonly #askAgain = () => this.#of.ready()
  #pulls: Pull[] = []
  #pullId = 0
  /** Counts the deliveries, as the server does. */
  #next = 1
  /** The next record is larger than a share. */
  #large = false
  #heard = true

  private constructor(link: Link, of: Consuming) {
    this.#link = link
    this.#of = of
    this.#name = `sn_${link.tools.chance.name()}`
    this.#inbox = link.inbox()
    this.#subscription = link.listen(`${this.#inbox}.*`, message => this.#hear(message), {
      failed: error => of.failed(error),
    })
    this.#pullSubject = `${link.api}.CONSUMER.MSG.NEXT.${of.stream}.${this.#name}`
    this.#stopHearingDenials = link.onDenied(subject => {
      if (subject !== this.#pullSubject) return false
      of.failed(link.denied(`read stream "${of.stream}"`, `publish "${subject}"`))
      return true
    })
    this.#leavePulls = link.pulls.join()
  }

  /** Makes the consumer; gives it with the number of records it will deliver. Rejects when the server will not, or is away. */
  static async open(link: Link, of: Consuming): Promise<{ consumer: PullConsumer; pending: number }> {
    const consumer = new PullConsumer(link, of)
    const config: Partial<ConsumerConfig> = {
      name: consumer.#name,
      ack_policy: AckPolicy.None,
      replay_policy: ReplayPolicy.Instant,
      mem_storage: true,
      num_replicas: 1,
      inactive_threshold: INACTIVE_MS * NS_PER_MS,
      ...of.start,
      ...(of.filter === undefined ? {} : { filter_subject: of.filter }),
      ...(of.headersOnly ? { headers_only: true } : {}),
    }
    try {
      const made = await link.call(`read stream "${of.stream}"`, jsm => jsm.consumers.add(of.stream, config))
      return { consumer, pending: made.num_pending }
    } catch (error) {
      consumer.close()
      throw error
    }
  }

  /** True while the server owes us an answer: records, a heartbeat, or the end of a pull. */
  get waits(): boolean {
    return this.#pulls.length > 0
  }

  /** True when something came since this was last asked. */
  wasHeard(): boolean {
    const heard = this.#heard
    this.#heard = false
    return heard
  }

  /** Has delivered its first record already. */
  get begun(): boolean {
    return this.#next > 1
  }

  /** Sends pulls while there is room for what they may bring, beside what the reader holds. */
  ask(heldRecords: number, heldBytes: number): void {
    const { recordsMax, bytesMax } = this.#of
    let records = heldRecords
    let bytes = heldBytes
    for (const pull of this.#pulls) {
      records += pull.records
      bytes += Math.min(pull.bytes, bytesMax)
    }
    while (this.#pulls.length < PULLS_OUT && records <= recordsMax && bytes <= bytesMax) {
      const pull = this.#nextPull()
      if (pull === undefined) return
      this.#pulls.push(pull)
      const request = `{"batch":${pull.records},"max_bytes":${pull.bytes},${PULL_TIMES}}`
      const reply = `${this.#inbox}.${pull.id}`
      this.#link.nc.publish(this.#pullSubject, request, { reply })
      if (pull.large) return
      records += pull.records
      bytes += pull.bytes
    }
  }

  /** Nothing more is taken. Idempotent. */
  close(): void {
    if (this.#subscription.isClosed()) return
    this.#subscription.unsubscribe()
    this.#stopHearingDenials()
    this.#leavePulls()
    this.#link.pulls.leave(this.#askAgain)
    for (const pull of this.#pulls.splice(0)) this.#over(pull)
    // The server forgets it anyhow after a while; telling it is a courtesy.
    if (this.#link.up) this.#link.jsm.consumers.delete(this.#of.stream, this.#name).catch(() => {})
  }

  #nextPull(): Pull | undefined {
    const { pulls, payloadMax } = this.#link
    const { recordsMax, bytesMax } = this.#of
    const id = ++this.#pullId
    if (!this.#large) {
      return { id, records: recordsMax, bytes: Math.min(bytesMax, pulls.share()), untouched: true, large: false }
    }
    if (!pulls.takeLarge(payloadMax, this.#askAgain)) return undefined
    return { id, records: 1, bytes: Pulls.bytesOfLargest(payloadMax), untouched: true, large: true }
  }

  /** One message: a record of the oldest pull, or what the server says about a pull. The hot path. */
  #hear(message: Msg): void {
    this.#heard = true
    const reply = message.reply ?? ''
    if (reply === '') {
      this.#status(message)
      return
    }
    const delivery = parseDelivery(reply)
    if (delivery.consumerSequence !== this.#next) {
      this.#of.lost(`delivery ${this.#next} did not arrive`)
      return
    }
    this.#next++
    const weight = (message as Sized).size()
    const subject = this.#of.subject ?? message.subject
    const payload = message.data
    // In bytes, since others' subjects and streams need not be ASCII.
    const around = Buffer.byteLength(subject) + Buffer.byteLength(reply)
    const head = headBefore(payload, weight - around - payload.length)
    this.#of.take(delivery, subject, head, payload)
    this.#count(weight, delivery.behind)
  }

  /** Counts a record against the pull that brought it, as the server does. */
  #count(weight: number, behind: number): void {
    const pull = this.#pulls[0]
    if (pull === undefined) return
    pull.untouched = false
    pull.records--
    pull.bytes -= weight
    if (pull.records > 0 && pull.bytes > 0) return
    this.#pulls.shift()
    // Where there was one large record there may be more. But while none is ready, others need the room more.
    if (pull.large) this.#large = behind > 0 && weight > this.#link.pulls.share()
    this.#over(pull)
    this.#of.ready()
  }

  #status(message: Msg): void {
    const code = message.headers?.code ?? 0
    const said = message.headers?.description ?? ''
    const id = Number(message.subject.slice(this.#inbox.length + 1))
    const pull = this.#pulls.find(pull => pull.id === id)
    if (code === 100) {
      const delivered = Number(message.headers?.get('Nats-Last-Consumer') ?? 0)
      if (delivered >= this.#next) this.#of.lost(`delivery ${this.#next} did not arrive`)
    } else if (code === 404 || code === 408) {
      this.#end(pull)
    } else if (code === 409 && /maxbytes/i.test(said)) {
      // One record must always fit: after a pull that brought nothing for want of bytes comes one for any size.
      if (pull?.untouched === true) this.#large = true
      this.#end(pull)
    } else if (pull !== undefined) {
      this.#of.lost(`the server ended a pull: ${code} ${said}`.trimEnd())
    }
  }

  #end(pull: Pull | undefined): void {
    if (pull === undefined) return
    this.#pulls.splice(this.#pulls.indexOf(pull), 1)
    this.#over(pull)
    this.#of.ready()
  }

  #over(pull: Pull): void {
    if (pull.large) this.#link.pulls.giveLarge()
  }
}

const NO_HEAD = new Uint8Array(0)
const FIRST_OF_HEAD = 'N'.charCodeAt(0)

/**
 * The raw header block of a message. It stands right before the payload in what was received; its length is what the
 * size of the message leaves over. The client would decode all headers of every message instead.
 */
function headBefore(payload: Uint8Array, length: number): Uint8Array {
  if (length === 0) return NO_HEAD
  const head = new Uint8Array(payload.buffer, payload.byteOffset - length, length)
  return head[0] === FIRST_OF_HEAD ? head : NO_HEAD
}
