/** From flags, environment and config file to a client: which log is meant, and how to reach it. */
import { existsSync } from 'node:fs'
import type { Client } from '../client/client.js'
import type { ConnectOptions, OpenLog } from '../client/connect.js'
import { DefinitionError, messageOf } from '../errors.js'
import { optionsFromContext, optionsFromEnv, type Environment } from '../log/jetstream/context.js'
import { parseServers, redact } from '../log/jetstream/servers.js'
import type { JetStreamOptions } from '../log/jetstream/options.js'
import type { Duration } from '../options.js'
import type { Event } from '../telemetry/events.js'
import { durationOf } from './arguments.js'
import { configNameOf, type ConfigFile } from './config.js'
import { UsageError } from './failure.js'
import type { Flags } from './flags.js'
import { beneath } from './layers.js'
import { say } from './terminal.js'

const FOLDER = '.stream-node'

/**
 * Links to the log that the flags name, else the environment, else the config file, else the one in `.stream-node`. A
 * folder that is not there is made only when asked for: a slip of the path must not look like an empty log.
 */
export async function linked(flags: Flags, { make = false } = {}): Promise<Client> {
  const options = await optionsOf(flags, make)
  const { connect } = await import('../client/connect.js')
  return connect(options)
}

/** Opens the ports of that log themselves, for a verb that asks its nodes. */
export async function opened(flags: Flags): Promise<OpenLog> {
  const options = await optionsOf(flags, false)
  const { openLog } = await import('../client/connect.js')
  return openLog('the command', options)
}

async function optionsOf(flags: Flags, make: boolean): Promise<ConnectOptions> {
  const log = await logOf(flags, process.env)
  if (log.server !== undefined) return { ...log.server, onEvent: tell }
  const { dataDir } = log
  if (!make && !existsSync(dataDir)) {
    const mend = 'name its folder by --data-dir, or a server by --server or NATS_URL; "publish --create" makes a log'
    throw new DefinitionError('BAD_DATA_FOLDER', `there is no log in ${dataDir}`, mend)
  }
  return { dataDir, onEvent: tell }
}

type Meant = { readonly server: JetStreamOptions } | { readonly server?: never; readonly dataDir: string }

/** Which log is meant: the highest layer that names a server or a folder says so, whatever those below it name. */
export async function logOf(flags: Flags, env: Environment): Promise<Meant> {
  const server = serverOptions(flags)
  const [stray] = Object.keys(server).filter(option => option !== 'timeout')
  if (flags.dataDir !== undefined) {
    if (stray !== undefined) {
      throw new UsageError(`--data-dir is given, and a flag for a server (${flagOf(stray)})`, 'leave one of them out')
    }
    if (flags.dataDir === '') throw new UsageError('--data-dir is empty', 'name a folder, or leave it out')
    return { dataDir: flags.dataDir }
  }
  const { file } = flags
  const byFlag = (flags.server ?? flags.context) !== undefined
  const named = byFlag || Boolean(env['NATS_URL']) || Boolean(env['NATS_CONTEXT'])
  const ofEnv = env['STREAM_NODE_DATA_DIR'] || undefined
  const ofFile = ofEnv === undefined && (file?.server.servers ?? file?.server.context) !== undefined
  if (named || ofFile) return { server: { name: 'stream-node command', ...(await layered(server, env, file)) } }
  const dataDir = ofEnv ?? file?.dataDir
  if (stray !== undefined) {
    const by = ofEnv === undefined ? `dataDir in ${file?.path ?? ''}` : 'STREAM_NODE_DATA_DIR'
    const but = dataDir === undefined ? 'no server' : `${by} names a folder`
    throw new UsageError(`${flagOf(stray)} is given, but ${but}`, 'name a server by --server, --context or NATS_URL')
  }
  const [idle] = Object.keys(file?.server ?? {})
  if (dataDir === undefined && file !== undefined && idle !== undefined) {
    const mend = 'name it by servers or context there, by --server or by NATS_URL'
    throw new DefinitionError('BAD_OPTION', `${file.path} has ${configNameOf(idle)}, but no server is named`, mend)
  }
  return { dataDir: dataDir ?? FOLDER }
}

/** The flags, and what of the file counts beneath them, the environment and the context that either names. */
async function layered(flags: JetStreamOptions, env: Environment, file?: ConfigFile): Promise<JetStreamOptions> {
  if (file === undefined) return flags
  const ofEnv = optionsFromEnv(env)
  const context = flags.context ?? ofEnv.context
  const ofContext = context === undefined ? [] : [await optionsFromContext(context, env)]
  return { ...beneath(file.server, [flags, ofEnv, ...ofContext]), ...flags }
}

/** Makes what a check of ours throws a slip in the call. */
export function asUsage(check: () => unknown): void {
  try {
    check()
  } catch (error) {
    throw new UsageError(messageOf(error), '')
  }
}

const FLAG_OF: Readonly<Record<string, string>> = {
  servers: '--server',
  ca: '--tls-ca',
  cert: '--tls-cert',
  key: '--tls-key',
  inboxPrefix: '--inbox-prefix',
}

function flagOf(option: string): string {
  return FLAG_OF[option] ?? `--${option}`
}

/** Checked here, so that a slip in a flag is told as one. */
function serverOptions(flags: Flags): JetStreamOptions {
  asUsage(() => flags.server !== undefined && parseServers(flags.server))
  if (flags.timeout !== undefined) durationOf('--timeout', flags.timeout)
  const { server, context, creds, nkey, user, password, token, tlsCa, tlsCert, tlsKey, domain, inboxPrefix } = flags
  const given = { servers: server, context, creds, nkey, user, password, token, domain, inboxPrefix }
  const files = { ca: tlsCa, cert: tlsCert, key: tlsKey, timeout: flags.timeout as Duration | undefined }
  return Object.fromEntries(Object.entries({ ...given, ...files }).filter(([, value]) => value !== undefined))
}

let said = ''

/** Tells people what happens to the link, the same thing once however often it happens. */
function tell(event: Event): void {
  const line = lineFor(event)
  if (line === undefined || line === said) return
  said = line
  say(line)
}

function lineFor(event: Event): string | undefined {
  switch (event.type) {
    case 'log.disconnected':
      return `the link to ${event.server} is lost; waiting for it`
    case 'log.reconnected':
      return `the link to ${event.server} is back`
    case 'log.error':
      return `the log says: ${redact(event.error.message)}`
    case 'log.warning':
      return `warning: ${event.what}; ${event.mend}`
    default:
      return undefined
  }
}
