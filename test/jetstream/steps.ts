/** What the JetStream tests share: links that note what they tell, and streams to fill and to compare. */
import { systemChance, systemClock } from '../../src/clock.js'
import { openJetStream } from '../../src/log/jetstream/jetstream.js'
import type { BatchReader, LogStream, ReadOptions, StreamSpec } from '../../src/log/log.js'
import type { Ports } from '../../src/log/ports.js'
import { START } from '../../src/log/record.js'
import type { Event } from '../../src/telemetry/events.js'

export interface TestLink extends Ports {
  /** What the link has told, each with its time on `performance.now()`. */
  readonly told: readonly { readonly event: Event; readonly at: number }[]
  [Symbol.asyncDispose](): Promise<void>
}

export async function openLink(server: { readonly url: string }): Promise<TestLink> {
  const told: { event: Event; at: number }[] = []
  const tell = (event: Event) => void told.push({ event, at: performance.now() })
  const ports = await openJetStream({ servers: server.url }, { clock: systemClock, chance: systemChance, tell })
  return Object.assign(ports, { told, [Symbol.asyncDispose]: () => ports.close() })
}

/** How often the link has gone down. */
export function disconnects(link: TestLink): number {
  return link.told.filter(({ event }) => event.type === 'log.disconnected').length
}

export function openStream(link: Ports, wanted: Partial<StreamSpec> = {}): Promise<LogStream> {
  const name = `s-${systemChance.name()}`
  return link.log.open({ name, partitions: 1, retention: {}, replicas: 1, dedupWindowMs: 120_000, ...wanted })
}

/** Appends `count` records of `payload` without ids, as fast as there is room, keeping nothing. */
export async function fill(stream: LogStream, count: number, payload: Uint8Array, partitions = 1): Promise<void> {
  let failed: unknown
  let stored = 0
  for (let i = 0; i < count && failed === undefined; i++) {
    for (let wait = stream.room(); wait !== undefined; wait = stream.room()) await wait
    void stream.append({ partition: i % partitions, payload }).then(ending => {
      if (ending.ending === 'stored') stored++
      else failed ??= ending.error
    })
  }
  while (stored < count && failed === undefined) await new Promise(setImmediate)
  if (failed !== undefined) throw failed as Error
}

/** The text of every record there is, in order. */
export async function textsOf(stream: LogStream, options: Partial<ReadOptions> = {}): Promise<string[]> {
  const texts: string[] = []
  for await (const { records } of stream.read({ after: START, untilEnd: true, ...options })) {
    for (const { payload } of records) texts.push(Buffer.from(payload).toString())
  }
  return texts
}

/** `0`, `1`, ... : what the writers of these tests write. */
export function countedTo(count: number): string[] {
  return Array.from({ length: count }, (_, i) => `${i}`)
}

/** The counted records with an id each, for `writeSettled`. */
export function counted(number: number) {
  return { partition: 0, payload: Buffer.from(`${number}`), id: `w/${number}` }
}

/** Takes batches until `enough`, giving the records' texts. The reader stays open. */
export async function takeUntil(reader: BatchReader, enough: (texts: readonly string[]) => boolean): Promise<string[]> {
  const texts: string[] = []
  while (!enough(texts)) {
    const { value: batch } = await reader.next()
    if (batch === undefined) break
    for (const { payload } of batch.records) texts.push(Buffer.from(payload).toString())
  }
  return texts
}
