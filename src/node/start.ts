/** A node in this process, on a log that it opens: what `stream-node run` does, for programs. */
import { hostname } from 'node:os'
import { resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { systemClock } from '../clock.js'
import { openLog, type ConnectToFolder, type ConnectToMemory, type ConnectToServer } from '../client/connect.js'
import { DefinitionError, messageOf, StreamNodeError } from '../errors.js'
import { badOption, duration, type Duration } from '../options.js'
import type { Definition } from '../pipeline/definition.js'
import type { Listening } from '../log/signals.js'
import { silent, type Tell } from '../telemetry/events.js'
import { measures } from '../telemetry/otel.js'
import { checkedDefinitions, definitionsIn } from './definitions.js'
import { answerLetters } from './letters.js'
import { runNode, type NodeAtWork, type NodeEnd } from './node.js'
import { harmless } from './on-event.js'
import { answerResume } from './resume.js'
import { answerStatus, type NodeStatus } from './status.js'
import { startWatchdog } from './watchdog.js'

/** What a node runs: definitions, or those that a module exports, by default or by name. */
type What =
  | { readonly definitions: readonly Definition[]; readonly module?: never }
  /** A path, from the working folder, or a URL; loaded by Node itself. */
  | { readonly module: string | URL; readonly definitions?: never }

interface Named {
  /** What the node is called in its status, at the server, and in the error that a second node on one folder gets. */
  readonly name?: string | undefined
  /**
   * Ends the process with code 5 when its main loop does not move for so long, as in a step that never returns, and says on
   * stderr what was at work. Default: nothing looks. `stream-node run` takes 30 seconds.
   */
  readonly watchdog?: Duration | undefined
}

/** What a node runs and on which log, which is said as for `connect`. */
export type NodeOptions = What &
  Named &
  (Omit<ConnectToServer, 'name'> | Omit<ConnectToFolder, 'name'> | Omit<ConnectToMemory, 'name'>)

/** A node at work. */
export interface RunningNode extends AsyncDisposable {
  readonly name: string
  /** What it runs on, for people: `JetStream 2.10.27 at 127.0.0.1:4222`, `embedded log in .stream-node`. */
  readonly log: string
  status(): NodeStatus
  /**
   * Ends it well: each partition finishes its turn, commits, publishes and lets go; after 25 seconds what is left is cut
   * off, which loses nothing either. Idempotent.
   */
  stop(): Promise<NodeEnd>
  /**
   * Resolves with true when everything that was readable at the time of the call, and all that pipelines of this node
   * made of it, is processed and published; with false when a partition ended or was paused before.
   */
  caughtUp(): Promise<boolean>
  /**
   * Lets paused partitions of a pipeline go on, or the one that is named: each tries again the record before which it
   * stands, or begins anew from its ledger. Gives how many were paused.
   */
  resume(pipeline: string, partition?: number): number
  /** Resolves when all partitions have ended and the log is closed; one that ends keeps the others from nothing. */
  readonly ended: Promise<NodeEnd>
}

/**
 * Starts a node: opens the log, makes the streams that are not there, and runs every partition of every pipeline. On a
 * folder there is one node at a time: `DATA_FOLDER_IN_USE` names the one that is. On a server the node takes over from
 * one that runs the same pipelines, which ends then.
 *
 * Rejects with a `DefinitionError` for options, definitions or streams that are not as they must be.
 */
export async function startNode(options: NodeOptions): Promise<RunningNode> {
  if (typeof options !== 'object' || (options as unknown) === null)
    throw badOption('the options of startNode', 'an object', options)
  const { definitions, module, name = hostname(), onEvent = silent, watchdog: stuckAfter, ...link } = options
  if (typeof name !== 'string' || name === '') throw badOption('name of startNode', 'a text', name)
  if ((definitions === undefined) === (module === undefined)) {
    throw badOption('definitions of startNode', 'given, or module, and not both', definitions)
  }
  if (typeof onEvent !== 'function') throw badOption('onEvent of startNode', 'a function', onEvent)
  const stuckMs = stuckAfter === undefined ? undefined : duration('watchdog of startNode', stuckAfter, { min: 100 })
  const given = definitions ?? (await exported(module))
  const pipelines = checkedDefinitions('startNode', given)
  let node: NodeAtWork | undefined
  const measured = measures(systemClock, () => node?.status() ?? [])
  const told = harmless(onEvent)
  const tell: Tell = event => {
    measured.tell(event)
    told(event)
  }
  const { ports, parts } = await openLog('startNode', { ...link, onEvent: tell }, name)
  const since = Math.floor(parts.clock.now())
  const log = ports.log.description
  const status = () => ({ name, pid: process.pid, since, log, partitions: node?.status() ?? [] })
  const answering: Listening[] = []
  const watchdog = stuckMs === undefined ? undefined : startWatchdog(stuckMs)
  try {
    const atWork = (node = await runNode(ports, pipelines, { ...parts, watchdog }))
    answering.push(await answerResume(ports.signals, (pipeline, partition) => atWork.resume(pipeline, partition)))
    answering.push(await answerLetters(ports.signals, (place, asked) => atWork.resolveLetters(place, asked)))
    // Last, for who finds the node by this may ask for all else.
    answering.push(await answerStatus(ports.signals, parts.chance.name(), status))
  } catch (error) {
    measured.close()
    watchdog?.close()
    await node?.stop()
    await ports.close()
    throw error
  }
  const atWork = node
  const partitions = atWork.status().length
  tell({ type: 'node.started', node: name, log, pipelines: pipelines.map(pipeline => pipeline.name), partitions })
  const ended = atWork.ended.then(async end => {
    for (const one of answering) one.close()
    measured.close()
    await ports.close()
    watchdog?.close()
    tell({ type: 'node.ended', node: name, why: end.why })
    return end
  })
  let stopping = false
  const stop = () => {
    if (!stopping) tell({ type: 'node.stopping', node: name })
    stopping = true
    void atWork.stop()
    return ended
  }
  return {
    ...{ name, log, status, stop, ended },
    caughtUp: () => atWork.caughtUp(),
    resume: (pipeline, partition) => atWork.resume(pipeline, partition),
    async [Symbol.asyncDispose]() {
      await stop()
    },
  }
}

/** The pipelines of a module, which is loaded by Node itself. */
async function exported(module: unknown): Promise<readonly Definition[]> {
  if (typeof module !== 'string' && !(module instanceof URL)) {
    throw badOption('module of startNode', 'a path or a URL', module)
  }
  const url = module instanceof URL || module.startsWith('file:') ? String(module) : pathToFileURL(resolve(module)).href
  let loaded: object
  try {
    loaded = (await import(url)) as object
  } catch (cause) {
    if (cause instanceof StreamNodeError) throw cause
    const what = `module ${String(module)} of startNode cannot be loaded: ${messageOf(cause)}`
    throw new DefinitionError('BAD_MODULE', what, 'mend the file, or its path', { cause })
  }
  const found = definitionsIn(loaded)
  if (found.length > 0) return found
  const but = Object.keys(loaded).length === 0 ? 'it exports nothing' : `it exports ${Object.keys(loaded).join(', ')}`
  const mend = "export what pipeline('name').from(...).to(...) gives"
  throw new DefinitionError('BAD_MODULE', `module ${String(module)} of startNode has no pipeline: ${but}`, mend)
}
