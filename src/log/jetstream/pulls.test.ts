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

test('lets who waits for a large record ask again in turn, passes by who asks no more, and forgets who has left', () => {
  const pulls = new Pulls()
  expect(pulls.takeLarge(8 * MB, () => {})).toBe(true)
  const called: string[] = []
  const takes = (name: string) => () => {
    called.push(name)
    expect(pulls.takeLarge(8 * MB, () => {})).toBe(true)
  }
  const left = takes('left')
  for (const again of [left, takes('first'), () => called.push('asks no more'), takes('second')]) {
    expect(pulls.takeLarge(8 * MB, again)).toBe(false)
  }
  pulls.leave(left)
  pulls.giveLarge()
  expect(called).toEqual(['first'])
  pulls.giveLarge()
  expect(called).toEqual(['first', 'asks no more', 'second'])
})

test('asks for few whole records at once, and for all in the end, though one fails and one gives its turn up', async () => {
  const pulls = new Pulls()
  let asking = 0
  let most = 0
  const ask = async (i: number) => {
    most = Math.max(most, ++asking)
    await new Promise(setImmediate)
    asking--
    if (i === 3) throw new Error('away')
    return i
  }
  const all = Array.from({ length: 100 }, (_, i) => pulls.whole(MB, () => ask(i)))
  pulls.takeLarge(MB, () => {})
  const ended = await Promise.allSettled(all)
  expect(ended.filter(one => one.status === 'fulfilled')).toHaveLength(99)
  expect(most).toBeGreaterThan(1)
  expect(most * 1.37 * Pulls.bytesOfLargest(MB)).toBeLessThan(SERVER_BYTES / 2)
})
