import fc from 'fast-check'
import { expect, test } from 'vitest'
import { KnownTexts } from './known-texts.js'

test('gives the text of the bytes, whatever it knows by then', () => {
  const piece = fc.string({ unit: fc.constantFrom('a', 'b', '/', '1'), maxLength: 12 })
  fc.assert(
    fc.property(fc.array(fc.tuple(piece, piece, piece), { maxLength: 400 }), all => {
      const texts = new KnownTexts()
      for (const [before, text, behind] of all) {
        const head = Buffer.from(before + text + behind)
        expect(texts.of(head, before.length, before.length + text.length)).toBe(text)
        head.fill(0)
      }
    }),
    { numRuns: 100 },
  )
})
