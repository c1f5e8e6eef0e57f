/** From flags and environment to a client: which log is meant, and how to reach it. */
import { existsSync } from 'node:fs'
import type { Client } from '../client/client.js'
import { DefinitionError, messageOf } from '../errors.js'
import { parseServers, redact } from '../log/jetstream/servers.js'
import type { JetStreamOptions } from '../log/jetstream/settings.js'
import { duration, type Duration } from '../options.js'
import type { Event } from '../telemetry/events.js'
import { UsageError } from './failure.js'
import type { Flags } from './flags.js'
import { say } from './terminal.js'

const FOLDER = '.stream-node'

/**
 * Links to the log that the flags name, else the environment, else the one in `.stream-node`. A folder that is not
 * there is made only when asked for: a slip of the path must not look like an empty log.
 */
export async function linked(flags: Flags, { make = false } = {}): Promise<Client> {
  const log = logOf(flags, process.env)
  const { connect } = await import('../client/connect.js')
  if (log.server !== undefined) return connect({ ...log.server, onEvent: tell })
  const { dataDir } = log
  if (!make && !existsSync(dataDir)) {
    const mend = 'name its folder by --data-dir, or a server by --server or NATS_URL; "publish --create" makes a log'
    throw new DefinitionError('BAD_DATA_FOLDER', `there is no log in ${dataDir}`, mend)
  }
  return connect({ dataDir, onEvent: tell })
}

type Env = Readonly<Record<string, string | undefined>>

type Meant = { readonly server: JetStreamOptions } | { readonly server?: never; readonly dataDir: string }

/** Which log is meant. A flag for a server shuts out the folder in the environment, and the other way round. */
function logOf(flags: Flags, env: Env): Meant {
  const server = serverOptions(flags)
  const named = flags.server !== undefined || flags.context !== undefined
  if (flags.dataDir !== undefined) {
    const [other] = Object.keys(server)
    if (other !== undefined) {
      throw new UsageError(`--data-dir is given, and a flag for a server (${flagOf(other)})`, 'leave one of them out')
    }
    if (flags.dataDir === '') throw new UsageError('--data-dir is empty', 'name a folder, or leave it out')
    return { dataDir: flags.dataDir }
  }
  if (named || env['NATS_URL'] || env['NATS_CONTEXT']) return { server: { name: 'stream-node command', ...server } }
  const [stray] = Object.keys(server).filter(option => option !== 'timeout')
  if (stray !== undefined) {
    throw new UsageError(`${flagOf(stray)} is given, but no server`, 'name it by --server, --context or NATS_URL')
  }
  return { dataDir: env['STREAM_NODE_DATA_DIR'] || FOLDER }
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
  asUsage(() => flags.timeout !== undefined && duration('--timeout', flags.timeout, { min: 1 }))
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
    case 'log.reader-resumed':
      return undefined
  }
}
