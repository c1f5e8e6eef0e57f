/**
 * Appends to one stream: those of a tick are decided together, in the order of the calls, inside one transaction.
 */
import type { Clock } from '../../clock.js'
import { DefinitionError, FencedError, IntegrityError, UnavailableError } from '../../errors.js'
import { appendFault } from '../fault.js'
import type { Append, Ending, Refused } from '../log.js'
import { encodeHeaders } from '../record.js'
import type { Position } from '../record.js'
import { closedError } from './feed.js'
import type { Link } from './feed.js'
import { Draft, Place } from './layout.js'
import type { Mirror } from './mirror.js'
import type { Pulse } from './pulse.js'
import { lastOf } from './scan.js'
import type { Job, Store } from './store.js'
import type { Trimmer } from './trim.js'

/** The largest record, headers included. Values above 16 MB take another path in lmdb, which pins its pages. */
export const RECORD_BYTES_MAX = 8 * 1024 * 1024

// What one transaction of a tick may hold: it runs on the main thread, about a microsecond for a record.
const RECORDS_IN_FLIGHT = 4096
const BYTES_IN_FLIGHT = 8 * 1024 * 1024

interface Pending {
  readonly partition: number
  readonly id: string | undefined
  readonly expect: Position | undefined
  readonly draft: Draft
  readonly ended: (ending: Ending) => void
  ending: Ending | undefined
}

interface Waiting {
  readonly promise: Promise<void>
  readonly resolve: () => void
  readonly reject: (error: Error) => void
}

export class Writer implements Job {
  #queued: Pending[] = []
  #running: readonly Pending[] = []
  #bytes = 0
  #records = 0
  #waiting: Waiting | undefined
  readonly #place: Place

  constructor(
    readonly store: Store,
    readonly pulse: Pulse,
    readonly clock: Clock,
    readonly link: Link,
    readonly mirror: Mirror,
    readonly trimmer: Trimmer,
  ) {
    this.#place = new Place(mirror.id, 0, 0)
  }

  send(record: Append, ended: (ending: Ending) => void): void {
    const refusal = this.#refusal(record)
    if (refusal !== undefined) {
      queueMicrotask(() => ended(refusal))
      return
    }
    const { partition, id, expect, payload } = record
    const head = encodeHeaders(record.headers, id)
    const size = head.length + payload.length
    if (size > RECORD_BYTES_MAX) {
      queueMicrotask(() => ended(refused('denied', tooLarge(this.mirror.spec.name, size))))
      return
    }
    if (this.#queued.length === 0) this.store.enqueue(this)
    this.#queued.push({ partition, id, expect, draft: new Draft(head, payload), ended, ending: undefined })
    this.#records++
    this.#bytes += size
  }

  #refusal(record: Append): Refused | undefined {
    if (this.link.closed) return refused('unavailable', closedError())
    const fault = appendFault(record, this.mirror.spec.partitions)
    if (fault !== undefined) return refused('denied', fault)
    return this.#crowded() ? refused('unavailable', crowded()) : undefined
  }

  room(): Promise<void> | undefined {
    if (this.link.closed) return heldByNobody(Promise.reject(closedError()))
    if (!this.#crowded()) return undefined
    this.#waiting ??= waiting()
    return this.#waiting.promise
  }

  #crowded(): boolean {
    return this.#records >= RECORDS_IN_FLIGHT || this.#bytes >= BYTES_IN_FLIGHT
  }

