/** The long form of the checks that memory stays flat, with the figures the project promises. */
import { test } from 'vitest'
import { appendsLeaveNothing, readerStandsStill } from './flat.js'

test('stays flat while nobody takes from a reader for 60 s on 2 million records', () =>
  readerStandsStill({ records: 2_000_000, seconds: 60 }))

test('holds no more after 1 million appends than after few', () => appendsLeaveNothing({ records: 1_000_000 }))
