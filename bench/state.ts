/** A partition with a million rows, as steady state leaves it: each row was made, and then all were changed once more. */
import { filter } from 'rxjs'
import { aggregate, count, pipeline, stream, sum, type Definition } from '../src/index.js'
import type { Ports } from '../src/log/ports.js'
import type { PartitionStatus } from '../src/actor/status.js'
import type { Tell } from '../src/telemetry/events.js'
import { encode, fill, specOf } from './job.js'
import { runThrough } from './ours.js'

interface Hit {
  readonly key: string
  readonly ms: number
}

const SOURCE = 'hits'

/** Counts and sums by key, and gives nothing out, so that all of it is state. */
export function stateful(): Definition {
  const hits = stream<Hit>(SOURCE, { key: 'key', partitions: 1 })
  const none = stream<{ readonly key: string }>('none', { key: 'key', partitions: 1 })
  return pipeline('state')
    .from(hits)
    .pipe(
      aggregate({ count: count(), sum: sum((hit: Hit) => hit.ms) }, { emit: 'turn' }),
      filter(() => false),
    )
    .to(none)
}

/** What is seen of the partition while its rows are changed: `steady` is called each 50 ms, `heard` gets all events. */
export interface Watching {
  readonly steady: (status: PartitionStatus) => void
  readonly heard: Tell
}

/** Makes `rows` rows and changes each once, in another order; ends the node well. */
export async function fillState(ports: Ports, rows: number, watching?: Watching): Promise<void> {
  await fill(ports, specOf(SOURCE, 1), 2 * rows, n => {
    const row = n < rows ? n : (n * 7919) % rows
    return { partition: 0, payload: encode({ key: `key-${String(row).padStart(9, '0')}`, ms: n % 500 }) }
  })
  let committed = 0
  let steady = false
  const { node } = await runThrough(
    ports,
    stateful(),
    2 * rows,
    event => {
      if (event.type === 'partition.committed') committed += event.records
      steady ||= committed > rows
      if (steady) watching?.heard(event)
    },
    node => {
      if (steady) for (const status of node.status()) watching?.steady(status)
    },
  )
  await node.stop()
}
