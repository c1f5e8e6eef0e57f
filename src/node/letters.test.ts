import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import type { LetterAnswer, LettersAsked } from '../actor/letters.js'
import { systemChance, systemClock } from '../clock.js'
import { openEmbedded } from '../log/embedded/embedded.js'
import type { Listening } from '../log/signals.js'
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
    ...['', 'a b', 'a\tb', '*', 'a.>', 'a.b', 'x'.repeat(5000)].map(name => ({ to: `$SN.letters.answers.${name}` })),
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

test('tells of a reason what one message can hold, however long it is', async () => {
  const [here, there] = await links()
  const why = 'x'.repeat(100_000)
  const answering = await answerLetters(there.signals, () => Promise.resolve([{ position: 7, became: 'failed', why }]))
  expect(await ask(here)).toEqual([{ position: 7, became: 'failed', why: `${'x'.repeat(997)}...` }])
  answering.close()
  await answerLetters(there.signals, () => Promise.reject(new Error(why)))
  await expect(ask(here)).rejects.toMatchObject({ message: expect.stringMatching(/: x{997}\.\.\.$/) as string })
})

const broken = () => {
  throw new Error('it does not fit into a message')
}

test('an answer that cannot be sent ends nothing', async () => {
  const [here, there] = await links()
  const heard: unknown[] = []
  const hear = (error: unknown) => heard.push(error)
  process.on('unhandledRejection', hear)
  onTestFinished(() => void process.off('unhandledRejection', hear))
  const mute = {
    subscribe: there.signals.subscribe.bind(there.signals),
    publish: broken,
  } as unknown as typeof there.signals
  const asks = [() => Promise.resolve([]), () => Promise.reject(new Error('planted'))]
  for (const resolve of asks) await answerLetters(mute, resolve)
  await expect(ask(here, 50)).rejects.toMatchObject({ code: 'TIMED_OUT' })
  expect(heard).toEqual([])
})

test('a question that cannot be sent is the error of who asks, and nothing is heard afterwards', async () => {
  const [here] = await links()
  let closed = 0
  const subscribe = () => Promise.resolve<Listening>({ close: () => void (closed += 1) })
  const mute = { ...here, signals: { ...here.signals, subscribe, publish: broken } }
  await expect(ask(mute)).rejects.toThrow('it does not fit into a message')
  expect(closed).toBe(1)
})

test('is waited for no longer than asked when the process that passes signals on is stuck, and then not asked at all', async () => {
  const [here] = await links()
  let closed = 0
  let published = 0
  let pass: (listening: Listening) => void = () => {}
  const subscribe = () => new Promise<Listening>(resolve => (pass = resolve))
  const stuck = { ...here, signals: { ...here.signals, subscribe, publish: () => void (published += 1) } }
  await expect(ask(stuck, 50)).rejects.toMatchObject({ code: 'TIMED_OUT' })
  pass({ close: () => void (closed += 1) })
  await Promise.resolve()
  expect([closed, published]).toEqual([1, 0])
})
