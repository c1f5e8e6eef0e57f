import { expect, test } from 'vitest'
import { countInWords, sizeInWords, spanInWords } from './in-words.js'

test('says amounts as people read them', () => {
  expect([0.4, 300, 1000, 20_000, 90_000, 3_600_000, 86_400_000 * 7].map(spanInWords)).toEqual([
    ...['0 ms', '300 ms', '1 second', '20 seconds', '1.5 minutes', '1 hour', '7 days'],
  ])
  expect([0, 300, 1024, 1_600_000, 5 * 1024 ** 3, 2048 * 1024 ** 4].map(sizeInWords)).toEqual([
    ...['0 bytes', '300 bytes', '1 KB', '1.5 MB', '5 GB', '2,048 TB'],
  ])
  expect([0, 1, 12_345].map(count => countInWords(count, 'record'))).toEqual([
    ...['0 records', '1 record', '12,345 records'],
  ])
})
