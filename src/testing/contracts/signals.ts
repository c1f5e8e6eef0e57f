/** The contract of the signals port as tests: requests and their five ends, publishing to whoever listens. */
import { pause } from '../../clock.js'
import type { Signals } from '../../log/signals.js'
import { register } from './contract.js'
import type { Contract, Promises, Scene } from './contract.js'
import { bytesOf, codeOf, eventually, failure, numbered, textOf, thrownBy } from './steps.js'

/** Registers the tests of the signals. */
export function signalsContract(contract: Contract): void {
  register([requestPromises, publishPromises], contract)
}

const requestPromises: Promises = {
  'gives the answer of whoever serves the subject, on any link': async scene => {
    const { subject, here, there } = await twoLinks(scene)
    await there.serve(subject, payload => bytesOf(`re: ${textOf(payload)}`))
    scene.expect(await ask(here, subject, 'a')).toBe('re: a')
    scene.expect(await ask(there, subject, 'b')).toBe('re: b')
    const asked = numbered('q', 200)
    scene.expect(await Promise.all(asked.map(one => ask(here, subject, one)))).toEqual(asked.map(one => `re: ${one}`))
  },

  'carries payloads byte for byte both ways, empty and large ones too': async scene => {
    const { subject, here, there } = await twoLinks(scene)
    await there.serve(subject, payload => payload.slice())
    for (const payload of [
      new Uint8Array(0),
      Uint8Array.from({ length: 256 }, (_, i) => i),
      new Uint8Array(500_000).fill(3),
    ]) {
      const answer = await here.request(subject, payload, { timeoutMs: 5000 })
      scene.expect(Buffer.from(answer).equals(payload)).toBe(true)
    }
  },

  'tells the handler the subject, and waits for one that takes its time': async scene => {
    const { subject, here, there } = await twoLinks(scene)
    await there.serve(subject, async (_payload, asked) => {
      await pause(scene.clock, 50)
      return bytesOf(asked)
    })
    scene.expect(await ask(here, subject, 'x')).toBe(subject)
  },

  'lets answers overtake each other, each to its own request': async scene => {
    const { subject, here, there } = await twoLinks(scene)
    await there.serve(subject, async payload => {
      await pause(scene.clock, Number(textOf(payload)))
      return payload.slice()
    })
    const order: string[] = []
    const asked = ['60', '30', '1'].map(async one => order.push(await ask(here, subject, one)))
    await Promise.all(asked)
    scene.expect(order).toEqual(['1', '30', '60'])
  },

  'rejects with NOBODY_THERE at once when nobody serves': async scene => {
    const { subject, here } = await twoLinks(scene)
    const before = scene.clock.elapsed()
    scene.expect(await failure(ask(here, subject, 'x', 20_000))).toBe('UnavailableError NOBODY_THERE')
    scene.expect(scene.clock.elapsed() - before).toBeLessThanOrEqual(2000)
  },

  'takes a listener for nobody who serves': async scene => {
    const { subject, here, there } = await twoLinks(scene)
    const listening = await there.subscribe(`${subject}.heard`, () => {})
    scene.expect(await failure(ask(here, `${subject}.served`, 'x'))).toBe('UnavailableError NOBODY_THERE')
    listening.close()
  },

  'rejects with TIMED_OUT when the answer does not come in time': async scene => {
    const { subject, here, there } = await twoLinks(scene)
    await there.serve(subject, () => new Promise<Uint8Array>(() => {}))
    const before = scene.clock.elapsed()
    scene.expect(await failure(ask(here, subject, 'x', 150))).toBe('UnavailableError TIMED_OUT')
    const took = scene.clock.elapsed() - before
    scene.expect(took).toBeGreaterThan(100)
    scene.expect(took).toBeLessThanOrEqual(2000)
  },

  'rejects with ANSWERED_WITH_ERROR and the message when the handler throws or rejects': async scene => {
    const { subject, here, there } = await twoLinks(scene)
    await there.serve(subject, payload => {
      if (textOf(payload) === 'throw') throw new Error('grüße: cannot\r\ndo that')
      return Promise.reject(new Error('not even later'))
    })
    for (const [how, what] of [
      ['throw', 'do that'],
      ['reject', 'not even later'],
    ] as const) {
      const thrown = await thrownBy(ask(here, subject, how))
      scene.expect(codeOf(thrown)).toBe('UnavailableError ANSWERED_WITH_ERROR')
      scene.expect((thrown as Error).message).toContain(what)
    }
  },

  'reaches one of several that serve a subject with each request': async scene => {
    const { subject, here, there } = await twoLinks(scene)
    let calls = 0
    for (const signals of [here, there, there]) {
      await signals.serve(subject, payload => {
        calls++
        return payload.slice()
      })
    }
    await Promise.all(numbered('q', 100).map(one => ask(here, subject, one)))
    scene.expect(calls).toBe(100)
  },

  'ends serving at close: the next request finds nobody, or another': async scene => {
    const { subject, here, there } = await twoLinks(scene)
    const first = await there.serve(subject, () => bytesOf('first'))
    const second = await there.serve(subject, () => bytesOf('second'))
    first.close()
    first.close()
    await ask(there, subject, 'so that the close has arrived')
    scene
      .expect(await Promise.all(numbered('q', 20).map(one => ask(here, subject, one))))
      .toEqual(numbered('q', 20).map(() => 'second'))
    second.close()
    // A request that was on its way already may still reach the one that has just closed, and finds no answer there.
    const gone = async () => codeOf(await thrownBy(ask(here, subject, 'x', 100))) === 'UnavailableError NOBODY_THERE'
    scene.expect(await eventually(scene.clock, 3000, gone)).toBe(true)
  },

  'rejects requests in flight and calls after close with CLOSED': async scene => {
    const { subject, here, there } = await twoLinks(scene)
    await there.serve(subject, () => new Promise<Uint8Array>(() => {}))
    const inFlight = failure(ask(here, subject, 'x', 20_000))
    await scene.ports.close()
    scene.expect(await inFlight).toBe('UnavailableError CLOSED')
    for (const call of [
      () => ask(here, subject, 'x'),
      () => here.serve(subject, payload => payload),
      () => here.subscribe(subject, () => {}),
    ]) {
      scene.expect(await failure((async () => call())())).toBe('UnavailableError CLOSED')
    }
  },
}

