import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import type { PartitionStatus } from '../actor/status.js'
import { systemChance, systemClock } from '../clock.js'
import { openEmbedded } from '../log/embedded/embedded.js'
import type { Ports } from '../log/ports.js'
import { silent } from '../telemetry/events.js'
import { answerResume, askToResume, type Meant } from './resume.js'
import { answerStatus } from './status.js'

const around = { clock: systemClock, chance: systemChance, tell: silent }

/** Two links to one log. */
async function links() {
  const dataDir = mkdtempSync(join(tmpdir(), 'resume-'))
  onTestFinished(() => rmSync(dataDir, { recursive: true, force: true }))
  const open = async () => {
    const ports = await openEmbedded({ dataDir, role: 'guest' }, around)
    onTestFinished(() => ports.close())
    return ports
  }
  return [await open(), await open()] as const
}

type States = Record<string, PartitionStatus['state'][]>

/** A node whose partitions stand like this, by pipeline; what is paused goes on when it is asked to. */
async function nodeOn({ signals }: Ports, states: States, { goesOn = true } = {}) {
  const asked: unknown[] = []
  const partitions = () =>
    Object.entries(states).flatMap(([pipeline, all]) =>
      all.map((state, partition): PartitionStatus => ({
        ...{ pipeline, stage: 0, partition, state, fence: 1, number: 7, positions: {}, lag: 0, outbox: 0, held: 0 },
        ...{ rows: 0, letters: 0, liveBytes: 0, ledgerBytes: 0, restarts: 0 },
      })),
    )
  await answerResume(signals, (pipeline, partition) => {
    asked.push([pipeline, partition])
    const all = states[pipeline] ?? []
    let resumed = 0
    for (const [i, state] of all.entries()) {
      if (!goesOn || state !== 'paused' || (partition ?? i) !== i) continue
      all[i] = 'running'
      resumed++
    }
    return resumed
  })
  const id = systemChance.name()
  await answerStatus(signals, id, () => ({ name: 'n', pid: 1, since: 1, log: 'a log', partitions: partitions() }))
  return { states, asked }
}

const ask = (ports: Ports, meant: Meant, timeoutMs = 5000) => askToResume(ports, { ...around, timeoutMs }, meant)

test('what is paused of a pipeline goes on, on every node, and it is said how many', async () => {
  const [here, there] = await links()
  const one = await nodeOn(there, { p: ['running', 'paused', 'fenced'], q: ['paused'] })
  const two = await nodeOn(there, { p: ['paused', 'fenced', 'paused'] })
  expect(await ask(here, { pipeline: 'p' })).toBe(3)
  expect(one.states).toEqual({ p: ['running', 'running', 'fenced'], q: ['paused'] })
  expect(two.states).toEqual({ p: ['running', 'fenced', 'running'] })
})

test('only the partition that is named goes on', async () => {
  const [here, there] = await links()
  const { states, asked } = await nodeOn(there, { p: ['paused', 'paused'] })
  expect(await ask(here, { pipeline: 'p', partition: 1 })).toBe(1)
  expect(states).toEqual({ p: ['paused', 'running'] })
  expect(asked).toEqual([['p', 1]])
})

test('is refused by name when no node runs, when none runs that, and when nothing of it is paused', async () => {
  const [here, there] = await links()
  await expect(ask(here, { pipeline: 'p' })).rejects.toMatchObject({ code: 'NOBODY_THERE' })
  const { asked } = await nodeOn(there, { p: ['running', 'failed'], q: ['paused'] })
  await expect(ask(here, { pipeline: 'r' })).rejects.toMatchObject({
    code: 'NOBODY_THERE',
    message: expect.stringMatching(
      /^no node on .* runs pipeline "r"; what runs there is "p", "q"; "stream-node status"/,
    ),
  })
  await expect(ask(here, { pipeline: 'p', partition: 2 })).rejects.toMatchObject({
    code: 'NOBODY_THERE',
    message: expect.stringMatching(/ runs partition 2 of pipeline "p"; /),
  })
  await expect(ask(here, { pipeline: 'p' })).rejects.toMatchObject({
    code: 'NOT_PAUSED',
    message: expect.stringMatching(/^pipeline "p" is not paused; no partition of it is; /),
  })
  await expect(ask(here, { pipeline: 'p', partition: 1 })).rejects.toMatchObject({
    code: 'NOT_PAUSED',
    message: expect.stringMatching(/^partition 1 of pipeline "p" is not paused; it is failed; /),
  })
  expect(asked).toEqual([])
})

test('is waited for no longer than asked', async () => {
  const [here, there] = await links()
  await nodeOn(there, { p: ['paused'] }, { goesOn: false })
  await expect(ask(here, { pipeline: 'p' }, 400)).rejects.toMatchObject({
    code: 'TIMED_OUT',
    message: expect.stringMatching(/^0 of 1 paused partitions of pipeline "p" were resumed within 400 ms; /),
  })
})

test.each(['', 'null', '7', '{}', '{"to":"elsewhere","pipeline":"p"}', '{"to":"$SN.resume.answers.x","pipeline":7}'])(
  'what is no question is left unheard: %s',
  async text => {
    const [here, there] = await links()
    const { asked } = await nodeOn(there, { p: ['paused'] })
    here.signals.publish('$SN.resume.ask', Buffer.from(text))
    expect(await ask(here, { pipeline: 'p' })).toBe(1)
    expect(asked).toEqual([['p', undefined]])
  },
)
