/** The signals port over a link. */
import { messageOf, UnavailableError } from '../../errors.js'
import type { Listening, Signals } from '../../log/signals.js'
import type { SimLink } from './link.js'
import type { Answer, Ear } from './server.js'
import { matches } from './subjects.js'

type Serve = (payload: Uint8Array, subject: string) => Uint8Array | Promise<Uint8Array>
type Hear = (payload: Uint8Array, subject: string) => void

export class SimSignals implements Signals {
  readonly #ears = new Set<Ear>()

  constructor(readonly link: SimLink) {
    link.process.onDeath(() => this.#leave())
    link.onDown(() => {
      if (link.ended !== undefined) this.#leave()
    })
  }

  #leave(): void {
    for (const ear of this.#ears) this.link.ground.server.ears.delete(ear)
  }

  request(subject: string, payload: Uint8Array, { timeoutMs }: { readonly timeoutMs: number }): Promise<Uint8Array> {
    const { link } = this
    const { process, ground } = link
    if (link.ended !== undefined) return Promise.reject(link.ended)
    return new Promise((resolve, reject) => {
      const stop = link.onDown(() => failed(link.ended ?? gone(subject)))
      const cancel = process.clock.after(timeoutMs, () => failed(late(subject, timeoutMs)))
      const over = () => {
        stop()
        cancel()
      }
      const failed = (error: Error) => {
        over()
        reject(error)
      }
      const answer = (given: Answer) => {
        this.#travel(() =>
          process.deliver(() => {
            if ('failed' in given) return failed(refusedBy(subject, given.failed))
            over()
            resolve(given.payload)
          }),
        )
      }
      const asked = Uint8Array.from(payload)
      link.send({
        site: 'signals request',
        about: subject,
        arrive: () => {
          const serving = [...ground.server.ears].filter(ear => ear.kind === 'serve' && ear.subject === subject)
          if (serving.length === 0)
            throw new UnavailableError('NOBODY_THERE', `nobody serves "${subject}"`, 'start one')
          const ear = ground.chance.pick(serving)
          this.#travel(() => ear.hear(asked, subject, answer))
        },
        answered: () => {},
        threw: failed,
        failed,
      })
    })
  }

  #travel(then: () => void): void {
    const { clock, chance, faults } = this.link.ground
    clock.after(chance.between(...faults.spans.latency), then)
  }

  serve(subject: string, handle: Serve): Promise<Listening> {
    return this.#listen(subject, 'serve', async (payload, asked, answer) => {
      try {
        answer({ payload: Uint8Array.from(await handle(payload, asked)) })
      } catch (error) {
        answer({ failed: messageOf(error) })
      }
    })
  }

  subscribe(subject: string, handle: Hear): Promise<Listening> {
    return this.#listen(subject, 'listen', async (payload, heard) => {
      try {
        handle(payload, heard)
      } catch {
        // A listener that throws has no one to tell; the others still hear.
      }
    })
  }

  publish(subject: string, payload: Uint8Array): void {
    const said = Uint8Array.from(payload)
    this.link.send({
      site: 'signals publish',
      about: subject,
      arrive: () => {
        const { clock, faults, server } = this.link.ground
        for (const ear of server.ears) {
          if (ear.kind !== 'listen' || !matches(ear.subject, subject)) continue
          clock.after(faults.spans.latency[0], () => ear.hear(said, subject, () => {}))
        }
      },
      answered: () => {},
      failed: () => {},
    })
  }

  async #listen(
    subject: string,
    kind: Ear['kind'],
    hear: (payload: Uint8Array, subject: string, answer: (answer: Answer) => void) => Promise<void>,
  ): Promise<Listening> {
    const { process, ground } = this.link
    const { ears } = ground.server
    const ear: Ear = {
      subject,
      kind,
      hear: (payload, asked, answer) => {
        process.deliver(() => {
          if (this.#ears.has(ear)) void hear(payload, asked, answer)
        })
      },
    }
    this.#ears.add(ear)
    await this.link.call('signals listen', () => void ears.add(ear), subject)
    return {
      close: () => {
        this.#ears.delete(ear)
        ears.delete(ear)
      },
    }
  }
}

function gone(subject: string): UnavailableError {
  return new UnavailableError('DISCONNECTED', `the link broke before "${subject}" was answered`, 'look, or ask again')
}

function late(subject: string, ms: number): UnavailableError {
  return new UnavailableError('TIMED_OUT', `no answer to "${subject}" within ${ms} ms`, 'look, or ask again')
}

function refusedBy(subject: string, why: string): UnavailableError {
  return new UnavailableError('ANSWERED_WITH_ERROR', `"${subject}" was answered with an error: ${why}`, 'see there')
}
