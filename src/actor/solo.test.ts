import { expect, test } from 'vitest'
import { systemClock } from '../clock.js'
import { Solo } from './solo.js'

test('the slot goes to one after the other, in the order in which they asked', () => {
  const solo = new Solo(systemClock)
  const woken: string[] = []
  const [a, b] = [solo.seat(() => woken.push('a')), solo.seat(() => woken.push('b'))]
  a.ask()
  b.ask()
  expect([a.holds, b.holds, a.isWanted, woken]).toEqual([true, false, true, ['a']])
  a.give()
  expect([a.holds, b.holds, a.isWanted, woken]).toEqual([false, true, false, ['a', 'b']])
})

test('who has left takes nothing any more, whatever it had begun, and keeps nobody from it', () => {
  const solo = new Solo(systemClock)
  const [gone, here] = [solo.seat(() => {}), solo.seat(() => {})]
  gone.ask()
  gone.leave()
  gone.ask()
  gone.setAlone(true)
  here.ask()
  expect([gone.holds, here.holds, here.mayWalk]).toEqual([false, true, true])
})
