/** The log port over a link: streams opened, found, named and dropped. */
import { DefinitionError } from '../../errors.js'
import type { Log, LogStream, StreamSpec } from '../../log/log.js'
import { badOption } from '../../options.js'
import type { SimLink } from './link.js'
import { SimStream } from './stream.js'
import { checkName } from './subjects.js'

export class SimLog implements Log {
  readonly description = 'simulated log'
  readonly recordBytesMax: number

  constructor(readonly link: SimLink) {
    this.recordBytesMax = link.ground.recordBytesMax
  }

  async open(spec: StreamSpec): Promise<LogStream> {
    checkName('stream', spec.name)
    const { server } = this.link.ground
    const { source } = spec
    const about = this.#about(source?.stream ?? spec.name)
    if (source !== undefined) {
      const theirs = await this.link.call('open', () => server.streams.get(source.stream), about)
      if (theirs !== undefined) return new SimStream(this.link, theirs, spec)
      const what = `there is no stream "${source.stream}" for "${spec.name}" to read`
      throw new DefinitionError('NO_SUCH_STREAM', what, 'check the name, or make it first')
    }
    if (!Number.isInteger(spec.partitions) || spec.partitions < 1 || spec.partitions > 4096) {
      throw badOption(`the partitions of stream "${spec.name}"`, 'a whole number from 1 to 4096', spec.partitions)
    }
    const stored = await this.link.call('open', () => server.open(spec), about)
    return new SimStream(this.link, stored, stored.spec)
  }

  async find(name: string): Promise<LogStream | undefined> {
    const stored = await this.link.call('find', () => this.link.ground.server.streams.get(name), this.#about(name))
    return stored && new SimStream(this.link, stored, stored.spec)
  }

  names(): Promise<readonly string[]> {
    return this.link.call('names', () => [...this.link.ground.server.streams.keys()].sort())
  }

  drop(name: string): Promise<void> {
    return this.link.call('drop', () => this.link.ground.server.drop(name), this.#about(name))
  }

  #about(stream: string): string {
    return this.link.ground.label(stream)
  }
}
