/** Links a client to a log: which kind is settled by what is given, and only that kind is loaded. */
import { systemChance, systemClock } from '../clock.js'
import { DefinitionError } from '../errors.js'
import { badOption, knownOptions } from '../options.js'
import type { EmbeddedOptions } from '../log/embedded/embedded.js'
import type { JetStreamOptions } from '../log/jetstream/settings.js'
import type { Ports } from '../log/ports.js'
import { silent, type Tell } from '../telemetry/events.js'
import type { Client } from './client.js'
import { linked, type LinkedParts } from './linked.js'

interface Common {
  /** How many servers keep what this client makes, where a stream does not say. Default 1. */
  readonly replicas?: 1 | 3 | 5
  /** Told what happens to the link (lost, back, warnings) and which outputs are missing. Must not throw. */
  readonly onEvent?: Tell
}

/** Options of another kind of log: a program that gives both does not compile. */
type Without<Names extends string> = { readonly [Name in Names]?: never }

/** A NATS server with JetStream. What is absent comes from the `NATS_*` environment. */
export type ConnectToServer = JetStreamOptions & Common & Without<'dataDir' | 'memory' | 'sync'>
/** The embedded log in a folder; a node may be running on it. `sync` can raise what the folder keeps, never lower it. */
export type ConnectToFolder = Common &
  Pick<EmbeddedOptions, 'sync'> & { readonly dataDir: string } & Without<keyof JetStreamOptions | 'memory'>
/** A log in memory, gone with the client: for tests and trials. */
export type ConnectToMemory = Common & { readonly memory: true } & Without<keyof JetStreamOptions | 'dataDir' | 'sync'>

export type ConnectOptions = ConnectToServer | ConnectToFolder | ConnectToMemory

type NameOf<Options> = Options extends unknown ? keyof Options : never
/** Every option of every kind, so that a wrong name is told apart before a kind is chosen; the type keeps it whole. */
const KNOWN: Readonly<Record<NameOf<ConnectOptions>, true>> = {
  ...{ servers: true, name: true, creds: true, nkey: true, user: true, password: true, token: true, ca: true },
  ...{ cert: true, key: true, tls: true, tlsFirst: true, context: true, timeout: true, inboxPrefix: true },
  ...{ domain: true, dataDir: true, sync: true, memory: true, replicas: true, onEvent: true },
}
const FOLDER_DEFAULT = '.stream-node'

/**
 * Connects to a log: JetStream with `servers` (or any other option of a NATS connection), the embedded log with
 * `dataDir`, one in memory with `memory`. With none of them, `NATS_URL` or `NATS_CONTEXT` in the environment mean
 * JetStream, else it is the embedded log in the folder that `STREAM_NODE_DATA_DIR` names, else in `.stream-node`.
 *
 * Rejects with a `DefinitionError` for wrong options or credentials, with `NO_SERVER` when nothing answers.
 */
export async function connect(options: ConnectOptions = {}): Promise<Client> {
  const { ports, parts } = await openLog('connect', options)
  return linked(ports, parts)
}

/** A log that is open, and what those who work on it need beside it. */
export interface OpenLog {
  readonly ports: Ports
  readonly parts: LinkedParts
}

/**
 * Opens the log that these options mean, checked as options of `where`. With `node`, a name, it is opened for a node of
 * that name, of which there is one to a folder: `DATA_FOLDER_IN_USE`.
 */
export async function openLog(where: string, options: ConnectOptions, node?: string): Promise<OpenLog> {
  knownOptions(where, options, Object.keys(KNOWN))
  const { replicas = 1, onEvent = silent, ...link } = given(options)
  if (![1, 3, 5].includes(replicas)) throw badOption(`replicas of ${where}`, '1, 3 or 5', replicas)
  if (typeof onEvent !== 'function') throw badOption(`onEvent of ${where}`, 'a function', onEvent)
  const parts = { clock: systemClock, chance: systemChance, tell: onEvent, replicas }
  return { ports: await openPorts(where, link, parts, node), parts }
}

type Link = JetStreamOptions | { readonly dataDir: string } | { readonly memory: true }

async function openPorts(where: string, link: Link, parts: LinkedParts, node: string | undefined): Promise<Ports> {
  const { clock, chance, tell } = parts
  if (kindOf(where, link) === 'server') {
    const { openJetStream } = await import('../log/jetstream/jetstream.js')
    return openJetStream(
      { ...(node !== undefined && { name: node }), ...link },
      { clock, chance, tell, env: process.env },
    )
  }
  const { openEmbedded } = await import('../log/embedded/embedded.js')
  const folder =
    Object.keys(link).length === 0 ? { dataDir: process.env['STREAM_NODE_DATA_DIR'] || FOLDER_DEFAULT } : link
  const role = node === undefined ? { role: 'guest' as const } : { role: 'node' as const, name: node }
  return openEmbedded({ ...folder, ...role }, { clock, chance, tell })
}

/** What is set: a `dataDir` from an environment variable that is not there means that none is given. */
function given(options: ConnectOptions): ConnectOptions {
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined))
}

/** Which log the options are for; throws when they are for several. */
function kindOf(where: string, link: Link): 'server' | 'folder' | 'memory' {
  const names = Object.keys(link)
  const main = ['memory', 'dataDir'].find(name => names.includes(name))
  if (main === undefined) {
    if (!names.includes('sync')) return names.length > 0 || serverInEnvironment() ? 'server' : 'folder'
    throw new DefinitionError('BAD_OPTION', `${where} got sync, but no dataDir`, 'name the folder by dataDir')
  }
  const stray = names.find(name => name !== main && !(main === 'dataDir' && name === 'sync'))
  if (stray !== undefined) {
    const what = `${where} got ${stray} and ${main}, which are for different logs`
    throw new DefinitionError('BAD_OPTION', what, 'leave one of them out')
  }
  if ('memory' in link && (link.memory as unknown) !== true) throw badOption('memory', 'true, or absent', link.memory)
  return main === 'memory' ? 'memory' : 'folder'
}

function serverInEnvironment(): boolean {
  return Boolean(process.env['NATS_URL']) || Boolean(process.env['NATS_CONTEXT'])
}
