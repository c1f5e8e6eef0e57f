/** Real processes that die of records: the watchdog, `run --respawn`, and a partition that finds out which record it is. */
import { expect, test } from 'vitest'
import { Place, survived } from './killed.js'

test('of 8 partitions one with a record that never ends passes it over, told by the watchdog, and all else is counted', async () => {
  const stderr = await survived('loop')
  const [told = ''] = stderr.split('\n').filter(line => line.includes('has not moved for 2 s'))
  expect(told).toMatch(/is ended: partition \d of pipeline "killed" was walking stream "input", position/)
  expect(stderr).toMatch(/ at loop \(file:.*flow\.mjs:\d+:\d+\)/)
}, 120_000)

test('of 8 partitions one with a record that takes all memory passes it over, and all else is counted', async () => {
  await survived('hog')
}, 120_000)

test('a process.exit() in a step is told, and is no success', async () => {
  const place = new Place()
  await place.publish([{ user: 'ann', n: 1, how: 'exit' }])
  const ran = await place.run()
  expect(ran.code).toBe(1)
  expect(ran.stderr).toMatch(/code that this process runs has ended it, with code 0/)
})
