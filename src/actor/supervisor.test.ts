import { describe, expect, test } from 'vitest'
import type { Chance, Clock } from '../clock.js'
import { DefinitionError, IntegrityError, InvariantError, RecordError, UnavailableError } from '../errors.js'
import { pipeline } from '../pipeline/pipeline.js'
import { plan, type Stage } from '../pipeline/plan.js'
import type { Supervise } from '../pipeline/rules.js'
import { stream } from '../stream/stream.js'
import type { Event } from '../telemetry/events.js'
import { Family } from './family.js'
import type { PartitionState } from './lifecycle.js'
import type { ActorEnd } from './end.js'
import type { PartitionStatus } from './status.js'
import type { ActorParts } from './partition-actor.js'
import { Supervised, type Actor } from './supervisor.js'

/** A clock that a test winds. */
class HandClock implements Clock {
  #ms = 0
  #timers: { readonly at: number; readonly then: () => void }[] = []

  now = () => this.#ms
  elapsed = () => this.#ms

  after(ms: number, then: () => void) {
    const timer = { at: this.#ms + ms, then }
    this.#timers.push(timer)
    return () => void (this.#timers = this.#timers.filter(other => other !== timer))
  }

  soon(then: () => void) {
    this.after(0, then)
  }

  /** How many timers wait. */
  get waiting(): number {
    return this.#timers.length
  }

  async pass(ms: number): Promise<void> {
    await settled()
    const end = this.#ms + ms
    for (;;) {
      const [next] = this.#timers.sort((a, b) => a.at - b.at)
      if (next === undefined || next.at > end) break
      this.#timers.shift()
      this.#ms = next.at
      next.then()
      await settled()
    }
    this.#ms = end
    await settled()
  }
}

const settled = () => new Promise(setImmediate)

/** An actor that does nothing but what a test says. */
class Puppet implements Actor {
  state: PartitionState = 'new'
  pausedBy: { readonly error: unknown } | undefined
  /** It takes its time to end when it is killed or stopped. */
  lingers = false
  readonly asked: string[] = []
  readonly #catching: ((is: boolean) => void)[] = []
  #end!: (end: ActorEnd) => void
  readonly #ended = new Promise<ActorEnd>(resolve => (this.#end = resolve))

  constructor(readonly parts: ActorParts) {}

  run() {
    this.move('claiming')
    return this.#ended
  }
  /** It holds the claim now. */
  claims() {
    this.move('running')
  }
  ends(end: ActorEnd) {
    this.move(end.why)
    this.parts.tell({ type: 'partition.ended', ...this.place, ...end })
    for (const answer of this.#catching.splice(0)) answer(false)
    this.#end(end)
  }
  fails(error: unknown = new Error('it fell')) {
    this.ends({ why: 'failed', error })
  }
  stop() {
    this.asked.push('stop')
    if (!this.lingers) this.ends({ why: 'stopped' })
  }
  kill() {
    this.asked.push('kill')
    if (!this.lingers) this.ends({ why: 'stopped' })
  }
  resume() {
    this.asked.push('resume')
  }
  resolveLetters() {
    return undefined
  }
  caughtUp() {
    return new Promise<boolean>(resolve => this.#catching.push(resolve))
  }
  catchesUp(is: boolean) {
    for (const answer of this.#catching.splice(0)) answer(is)
  }
  status(): PartitionStatus {
    return {
      ...{ ...this.place, state: this.state, fence: 1, number: 7, positions: {}, lag: undefined, outbox: 0 },
      ...{ held: 0, rows: 3, letters: 0, liveBytes: 0, ledgerBytes: 0, restarts: 0 },
    }
  }
  move(to: PartitionState) {
    this.parts.tell({ type: 'partition.state', ...this.place, from: this.state, to, fence: 1 })
    this.state = to
  }
  get place() {
    const { stage, partition } = this.parts
    return { pipeline: stage.pipeline, stage: stage.index, partition }
  }
}

const source = stream<number>('numbers', { partitions: 2 })

function stageWith(supervise: Supervise = {}): Stage {
  const [stage] = plan(pipeline('p', { supervise }).from(source).to(stream<number>('out'))) as [Stage]
  return stage
}

const midway: Chance = { fraction: () => 0.5, name: () => 'name' }

/** A partition that is supervised, and the actors that are made for it. */
function partitionOf(
  supervise: Supervise = {},
  { clock = new HandClock(), family = new Family(supervise.strategy ?? 'one-for-one'), stage = 0, partition = 0 } = {},
) {
  const told: Event[] = []
  const actors: Puppet[] = []
  const one = new Supervised({
    ...{ stage: { ...stageWith(supervise), index: stage }, partition, family, clock, chance: midway, replicas: 1 },
    ...({} as Pick<ActorParts, 'ports' | 'streams'>),
    tell: event => void told.push(event),
    make(parts) {
      const puppet = new Puppet(parts)
      actors.push(puppet)
      return puppet
    },
  })
  const scene = {
    ...{ one, clock, told, actors, end: undefined as ActorEnd | undefined },
    get actor() {
      return actors.at(-1) as Puppet
    },
    /** The actor that is at work falls, and the next one claims. */
    async falls(error?: unknown) {
      const { length } = actors
      scene.actor.fails(error)
      for (let i = 0; i < 50 && actors.length === length; i++) await clock.pass(1000)
      scene.actor.claims()
    },
    run() {
      void one.run().then(end => (scene.end = end))
      return scene
    },
  }
  return scene
}

function running(...given: Parameters<typeof partitionOf>) {
  const scene = partitionOf(...given).run()
  scene.actor.claims()
  return scene
}

describe('what becomes of a partition whose actor ends', () => {
  const mend = 'mend it'
  const lasting: [string, ActorEnd][] = [
    ['is fenced', { why: 'fenced' }],
    ['was closed beneath', { why: 'stopped' }],
    ['cannot trust the log', { why: 'halted', error: new IntegrityError('LOG_REWOUND', 'it lost', mend) }],
    ['cannot trust us', { why: 'halted', error: new InvariantError('a bug') }],
    ['has a wrong definition', { why: 'failed', error: new DefinitionError('BAD_PIPELINE', 'wrong', mend) }],
    ['is to stop at a record', { why: 'failed', error: new RecordError('STEP_FAILED', 'it threw', mend) }],
  ]
  test.each(lasting)('it ends when it %s', async (_, end) => {
    const { clock, actor, actors, one, told, ...scene } = running()
    actor.ends(end)
    await clock.pass(3_600_000)
    expect(actors).toHaveLength(1)
    expect(one.status()).toMatchObject({ state: end.why, restarts: 0 })
    const ends = told.filter(({ type }) => type === 'partition.ended')
    expect(ends).toEqual([{ type: 'partition.ended', ...actor.place, ...end }])
    void scene
  })

  const passing: [string, unknown][] = [
    ['the log was away', new UnavailableError('DISCONNECTED', 'away', mend)],
    ['it was stuck', new UnavailableError('STUCK', 'stuck', mend)],
    ['it fell over another error', new TypeError('undefined is not a function')],
    ['something else was thrown', 'a text'],
    ['nothing was thrown', undefined],
  ]
  test.each(passing)('another begins when %s', async (_, error) => {
    const { clock, actor, actors, one, told } = running()
    actor.ends({ why: 'failed', error })
    await settled()
    expect(one.status()).toMatchObject({ state: 'restarting', restarts: 0, number: 7 })
    await clock.pass(49)
    expect(actors).toHaveLength(1)
    await clock.pass(1)
    expect(actors).toHaveLength(2)
    actors[1]?.claims()
    const lastError = error instanceof Error ? error.message : String(error)
    expect(one.status()).toMatchObject({ state: 'running', restarts: 1, lastError })
    expect(one.status()).not.toHaveProperty('error')
    expect(told.filter(({ type }) => type === 'partition.restarting')).toEqual([
      { type: 'partition.restarting', ...actor.place, error, waitMs: 50, restarts: 1 },
    ])
    expect(told.filter(({ type }) => type === 'partition.ended')).toEqual([])
  })

  test('by the name of its error too, which another copy of the package may have thrown', async () => {
    const { clock, actor, one } = running()
    actor.fails(Object.assign(new Error('wrong'), { name: 'DefinitionError' }))
    await clock.pass(60_000)
    expect(one.status().state).toBe('failed')
  })

  test('an actor that rejects, which none should, counts as one that fell', async () => {
    const scene = partitionOf()
    const first = scene.actor
    first.run = () => {
      first.move('claiming')
      return Promise.reject(new Error('it rejected'))
    }
    scene.run()
    await scene.clock.pass(1000)
    expect(scene.one.status()).toMatchObject({ restarts: 1, lastError: 'it rejected' })
  })
})

test('tells an actor whether the one before it was in this process', async () => {
  const scene = running()
  for (let i = 0; i < 2; i++) await scene.falls()
  expect(scene.actors.map(({ parts }) => parts.isRestart)).toEqual([false, true, true])
})

test('tells each state that follows another, over all its actors', async () => {
  const scene = running()
  await scene.falls()
  scene.one.stop()
  await settled()
  const states = scene.told.flatMap(event => (event.type === 'partition.state' ? [[event.from, event.to]] : []))
  const row = ['new', 'claiming', 'running', 'restarting', 'claiming', 'running', 'stopped']
  expect(states).toEqual(row.slice(1).map((to, i) => [row[i], to]))
})

describe('one that falls again and again', () => {
  test('waits longer each time, and as shortly as at first after a minute in health', async () => {
    const scene = running({ restarts: 1000 })
    const waits = () => scene.told.flatMap(event => (event.type === 'partition.restarting' ? [event.waitMs] : []))
    for (let i = 0; i < 3; i++) await scene.falls()
    await scene.clock.pass(60_000)
    await scene.falls()
    expect(waits()).toEqual([50, 100, 200, 50])
  })

  test('is not in health while it claims, nor when it got nowhere', async () => {
    const scene = running({ restarts: 1000 })
    const waits = () => scene.told.flatMap(event => (event.type === 'partition.restarting' ? [event.waitMs] : []))
    scene.actor.fails()
    await scene.clock.pass(50)
    await scene.clock.pass(100_000)
    scene.actor.fails()
    await scene.clock.pass(100)
    scene.actor.claims()
    await scene.clock.pass(100_000)
    await scene.falls(new UnavailableError('STUCK', 'stuck', ''))
    expect(waits()).toEqual([50, 100, 200])
  })

  test('is paused when that was too often, and begins anew when it is resumed, with all counting', async () => {
    const scene = running({ restarts: 3 })
    for (let round = 0; round < 2; round++) {
      for (let i = 0; i < 3; i++) await scene.falls()
      const { length } = scene.actors
      const error = new Error(`the last of round ${round}`)
      scene.actor.fails(error)
      await scene.clock.pass(3_600_000)
      expect(scene.actors).toHaveLength(length)
      expect(scene.one.pausedBy?.error).toBe(error)
      expect(scene.one.status()).toMatchObject({ state: 'paused', error: error.message, lastError: error.message })
      expect(scene.told.at(-1)).toEqual({
        ...{ type: 'partition.paused', ...scene.actor.place },
        ...{ error, restarts: 3 + 4 * round },
      })
      scene.one.resume()
      await settled()
      expect(scene.actors).toHaveLength(length + 1)
      expect(scene.one.pausedBy).toBeUndefined()
      scene.actor.claims()
      expect(scene.one.status()).toMatchObject({ state: 'running', restarts: 4 + 4 * round })
    }
  })

  test('ends when its pipeline says so', async () => {
    const scene = running({ restarts: 1, then: 'stop' })
    await scene.falls()
    const error = new Error('the last')
    scene.actor.fails(error)
    await settled()
    expect(scene.end).toEqual({ why: 'failed', error })
    expect(scene.one.status()).toMatchObject({ state: 'failed', error: 'the last', restarts: 1 })
  })

  test('goes on as long as it does not fall too often within the span', async () => {
    const scene = running({ restarts: 2, within: '10 seconds' })
    for (let i = 0; i < 20; i++) {
      await scene.falls()
      await scene.clock.pass(5000)
    }
    expect(scene.one.status()).toMatchObject({ state: 'running', restarts: 20 })
  })
})

describe('asked to end', () => {
  type Scene = ReturnType<typeof partitionOf>
  const moments: [string, () => Scene | Promise<Scene>][] = [
    ['before it runs', () => partitionOf()],
    ['while it claims', () => partitionOf().run()],
    ['at work', () => running()],
    [
      'at work, by an actor that takes its time',
      () => {
        const scene = running()
        scene.actor.lingers = true
        return scene
      },
    ],
    [
      'between two actors',
      async () => {
        const scene = running()
        scene.actor.fails()
        await settled()
        return scene
      },
    ],
    [
      'while the next one claims',
      async () => {
        const scene = running()
        scene.actor.fails()
        await scene.clock.pass(50)
        return scene
      },
    ],
    [
      'while it is paused',
      async () => {
        const scene = running({ restarts: 1 })
        await scene.falls()
        scene.actor.fails()
        await settled()
        return scene
      },
    ],
    [
      'while it waits for those that it takes along',
      async () => {
        const family = new Family('one-for-all')
        const scene = running({ strategy: 'one-for-all' }, { family })
        const other = running({ strategy: 'one-for-all' }, { family, partition: 1 })
        other.actor.lingers = true
        scene.actor.fails()
        await scene.clock.pass(50)
        expect(other.actor.asked).toEqual(['kill'])
        return scene
      },
    ],
    [
      'while it waits to begin with the one that took it along',
      async () => {
        const family = new Family('one-for-all')
        const clock = new HandClock()
        const scene = running({ strategy: 'one-for-all' }, { family, clock })
        const fallen = running({ strategy: 'one-for-all' }, { family, clock, partition: 1 })
        const slow = running({ strategy: 'one-for-all' }, { family, clock, partition: 2 })
        slow.actor.lingers = true
        fallen.actor.fails()
        await clock.pass(50)
        expect(scene.one.status().state).toBe('restarting')
        return scene
      },
    ],
  ]
  describe.each(['stop', 'kill'] as const)('by %s', how => {
    test.each(moments)('%s it ends at once, and nothing begins any more', async (_, at) => {
      const scene = await at()
      const { length } = scene.actors
      const caughtUp = scene.one.caughtUp()
      scene.one[how]()
      if (scene.end === undefined && scene.one.status().state === 'new') scene.run()
      if (scene.actor.lingers) scene.actor.ends({ why: 'stopped' })
      await settled()
      expect(scene.end).toEqual({ why: 'stopped' })
      expect(scene.one.status().state).toBe('stopped')
      expect(await caughtUp).toBe(false)
      await scene.clock.pass(3_600_000)
      expect(scene.actors).toHaveLength(length)
      expect(scene.told.filter(({ type }) => type === 'partition.ended')).toHaveLength(1)
    })
  })

  test.each(['restarting', 'paused'] as const)('by whoever is told that it is %s, it ends', async state => {
    for (const type of ['partition.state', `partition.${state}`]) {
      for (const how of ['stop', 'kill'] as const) {
        const scene = running({ restarts: state === 'paused' ? 0 : 1 })
        scene.told.push = event => {
          if (event.type === type && (!('to' in event) || event.to === state)) scene.one[how]()
          return 0
        }
        scene.actor.fails()
        await scene.clock.pass(60_000)
        expect(scene.end).toEqual({ why: 'stopped' })
        expect(scene.actors).toHaveLength(1)
      }
    }
  })

  test('at any step from one actor to the next, it ends', async () => {
    const begun = new Set<number>()
    for (let steps = 0; steps < 30; steps++) {
      const scene = running({ restarts: 1 })
      await scene.falls()
      scene.actor.fails()
      await settled()
      scene.one.resume()
      for (let i = 0; i < steps; i++) await Promise.resolve()
      scene.one.stop()
      await settled()
      expect(scene.end, `after ${steps} steps`).toEqual({ why: 'stopped' })
      begun.add(scene.actors.length)
    }
    // Some were asked before the next one was made, others after it.
    expect([...begun]).toEqual([2, 3])
  })

  test('it leaves no timer behind', async () => {
    const scene = running()
    scene.actor.fails()
    await settled()
    expect(scene.clock.waiting).toBe(1)
    scene.one.stop()
    await settled()
    expect(scene.clock.waiting).toBe(0)
  })

  test('it says how its actor ended that fell while it stopped', async () => {
    const scene = running()
    scene.actor.lingers = true
    scene.one.stop()
    const error = new Error('on the way out')
    scene.actor.fails(error)
    await scene.clock.pass(60_000)
    expect(scene.end).toEqual({ why: 'failed', error })
    expect(scene.actors).toHaveLength(1)
  })
})

test('begins no other actor before the one before has really ended', async () => {
  const family = new Family('one-for-all')
  const clock = new HandClock()
  const fallen = running({ strategy: 'one-for-all' }, { family, clock })
  const other = running({ strategy: 'one-for-all' }, { family, clock, partition: 1 })
  other.actor.lingers = true
  fallen.actor.fails()
  await clock.pass(60_000)
  expect([fallen.actors.length, other.actors.length]).toEqual([1, 1])
  other.actor.ends({ why: 'stopped' })
  await settled()
  expect([fallen.actors.length, other.actors.length]).toEqual([2, 2])
})

describe('whether it has caught up', () => {
  test('is asked of the next actor when one falls before it has', async () => {
    const scene = running()
    const caughtUp = scene.one.caughtUp()
    await scene.falls()
    await settled()
    scene.actor.catchesUp(true)
    expect(await caughtUp).toBe(true)
  })

  test.each([
    ['is paused before a record', (scene: ReturnType<typeof running>) => pausedAtRecord(scene)],
    ['falls too often', (scene: ReturnType<typeof running>) => scene.actor.fails()],
    ['ends', (scene: ReturnType<typeof running>) => scene.actor.ends({ why: 'fenced' })],
  ])('is answered with no when it %s', async (_, happens) => {
    const scene = running({ restarts: 1 })
    await scene.falls()
    const asked = [scene.one.caughtUp()]
    await settled()
    happens(scene)
    await settled()
    asked.push(scene.one.caughtUp())
    await settled()
    scene.actor.catchesUp(false)
    expect(await Promise.all(asked)).toEqual([false, false])
  })

  function pausedAtRecord({ actor }: ReturnType<typeof running>) {
    actor.pausedBy = { error: new Error('a record') }
    actor.catchesUp(false)
  }
})

test('lets an actor that is paused before a record go on by itself', () => {
  const { one, actor } = running()
  actor.pausedBy = { error: new Error('a record') }
  expect(one.pausedBy).toBe(actor.pausedBy)
  one.resume()
  expect(actor.asked).toEqual(['resume'])
})

describe('those that begin anew with it', () => {
  /** Two stages of two partitions each. */
  function pipelineOf(supervise: Supervise) {
    const family = new Family(supervise.strategy ?? 'one-for-one')
    const clock = new HandClock()
    const place = (stage: number, partition: number) => running(supervise, { clock, family, stage, partition })
    const all = [place(0, 0), place(0, 1), place(1, 0), place(1, 1)]
    return { clock, all: all as [Scene, Scene, Scene, Scene] }
  }
  type Scene = ReturnType<typeof running>

  test.each([
    ['one-for-one', 0, [2, 1, 1, 1]],
    ['one-for-all', 0, [2, 2, 2, 2]],
    ['one-for-all', 3, [2, 2, 2, 2]],
    ['rest-for-one', 1, [2, 2, 2, 2]],
    ['rest-for-one', 2, [1, 1, 2, 2]],
  ] as const)('%s, when partition %i of four falls', async (strategy, which, counts) => {
    const { clock, all } = pipelineOf({ strategy })
    const error = new Error('it fell')
    all[which].actor.fails(error)
    await clock.pass(49)
    // They work on as long as it waits.
    for (const { actors } of all) expect(actors).toHaveLength(1)
    await clock.pass(1)
    expect(all.map(({ actors }) => actors.length)).toEqual(counts)
    const fallen = all[which]
    for (const scene of all) {
      if (scene.actors.length === 1 || scene === fallen) continue
      expect(scene.told.filter(({ type }) => type === 'partition.restarting')).toEqual([
        {
          ...{ type: 'partition.restarting', ...scene.actor.place, error, waitMs: 0, restarts: 1 },
          with: { stage: fallen.one.stage, partition: fallen.one.partition },
        },
      ])
      expect(scene.one.status()).not.toHaveProperty('lastError')
    }
  })

  test('have that not counted as a fall of their own', async () => {
    const { clock, all } = pipelineOf({ strategy: 'one-for-all', restarts: 3 })
    const [first, second] = all
    const fall = async (scene: Scene) => {
      scene.actor.fails()
      await clock.pass(2000)
      for (const { actor } of all) if (actor.state === 'claiming') actor.claims()
    }
    for (let i = 0; i < 3; i++) await fall(first)
    for (let i = 0; i < 3; i++) await fall(second)
    expect(all.map(({ one }) => one.status())).toMatchObject(Array(4).fill({ state: 'running', restarts: 6 }))
    second.actor.fails()
    await settled()
    expect(second.one.status().state).toBe('paused')
    expect(all.map(({ one }) => one.status().state).filter(state => state === 'running')).toHaveLength(3)
  })

  test('fall by themselves when they end with an error of their own, though they were to be taken along', async () => {
    const { clock, all } = pipelineOf({ strategy: 'one-for-all', restarts: 2 })
    const [first, second] = all
    for (let i = 1; i <= 2; i++) {
      second.actor.lingers = true
      first.actor.fails()
      await clock.pass(200)
      expect(second.actor.asked).toEqual(['kill'])
      const error = new Error(`its own, ${i}`)
      second.actor.fails(error)
      await settled()
      expect(second.told.at(-1)).toMatchObject({ type: 'partition.restarting', error, restarts: i })
      expect(second.told.at(-1)).not.toHaveProperty('with')
      expect(second.one.status()).toMatchObject({ state: 'restarting', lastError: error.message })
      await clock.pass(1000)
      for (const { actor } of all) if (actor.state === 'claiming') actor.claims()
      await clock.pass(1000)
      for (const { actor } of all) if (actor.state === 'claiming') actor.claims()
      expect(all.map(({ one }) => one.status().state)).toEqual(Array(4).fill('running'))
    }
    second.actor.fails()
    await settled()
    expect(second.one.status().state).toBe('paused')
  })

  test('are left alone when they have only just begun, are paused, or have ended', async () => {
    const { clock, all } = pipelineOf({ strategy: 'one-for-all', restarts: 1 })
    const [fallen, claiming, paused, ended] = all
    // Claims again, and does not hold the claim yet.
    claiming.actor.fails()
    await clock.pass(50)
    for (const { actor } of [fallen, paused, ended]) actor.claims()
    for (let i = 0; i < 2; i++) {
      paused.actor.fails()
      await settled()
      if (i === 0) await clock.pass(100)
      for (const { actor } of [fallen, paused, ended]) if (actor.state === 'claiming') actor.claims()
    }
    ended.actor.ends({ why: 'fenced' })
    await settled()
    const before = all.map(({ actors }) => actors.length)
    expect(all.map(({ one }) => one.status().state)).toEqual(['running', 'claiming', 'paused', 'fenced'])
    fallen.actor.fails()
    await clock.pass(1000)
    const after = all.map(({ actors }) => actors.length)
    expect(after.map((count, i) => count - (before[i] as number))).toEqual([1, 0, 0, 0])
  })

  test('may fall at the same moment', async () => {
    const { clock, all } = pipelineOf({ strategy: 'one-for-all' })
    for (const { actor } of all) actor.fails()
    await clock.pass(1000)
    for (const { one, actors } of all) {
      expect(one.status().state).toBe('claiming')
      expect(actors).toHaveLength(2)
    }
  })
})
