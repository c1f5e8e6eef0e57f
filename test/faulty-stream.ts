/** A stream of a log between its user and the real one: appends end as told, and others can act at chosen moments. */
import { UnavailableError } from '../src/errors.js'
import type { Append, BatchReader, Ending, LogStream, ReadOptions } from '../src/log/log.js'
import type { LogRecord, Position } from '../src/log/record.js'

/** What becomes of an append; `first`: what happens before it is made. */
export type Fate = 'lose' | 'store, no answer' | 'not sent' | 'full' | Ending | { readonly first: () => unknown }

const away = new UnavailableError('TIMED_OUT', 'no answer came', 'wait')

export class FaultyStream implements LogStream {
  /** One for each append to come, in order; without one it goes well. */
  readonly fates: (Fate | undefined)[] = []
  /** All that was to be appended, in order, those included that were lost. */
  readonly sends: Append[] = []
  /** How often it was read. */
  reads = 0
  /** Called with each answer before it is given. */
  onLast: (() => Promise<void>) | undefined
  /** Called before each batch but the first; with it every batch has one record. */
  betweenBatches: (() => Promise<void>) | undefined

  constructor(public inner: LogStream) {}

  get spec(): LogStream['spec'] {
    return this.inner.spec
  }

  get incarnation(): string {
    return this.inner.incarnation
  }

  async append(record: Append): Promise<Ending> {
    // Headers may be asked for once only, and in this tick.
    const { headers } = record
    const sent: Append = { ...plainOf(record), ...(headers !== undefined && { headers: { ...headers } }) }
    this.sends.push(sent)
    const fate = this.fates.shift()
    if (fate === 'lose') return { ending: 'unknown', error: away }
    if (fate === 'not sent') return { ending: 'refused', why: 'unavailable', error: away }
    if (fate === 'full') return { ending: 'refused', why: 'full', error: away }
    if (typeof fate === 'object') {
      if ('ending' in fate) return fate
      await fate.first()
    }
    const ending = await this.inner.append(sent)
    return fate === 'store, no answer' ? { ending: 'unknown', error: away } : ending
  }

  send(record: Append, ended: (ending: Ending) => void): void {
    void this.append(record).then(ended)
  }

  room(): Promise<void> | undefined {
    return this.inner.room()
  }

  read(options: ReadOptions): BatchReader {
    this.reads++
    const { betweenBatches } = this
    if (betweenBatches === undefined) return this.inner.read(options)
    const reader = this.inner.read({ ...options, recordsMax: 1 })
    let batches = 0
    return {
      async next() {
        if (batches++ > 0) await betweenBatches()
        return reader.next()
      },
      return: () => reader.return(),
      [Symbol.asyncIterator]() {
        return this
      },
    }
  }

  async last(partition: number): Promise<LogRecord | undefined> {
    const record = await this.inner.last(partition)
    await this.onLast?.()
    return record
  }

  extent(): ReturnType<LogStream['extent']> {
    return this.inner.extent()
  }

  positionAt(time: number): Promise<Position> {
    return this.inner.positionAt(time)
  }

  purge(partition: number, before: Position): Promise<void> {
    return this.inner.purge(partition, before)
  }
}

function plainOf({ partition, payload, id, expect }: Append): Append {
  return { partition, payload, ...(id !== undefined && { id }), ...(expect !== undefined && { expect }) }
}

/** Only the first `count` records of a partition, in a stream of its own: what a log holds that lost the rest. */
export async function shortened(from: LogStream, to: LogStream, partition: number, keep: (index: number) => boolean) {
  let index = 0
  for await (const { records } of from.read({ partition, after: 0, untilEnd: true })) {
    for (const { payload } of records) if (keep(index++)) await to.append({ partition, payload })
  }
  return to
}
