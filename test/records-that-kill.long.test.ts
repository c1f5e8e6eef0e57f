/** Two records that kill in two ways, in two partitions of one process. */
import { test } from 'vitest'
import { survived } from './killed.js'

test('of 8 partitions one with a record that never ends and one with one that takes all memory pass them over', async () => {
  await survived('loop', 'hog')
})
