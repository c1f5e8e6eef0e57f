import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { systemChance, systemClock } from '../../clock.js'
import { silent } from '../../telemetry/events.js'
import { openEmbedded } from './embedded.js'
import { kindCheck, roomCheck } from './examiner.js'

test('finds a disk that is nearly full, and one that is full', () => {
  const MB = 1024 ** 2
  expect([2000 * MB, 900 * MB, 10 * MB].map(free => roomCheck(free).level)).toEqual(['ok', 'weak', 'wrong'])
})

test('finds a file system of the network, on which nothing holds', () => {
  expect([0x6969, 0xff534d42].map(type => kindCheck(type)[0]?.level)).toEqual(['wrong', 'wrong'])
  expect(kindCheck(0xef53)).toEqual([])
})

test.runIf(process.platform === 'linux' && existsSync('/dev/shm'))('finds a folder in memory', async () => {
  const folder = mkdtempSync('/dev/shm/stream-node-')
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
  const around = { clock: systemClock, chance: systemChance, tell: silent }
  const ports = await openEmbedded({ dataDir: join(folder, 'data') }, around)
  const examiner = await ports.examiner?.()
  const findings = (await examiner?.examine([], [])) ?? []
  await ports.close()
  expect(findings.find(({ check }) => check === 'file system')).toMatchObject({ level: 'weak' })
})
