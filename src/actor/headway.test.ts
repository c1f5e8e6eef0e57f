import { expect, test } from 'vitest'
import { UnavailableError } from '../errors.js'
import { dueOf, Headway } from './headway.js'

/** One that is looked at four times a second, by a hand-wound clock. */
function watched() {
  const scene = {
    ms: 0,
    due: 'an entry on its way' as string | undefined,
    /** Undefined: the log answers all the time. */
    answeredMs: undefined as number | undefined,
    failures: [] as unknown[],
    headway: undefined as unknown as Headway,
    /** Lets time pass; `stepMs`: how often somebody comes to look. */
    pass(ms: number, stepMs = 250) {
      for (const end = scene.ms + ms; scene.ms < end;) {
        scene.ms += stepMs
        scene.headway.look()
      }
    },
  }
  scene.headway = new Headway({
    clock: { now: () => 0, elapsed: () => scene.ms, after: () => () => {}, soon: () => {} },
    where: 'partition 3 of pipeline "clicks"',
    due: () => scene.due,
    answeredMs: () => scene.answeredMs ?? scene.ms,
    failed: error => scene.failures.push(error),
  })
  return scene
}

test('ends what has something to do and gets nowhere for a minute, and says where it stands', () => {
  const scene = watched()
  scene.pass(59_750)
  expect(scene.failures).toEqual([])
  scene.pass(250)
  expect(scene.failures).toEqual([expect.any(UnavailableError)])
  expect(scene.failures[0]).toMatchObject({
    code: 'STUCK',
    message: expect.stringMatching(
      /^partition 3 of pipeline "clicks" has made no progress for 60 seconds, with an entry on/,
    ),
  })
})

test('leaves alone what moves now and then, has nothing to do, or waits for the log', () => {
  const moving = watched()
  for (let i = 0; i < 10; i++) {
    moving.pass(55_000)
    moving.headway.moves()
  }
  const idle = watched()
  idle.due = undefined
  idle.pass(600_000)
  const away = watched()
  away.answeredMs = 0
  away.pass(600_000)
  for (const { failures } of [moving, idle, away]) expect(failures).toEqual([])
})

test('counts from when the log is back', () => {
  const scene = watched()
  scene.answeredMs = 0
  scene.pass(600_000)
  scene.answeredMs = undefined
  scene.pass(59_750)
  expect(scene.failures).toEqual([])
  scene.pass(250)
  expect(scene.failures).toHaveLength(1)
})

test('does not count time in which nobody could do anything: a thread that was busy, a process that stood still', () => {
  const scene = watched()
  scene.pass(600_000, 20_000)
  expect(scene.failures).toEqual([])
})

test('names only what there is to do', () => {
  expect(dueOf({ taken: 0, waiting: 0, entries: 0, outputs: 0 })).toBeUndefined()
  expect(dueOf({ taken: 7, waiting: 0, entries: 1, outputs: 0 })).toBe(
    '7 records taken and not walked, an entry on its way',
  )
  expect(dueOf({ taken: 0, waiting: 5, entries: 0, outputs: 2 })).toBe('5 records in the mailbox, 2 outputs to publish')
})
