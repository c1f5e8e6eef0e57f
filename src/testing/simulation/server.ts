/** The simulated server: its streams, buckets and listeners, shared by all links to it. */
import { DefinitionError } from '../../errors.js'
import type { BucketSpec } from '../../log/bucket.js'
import type { StreamSpec } from '../../log/log.js'
import { badOption } from '../../options.js'
import type { SimChance } from './chance.js'
import type { SimClock } from './clock.js'
import { StoredBucket } from './stored-bucket.js'
import { StoredStream } from './stored-stream.js'
import type { Quirks } from './stored-stream.js'

/** Somebody who listens to a subject over some link. */
export interface Ear {
  readonly subject: string
  readonly kind: 'serve' | 'listen'
  hear(payload: Uint8Array, subject: string, answer: (answer: Answer) => void): void
}

/** How a request ended on the other side. */
export type Answer = { readonly payload: Uint8Array } | { readonly failed: string }

export class SimServer {
  readonly streams = new Map<string, StoredStream>()
  readonly buckets = new Map<string, StoredBucket>()
  readonly ears = new Set<Ear>()
  readonly quirks: Quirks = { blindMs: 0 }
  /** Off: requests that arrive get no answer. */
  on = true
  readonly #now = (): number => this.clock.now()

  constructor(
    readonly clock: SimClock,
    readonly chance: SimChance,
  ) {}

  open(spec: StreamSpec): StoredStream {
    let there = this.streams.get(spec.name)
    if (there === undefined) {
      if (spec.replicas !== 1)
        throw badOption(`the replicas of stream "${spec.name}"`, '1 in a simulation', spec.replicas)
      there = new StoredStream(spec, this.chance.name(), this.#now, this.quirks)
      this.streams.set(spec.name, there)
    }
    checkSame('stream', spec.name, rowsOf(spec), rowsOf(there.spec))
    return there
  }

  drop(name: string): void {
    const there = this.streams.get(name)
    if (there === undefined) return
    there.dropped = true
    this.streams.delete(name)
    there.changed()
  }

  bucket(spec: BucketSpec): StoredBucket {
    let there = this.buckets.get(spec.name)
    if (there === undefined) this.buckets.set(spec.name, (there = new StoredBucket(spec, this.#now)))
    const asked = { ageMs: spec.ageMs, replicas: spec.replicas ?? 1 }
    checkSame('bucket', spec.name, asked, { ageMs: there.spec.ageMs, replicas: 1 })
    return there
  }

  /** Stops; what arrives until `start` gets no answer. */
  stop(): void {
    this.on = false
  }

  start(): void {
    this.on = true
    for (const stream of this.streams.values()) stream.restart()
  }
}

type Rows = Readonly<Record<string, number | undefined>>

function rowsOf({ partitions, replicas, dedupWindowMs, retention }: StreamSpec): Rows {
  const { ageMs, bytes, records } = retention
  const window = Math.min(dedupWindowMs, ageMs ?? dedupWindowMs)
  return {
    partitions,
    replicas,
    dedupWindowMs: window,
    'retention.ageMs': ageMs,
    'retention.bytes': bytes,
    'retention.records': records,
  }
}

function checkSame(kind: string, name: string, asked: Rows, there: Rows): void {
  const differences = Object.keys(asked).filter(row => asked[row] !== there[row])
  if (differences.length === 0) return
  const told = differences.map(row => `${row} ${asked[row] ?? 'none'} asked for, ${there[row] ?? 'none'} there`)
  const what = `${kind} "${name}" is there with other settings: ${told.join(', ')}`
  throw new DefinitionError('STREAM_DIFFERS', what, 'ask for what is there, or give it another name')
}
