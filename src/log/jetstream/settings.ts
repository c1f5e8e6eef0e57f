/**
 * How to reach a NATS server: options, environment and context file become what the client's `connect()` takes, checked
 * whole before anything is dialled.
 */
import { checkServerIdentity, createSecureContext, type PeerCertificate, type SecureContextOptions } from 'node:tls'
import { readFile } from 'node:fs/promises'
import { isIP } from 'node:net'
import { homedir } from 'node:os'
import type { NodeConnectionOptions, TlsOptions } from '@nats-io/transport-node'
import type { Chance } from '../../clock.js'
import { DefinitionError, type StreamNodeError } from '../../errors.js'
import { badOption, duration, knownOptions } from '../../options.js'
import { connectError } from './connect-error.js'
import { optionsFromContext, optionsFromEnv, type Environment } from './context.js'
import { authenticatorOf, credentialsOf } from './credentials.js'
import type { JetStreamOptions } from './options.js'
import { parseServers, type Server } from './servers.js'

export type { JetStreamOptions } from './options.js'
export { optionsFromEnv } from './context.js'
export { connectError, tooOld } from './connect-error.js'
export { redact } from './servers.js'

/** All that is needed to connect, checked. */
export interface Dial {
  /** For the client's `connect()`. Holds secrets. */
  readonly connect: NodeConnectionOptions
  /** The servers' addresses, without secrets. */
  readonly servers: readonly string[]
  /** Who we say we are, without secrets: `as user "alice"`. */
  readonly identity: string
  /** Our error, without secrets, for what `connect()` or the first request after it threw. */
  explain(thrown: unknown): StreamNodeError
  /** The longest wait for an answer. */
  readonly timeoutMs: number
  readonly domain: string | undefined
}

const TEXTS = ['name', 'creds', 'nkey', 'user', 'password', 'token', 'ca', 'cert', 'key', 'context'] as const
const MORE_TEXTS = ['inboxPrefix', 'domain'] as const
const SWITCHES = ['tls', 'tlsFirst'] as const
const KNOWN = ['servers', ...TEXTS, ...SWITCHES, 'timeout', ...MORE_TEXTS]
const DEFAULTS = { servers: '127.0.0.1:4222', name: 'stream-node', timeout: 5000 } as const

/**
 * Settles the options field by field: what is given, then `env`, then the context, then the default. Who we are counts
 * as one field: a token given shuts out a user name in the environment. Throws a `DefinitionError` with the path and
 * the mend for what is unknown, contradictory, missing or broken.
 */
export async function connectionOptions(
  given: JetStreamOptions,
  { env, chance }: { readonly env: Environment; readonly chance: Chance },
): Promise<Dial> {
  checkOptions(given)
  const fromEnv = optionsFromEnv(env)
  const context = given.context ?? fromEnv.context
  const fromContext = context === undefined ? {} : await optionsFromContext(context, env)
  checkOptions(fromContext)
  const layers = [given, fromEnv, fromContext, DEFAULTS]
  const options = layers.reduceRight<JetStreamOptions>((below, layer) => ({ ...below, ...present(layer) }), {})

  const servers = parseServers(options.servers ?? DEFAULTS.servers)
  const credentials = await credentialsOf(layers, servers, home)
  const timeoutMs = duration('timeout', options.timeout, { min: 1 })
  const tls = await tlsOf(options, servers)
  const addresses = servers.map(server => server.address)
  return {
    connect: {
      servers: [...addresses],
      ...(options.name === undefined ? {} : { name: options.name }),
      authenticator: authenticatorOf(credentials),
      ...tls.part,
      timeout: timeoutMs,
      inboxPrefix: inboxPrefix(options.inboxPrefix ?? '_INBOX'),
      // The client's own defaults take four minutes to see a dead link, and give up 20 s after.
      pingInterval: 1000,
      maxPingOut: 2,
      maxReconnectAttempts: -1,
      reconnectDelayHandler: () => 50 + Math.floor(chance.fraction() * 200),
      // Two refusals in a whole life would end the connection for ever, a slow server's "authentication timeout" too.
      ignoreAuthErrorAbort: true,
      noAsyncTraces: true,
    },
    servers: addresses,
    identity: credentials.identity,
    explain: thrown => connectError(thrown, addresses, credentials.identity, tls.trusted()),
    timeoutMs,
    domain: options.domain,
  }
}

