/** Ours at work: a node that runs a pipeline as users write it, on a log that is open, until all is done. */
import { systemChance, systemClock } from '../src/clock.js'
import type { Ports } from '../src/log/ports.js'
import { runNode, type NodeAtWork } from '../src/node/node.js'
import { checkedDefinitions } from '../src/node/definitions.js'
import type { Definition } from '../src/index.js'
import type { Tell } from '../src/telemetry/events.js'

/** Starts a node as `startNode` does, on ports that somebody looks at. */
export function start(ports: Ports, pipeline: Definition, tell: Tell): Promise<NodeAtWork> {
  return runNode(ports, checkedDefinitions('the bench', [pipeline]), {
    clock: systemClock,
    chance: systemChance,
    tell,
    replicas: 1,
  })
}

/** How often `looked` is called. */
const LOOK_MS = 50

/**
 * Runs until so many records are committed and all that came of them is acknowledged, which makes it readable. Rejects
 * when more than `lettersMax` of them go to the dead letters, or when anything else goes wrong.
 */
export async function runThrough(
  ports: Ports,
  pipeline: Definition,
  records: number,
  heard: Tell = () => {},
  looked?: (node: NodeAtWork) => void,
  lettersMax = 0,
): Promise<{ readonly node: NodeAtWork; readonly ms: number }> {
  const began = performance.now()
  let left = records
  let letters = 0
  let node: NodeAtWork | undefined
  const done = new Promise<void>((resolve, reject) => {
    const look = () => {
      if (left > 0) return
      if (node?.status().every(({ outbox }) => outbox === 0) === true) resolve()
      else setTimeout(look, 1)
    }
    const tell: Tell = event => {
      heard(event)
      if (event.type === 'partition.committed') {
        left -= event.records
        if (left === 0) look()
      }
      if (event.type === 'partition.fault' && (event.then !== 'deadLetter' || ++letters > lettersMax)) {
        reject(new Error('a record failed', { cause: event.error }))
      }
      if (event.type === 'partition.ended' && 'error' in event) reject(new Error('it ended', { cause: event.error }))
      if (event.type === 'stream.outputs-missing') reject(new Error('outputs are missing'))
    }
    start(ports, pipeline, tell).then(started => (node = started), reject)
  })
  const timer = looked && setInterval(() => node && looked(node), LOOK_MS)
  await done.finally(() => clearInterval(timer))
  const ms = performance.now() - began
  return { node: node as unknown as NodeAtWork, ms }
}
