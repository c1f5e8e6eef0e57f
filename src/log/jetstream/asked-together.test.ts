import { expect, test } from 'vitest'
import { AskedTogether } from './asked-together.js'

test('asks twice for all who ask at once, and gives none an answer older than the question', async () => {
  let asked = 0
  const question = new AskedTogether(async () => {
    const mine = ++asked
    await new Promise(setImmediate)
    return mine
  })
  expect(await Promise.all([1, 2, 3, 4].map(() => question.get()))).toEqual([1, 2, 2, 2])
  expect(await question.get()).toBe(3)
})

test('asks again after a failure, and fails only those who shared it', async () => {
  let asked = 0
  const question = new AskedTogether(() => (++asked === 1 ? Promise.reject(new Error('away')) : Promise.resolve(asked)))
  const [first, second] = await Promise.allSettled([question.get(), question.get()])
  expect([first.status, second.status]).toEqual(['rejected', 'fulfilled'])
})
