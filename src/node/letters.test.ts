import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import type { LetterAnswer, LettersAsked } from '../actor/letters.js'
import { systemChance, systemClock } from '../clock.js'
import { openEmbedded } from '../log/embedded/embedded.js'
import { silent } from '../telemetry/events.js'
import { answerLetters, askForLetters, type LettersPlace } from './letters.js'

const around = { clock: systemClock, chance: systemChance, tell: silent }

/** Two links to one log. */
async function links() {
  const dataDir = mkdtempSync(join(tmpdir(), 'letters-'))
  onTestFinished(() => rmSync(dataDir, { recursive: true, force: true }))
  const open = async () => {
    const ports = await openEmbedded({ dataDir, role: 'guest' }, around)
    onTestFinished(() => ports.close())
    return ports
  }
  return [await open(), await open()] as const
}

const place: LettersPlace = { pipeline: 'p', stage: 0, partition: 3 }
const asked: LettersAsked = { how: 'retried', positions: [7, 9] }
const ask = (ports: Parameters<typeof askForLetters>[0], timeoutMs = 5000) =>
  askForLetters(ports, { ...around, timeoutMs }, place, asked)

test('the owner of the partition answers, and nobody else', async () => {
  const [here, there] = await links()
  const heard: [LettersPlace, LettersAsked][] = []
  const answers: LetterAnswer[] = [
    { position: 7, became: 'retried' },
    { position: 9, became: 'failed', why: 'planted' },
  ]
  await answerLetters(there.signals, () => undefined)
  await answerLetters(there.signals, (at, what) => {
    heard.push([at, what])
    return Promise.resolve(answers)
  })
  expect(await ask(here)).toEqual(answers)
  expect(heard).toEqual([[expect.objectContaining(place), expect.objectContaining(asked)]])
})

test('an owner that cannot is an error with its reason, unless another one can', async () => {
  const [here, there] = await links()
  const unable = () => Promise.reject(new Error('partition 3 is claiming'))
  await answerLetters(there.signals, unable)
  await expect(ask(here)).rejects.toMatchObject({
    code: 'ANSWERED_WITH_ERROR',
    message: 'partition 3 of pipeline "p": partition 3 is claiming',
  })
  await answerLetters(there.signals, () => Promise.resolve([]))
  expect(await ask(here)).toEqual([])
})

test('is waited for no longer than asked, and says that asking again does no harm', async () => {
  const [here, there] = await links()
  await answerLetters(there.signals, () => new Promise(() => {}))
  await expect(ask(here, 50)).rejects.toMatchObject({
    code: 'TIMED_OUT',
    message: expect.stringMatching(/within 50 ms .*; ask again, which does nothing twice/) as string,
  })
})

test('what others send to the subjects counts for nothing', async () => {
  const [here, there] = await links()
  const heard: unknown[] = []
  await answerLetters(there.signals, (_, what) => {
    heard.push(what)
    return Promise.resolve([])
  })
  await there.signals.subscribe('$SN.letters.ask', payload => {
    const { to } = JSON.parse(Buffer.from(payload).toString()) as { to?: string }
    for (const text of ['', '{', 'null', '{"answers":1}', '{"answers":[{"position":"x"}]}']) {
      if (to !== undefined) there.signals.publish(to, Buffer.from(text))
    }
  })
  const question = { to: '$SN.letters.answers.x', ...place, ...asked }
  for (const wrong of [
    { to: 'elsewhere' },
    { how: 'eaten' },
    { positions: 'x' },
    { positions: ['x'] },
    { stage: null },
  ]) {
    here.signals.publish('$SN.letters.ask', Buffer.from(JSON.stringify({ ...question, ...wrong })))
  }
  for (const text of ['', '[', 'null']) here.signals.publish('$SN.letters.ask', Buffer.from(text))
  expect(await ask(here)).toEqual([])
  expect(heard).toHaveLength(1)
})
