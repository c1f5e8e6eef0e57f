import { expect, onTestFinished, test } from 'vitest'
import type { ActorEnd } from '../actor/end.js'
import { systemChance, systemClock, type Clock } from '../clock.js'
import { openEmbedded } from '../log/embedded/embedded.js'
import type { Ports } from '../log/ports.js'
import type { Operator } from '../operators/operator.js'
import type { Definition } from '../pipeline/definition.js'
import { pipeline } from '../pipeline/pipeline.js'
import { stream } from '../stream/stream.js'
import { silent, type Event } from '../telemetry/events.js'
import type { Hosted, HostedParts } from './hosted.js'
import { runNode } from './node.js'

const clicks = stream<number>('clicks', { partitions: 3 })
const copies = stream<number>('copies', { partitions: 3 })
const copy = pipeline('copy').from(clicks).to(copies)
const again = pipeline('again').from(copies).to(stream<number>('more'))

/** An actor that does nothing but what it is told. */
class Puppet implements Hosted {
  readonly asked: string[] = []
  end!: (end: ActorEnd) => void
  readonly #ended = new Promise<ActorEnd>(resolve => (this.end = resolve))
  number = 0
  deaf = false
  onCatchUp = () => true
  pausedBy: Hosted['pausedBy']

  constructor(readonly parts: HostedParts) {}

  run() {
    this.asked.push('run')
    return this.#ended
  }
  stop() {
    this.asked.push('stop')
    if (!this.deaf) this.end({ why: 'stopped' })
  }
  kill() {
    this.asked.push('kill')
    this.end({ why: 'stopped' })
  }
  resume() {
    this.asked.push('resume')
    this.pausedBy = undefined
  }
  resolveLetters() {
    return undefined
  }
  async caughtUp() {
    this.asked.push('caughtUp')
    return this.onCatchUp()
  }
  status() {
    const { stage, partition } = this.parts
    return {
      ...{
        pipeline: stage.pipeline,
        stage: stage.index,
        partition,
        state: 'running' as const,
        fence: 1,
        number: this.number,
      },
      ...{ positions: {}, lag: undefined, outbox: 0, held: 0, rows: 0, letters: 0, liveBytes: 0, ledgerBytes: 0 },
      restarts: 0,
    }
  }
}

async function nodeOf(definitions: readonly Definition[] = [copy], clock: Clock = systemClock) {
  const around = { clock, chance: systemChance, tell: silent }
  const ports = await openEmbedded({ memory: true }, { ...around, clock: systemClock })
  onTestFinished(() => ports.close())
  const puppets: Puppet[] = []
  const host = (parts: HostedParts) => {
    const puppet = new Puppet(parts)
    puppets.push(puppet)
    return puppet
  }
  const node = await runNode(ports, definitions, { ...around, replicas: 1, host })
  return { node, puppets: puppets as [Puppet, Puppet, Puppet, ...Puppet[]], ports }
}

test('makes the streams and runs one actor for each partition of each pipeline', async () => {
  const { node, puppets, ports } = await nodeOf([copy, again])
  expect(await ports.log.names()).toEqual(expect.arrayContaining(['clicks', 'copies', 'more']))
  const places = node.status().map(({ pipeline: name, stage, partition }) => `${name}/${stage}/${partition}`)
  expect(places).toEqual(['copy/0/0', 'copy/0/1', 'copy/0/2', 'again/0/0', 'again/0/1', 'again/0/2'])
  expect(puppets.map(({ asked }) => asked)).toEqual(puppets.map(() => ['run']))
})

test('starts no actor when a stream is not as it is defined', async () => {
  const wrong = stream<number>('clicks', { partitions: 4 })
  const mixed = [copy, pipeline('wrong').from(wrong).to(stream<number>('out'))]
  await expect(nodeOf(mixed)).rejects.toMatchObject({ code: 'STREAM_DIFFERS' })
})

test('stops them all, once, and ends when they have', async () => {
  const { node, puppets } = await nodeOf()
  expect(await Promise.all([node.stop(), node.stop(), node.ended])).toEqual(Array(3).fill({ why: 'stopped' }))
  for (const { asked } of puppets) expect(asked).toEqual(['run', 'stop'])
})

test('tells of steps whose operators it cannot read', async () => {
  const unreadable: Operator<number, number> = source =>
    (source as unknown as { lift(subscribe: () => void): never }).lift(() => {})
  const told: Event[] = []
  const around = { clock: systemClock, chance: systemChance, tell: (event: Event) => void told.push(event) }
  const ports = await openEmbedded({ memory: true }, around)
  onTestFinished(() => ports.close())
  const bundled = pipeline('bundled').from(clicks).pipe(unreadable).to(copies)
  const node = await runNode(ports, [bundled], { ...around, replicas: 1 })
  await node.stop()
  const mend = 'see that none remembers or waits'
  expect(told).toContainEqual({
    type: 'log.warning',
    what: expect.stringMatching(/"bundled": step 1 is/) as string,
    mend,
  })
})

test('kills what has not stopped after 25 seconds, and says that it was late', async () => {
  let fire = () => {}
  const waits: number[] = []
  const clock: Clock = {
    ...systemClock,
    after(ms, then) {
      waits.push(ms)
      fire = then
      return () => {}
    },
  }
  const { node, puppets } = await nodeOf([copy], clock)
  puppets[1].deaf = true
  const ended = node.stop()
  await new Promise(setImmediate)
  expect(waits).toEqual([25_000])
  expect(puppets.map(({ asked }) => asked.includes('kill'))).toEqual([false, false, false])
  fire()
  expect(await ended).toEqual({ why: 'late' })
  expect(puppets[1].asked).toEqual(['run', 'stop', 'kill'])
})