const publishPromises: Promises = {
  'reaches all who listen, on every link, with subject and payload': async scene => {
    const { subject, here, there } = await twoLinks(scene)
    const heard: string[] = []
    for (const [i, signals] of [here, there, there].entries()) {
      await signals.subscribe(subject, (payload, on) => heard.push(`${i} ${on === subject} ${textOf(payload)}`))
    }
    here.publish(subject, bytesOf('x'))
    await eventually(scene.clock, 2000, async () => heard.length >= 3)
    scene.expect(heard.sort()).toEqual(['0 true x', '1 true x', '2 true x'])
  },

  'hears everything published after subscribe has resolved, in the order of its sender': async scene => {
    const { subject, here, there } = await twoLinks(scene)
    const heard: string[] = []
    await there.subscribe(subject, payload => heard.push(textOf(payload)))
    for (const text of numbered('n', 500)) here.publish(subject, bytesOf(text))
    await eventually(scene.clock, 3000, async () => heard.length >= 500)
    scene.expect(heard).toEqual(numbered('n', 500))
  },

  'keeps nothing for those who listen later': async scene => {
    const { subject, here, there } = await twoLinks(scene)
    const heard: string[] = []
    here.publish(subject, bytesOf('early'))
    await settle(scene, here, there)
    await there.subscribe(subject, payload => heard.push(textOf(payload)))
    here.publish(subject, bytesOf('late'))
    await eventually(scene.clock, 2000, async () => heard.length > 0)
    scene.expect(heard).toEqual(['late'])
  },

  'takes * for one word and a last > for one or more': async scene => {
    const { subject, here, there } = await twoLinks(scene)
    const heard = { star: [] as string[], rest: [] as string[], plain: [] as string[] }
    const note = (into: string[]) => (_payload: Uint8Array, on: string) => into.push(on.slice(subject.length))
    await there.subscribe(`${subject}.*.c`, note(heard.star))
    await there.subscribe(`${subject}.>`, note(heard.rest))
    await there.subscribe(`${subject}.b`, note(heard.plain))
    for (const tail of ['', '.b', '.b.c', '.b.c.d', '.bc', '.x.c', '.end'])
      here.publish(`${subject}${tail}`, bytesOf('x'))
    await eventually(scene.clock, 2000, async () => heard.rest.includes('.end'))
    scene.expect(heard).toEqual({
      star: ['.b.c', '.x.c'],
      rest: ['.b', '.b.c', '.b.c.d', '.bc', '.x.c', '.end'],
      plain: ['.b'],
    })
  },

  'hears nothing after close': async scene => {
    const { subject, here, there } = await twoLinks(scene)
    const heard: string[] = []
    const closed = await there.subscribe(subject, payload => heard.push(`closed ${textOf(payload)}`))
    await there.subscribe(subject, payload => heard.push(`open ${textOf(payload)}`))
    closed.close()
    closed.close()
    here.publish(subject, bytesOf('x'))
    await eventually(scene.clock, 2000, async () => heard.length > 0)
    await settle(scene, here, there)
    scene.expect(heard).toEqual(['open x'])
  },

  'goes on with the others when one who listens throws': async scene => {
    const { subject, here, there } = await twoLinks(scene)
    const heard: string[] = []
    await there.subscribe(subject, () => {
      throw new Error('a handler that throws')
    })
    await there.subscribe(subject, payload => heard.push(textOf(payload)))
    for (const text of numbered('n', 3)) here.publish(subject, bytesOf(text))
    await eventually(scene.clock, 2000, async () => heard.length >= 3)
    scene.expect(heard).toEqual(numbered('n', 3))
  },
}

async function twoLinks(scene: Scene): Promise<{ subject: string; here: Signals; there: Signals }> {
  return { subject: scene.fresh(), here: scene.ports.signals, there: (await scene.another()).signals }
}

async function ask(signals: Signals, subject: string, text: string, timeoutMs = 5000): Promise<string> {
  return textOf(await signals.request(subject, bytesOf(text), { timeoutMs }))
}

/** A round trip from here to there: what was published before it has been heard by then. */
async function settle(scene: Scene, here: Signals, there: Signals): Promise<void> {
  const subject = scene.fresh()
  const serving = await there.serve(subject, payload => payload.slice())
  await ask(here, subject, 'settled')
  serving.close()
}
