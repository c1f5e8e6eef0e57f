import { expect, test } from 'vitest'
import { Pulls } from './pulls.js'

const MB = 1024 * 1024
/** What the server owes a link at most before it cuts it off. */
const SERVER_BYTES = 64 * MB

test('never lets all readers together ask for what the server would cut the link off for', () => {
  for (const readers of [1, 2, 64, 1000]) {
    for (const payloadMax of [MB, 8 * MB]) {
      const pulls = new Pulls()
      for (let i = 0; i < readers; i++) pulls.join()
      let large = 0
      while (large < readers && pulls.takeLarge(payloadMax, () => {})) large++
      const asked = readers * 2 * pulls.share() + large * Pulls.bytesOfLargest(payloadMax)
      expect(asked, `${readers} readers, ${payloadMax} bytes`).toBeLessThan(SERVER_BYTES)
    }
  }
})

test('gives a reader alone a share that a batch of the default size fits into', () => {
  const pulls = new Pulls()
  pulls.join()
  expect(pulls.share()).toBeGreaterThanOrEqual(MB)
})

test('gives back the share of a reader that has gone', () => {
  const pulls = new Pulls()
  pulls.join()
  const alone = pulls.share()
  const leave = pulls.join()
  expect(pulls.share()).toBeLessThan(alone)
  leave()
  expect(pulls.share()).toBe(alone)
})

test('lets who waits for a large pull ask again in turn, and forgets who has left', () => {
  const pulls = new Pulls()
  while (pulls.takeLarge(8 * MB, () => {}));
  const called: string[] = []
  const left = () => called.push('left')
  for (const again of [left, () => called.push('first'), () => called.push('second')]) {
    expect(pulls.takeLarge(8 * MB, again)).toBe(false)
  }
  pulls.leave(left)
  pulls.giveLarge()
  expect(called).toEqual([])
  pulls.giveLarge()
  pulls.giveLarge()
  expect(called).toEqual(['first', 'second'])
})