function checkOptions(options: JetStreamOptions): void {
  knownOptions('the NATS connection', options, KNOWN)
  const { servers } = options
  if (servers !== undefined && typeof servers !== 'string' && !isTexts(servers)) {
    throw wrong('BAD_OPTION', 'servers must be a text or several', "write it like 'nats://127.0.0.1:4222'")
  }
  for (const name of [...TEXTS, ...MORE_TEXTS]) {
    const value: unknown = options[name]
    if (value === undefined || (typeof value === 'string' && value !== '')) continue
    // Never shows the value: it may be a secret of the wrong type.
    const what = value === '' ? 'is empty' : `is of type ${value === null ? 'null' : typeof value}`
    throw wrong('BAD_OPTION', `${name} must be a text, but ${what}`, `give ${name} as a text, or leave it out`)
  }
  for (const name of SWITCHES) {
    const value: unknown = options[name]
    if (value !== undefined && typeof value !== 'boolean') throw badOption(name, 'true or false', value)
  }
}

function isTexts(given: unknown): boolean {
  return Array.isArray(given) && given.every(text => typeof text === 'string')
}

function present(options: JetStreamOptions): JetStreamOptions {
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined))
}

function inboxPrefix(prefix: string): string {
  if (/^[^\s.*>]+(?:\.[^\s.*>]+)*$/.test(prefix)) return prefix
  throw badOption('inboxPrefix', 'words with dots between, without spaces, * and >', prefix)
}

async function tlsOf(options: JetStreamOptions, servers: readonly Server[]): Promise<Tls> {
  const { ca, cert, key, tls, tlsFirst } = options
  const reason = servers.some(server => server.tls)
    ? 'a tls:// server'
    : ca
      ? 'ca'
      : cert || key
        ? 'cert'
        : tlsFirst && 'tlsFirst'
  if (tls === false && reason) {
    throw wrong('BAD_OPTION', `tls is false, but ${reason} asks for TLS`, 'leave one of them out')
  }
  if (cert === undefined && key !== undefined)
    throw wrong('BAD_TLS', 'key is given without cert', 'give both, or neither')
  if (cert !== undefined && key === undefined)
    throw wrong('BAD_TLS', 'cert is given without key', 'give both, or neither')
  if (tls === false) return { part: { tls: null }, trusted: () => false }
  if (tls !== true && !reason) return { part: {}, trusted: () => false }
  const files: TlsOptions = {}
  const bytes: SecureContextOptions = {}
  for (const [name, path] of Object.entries({ ca, cert, key })) {
    if (path === undefined) continue
    // The client reads the files anew at each connect; reading them here finds faults at once, and by name.
    const file = home(path)
    files[`${name as 'ca'}File`] = file
    bytes[name as 'ca'] = await pem(name, file)
  }
  try {
    createSecureContext(bytes)
  } catch (cause) {
    const paths = [cert, key, ca].filter(path => path !== undefined).join(', ')
    const code = (cause as NodeJS.ErrnoException).code ?? 'no reason given'
    throw wrong(
      'BAD_TLS',
      `${paths} cannot be used together (${code})`,
      'check that the key belongs to the certificate',
    )
  }
  return tlsChecked(tlsFirst ? { ...files, handshakeFirst: true } : files)
}

interface Tls {
  readonly part: Pick<NodeConnectionOptions, 'tls' | 'reconnectToServer'>
  /** Whether the server dialled last has shown a certificate that we trust. */
  trusted(): boolean
}

/**
 * TLS that checks the certificate of a server dialled by its address against that address. The client leaves the name
 * out there, and Node then takes "localhost": right certificates are refused and wrong ones accepted.
 */
function tlsChecked(files: TlsOptions): Tls {
  let address: string | undefined
  let trusted = false
  const check = (host: string, cert: PeerCertificate) => {
    const fault = checkServerIdentity(address ?? host, cert)
    trusted = fault === undefined
    return fault
  }
  return {
    part: {
      tls: { ...files, ...{ checkServerIdentity: check } },
      reconnectToServer([next]) {
        trusted = false
        address = next !== undefined && next.tlsName === '' && isIP(next.hostname) !== 0 ? next.hostname : undefined
        return null
      },
    },
    trusted: () => trusted,
  }
}

async function pem(name: string, path: string): Promise<Buffer> {
  let bytes
  try {
    bytes = await readFile(path)
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException
    const what =
      code === 'ENOENT'
        ? `the file of ${name} does not exist: ${path}`
        : `cannot read ${path}, the file of ${name} (${code})`
    throw wrong('BAD_TLS', what, 'check the path and its permissions')
  }
  if (bytes.includes('-----BEGIN ')) return bytes
  throw wrong(
    'BAD_TLS',
    `${path}, the file of ${name}, is not PEM`,
    'convert it, for example with "openssl x509" or "openssl pkey"',
  )
}

/** `~/` at the beginning is the home folder, as in context files. */
function home(path: string): string {
  return path.startsWith('~/') ? `${homedir()}${path.slice(1)}` : path
}

function wrong(code: 'BAD_OPTION' | 'BAD_TLS', what: string, mend: string): DefinitionError {
  return new DefinitionError(code, what, mend)
}