  run(): void {
    this.#running = this.#queued
    this.#queued = []
    const { mirror } = this
    if (!mirror.load()) {
      const gone = refused('denied', noLonger(mirror.spec.name))
      for (const one of this.#running) one.ending = gone
      return
    }
    const now = Math.max(mirror.tail.time, Math.floor(this.clock.now()))
    const before = mirror.tail.last
    for (const one of this.#running) one.ending = this.#decide(one, now)
    if (mirror.tail.last === before) return
    mirror.save()
    if (this.trimmer.retain(now)) setImmediate(() => this.#retainMore())
  }

  #decide(one: Pending, now: number): Ending {
    const { mirror } = this
    const { partition, id, expect } = one
    const end = mirror.ends[partition] as Position
    if (id !== undefined) {
      const position = mirror.find(id)
      if (position !== undefined) return { ending: 'stored', position, repeat: true }
    }
    if (expect !== undefined) {
      // The window says nothing of an older record, but a repeat of the last one is told from it itself.
      if (end > 0 && lastOf(this.store, mirror.id, partition)?.record.id === id) {
        return { ending: 'stored', position: end, repeat: true }
      }
      if (expect !== end) return refused('expected', elsewhere(mirror.spec.name, partition, expect, end))
    }
    return { ending: 'stored', position: this.#store(one, now), repeat: false }
  }

  #store({ partition, id, draft }: Pending, now: number): Position {
    const { mirror } = this
    const { tail, ends, ordinals } = mirror
    const position = ++tail.last
    const ordinal = (ordinals[partition] as number) + 1
    this.#place.partition = partition
    this.#place.position = position
    this.store.records.putSync(this.#place, draft.stamp(now, ordinal))
    ends[partition] = position
    ordinals[partition] = ordinal
    tail.time = now
    tail.records++
    tail.bytes += draft.weight
    if (id !== undefined) mirror.note(id, partition, position)
    return position
  }

  #retainMore(): void {
    if (this.link.closed) return
    this.store.enqueue({
      run: () => {
        if (this.mirror.load() && this.trimmer.retain(Math.max(this.mirror.tail.time, Math.floor(this.clock.now())))) {
          setImmediate(() => this.#retainMore())
        }
      },
      done: () => this.pulse.beat(this.mirror.id),
      failed: () => this.mirror.forget(),
    })
  }

  /** Lets retention by age take what has become too old. */
  retain(): void {
    this.#retainMore()
  }

  done(): void {
    this.#end(one => one.ending as Ending)
    this.pulse.beat(this.mirror.id)
  }

  failed(error: UnavailableError | IntegrityError): void {
    // A job before this one may have ended the transaction before this one's turn had come.
    if (this.#running.length === 0) [this.#running, this.#queued] = [this.#queued, []]
    this.mirror.forget()
    const ending = failedEnding(error)
    this.#end(() => ending)
  }

  #end(endingOf: (one: Pending) => Ending): void {
    const ended = this.#running
    this.#running = []
    for (const one of ended) {
      this.#records--
      this.#bytes -= one.draft.weight
      one.ended(endingOf(one))
    }
    this.#waiting?.resolve()
    this.#waiting = undefined
  }

  /** Nobody will find room any more. */
  close(): void {
    this.#waiting?.reject(closedError())
    this.#waiting = undefined
  }
}

function waiting(): Waiting {
  let [resolve, reject]: [() => void, (error: Error) => void] = [() => {}, () => {}]
  const promise = new Promise<void>((yes, no) => {
    resolve = yes
    reject = no
  })
  return { promise: heldByNobody(promise), resolve, reject }
}

/** Asking whether there is room is no promise to wait for it: a rejection that nobody awaits is no error. */
function heldByNobody(promise: Promise<void>): Promise<void> {
  promise.catch(() => {})
  return promise
}

export function refused(why: Refused['why'], error: Refused['error']): Refused {
  return { ending: 'refused', why, error }
}

/** How writes end whose transaction came to nothing: a full disk is sure to have undone it, anything else is not. */
export function failedEnding(error: UnavailableError | IntegrityError): Ending {
  if (error instanceof UnavailableError && error.code === 'LOG_FULL') return refused('full', error)
  return { ending: 'unknown', error }
}

/** The stream was deleted, or deleted and made anew, since it was opened. */
export function goneError(name: string): IntegrityError {
  return new IntegrityError(
    'STREAM_RECREATED',
    `stream "${name}" was deleted since it was opened, with all its records`,
    'open it again, and decide whether what was derived from it still holds',
    { facts: { stream: name } },
  )
}

function tooLarge(stream: string, size: number): DefinitionError {
  const what = `a record of ${size} bytes for stream "${stream}" is above the limit of ${RECORD_BYTES_MAX}`
  return new DefinitionError('RECORD_TOO_LARGE', what, 'make it smaller, or store it elsewhere and send where it is')
}

function elsewhere(stream: string, partition: number, expect: Position, end: Position): FencedError {
  return new FencedError(`partition ${partition} of stream "${stream}" ends at ${end}, not at ${expect}`)
}

function noLonger(stream: string): DefinitionError {
  return new DefinitionError('NO_SUCH_STREAM', `stream "${stream}" was deleted since it was opened`, 'open it again')
}

function crowded(): UnavailableError {
  const what = `not sent: as many appends are in flight as may be (${RECORDS_IN_FLIGHT} or ${BYTES_IN_FLIGHT} bytes)`
  return new UnavailableError('DISCONNECTED', what, 'wait for room() before each append')
}
