/** Opens the three ports on NATS JetStream, over one connection. */
import type { Ports } from '../ports.js'
import type { Bucket } from '../bucket.js'
import { openBucket } from './bucket.js'
import { Floors, NOTES_BUCKET } from './floors.js'
import { Link, type Tools } from './link.js'
import { checkServer } from './self-test.js'
import type { JetStreamOptions } from './settings.js'
import { JetStreamSignals } from './signals.js'
import { JetStreamLog } from './streams.js'
import { Writer } from './writer.js'

/**
 * Connects and opens the ports. Rejects with an error that tells the mend when there is no server, no JetStream, or no
 * right to use it. From then on the link is made anew for ever, until `close()`.
 */
export async function openJetStream(options: JetStreamOptions, tools: Tools): Promise<Ports> {
  const link = await Link.open(options, tools)
  const writer = new Writer(link)
  const notes = new Notes(link, writer)
  return {
    log: new JetStreamLog(link, writer, new Floors(make => notes.open(make))),
    signals: new JetStreamSignals(link),
    async bucket(spec) {
      const bucket = (await openBucket(link, writer, spec)) as Bucket
      if (spec.name === NOTES_BUCKET) await notes.checked()
      return bucket
    },
    async examiner() {
      const { JetStreamExaminer } = await import('./examiner.js')
      return new JetStreamExaminer(link, writer)
    },
    close: () => link.close(),
  }
}

/** The bucket for notes, opened when first needed; the server is put to the test as soon as it is there. */
class Notes {
  readonly #link: Link
  readonly #writer: Writer
  #bucket: Bucket | undefined
  #checked: Promise<boolean> | undefined

  constructor(link: Link, writer: Writer) {
    this.#link = link
    this.#writer = writer
  }

  async open(make: boolean): Promise<Bucket | undefined> {
    if (this.#bucket !== undefined) return this.#bucket
    this.#bucket = await openBucket(this.#link, this.#writer, { name: NOTES_BUCKET }, make)
    if (this.#bucket !== undefined) await this.checked()
    return this.#bucket
  }

  async checked(): Promise<void> {
    this.#checked ??= checkServer(this.#link, this.#writer)
    if (!(await this.#checked)) this.#checked = undefined
  }
}
