/**
 * A target that is a hundred times slower than the source: the memory of the process, which must stay where it was.
 */
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { map } from 'rxjs'
import { pipeline, stream } from '../src/index.js'
import type { Append, Ending, LogStream } from '../src/log/log.js'
import { startServer } from '../test/nats-server/server.js'
import type { Figure } from './case.js'
import { clickOf, encode, fill, openServer, specOf, viewOf, type Click, type View } from './job.js'
import { start } from './ours.js'
import { Through, wrapped } from './probe.js'

export interface SlowBenchOptions {
  /** How long it is looked at; 300 for the bar. */
  readonly seconds?: number
}

/** About a hundredth of what the source gives. */
const PER_SECOND = 800
/** Until code is compiled and all buffers are as large as they get. */
const WARM_UP_SECONDS = 10
const MB = 1024 * 1024

/** Takes `seconds` and a little more. */
export async function* slowCases({ seconds = 60 }: SlowBenchOptions = {}): AsyncGenerator<Figure> {
  const server = await startServer()
  const ports = await openServer(server)
  const records = Math.max(500_000, (seconds + WARM_UP_SECONDS) * PER_SECOND * 2)
  const clicks = stream<Click>('clicks', { key: 'user', partitions: 1 })
  const views = stream<View>('views', { key: 'user', partitions: 1 })
  const definition = pipeline('slow').from(clicks).pipe(map(viewOf)).to(views)
  /** A stream is opened more than once. */
  const slow: Slow[] = []
  const free = () => slow.forEach(stream => stream.free())
  const slowed = wrapped(ports, stream => {
    if (stream.spec.name !== views.name) return stream
    const opened = new Slow(stream, PER_SECOND)
    slow.push(opened)
    return opened
  })
  try {
    await fill(ports, specOf(clicks.name, 1), records, n => ({ partition: 0, payload: encode(clickOf(n, 100)) }))
    const before = await settledMemory()
    const node = await start(slowed, definition, () => {})
    await sleep(WARM_UP_SECONDS)
    const began = memory()
    let most = began
    for (let second = 0; second < seconds; second++) {
      await sleep(1)
      most = Math.max(most, memory())
    }
    const { last } = await (await ports.log.open(specOf(views.name, 1))).extent()
    if (last === 0) throw new Error('nothing was written')
    free()
    await node.stop()
    const name = `target 100 times slower, ${seconds} s`
    yield {
      case: `${name}: memory above that before the node`,
      figure: Math.round((most - before) / MB),
      unit: 'MB',
      bar: '<= 64',
    }
    yield {
      case: `${name}: memory above that after ${WARM_UP_SECONDS} s`,
      figure: Math.round((most - began) / MB),
      unit: 'MB',
    }
    yield { case: `${name}: outputs`, figure: last, unit: `of ${records.toLocaleString('en-US')} records` }
  } finally {
    free()
    await ports.close()
    await server.stop()
  }
}

function memory(): number {
  return process.memoryUsage.rss()
}

/** Once what was used before has been let go, so that it hides nothing of what comes. */
async function settledMemory(): Promise<number> {
  setFlagsFromString('--expose-gc')
  const collect = runInNewContext('gc') as () => void
  for (let times = 0; times < 3; times++) {
    collect()
    await sleep(1)
  }
  return memory()
}

function sleep(seconds: number): Promise<void> {
  return new Promise(resolve => setTimeout(resolve, seconds * 1000))
}

/** A stream that takes so many records a second and no more, and says so by its room. */
class Slow extends Through {
  readonly #waiting: (() => void)[] = []
  readonly #timer: NodeJS.Timeout
  #isFree = false
  #inFlight = 0
  #roomy: { readonly promise: Promise<void>; readonly go: () => void } | undefined

  constructor(stream: LogStream, perSecond: number) {
    super(stream)
    this.#timer = setInterval(() => this.#let(perSecond / 10), 100)
  }

  /** Lets through what waits and all that comes. */
  free(): void {
    this.#isFree = true
    clearInterval(this.#timer)
    this.#let(this.#waiting.length)
  }

  override room(): Promise<void> | undefined {
    if (this.#inFlight < 256) return this.stream.room()
    if (this.#roomy === undefined) {
      let go = () => {}
      const promise = new Promise<void>(resolve => (go = resolve))
      this.#roomy = { promise, go }
    }
    return this.#roomy.promise
  }

  override send(record: Append, ended: (ending: Ending) => void): void {
    this.#inFlight++
    this.#waiting.push(() => {
      this.stream.send(record, ending => {
        this.#inFlight--
        ended(ending)
        if (this.#inFlight >= 128) return
        this.#roomy?.go()
        this.#roomy = undefined
      })
    })
    if (this.#isFree) this.#let(1)
  }

  #let(through: number): void {
    for (const go of this.#waiting.splice(0, through)) go()
  }
}
