/**
 * Addresses of servers as people write them, taken apart: the client reads no user names in URLs, and no message of
 * ours may hold them.
 */
import { DefinitionError } from '../../errors.js'

/** One server, taken apart. */
export interface Server {
  /** Host and port, fit for messages. */
  readonly address: string
  readonly tls: boolean
  readonly user?: string
  readonly password?: string
  readonly token?: string
}

const DEFAULT_PORT = 4222

/**
 * The servers in one text with commas between, or in several: `host`, `host:port`, `nats://...` or `tls://...`, with
 * `user:password@` or `token@` before the host. Throws `BAD_OPTION`, without the text where it may hold a secret.
 */
export function parseServers(given: string | readonly string[]): readonly Server[] {
  const texts = (typeof given === 'string' ? [given] : given).flatMap(text => text.split(','))
  const servers = texts.map(text => text.trim()).filter(text => text !== '')
  if (servers.length === 0) throw wrong('servers names no server', "give at least one, like 'nats://127.0.0.1:4222'")
  return servers.map(parseServer)
}

function parseServer(text: string): Server {
  const [, scheme = 'nats', rest = ''] = /^(?:([A-Za-z][A-Za-z0-9+.-]*):\/\/)?(.*)$/s.exec(text) ?? []
  if (scheme.toLowerCase() !== 'nats' && scheme.toLowerCase() !== 'tls') {
    throw wrong(`a server with the scheme ${scheme}:// cannot be reached`, 'use nats:// or tls://')
  }
  const at = rest.lastIndexOf('@')
  const address = parseAddress(rest.slice(at + 1).replace(/\/+$/, ''))
  const tls = scheme.toLowerCase() === 'tls'
  if (at < 0) return { address, tls }
  const info = rest.slice(0, at)
  const colon = info.indexOf(':')
  if (colon < 0) return { address, tls, token: decoded(info, address) }
  return {
    address,
    tls,
    user: decoded(info.slice(0, colon), address),
    password: decoded(info.slice(colon + 1), address),
  }
}

function parseAddress(text: string): string {
  const parts = /^(\[[0-9A-Fa-f:.]+\]|[^\s:/?#[\]@\\]+)(?::(\d{1,5}))?$/.exec(text)
  const port = parts?.[2] === undefined ? DEFAULT_PORT : Number(parts[2])
  if (parts === null || port < 1 || port > 65535) {
    // Behind the first colon may stand a password whose server is missing.
    const shown = JSON.stringify(/^[^:]*:\d*$/.test(text) ? text : text.replace(/:.*$/s, ':...'))
    throw wrong(`${shown} is no address of a server`, "write it like 'host:4222' or '[::1]:4222'")
  }
  return `${(parts[1] as string).toLowerCase()}:${port}`
}

function decoded(text: string, address: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    throw wrong(`the user name or password before ${address} is badly encoded`, 'write % as %25 there')
  }
}

function wrong(what: string, mend: string): DefinitionError {
  return new DefinitionError('BAD_OPTION', what, mend)
}

const REDACTIONS: readonly (readonly [RegExp, string])[] = [
  [/\/\/[^\s/@"']+(?:@[^\s/@"']+)*@/g, '//***@'], // user:password@ and token@ in URLs
  [/\bS[OAUNCX][A-Z2-7]{56}\b/g, '***'], // nkey seeds
  [/((?:password|passwd|pass|token|auth_token|seed|sig|jwt)"?\s*[=:]\s*)("[^"]*"|'[^']*'|[^\s,;}]+)/gi, '$1***'],
]

/** Words with dots between, each run of them looked at once: the time it takes stays in bounds. */
const DOTTED = /(?<![\w-])[\w-]+(?:\.[\w-]+){2,}/g

/** The text without what looks like a secret: user names in URLs, passwords, tokens, seeds, JWTs. */
export function redact(text: string): string {
  const withoutJwts = text.replace(DOTTED, words => (words.includes('eyJ') ? '***' : words))
  return REDACTIONS.reduce((clean, [pattern, instead]) => clean.replace(pattern, instead), withoutJwts)
}
