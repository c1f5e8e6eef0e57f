/**
 * A log that is looked at from outside: when the engine was given each record of one stream, and when each output to
 * another was acknowledged. Ports around ports, so that the engine is the very one that users run.
 */
import type {
  Append,
  Batch,
  BatchReader,
  Ending,
  Extent,
  Log,
  LogStream,
  ReadOptions,
  StreamSpec,
} from '../src/log/log.js'
import type { Ports } from '../src/log/ports.js'
import type { LogRecord, Position } from '../src/log/record.js'
import { Spans } from './percentile.js'

/** What the log may hold ready before it is asked: two batches of the engine's, as `BatchReader` promises. */
const AHEAD_RECORDS = 1024
/** Looks at one output in so many, so that looking costs nothing. */
const SAMPLE = 16

/** When the records of one partition were given to the engine. */
class Given {
  /** How many by then, and when. */
  readonly #batches: { readonly upTo: number; readonly ms: number }[] = []
  #count = 0
  #at = 0
  readonly #began = performance.now()

  take(records: number): void {
    this.#count += records
    this.#batches.push({ upTo: this.#count, ms: performance.now() })
  }

  /**
   * When the n-th record, from 1, can have been read at the earliest: when the one before it was given that stood as far
   * ahead as the log reads. To be asked with rising numbers.
   */
  readMs(n: number): number {
    const before = n - AHEAD_RECORDS
    if (before < 1) return this.#began
    while ((this.#batches[this.#at]?.upTo ?? Infinity) < before) this.#at++
    return (this.#batches[this.#at] as { ms: number }).ms
  }

  rewind(): void {
    this.#at = 0
  }
}

export class Probe {
  readonly #given = new Map<number, Given>()
  readonly #acked: { readonly partition: number; readonly n: number; readonly ms: number }[] = []
  readonly #committed: { readonly partition: number; readonly upTo: number; readonly ms: number }[] = []
  readonly #records = new Map<number, number>()

  constructor(
    readonly source: string,
    readonly target: string,
  ) {}

  around(ports: Ports): Ports {
    return wrapped(ports, stream => {
      if (stream.spec.name === this.source) return new Read(stream, this)
      return stream.spec.name === this.target ? new Written(stream, this) : stream
    })
  }

  gave(partition: number, records: number): void {
    this.#of(partition).take(records)
  }

  acked(partition: number, n: number): void {
    this.#acked.push({ partition, n, ms: performance.now() })
  }

  /** So many more records of a partition are committed. */
  committed(partition: number, records: number): void {
    const upTo = (this.#records.get(partition) ?? 0) + records
    this.#records.set(partition, upTo)
    this.#committed.push({ partition, upTo, ms: performance.now() })
  }

  /**
   * From the reading of a record to the ack of its output. Holds where each record gives one output to the partition
   * that it came from: then the n-th output is that of the n-th record.
   */
  untilAcked(): Spans {
    const spans = new Spans()
    for (const given of this.#given.values()) given.rewind()
    for (const { partition, n, ms } of this.#acked.sort((a, b) => a.n - b.n)) {
      spans.add(ms - this.#of(partition).readMs(n))
    }
    return spans
  }

  /** From the reading of a record to the commit that holds it. */
  untilCommitted(): Spans {
    const spans = new Spans()
    const from = new Map<number, number>()
    for (const given of this.#given.values()) given.rewind()
    for (const { partition, upTo, ms } of this.#committed) {
      const given = this.#of(partition)
      for (let n = from.get(partition) ?? 1; n <= upTo; n++) spans.add(ms - given.readMs(n))
      from.set(partition, upTo + 1)
    }
    return spans
  }

  #of(partition: number): Given {
    let given = this.#given.get(partition)
    if (given === undefined) this.#given.set(partition, (given = new Given()))
    return given
  }
}

/** A log whose streams somebody stands before. */
export function wrapped(ports: Ports, wrap: (stream: LogStream) => LogStream): Ports {
  const log: Log = {
    description: ports.log.description,
    recordBytesMax: ports.log.recordBytesMax,
    open: async spec => wrap(await ports.log.open(spec)),
    find: async name => {
      const found = await ports.log.find(name)
      return found && wrap(found)
    },
    names: () => ports.log.names(),
    drop: name => ports.log.drop(name),
  }
  return { log, signals: ports.signals, bucket: spec => ports.bucket(spec), close: () => ports.close() }
}

/** Hands everything on. */
export class Through implements LogStream {
  readonly spec: StreamSpec
  readonly incarnation: string

  constructor(readonly stream: LogStream) {
    this.spec = stream.spec
    this.incarnation = stream.incarnation
  }

  append(record: Append): Promise<Ending> {
    return this.stream.append(record)
  }
  send(record: Append, ended: (ending: Ending) => void): void {
    this.stream.send(record, ended)
  }
  room(): Promise<void> | undefined {
    return this.stream.room()
  }
  read(options: ReadOptions): BatchReader {
    return this.stream.read(options)
  }
  last(partition: number): Promise<LogRecord | undefined> {
    return this.stream.last(partition)
  }
  extent(): Promise<Extent> {
    return this.stream.extent()
  }
  positionAt(time: number): Promise<Position> {
    return this.stream.positionAt(time)
  }
  purge(partition: number, before: Position): Promise<void> {
    return this.stream.purge(partition, before)
  }
}

class Read extends Through {
  readonly #probe: Probe

  constructor(stream: LogStream, probe: Probe) {
    super(stream)
    this.#probe = probe
  }

  override read(options: ReadOptions): BatchReader {
    const reader = this.stream.read(options)
    const probe = this.#probe
    return {
      async next(): Promise<IteratorResult<Batch, undefined>> {
        const next = await reader.next()
        if (next.done !== true) probe.gave(options.partition ?? 0, next.value.records.length)
        return next
      },
      return: () => reader.return(),
      [Symbol.asyncIterator]() {
        return this
      },
    }
  }
}

class Written extends Through {
  readonly #probe: Probe
  #sent = 0

  constructor(stream: LogStream, probe: Probe) {
    super(stream)
    this.#probe = probe
  }

  override send(record: Append, ended: (ending: Ending) => void): void {
    if (this.#sent++ % SAMPLE !== 0) return this.stream.send(record, ended)
    const { partition, id = '' } = record
    const n = Number(id.slice(id.lastIndexOf('/') + 1))
    this.stream.send(record, ending => {
      this.#probe.acked(partition, n)
      ended(ending)
    })
  }
}
