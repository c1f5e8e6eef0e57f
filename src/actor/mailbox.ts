/**
 * What waits for the owner of a partition, in three lanes: a kill goes before control, control before data. The data
 * lane is bounded in records and bytes, and filled only by who asked for room.
 */
import type { Batch } from '../log/log.js'

/** What a partition receives. */
export type Message =
  /** It must end at once, with this. */
  | { readonly kind: 'kill'; readonly error: unknown }
  /** Something has changed that the owner should look at. */
  | { readonly kind: 'control' }
  /** Records of its source of this number. */
  | Delivery

export interface Delivery {
  readonly kind: 'batch'
  readonly source: number
  readonly batch: Batch
}

export interface MailboxLimits {
  readonly mailboxRecordsMax: number
  readonly mailboxBytesMax: number
}

const CONTROL: Message = { kind: 'control' }

export class Mailbox {
  readonly #limits: MailboxLimits
  #kill: Message | undefined
  #control = false
  #data: Delivery[] = []
  #records = 0
  #bytes = 0
  #arrived: (() => void) | undefined
  #roomy: (() => void)[] = []

  constructor(limits: MailboxLimits) {
    this.#limits = limits
  }

  /** Only the first counts. */
  kill(error: unknown): void {
    this.#kill ??= { kind: 'kill', error }
    this.#wake()
  }

  /** Several before the next `receive` are one. */
  nudge(): void {
    this.#control = true
    this.#wake()
  }

  /** Undefined when a batch may be delivered; else a promise for when to ask again. */
  room(): Promise<void> | undefined {
    const { mailboxRecordsMax, mailboxBytesMax } = this.#limits
    if (this.#records < mailboxRecordsMax && this.#bytes < mailboxBytesMax) return undefined
    return new Promise(resolve => this.#roomy.push(resolve))
  }

  deliver(delivery: Delivery): void {
    this.#data.push(delivery)
    this.#records += delivery.batch.records.length
    for (const record of delivery.batch.records) this.#bytes += record.bytes
    this.#wake()
  }

  /** The next message, from the first lane that has one; `data`: whether that may be the data lane. */
  async receive(data: boolean): Promise<Message> {
    for (;;) {
      const message = this.#next(data)
      if (message !== undefined) return message
      await new Promise<void>(resolve => (this.#arrived = resolve))
    }
  }

  /** Whether batches wait. */
  get hasData(): boolean {
    return this.#data.length > 0
  }

  #next(data: boolean): Message | undefined {
    if (this.#kill !== undefined) return this.#kill
    if (this.#control) {
      this.#control = false
      return CONTROL
    }
    if (!data || this.#data.length === 0) return undefined
    const delivery = this.#data.shift() as Delivery
    this.#records -= delivery.batch.records.length
    for (const record of delivery.batch.records) this.#bytes -= record.bytes
    const roomy = this.#roomy
    this.#roomy = []
    for (const go of roomy) go()
    return delivery
  }

  #wake(): void {
    this.#arrived?.()
    this.#arrived = undefined
  }
}
