/**
 * What stands for the far sides of a pipeline's sinks in a simulation, so that nothing leaves it: it takes each id once, and
 * now and then it refuses, or takes a part and then fails.
 */
import { inspect } from 'node:util'
import type { Choose } from '../../pipeline/definition.js'
import type { Stage } from '../../pipeline/plan.js'
import { isSink, sink, sinkSettingsOf, type Sink, type SinkRecord } from '../../stream/sink.js'
import type { Target } from '../../stream/stream.js'
import type { SimChance } from './chance.js'

const FAILS_SHARE = 0.2

export class FarSides {
  /** What came first under each id, by the sink and the partition that it came from. */
  readonly #came = new Map<string, Map<string, string>>()
  readonly #standIns = new Map<unknown, Sink<unknown>>()
  readonly #chance: SimChance | undefined

  /** Without chance they never fail. */
  constructor(chance: SimChance | undefined) {
    this.#chance = chance
  }

  /** The stage, with these in the places of its sinks. */
  stage(stage: Stage): Stage {
    const { sinks, choose } = stage
    if (sinks.length === 0) return stage
    for (const one of sinks) if (!this.#standIns.has(one)) this.#standIns.set(one, this.#standIn(one))
    const those = sinks.map(one => this.#instead(one) as Sink<unknown>)
    return Object.freeze({ ...stage, sinks: those, choose: choose && this.#choosing(choose) })
  }

  /** Adds what they have, as a reader of streams would tell it. */
  addTo(came: Map<string, string[]>): void {
    for (const [lane, texts] of this.#came) came.set(lane, [...texts.values()])
  }

  #choosing(choose: Choose<unknown>): Choose<unknown> {
    return value => {
      const chosen: unknown = choose(value)
      return (Array.isArray(chosen) ? chosen.map(one => this.#instead(one)) : this.#instead(chosen)) as Target<unknown>
    }
  }

  #instead(target: unknown): unknown {
    return isSink(target) ? (this.#standIns.get(target) ?? target) : target
  }

  #standIn(given: Sink<unknown>): Sink<unknown> {
    const { codec, batchRecords, batchBytes, timeoutMs } = sinkSettingsOf(given)
    const { name } = given
    const write = (records: readonly SinkRecord<unknown>[]) => this.#write(name, records)
    return sink(name, { write, codec, batch: { records: batchRecords, bytes: batchBytes }, timeout: timeoutMs })
  }

  #write(name: string, records: readonly SinkRecord<unknown>[]): void {
    const fails = this.#chance?.happens(FAILS_SHARE) ?? false
    const taken = fails ? records.slice(0, this.#chance?.whole(records.length + 1)) : records
    for (const { id, key, value } of taken) {
      const from = id.split('/')[2]?.split('>')[0] ?? ''
      const lane = `sink "${name}", partition ${from}`
      const texts = this.#came.get(lane) ?? new Map<string, string>()
      this.#came.set(lane, texts)
      if (!texts.has(id)) texts.set(id, inspect({ key, value }, WHOLE))
    }
    if (fails) throw new Error('the far side failed')
  }
}

const WHOLE = { depth: Infinity, maxArrayLength: null, maxStringLength: null, breakLength: Infinity, sorted: true }
