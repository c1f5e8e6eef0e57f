import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { Clock } from '../clock.js'
import { UNSUSPECTED, type Accused, type Left, type Notes, type TrialNotes } from '../state/notes.js'
import { Solo } from './solo.js'
import { inherited, isSuspect, Trial } from './trial.js'

const left = (notes: Notes, commits: number, how: Left['how'] = 'cut off'): Left => ({ notes, commits, how })
const dead = (deaths: number): Notes => ({ deaths, trial: undefined })
const trial: TrialNotes = { walks: 'batch', sources: [{ stream: 'in', position: 9, left: 10 }], accused: [] }
const on = (walks: TrialNotes['walks'], ...accused: Accused[]): Notes => ({
  deaths: 2,
  trial: { ...trial, walks, accused },
})
const at = (position: number, deaths: number): Accused => ({ stream: 'in', position, deaths })

test('owners that die soon make a partition suspect, and many entries or a release clear it', () => {
  expect(inherited(left(UNSUSPECTED, 0, 'new'), false)).toEqual(UNSUSPECTED)
  expect(inherited(left(UNSUSPECTED, 5), false)).toEqual(dead(1))
  expect(isSuspect(dead(1))).toBe(false)
  expect(inherited(left(dead(1), 63), false)).toEqual(dead(2))
  expect(isSuspect(dead(2))).toBe(true)
  expect(inherited(left(dead(1), 64), false)).toEqual(dead(1))
  expect(inherited(left(UNSUSPECTED, 0, 'released'), false)).toEqual(UNSUSPECTED)
  expect(inherited(left(dead(1), 0, 'released'), false)).toEqual(dead(1))
  expect(inherited(left(dead(1), 0), true)).toEqual(dead(1))
})

test('an owner that died in a trial leaves one that goes on record by record', () => {
  expect(inherited(left(on('batch'), 3), false)).toEqual(on('nothing'))
  expect(inherited(left(on('nothing', at(4, 2)), 0), false)).toEqual(on('nothing', at(4, 2)))
  expect(inherited(left(on('one', at(4, 1), at(3, 2)), 0), false)).toEqual(on('nothing', at(4, 2), at(3, 2)))
  expect(inherited(left(on('one', at(4, 1), at(3, 2)), 1), false)).toEqual(on('nothing', at(3, 2)))
})

test('a restart within the process is no death', () => {
  expect(inherited(left(on('batch'), 3), true)).toEqual(dead(2))
  expect(inherited(left(on('one', at(4, 1)), 0), true)).toEqual(on('nothing', at(4, 1)))
  expect(inherited(left(on('one', at(4, 1)), 1), true)).toEqual(on('nothing'))
})

/** Whole numbers by chance that a seed settles. */
class Dice {
  #state: number

  constructor(seed: number) {
    this.#state = seed % 2147483647 || 1
  }

  below(count: number): number {
    this.#state = (this.#state * 48271) % 2147483647
    return this.#state % count
  }
}

interface History {
  readonly seed: number
  readonly partitions: number
  readonly records: number
  /** `3/7`: of partition 3 the record at position 7. */
  readonly poison: ReadonlySet<string>
  /** How often somebody ends the process who has nothing to do with records. */
  readonly kills: number
}

/** What stands in the log of one partition. */
class Model {
  notes = UNSUSPECTED
  commits = 0
  how: Left['how'] = 'new'
  committed = 0
  readonly passedOver: number[] = []
}

const HAND_MAX = 6

/** One process of a world; what it had begun when it died never goes on. */
class Process {
  isAlive = true
  /** Partitions that are not through. */
  working: number
  readonly #waiting: (() => void)[] = []
  /** Partitions at a moment in which only the record can be at fault. */
  readonly decisive = new Set<number>()

  constructor(partitions: number) {
    this.working = partitions
  }

  get isAtWork(): boolean {
    return this.isAlive && this.working > 0
  }

  /** Until the others had their turn; for ever once it is dead. */
  turn(): Promise<void> {
    return new Promise(resolve => this.#waiting.push(resolve))
  }

  /** Lets one of those that wait have its turn, and all that comes of it, up to the next waits. */
  async step(dice: Dice): Promise<void> {
    const [go] = this.#waiting.splice(dice.below(this.#waiting.length), 1)
    go?.()
    await new Promise(setImmediate)
  }
}

/** A world of one process after the other, in each of which the partitions take turns by chance. */
class World {
  readonly dice: Dice
  readonly models: readonly Model[]
  deaths = 0
  kills = 0

  constructor(readonly history: History) {
    this.dice = new Dice(history.seed)
    this.models = Array.from({ length: history.partitions }, () => new Model())
  }

  get isThrough(): boolean {
    return this.models.every(({ committed }) => committed === this.history.records)
  }

  async run(): Promise<void> {
    while (!this.isThrough) {
      await this.#live()
      if (this.deaths > 300) throw new Error('it dies for ever')
    }
  }

