import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import type { PartitionStatus } from '../actor/status.js'
import { systemChance, systemClock } from '../clock.js'
import { openEmbedded } from '../log/embedded/embedded.js'
import type { Listening } from '../log/signals.js'
import { silent } from '../telemetry/events.js'
import { answerStatus, statusOfNodes, type NodeStatus } from './status.js'

const around = { clock: systemClock, chance: systemChance, tell: silent }

/** Two links to one log. */
async function links() {
  const dataDir = mkdtempSync(join(tmpdir(), 'status-'))
  onTestFinished(() => rmSync(dataDir, { recursive: true, force: true }))
  const open = async () => {
    const ports = await openEmbedded({ dataDir, role: 'guest' }, around)
    onTestFinished(() => ports.close())
    return ports
  }
  return [await open(), await open()] as const
}

const partition = (number: number): PartitionStatus => ({
  ...{ pipeline: 'p', stage: 0, partition: number, state: 'running', fence: 1, number: 7, positions: { clicks: 40 } },
  ...{ lag: 2, outbox: 0, held: 0, rows: 3, letters: 0, liveBytes: 100, ledgerBytes: 200, restarts: 0 },
})
const node = (name: string, partitions: readonly PartitionStatus[]): NodeStatus => ({
  ...{ name, pid: 1, since: 1000, log: 'a log', partitions },
})
const ask = (ports: Parameters<typeof statusOfNodes>[0], timeoutMs = 5000) =>
  statusOfNodes(ports, { ...around, timeoutMs })

test('comes from every node on the log, whole, sorted by name, though two have one name', async () => {
  const [here, there] = await links()
  const many = Array.from({ length: 1234 }, (_, i) => partition(i))
  const nodes = [node('b', many), node('a', [partition(0)]), node('a', [])]
  for (const [i, one] of nodes.entries()) await answerStatus(there.signals, `id-${i}`, () => one)
  expect(await ask(here)).toEqual([nodes[1], nodes[2], nodes[0]])
})

test('is asked anew each time', async () => {
  const [here, there] = await links()
  let asked = 0
  await answerStatus(there.signals, 'id', () => node('a', [{ ...partition(0), number: ++asked }]))
  expect((await ask(here))[0]?.partitions[0]?.number).toBe(1)
  expect((await ask(here))[0]?.partitions[0]?.number).toBe(2)
})

test('is refused by name when no node runs, also after the last has gone', async () => {
  const [here, there] = await links()
  const refused = {
    code: 'NOBODY_THERE',
    message: expect.stringMatching(/^no node runs on embedded log in .*; start one/),
  }
  await expect(ask(here)).rejects.toMatchObject(refused)
  const answering = await answerStatus(there.signals, 'id', () => node('a', []))
  expect(await ask(here)).toHaveLength(1)
  answering.close()
  await expect(ask(here)).rejects.toMatchObject(refused)
})

test('is waited for no longer than asked when the process that passes signals on is stuck', async () => {
  const [here] = await links()
  let closed = 0
  let pass: (listening: Listening) => void = () => {}
  const stuck = { ...here.signals, subscribe: () => new Promise<Listening>(resolve => (pass = resolve)) }
  await expect(ask({ log: here.log, signals: stuck }, 50)).rejects.toMatchObject({
    code: 'TIMED_OUT',
    message: expect.stringMatching(/^nobody on embedded log in .* passed on the question .* within 50 ms; ask again/),
  })
  pass({ close: () => void (closed += 1) })
  await Promise.resolve()
  expect(closed).toBe(1)
})

test('is waited for no longer than asked', async () => {
  const [here, there] = await links()
  await there.signals.serve('$SN.status', () => Buffer.from('id'))
  await expect(ask(here, 50)).rejects.toMatchObject({ code: 'TIMED_OUT' })
})