test('runs the others on when some end, and tells by what weighs most why it ended', async () => {
  const { node, puppets } = await nodeOf()
  const [failed, halted] = [new Error('failed'), new Error('halted')]
  puppets[0].end({ why: 'failed', error: failed })
  puppets[2].end({ why: 'halted', error: halted })
  const first = await Promise.race([node.ended, new Promise<void>(resolve => setImmediate(resolve))])
  expect(first).toBeUndefined()
  expect(puppets[1].asked).toEqual(['run'])
  expect(await node.stop()).toEqual({ why: 'halted', error: halted, pipeline: 'copy', stage: 0, partition: 2 })
})

test('ends at once when all have ended: failed before fenced, fenced only when all are', async () => {
  const error = new Error('failed')
  const { node, puppets } = await nodeOf()
  for (const puppet of puppets) puppet.end({ why: 'fenced' })
  expect(await node.ended).toEqual({ why: 'fenced' })
  const other = await nodeOf()
  other.puppets[0].end({ why: 'fenced' })
  other.puppets[1].end({ why: 'failed', error })
  other.puppets[2].end({ why: 'fenced' })
  expect(await other.node.ended).toMatchObject({ why: 'failed', error, partition: 1 })
  const last = await nodeOf()
  last.puppets[0].end({ why: 'fenced' })
  expect(await last.node.stop()).toEqual({ why: 'stopped' })
})

test('asks once whether it has caught up where nothing leads on, and as often as the chain is long where it does', async () => {
  const single = await nodeOf()
  expect(await single.node.caughtUp()).toBe(true)
  expect(single.puppets.map(({ asked }) => asked)).toEqual(single.puppets.map(() => ['run', 'caughtUp']))
  const chained = await nodeOf([again, copy])
  for (const puppet of chained.puppets) puppet.onCatchUp = () => puppet.number++ >= 0
  expect(await chained.node.caughtUp()).toBe(true)
  for (const { asked } of chained.puppets) expect(asked).toEqual(['run', 'caughtUp', 'caughtUp'])
})

test('asks until nothing moves where a road leads back', async () => {
  const back = pipeline('back').from(copies).to(clicks)
  const { node, puppets } = await nodeOf([copy, back])
  let moves = 5
  puppets[0].onCatchUp = () => {
    if (moves-- > 0) puppets[0].number++
    return true
  }
  expect(await node.caughtUp()).toBe(true)
  expect(puppets[0].asked.filter(one => one === 'caughtUp')).toHaveLength(6)
})

test('has not caught up when a partition has ended', async () => {
  const { node, puppets } = await nodeOf()
  puppets[0].end({ why: 'fenced' })
  await new Promise(setImmediate)
  expect(await node.caughtUp()).toBe(false)
  expect(puppets[1].asked).toContain('caughtUp')
})

test('has not caught up when a partition is paused', async () => {
  const { node, puppets } = await nodeOf()
  puppets[1].onCatchUp = () => false
  expect(await node.caughtUp()).toBe(false)
})

test('lets go on what is paused of a pipeline, or the one partition that is named, and says how many those were', async () => {
  const { node, puppets } = await nodeOf([copy, again])
  const error = new Error('it fell')
  for (const puppet of [puppets[0], puppets[2], puppets[4] as Puppet]) puppet.pausedBy = { error }
  expect(node.resume('none')).toBe(0)
  expect(node.resume('copy', 1)).toBe(0)
  expect(node.resume('copy', 2)).toBe(1)
  expect(node.resume('copy')).toBe(1)
  expect(puppets.map(({ asked }) => asked.includes('resume'))).toEqual([true, false, true, false, false, false])
})

test('names a partition that was paused when it was stopped, unless another was halted or failed', async () => {
  const error = new Error('it fell')
  const { node, puppets } = await nodeOf()
  puppets[1].pausedBy = { error }
  expect(await node.stop()).toEqual({ why: 'paused', error, pipeline: 'copy', stage: 0, partition: 1 })
  const other = await nodeOf()
  other.puppets[1].pausedBy = { error }
  other.puppets[2].end({ why: 'failed', error })
  expect(await other.node.stop()).toMatchObject({ why: 'failed', partition: 2 })
  const mended = await nodeOf()
  mended.puppets[1].pausedBy = { error }
  mended.node.resume('copy')
  expect(await mended.node.stop()).toEqual({ why: 'stopped' })
})

test('gives the partitions of each pipeline a family of their own', async () => {
  const { puppets } = await nodeOf([copy, again])
  const families = puppets.map(({ parts }) => parts.family)
  expect(new Set(families).size).toBe(2)
  expect(new Set(families.slice(0, 3)).size).toBe(1)
})

test('what it makes has as many copies as its log is asked for, the bucket too', async () => {
  const around = { clock: systemClock, chance: systemChance, tell: silent }
  const ports = await openEmbedded({ memory: true }, around)
  onTestFinished(() => ports.close())
  /** Whoever asks first makes it. */
  const first = new Map<string, number | undefined>()
  const single = <S extends { readonly name: string; readonly replicas?: number }>(spec: S) => {
    if (!first.has(spec.name)) first.set(spec.name, spec.replicas)
    return { ...spec, replicas: 1 }
  }
  const { log } = ports
  const copied: Ports = {
    ...ports,
    bucket: spec => ports.bucket(single(spec)),
    log: { ...log, open: spec => log.open(single(spec)), find: name => log.find(name) },
  }
  const node = await runNode(copied, [copy], { ...around, replicas: 3 })
  expect(await node.caughtUp()).toBe(true)
  await node.stop()
  const made = ['stream-node', 'clicks', 'copies', 'copy-0-ledger']
  expect(first).toEqual(new Map(made.map(name => [name, 3])))
})