  /** One process, until it dies or is through. */
  async #live(): Promise<void> {
    const process = new Process(this.models.length)
    const solo = new Solo(noTime)
    for (const [index, model] of this.models.entries()) void this.#own(process, model, index, solo)
    const killAfter = this.kills < this.history.kills ? this.dice.below(60 * this.models.length) : Infinity
    for (let step = 0; process.isAtWork; step++) {
      if (step >= killAfter && process.decisive.size === 0) {
        this.kills++
        process.isAlive = false
        break
      }
      await process.step(this.dice)
    }
    if (process.isAlive) for (const model of this.models) model.how = 'released'
    else this.deaths++
  }

  async #own(process: Process, model: Model, index: number, solo: Solo): Promise<void> {
    const { records, poison } = this.history
    const seat = solo.seat(() => {})
    seat.claims()
    await process.turn()
    const notes = inherited(model, false)
    Object.assign(model, { notes, commits: 0, how: 'cut off' })
    let position = model.committed
    let letters: number[] = []
    const source = {
      stream: 'in',
      get position() {
        return position
      },
    }
    let trial = isSuspect(notes)
      ? new Trial({
          ...{
            notes,
            seat,
            clock: noTime,
            signal: new AbortController().signal,
            sources: [source],
            end: async () => records,
            recordsMax: HAND_MAX,
            guiltyDeaths: 3,
          },
          isIdle: () => position === model.committed,
          isOut: () => true,
          mark: async notes => {
            // Nobody can tell a kill by somebody else from the last death of three.
            const { trial } = notes
            if (trial?.walks === 'one' && trial.accused[0]?.deaths === 2) process.decisive.add(index)
            await process.turn()
            Object.assign(model, { notes, commits: 0 })
            await process.turn()
          },
        })
      : undefined
    seat.claimed()
    for (;;) {
      await process.turn()
      if (trial !== undefined && (await trial.proceed(false))) trial = undefined
      const isCommitted = position === model.committed
      if (isCommitted && position === records && trial === undefined) break
      const mayWalk = seat.mayWalk && trial?.mayWalk !== false && position - model.committed < HAND_MAX
      if (mayWalk && position < records && this.dice.below(3) > 0) {
        const next = (await trial?.next('in', { position: position + 1 })) ?? Infinity
        const count = Math.min(Math.max(next, 1), 1 + this.dice.below(4), records - position)
        for (let i = 0; i < count; i++) {
          position++
          if (next === 0) letters.push(position)
          else if (poison.has(`${index}/${position}`)) {
            process.isAlive = false
            return new Promise(() => {})
          }
        }
        trial?.walked('in', count)
      }
      if (position > model.committed && this.dice.below(2) > 0) {
        const [upTo, passedOver] = [position, letters]
        letters = []
        await process.turn()
        model.committed = upTo
        model.passedOver.push(...passedOver)
        model.commits++
        process.decisive.delete(index)
      }
    }
    seat.leave()
    process.working--
  }
}

/** Short waits end at once, long ones never. */
const noTime: Clock = {
  now: () => 0,
  elapsed: () => 0,
  after: (ms, then) => {
    if (ms <= 2000) setImmediate(then)
    return () => {}
  },
  soon: then => setImmediate(then),
}

function passedOver({ models }: World): Set<string> {
  return new Set(models.flatMap((model, index) => model.passedOver.map(position => `${index}/${position}`)))
}

test('one record that kills, among 8 partitions, costs two deaths to suspect it and three alone', async () => {
  for (let seed = 1; seed <= 30; seed++) {
    const poison = new Set([`${seed % 8}/${1 + (seed % 5)}`])
    const world = new World({ seed, partitions: 8, records: 5, poison, kills: 0 })
    await world.run()
    expect(passedOver(world), `seed ${seed}`).toEqual(poison)
    expect(world.deaths, `seed ${seed}`).toBe(5)
  }
})

test('whoever kills the process, each record that does is passed over, and no other', async () => {
  const histories = fc
    .record({
      seed: fc.integer({ min: 1, max: 2 ** 30 }),
      partitions: fc.integer({ min: 1, max: 5 }),
      records: fc.integer({ min: 1, max: 25 }),
      kills: fc.integer({ min: 0, max: 12 }),
      places: fc.array(fc.tuple(fc.nat(4), fc.integer({ min: 1, max: 25 })), { maxLength: 4 }),
    })
    .map(({ places, ...history }): History => {
      const { partitions, records } = history
      const inside = places.filter(([partition, position]) => partition < partitions && position <= records)
      return { ...history, poison: new Set(inside.map(([partition, position]) => `${partition}/${position}`)) }
    })
  await fc.assert(
    fc.asyncProperty(histories, async history => {
      const world = new World(history)
      await world.run()
      expect(passedOver(world)).toEqual(new Set(history.poison))
    }),
    { numRuns: 1000 },
  )
})

