import { expect, test } from 'vitest'
import { systemChance } from '../../clock.js'
import { FencedError, UnavailableError } from '../../errors.js'
import type { Ending } from '../log.js'
import type { Link } from './link.js'
import { checkServer } from './self-test.js'
import type { Writer } from './writer.js'

const link = { server: '127.0.0.1:4222', version: '9.9.9', tools: { chance: systemChance } } as unknown as Link

const stored = (repeat = false): Ending => ({ ending: 'stored', position: 1, repeat })
const expected: Ending = { ending: 'refused', why: 'expected', error: new FencedError('it stands elsewhere') }
const gone: Ending = {
  ending: 'refused',
  why: 'unavailable',
  error: new UnavailableError('DISCONNECTED', 'no link', ''),
}

function answering(...endings: Ending[]): Writer {
  return { lane: () => ({}), append: () => Promise.resolve(endings.shift()) } as unknown as Writer
}

test('passes a server that refuses what expects another position and knows a repeat', async () => {
  expect(await checkServer(link, answering(expected, stored(), stored(true)))).toBe(true)
})

test('stops at a server that takes a compare-and-set for an ordinary write', async () => {
  const failed = checkServer(link, answering(stored(), stored(), stored(true)))
  await expect(failed).rejects.toMatchObject({ code: 'UNSAFE_SERVER', message: expect.stringMatching(/9\.9\.9/) })
})

test('stops at a server that stores one id twice', async () => {
  const failed = checkServer(link, answering(expected, stored(), stored()))
  await expect(failed).rejects.toMatchObject({ code: 'UNSAFE_SERVER', message: expect.stringMatching(/twice/) })
})

test('says that it could not ask when the link is away', async () => {
  expect(await checkServer(link, answering(gone, gone, gone))).toBe(false)
})
