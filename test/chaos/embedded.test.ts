/** A short form of `npm run test:chaos` on a folder: the node that holds it is killed while others write and read there. */
import { expect, test } from 'vitest'
import { theCommand } from '../command.js'
import { runChaos } from './chaos.js'
import { detailsOf, tableOf } from './report.js'

const { main } = theCommand()

test('loses, repeats and reorders nothing while the node on a folder is killed', { timeout: 300_000 }, async () => {
  const report = await runChaos({
    ...{ log: 'embedded', seed: 1, main, records: 10_000, perSecond: 800 },
    blows: { kill: 11 },
  })
  console.table(tableOf([report]))
  console.log(detailsOf(report).join('\n'))
  expect([...report.findings, ...report.invalid]).toEqual([])
  expect(report.landed.kill).toBeGreaterThanOrEqual(10)
})