/** A trial with everything at hand. */
function tried(notes: Notes, solo = new Solo(noTime), clock = noTime) {
  const seat = solo.seat(() => {})
  const marks: Notes[] = []
  const source = { stream: 'in', position: 3 }
  const state = { isIdle: true, isOut: true, othersWalk: [] as boolean[], ended: new AbortController() }
  const other = solo.seat(() => {})
  const trial = new Trial({
    ...{ notes, seat, clock, signal: state.ended.signal, sources: [source], recordsMax: 100, guiltyDeaths: 3 },
    end: async () => 9,
    isIdle: () => state.isIdle,
    isOut: () => state.isOut,
    mark: async notes => {
      marks.push(notes)
      state.othersWalk.push(other.mayWalk)
    },
  })
  return { trial, seat, other, marks, source, state }
}

test('at the last of three tries no other partition of the process walks anything, until it is committed', async () => {
  const { trial, other, state, source } = tried(on('nothing', at(4, 2)))
  await trial.proceed(false)
  expect(trial.mayWalk).toBe(true)
  expect(await trial.next('in', { position: 4 })).toBe(1)
  expect(state.othersWalk).toEqual([false])
  Object.assign(source, { position: 4 })
  trial.walked('in', 1)
  state.isIdle = false
  await trial.proceed(false)
  expect([other.mayWalk, trial.mayWalk]).toEqual([false, false])
  state.isIdle = true
  await trial.proceed(false)
  expect([other.mayWalk, trial.mayWalk]).toEqual([true, true])
  expect(await trial.next('in', { position: 5 })).toBe(1)
  expect(state.othersWalk).toEqual([false, true])
})

test('a guilty record is passed over, but walked when a person was asked and says that it goes on', async () => {
  const { trial, marks } = tried(on('nothing', at(4, 3)))
  await trial.proceed(false)
  expect(await trial.next('in', { position: 4 })).toBe(0)
  expect(marks).toEqual([])
  trial.excuse('in', { position: 4 })
  trial.walked('in', 0)
  await trial.proceed(true)
  expect(marks).toEqual([on('nothing', at(4, 3))])
  await trial.proceed(false)
  expect(await trial.next('in', { position: 4 })).toBe(1)
  expect(marks.at(-1)).toEqual(on('one', at(4, 3)))
})

test('nothing is tried while a sink still takes outputs of before: that may be what kills', async () => {
  const { trial, state, marks, source } = tried(on('nothing'))
  state.isOut = false
  await trial.proceed(false)
  expect(trial.mayWalk).toBe(false)
  state.isOut = true
  await trial.proceed(false)
  expect(await trial.next('in', { position: 4 })).toBe(1)
  Object.assign(source, { position: 4 })
  trial.walked('in', 1)
  state.isOut = false
  await trial.proceed(false)
  expect([trial.mayWalk, marks.length]).toEqual([false, 1])
})

test('a partition that is paused gives the slot to the next, and is not on trial', async () => {
  const solo = new Solo(noTime)
  const [first, second] = [tried(dead(2), solo), tried(dead(2), solo)]
  await first.trial.proceed(false)
  await second.trial.proceed(false)
  expect([first.trial.mayWalk, second.trial.mayWalk]).toEqual([true, false])
  expect(first.marks).toEqual([{ deaths: 2, trial: { ...trial, sources: [{ stream: 'in', position: 9, left: 100 }] } }])
  await first.trial.proceed(true)
  expect(first.marks.at(-1)).toEqual(dead(2))
  await second.trial.proceed(false)
  expect([first.trial.mayWalk, second.trial.mayWalk]).toEqual([false, true])
})

test('the slot is given to nobody while somebody claims', async () => {
  const solo = new Solo(noTime)
  const claiming = solo.seat(() => {})
  claiming.claims()
  const { trial } = tried(dead(2), solo)
  await trial.proceed(false)
  expect(trial.mayWalk).toBe(false)
  claiming.claimed()
  await trial.proceed(false)
  expect(trial.mayWalk).toBe(true)
})

test('a partition without anything to try is suspect no more', async () => {
  const { trial, marks, source } = tried(dead(2))
  Object.assign(source, { position: 9 })
  expect(await trial.proceed(false)).toBe(true)
  expect(marks).toEqual([UNSUSPECTED])
})

test('a person who lets one source go on has said nothing of another', async () => {
  const { trial } = tried(on('nothing', at(4, 3)))
  await trial.proceed(false)
  trial.excuse('other', { position: 4 })
  expect(await trial.next('in', { position: 4 })).toBe(0)
})

test('who waits for the last try ends with its owner', async () => {
  const never: Clock = { ...noTime, after: () => () => {} }
  const { trial, other, state, marks } = tried(on('nothing', at(4, 2)), new Solo(noTime), never)
  await trial.proceed(false)
  expect(trial.waits).toBe(false)
  const next = trial.next('in', { position: 4 })
  state.ended.abort(new Error('the owner has ended'))
  await expect(next).rejects.toThrow('the owner has ended')
  expect([other.mayWalk, marks]).toEqual([true, []])
})

test('nothing is to be expected of who waits for the slot', async () => {
  const solo = new Solo(noTime)
  const [first, second] = [tried(dead(2), solo), tried(dead(2), solo)]
  await first.trial.proceed(false)
  await second.trial.proceed(false)
  expect([first.trial.waits, second.trial.waits]).toEqual([false, true])
})
