/**
 * Where the `nats` command keeps what it knows about servers: the environment and its context files. This only reads
 * them; `settings.ts` decides what counts.
 */
import { readFile } from 'node:fs/promises'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { DefinitionError } from '../../errors.js'
import { duration } from '../../options.js'
import type { JetStreamOptions } from './options.js'

/** The environment of a process, as `process.env` gives it. */
export type Environment = Readonly<Record<string, string | undefined>>

const VARIABLES = {
  NATS_URL: 'servers',
  NATS_CREDS: 'creds',
  NATS_NKEY: 'nkey',
  NATS_USER: 'user',
  NATS_PASSWORD: 'password',
  NATS_TOKEN: 'token',
  NATS_CA: 'ca',
  NATS_CERT: 'cert',
  NATS_KEY: 'key',
  NATS_CONTEXT: 'context',
} as const

/**
 * Options from the environment, by the names of the `nats` command. Empty variables count as absent. Throws
 * `BAD_OPTION` for a `NATS_TIMEOUT` that is no duration.
 */
export function optionsFromEnv(env: Environment): JetStreamOptions {
  const options: Record<string, unknown> = {}
  for (const [variable, option] of Object.entries(VARIABLES)) {
    const value = env[variable]?.trim()
    if (value) options[option] = value
  }
  const timeout = env['NATS_TIMEOUT']?.trim()
  if (timeout) options['timeout'] = spanMs('NATS_TIMEOUT', timeout)
  return options
}

/** A span as the `nats` command takes it ('5s', '1m30s', '500ms') or as we do ('5 seconds'), in ms. */
function spanMs(where: string, text: string): number {
  if (!/^(?:\d+(?:\.\d+)?(?:ms|s|m|h))+$/.test(text)) return duration(where, text)
  const parts = text.match(/\d+(?:\.\d+)?(?:ms|s|m|h)/g) ?? []
  return parts.reduce((sum, part) => sum + duration(where, part), 0)
}

const FIELDS = {
  url: 'servers',
  creds: 'creds',
  nkey: 'nkey',
  user: 'user',
  password: 'password',
  token: 'token',
  ca: 'ca',
  cert: 'cert',
  key: 'key',
  inbox_prefix: 'inboxPrefix',
  jetstream_domain: 'domain',
} as const

/** Fields that change how to connect and that we cannot follow, with what to do instead. */
const UNSUPPORTED: Readonly<Record<string, string>> = {
  nsc: 'export the credentials with "nsc generate creds" and name the file in "creds"',
  user_jwt: 'put the JWT and its seed into a creds file and name it in "creds"',
  user_seed: 'put the JWT and its seed into a creds file and name it in "creds"',
  jetstream_api_prefix: 'use "jetstream_domain"',
  socks_proxy: 'reach the server without a proxy',
  windows_cert_store: 'name the files in "cert", "key" and "ca"',
}

/**
 * The options in a context of the `nats` command, `$XDG_CONFIG_HOME/nats/context/<name>.json` or the same under
 * `~/.config`. Throws `BAD_OPTION` when there is none, when it cannot be read, or when it needs what we do not have.
 */
export async function optionsFromContext(name: string, env: Environment): Promise<JetStreamOptions> {
  if (name === '' || /[/\\]|\.\./.test(name))
    throw wrong(`"${name}" is no name of a context`, 'give a name without a path')
  const path = join(
    env['XDG_CONFIG_HOME'] || join(env['HOME'] || homedir(), '.config'),
    'nats',
    'context',
    `${name}.json`,
  )
  const fields = parse(path, await read(name, path))
  const options: Record<string, unknown> = {}
  for (const [field, value] of Object.entries(fields)) {
    if (value === '' || value === null || value === false) continue
    const mend = Object.hasOwn(UNSUPPORTED, field) ? UNSUPPORTED[field] : undefined
    if (mend !== undefined) throw wrong(`the context file ${path} has "${field}", which is not supported`, mend)
    if (field === 'tls_first') options['tlsFirst'] = value
    if (!Object.hasOwn(FIELDS, field)) continue
    if (typeof value !== 'string') throw wrong(`"${field}" in the context file ${path} is no text`, 'mend the file')
    options[FIELDS[field as keyof typeof FIELDS]] = value
  }
  return options
}

async function read(name: string, path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8')
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT') {
      throw wrong(`there is no context "${name}": ${path} does not exist`, `make it with "nats context add ${name}"`)
    }
    throw wrong(`cannot read the context file ${path}: ${(cause as NodeJS.ErrnoException).code}`, 'make it readable')
  }
}

function parse(path: string, text: string): Record<string, unknown> {
  let fields: unknown
  try {
    fields = JSON.parse(text)
  } catch {
    // The parser's own message quotes the text, and the text holds secrets.
    throw wrong(`the context file ${path} is not JSON`, 'mend the file')
  }
  if (typeof fields !== 'object' || fields === null || Array.isArray(fields)) {
    throw wrong(`the context file ${path} holds no JSON object`, 'mend the file')
  }
  return fields as Record<string, unknown>
}

function wrong(what: string, mend: string): DefinitionError {
  return new DefinitionError('BAD_OPTION', what, mend)
}
