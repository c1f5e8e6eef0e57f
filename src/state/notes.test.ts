import fc from 'fast-check'
import { expect, test } from 'vitest'
import { IntegrityError } from '../errors.js'
import { decodeNotes, encodeNotes, UNSUSPECTED, type Notes, type TrialNotes } from './notes.js'

const tried = fc.record({ stream: fc.string({ maxLength: 20 }), position: fc.maxSafeNat(), left: fc.maxSafeNat() })
const accused = fc.record({ stream: fc.string({ maxLength: 20 }), position: fc.maxSafeNat(), deaths: fc.nat(9) })
const trial: fc.Arbitrary<TrialNotes> = fc.record({
  walks: fc.constantFrom('nothing', 'batch', 'one'),
  sources: fc.array(tried, { maxLength: 3 }),
  accused: fc.array(accused, { maxLength: 3 }),
})
const notes: fc.Arbitrary<Notes> = fc.record({
  deaths: fc.nat(300),
  trial: fc.option(trial, { nil: undefined }),
})

test('what was noted is read back', () => {
  fc.assert(
    fc.property(notes, given => {
      expect(decodeNotes(encodeNotes(given), 'it')).toEqual(given)
    }),
  )
})

test('a partition that nobody suspects takes no byte', () => {
  expect(encodeNotes(UNSUSPECTED)).toHaveLength(0)
  expect(decodeNotes(new Uint8Array(0), 'it')).toEqual(UNSUSPECTED)
})

test('the bytes are those that the reference tells', () => {
  const given: Notes = {
    deaths: 2,
    trial: {
      walks: 'one',
      sources: [{ stream: 'in', position: 5, left: 300 }],
      accused: [{ stream: 'in', position: 4, deaths: 1 }],
    },
  }
  const [deaths, walks, left, one] = [2, 2, [0xac, 0x02], 1]
  const name = [2, ...Buffer.from('in')]
  expect([...encodeNotes(given)]).toEqual([deaths, walks, one, ...name, 5, ...left, one, ...name, 4, 1])
  expect([...encodeNotes({ deaths: 1, trial: undefined })]).toEqual([1])
})

test('whatever the bytes are, they are notes or refused by name', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 60 }), bytes => {
      try {
        decodeNotes(bytes, 'it')
      } catch (error) {
        expect(error).toBeInstanceOf(IntegrityError)
      }
    }),
  )
})
