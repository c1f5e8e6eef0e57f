/** A short form of `npm run test:chaos` on a real server: nodes killed, frozen and cut off, and the server killed. */
import { expect, test } from 'vitest'
import { buildCommand } from '../command.js'
import { runChaos } from './chaos.js'
import { detailsOf, tableOf } from './report.js'

const { main } = buildCommand()

test('loses, repeats and reorders nothing while nodes, links and the server fail', { timeout: 180_000 }, async () => {
  const report = await runChaos({
    ...{ log: 'JetStream', seed: 1, main, records: 40_000, perSecond: 2000 },
    blows: { kill: 22, freeze: 5, cut: 6, server: 4 },
  })
  console.table(tableOf([report]))
  console.log(detailsOf(report).join('\n'))
  expect([...report.findings, ...report.invalid]).toEqual([])
  expect(report.landed.kill).toBeGreaterThanOrEqual(20)
})
