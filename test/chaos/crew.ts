/** The nodes that run the pipelines: one at least, each started anew when it is gone, and their ends looked at. */
import { ChaosNode, type NodeOptions } from './node.js'
import { within } from './patience.js'

export interface CrewOptions extends Omit<NodeOptions, 'name'> {
  readonly find: (what: string) => void
}

/** A node that is started while its log is away says so, and ends. */
const UNREACHABLE = 3
const AT_WORK_WITHIN_MS = 60_000
const ENDS_WITHIN_MS = 30_000

export class Crew {
  /** How many were started. */
  started = 0
  /** How many ended since they could not reach the log. */
  unreachable = 0
  readonly #options: CrewOptions
  #living: ChaosNode[] = []

  constructor(options: CrewOptions) {
    this.#options = options
  }

  /** Starts one more; it takes over from those that run. */
  start(): ChaosNode {
    const node = new ChaosNode({ ...this.#options, name: `node-${++this.started}` })
    this.#living.push(node)
    void node.ended.then(({ code, signal }) => {
      this.#living = this.#living.filter(other => other !== node)
      if (code === UNREACHABLE) this.unreachable++
      // Who is asked to end before the command has begun to listen for it has nothing to bring to its end.
      else if (signal === 'SIGTERM' && !node.isAtWork) return
      else if (signal !== 'SIGKILL' && code !== 0) {
        this.#options.find(`${node.name} ended with ${code ?? signal ?? 'nothing'}:\n${node.said}`)
      }
    })
    return node
  }

  /** The youngest that has walked a record, which owns all partitions; starts one when there is none. */
  async atWork(): Promise<ChaosNode> {
    const deadline = performance.now() + AT_WORK_WITHIN_MS
    while (performance.now() < deadline) {
      const node = this.#living.findLast(one => !one.isFrozen) ?? this.start()
      const isAtWork = await within(deadline - performance.now(), node.working(), false)
      if (isAtWork && node.isAlive) return node
    }
    const said = this.#living.map(node => `${node.name}: ${node.said}`).join('\n')
    throw new Error(`no node has walked a record for ${AT_WORK_WITHIN_MS / 1000} s\n${said}`)
  }

  /** Whether it is at work, and nobody has taken over from it. */
  owns(node: ChaosNode): boolean {
    return node.isAtWork && this.#living.findLast(one => one.isAtWork) === node
  }

  /** Finds fault when the node does not end by itself: another has taken over all that it had. */
  async mustEnd(node: ChaosNode): Promise<void> {
    if (await this.#endsSoon(node)) return
    this.#options.find(`${node.name} still runs ${ENDS_WITHIN_MS / 1000} s after another has taken over`)
    await node.kill()
  }

  /** Asks all to end, which they must do well. */
  async stop(): Promise<void> {
    const nodes = this.#living
    for (const node of nodes) {
      if (node.isFrozen) node.thaw()
      node.stop()
    }
    for (const node of nodes) {
      if (await this.#endsSoon(node)) continue
      this.#options.find(`${node.name} still runs ${ENDS_WITHIN_MS / 1000} s after it was asked to end`)
      await node.kill()
    }
  }

  /** Ends them at once. */
  async kill(): Promise<void> {
    await Promise.all(this.#living.map(node => node.kill()))
  }

  async #endsSoon(node: ChaosNode): Promise<boolean> {
    return (await within(ENDS_WITHIN_MS, node.ended, undefined)) !== undefined
  }
}
