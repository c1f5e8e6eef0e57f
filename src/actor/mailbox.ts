/**
 * What waits for the owner of a partition, in three lanes: a kill goes before control, control before data. The data
 * lane is bounded in records and bytes, and filled only by who asked for room.
 */
import type { Batch } from '../log/log.js'
import type { LogRecord } from '../log/record.js'

/** What a partition receives. */
export type Message =
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
  /** How much waits before no batch is taken any more, and so how much a turn walks, about. */
  readonly mailboxRecordsMax: number
  readonly mailboxBytesMax: number
}

const CONTROL: Message = { kind: 'control' }

export class Mailbox {
  readonly #limits: MailboxLimits
  readonly #enough: () => number
  #killed: { readonly error: unknown } | undefined
  #control = false
  #data: Delivery[] = []
  #records = 0
  #bytes = 0
  #arrived: (() => void) | undefined
  #roomy: (() => void)[] = []

  /** `enough`: how many records need to wait at the most, asked each time. */
  constructor(limits: MailboxLimits, enough: () => number = () => Infinity) {
    this.#limits = limits
    this.#enough = enough
  }

  /** From now on `receive` rejects with this. Only the first counts. */
  kill(error: unknown): void {
    this.#killed ??= { error }
    this.#wake()
  }

  /** Several before the next `receive` are one. */
  nudge(): void {
    this.#control = true
    this.#wake()
  }

  /** Undefined when a batch may be delivered; else a promise for when to ask again. */
  room(): Promise<void> | undefined {
    if (!this.isFull) return undefined
    return new Promise(resolve => this.#roomy.push(resolve))
  }

  deliver(delivery: Delivery): void {
    this.#data.push(delivery)
    this.#records += delivery.batch.records.length
    for (const record of delivery.batch.records) this.#bytes += record.bytes
    this.#wake()
  }

  /** How many records wait. */
  get records(): number {
    return this.#records
  }

  /** No batch may be delivered. */
  get isFull(): boolean {
    const { mailboxRecordsMax, mailboxBytesMax } = this.#limits
    return this.#records >= Math.min(mailboxRecordsMax, this.#enough()) || this.#bytes >= mailboxBytesMax
  }

  /**
   * The next message, from the first lane that has one; `data`: whether that may be the data lane, asked again whenever
   * something comes. Batches of one source that wait behind each other come as one, of at most `recordsMax` records.
   */
  async receive(data: () => boolean, recordsMax: number): Promise<Message> {
    for (;;) {
      if (this.#killed !== undefined) throw this.#killed.error
      const message = this.#next(data, recordsMax)
      if (message !== undefined) return message
      await new Promise<void>(resolve => (this.#arrived = resolve))
    }
  }

  #next(data: () => boolean, recordsMax: number): Message | undefined {
    if (this.#control) {
      this.#control = false
      return CONTROL
    }
    if (this.#data.length === 0 || !data()) return undefined
    const delivery = this.#joined(recordsMax)
    this.#records -= delivery.batch.records.length
    for (const record of delivery.batch.records) this.#bytes -= record.bytes
    const roomy = this.#roomy
    this.#roomy = []
    for (const go of roomy) go()
    return delivery
  }

  #joined(recordsMax: number): Delivery {
    const [first] = this.#data as [Delivery]
    let count = 1
    let length = first.batch.records.length
    for (let next = this.#data[1]; next?.source === first.source; next = this.#data[count]) {
      length += next.batch.records.length
      if (length > recordsMax) break
      count++
    }
    if (count > 1) {
      const joined = this.#data.splice(0, count)
      const { batch } = joined[count - 1] as Delivery
      const records = ([] as LogRecord[]).concat(...joined.map(delivery => delivery.batch.records))
      return { ...first, batch: { ...batch, records } }
    }
    if (first.batch.records.length <= recordsMax) return this.#data.shift() as Delivery
    const [part, rest] = split(first.batch, recordsMax)
    this.#data[0] = { ...first, batch: rest }
    return { ...first, batch: part }
  }

  #wake(): void {
    this.#arrived?.()
    this.#arrived = undefined
  }
}

/** The first records of a batch, and the others. */
function split({ records, position, behind }: Batch, count: number): [Batch, Batch] {
  const first = records.slice(0, count)
  const rest = records.slice(count)
  return [
    { records: first, position: (first.at(-1) as LogRecord).position, behind: behind + rest.length },
    { records: rest, position, behind },
  ]
}
