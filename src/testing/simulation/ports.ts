/** The three ports of one simulated process. */
import type { BucketSpec } from '../../log/bucket.js'
import type { Ports } from '../../log/ports.js'
import type { Tell } from '../../telemetry/events.js'
import { SimBucket } from './bucket.js'
import { SimLink } from './link.js'
import type { Ground } from './link.js'
import { SimLog } from './log.js'
import type { SimProcess } from './process.js'
import { SimSignals } from './signals.js'
import { checkName } from './subjects.js'

/** The ports, and the link beneath them that a simulation may cut. */
export interface SimPorts extends Ports {
  readonly link: SimLink
}

export function portsOf(ground: Ground, process: SimProcess, tell: Tell): SimPorts {
  const link = new SimLink(ground, process, tell)
  return {
    link,
    log: new SimLog(link),
    signals: new SimSignals(link),
    async bucket(spec: BucketSpec) {
      checkName('bucket', spec.name)
      return new SimBucket(link, await link.call('bucket open', () => ground.server.bucket(spec), spec.name))
    },
    async close() {
      link.close()
    },
  }
}
