/**
 * What stands outside a ledger to notice its loss: the incarnation drawn at its birth, and how far it had come. A ledger
 * that is behind its witness has lost what it acknowledged.
 */
import { pause, type Chance } from '../clock.js'
import { boundedJson } from '../codec/bounded-json.js'
import { FencedError, IntegrityError } from '../errors.js'
import type { Bucket, Revision } from '../log/bucket.js'
import { untilAnswered, type Asking } from '../log/until-answered.js'

/** A message of the ledger that was acknowledged. */
export interface Witnessed {
  readonly number: number
  readonly hash: string
}

/** What stands in the bucket. */
export interface Written extends Witnessed {
  readonly incarnation: string
  readonly fence: number
}

const RETRY_MS = 100

/** The entries of the bucket that vouch for ledgers begin so. */
export const LEDGERS = 'ledgers'

/** The entry that vouches for the ledger of a partition. */
export function witnessKey(pipeline: string, stage: number, partition: number): string {
  return `${LEDGERS}.${pipeline}.${stage}.${partition}`
}

/** The name of the stream that holds the ledgers of a stage. */
export function ledgerName(pipeline: string, stage: number): string {
  return `${pipeline}-${stage}-ledger`
}

export class Witness {
  readonly #bucket: Bucket
  readonly #key: string
  readonly #asking: Asking
  #revision: Revision = 0
  #written: Written = { incarnation: '', fence: 0, number: 0, hash: '' }
  #writing: Promise<void> | undefined

  private constructor(bucket: Bucket, key: string, asking: Asking) {
    this.#bucket = bucket
    this.#key = key
    this.#asking = asking
  }

  /** Reads the witness of a ledger, or writes its birth record. Of several who do so at once one wins, for all. */
  static async of(bucket: Bucket, key: string, parts: Asking & { readonly chance: Chance }): Promise<Witness> {
    const witness = new Witness(bucket, key, parts)
    while (!(await witness.#read())) {
      const born: Written = { incarnation: parts.chance.name(), fence: 0, number: 0, hash: '' }
      const ending = await bucket.put(key, encodeWitness(born), 0)
      if (ending.ending === 'refused' && ending.why === 'denied') throw ending.error
      if (ending.ending !== 'stored') await witness.#wait(ending.error)
    }
    return witness
  }

  /** Tells this life of the ledger from a former one, before a reset. */
  get incarnation(): string {
    return this.#written.incarnation
  }

  /** How far the ledger had come, at the least. */
  get seen(): Witnessed {
    return this.#written
  }

  /** Reads it again, as the leader has it now. */
  async refresh(): Promise<void> {
    if (!(await this.#read())) throw goneError(this.#key)
  }

  /**
   * Writes how far an owner has come. Resolves when that, or something later, stands in the bucket. Rejects with
   * `FencedError` when an owner with a higher fence wrote there, and with an `IntegrityError` when the record is gone.
   */
  async write(fence: number, seen: Witnessed): Promise<void> {
    while (this.#written.fence !== fence || this.#written.number < seen.number) {
      // One at a time: the next one that waits writes for all.
      this.#writing ??= this.#put({ incarnation: this.incarnation, fence, ...seen }).finally(
        () => (this.#writing = undefined),
      )
      await this.#writing
    }
  }

  async #put(next: Written): Promise<void> {
    for (;;) {
      if (this.#written.incarnation !== next.incarnation) throw goneError(this.#key)
      if (this.#written.fence > next.fence) throw new FencedError(`the witness ${this.#key} has a higher fence`)
      const ending = await this.#bucket.put(this.#key, encodeWitness(next), this.#revision)
      if (ending.ending === 'stored') {
        this.#revision = ending.position
        this.#written = next
        return
      }
      if (ending.ending === 'refused' && ending.why === 'denied') throw ending.error
      if (ending.ending === 'refused' && ending.why !== 'expected') await this.#wait(ending.error)
      await this.refresh()
      if (this.#written.fence === next.fence && this.#written.number >= next.number) return
    }
  }

  async #read(): Promise<boolean> {
    const entry = await untilAnswered(() => this.#bucket.get(this.#key), this.#asking)
    if (entry?.value === undefined) return false
    this.#written = decodeWitness(entry.value, this.#key)
    this.#revision = entry.revision
    return true
  }

  async #wait(why: Error): Promise<void> {
    const { clock, signal, waits } = this.#asking
    waits(why)
    await pause(clock, RETRY_MS, signal)
  }
}

export function encodeWitness(written: Written): Uint8Array {
  return Buffer.from(JSON.stringify({ version: 1, ...written }))
}

/** The incarnation that a witness vouches for; undefined for what is none. */
export function lifeIn(value: Uint8Array): string | undefined {
  try {
    return decodeWitness(value, '').incarnation
  } catch (error) {
    if (error instanceof IntegrityError) return undefined
    throw error
  }
}

/** What an entry says. Throws `BAD_LOG` for one that is none; `key` is to be said then. */
export function decodeWitness(value: Uint8Array, key: string): Written {
  try {
    const { version, incarnation, fence, number, hash } = boundedJson(value) as Written & { version: unknown }
    if (version === 1 && typeof incarnation === 'string' && typeof hash === 'string') {
      if (isCount(fence) && isCount(number)) return { incarnation, fence, number, hash }
    }
  } catch {
    // Told below, with all else that it is not.
  }
  const what = `the entry ${key} is no witness of a ledger that this release can read`
  throw new IntegrityError(
    'BAD_LOG',
    what,
    'upgrade to the release that wrote it, or begin anew by "stream-node reset"',
  )
}

function isCount(given: number): boolean {
  return Number.isSafeInteger(given) && given >= 0
}

function goneError(key: string): IntegrityError {
  const what = `the entry ${key}, which vouches for a ledger, is gone`
  return new IntegrityError(
    'LOG_REWOUND',
    what,
    'the partition halts: restore the bucket, or begin anew by "stream-node reset"',
  )
}
