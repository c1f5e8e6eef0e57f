import { expect, test } from 'vitest'
import { floorIn } from './floors.js'

test('reads what was noted, and nothing where nothing was', () => {
  expect(floorIn(Buffer.from('{"incarnation":"i","before":12}'))).toEqual({ incarnation: 'i', before: 12 })
  expect(floorIn(undefined)).toBeUndefined()
})

test.each(['', '{', 'null', '[]', '{"incarnation":"i"}', '{"incarnation":"i","before":-1}', '{"before":1e300}'])(
  'does not take %j for a note, and says where to look',
  text => {
    const message = /none that this release can read; look at its entries floors\.\*/
    expect(() => floorIn(Buffer.from(text))).toThrow(
      expect.objectContaining({ code: 'BAD_LOG', message: expect.stringMatching(message) }) as Error,
    )
  },
)
