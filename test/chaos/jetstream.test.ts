/** A short form of `npm run test:chaos` on a real server: nodes killed, frozen and cut off, and the server killed. */
import { expect, test } from 'vitest'
import { theCommand } from '../command.js'
import { runChaos } from './chaos.js'
import { detailsOf, tableOf } from './report.js'

const { main } = theCommand()

test('loses, repeats and reorders nothing while nodes, links and the server fail', { timeout: 300_000 }, async () => {
  const report = await runChaos({
    ...{ log: 'JetStream', seed: 1, main, records: 20_000, perSecond: 800 },
    blows: { kill: 22, freeze: 4, cut: 5, server: 3 },
  })
  console.table(tableOf([report]))
  console.log(detailsOf(report).join('\n'))
  expect([...report.findings, ...report.invalid]).toEqual([])
  expect(report.landed.kill).toBeGreaterThanOrEqual(20)
})
