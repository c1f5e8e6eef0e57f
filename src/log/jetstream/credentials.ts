/**
 * Who we say we are: which of creds file, nkey, user and password or token counts, and the authenticator for it.
 */
import { readFileSync } from 'node:fs'
import { credsAuthenticator, nkeyAuthenticator, type Authenticator } from '@nats-io/transport-node'
import { tokenAuthenticator, usernamePasswordAuthenticator } from '@nats-io/transport-node'
import { DefinitionError } from '../../errors.js'
import type { Server } from './servers.js'

/** What may say who we are; the rest of the options is of no matter here. */
interface Claims {
  readonly servers?: string | readonly string[]
  readonly creds?: string
  readonly nkey?: string
  readonly user?: string
  readonly password?: string
  readonly token?: string
}

/** One way to say who we are. `identity` is for messages. */
export type Credentials = { readonly identity: string } & (
  | { readonly kind: 'none' }
  | { readonly kind: 'creds' | 'nkey'; readonly path: string }
  | { readonly kind: 'user'; readonly user: string; readonly password: string }
  | { readonly kind: 'token'; readonly token: string }
)

type Kind = Exclude<Credentials['kind'], 'none'>

/**
 * The credentials that count: of the kind that the first layer names that names any; user name and password may come
 * from different layers. What stands in a URL belongs to the layer with the servers. Throws `BAD_CREDENTIALS` when one
 * layer names two kinds, when servers name different users, or when a file is missing or broken.
 */
export async function credentialsOf(
  layers: readonly Claims[],
  servers: readonly Server[],
  pathOf: (path: string) => string,
): Promise<Credentials> {
  const url = claimOfUrls(servers)
  const from = layers.findIndex(layer => layer.servers !== undefined)
  const claims = layers.map((layer, i) => (i === from ? withUrl(layer, url) : layer))
  const at = claims.findIndex(layer => kinds(layer).length > 0)
  if (at < 0) return { kind: 'none', identity: 'without credentials' }
  const found = kinds(claims[at] as Claims)
  if (found.length > 1)
    throw bad(`${found.join(' and ')} are given, and only one of them can count`, 'leave all but one out')
  const value = (name: Exclude<keyof Claims, 'servers'>) => claims.find(layer => layer[name] !== undefined)?.[name]
  switch (found[0] as Kind) {
    case 'creds':
      return fileOf('creds', pathOf(value('creds') as string))
    case 'nkey':
      return fileOf('nkey', pathOf(value('nkey') as string))
    case 'token':
      return { kind: 'token', token: value('token') as string, identity: 'with a token' }
    case 'user': {
      const user = value('user')
      const password = value('password')
      if (user === undefined) throw bad('a password is given without a user name', 'give the user (NATS_USER), too')
      const identity = `as user "${user}"${password === undefined ? ' without a password' : ''}`
      return { kind: 'user', user, password: password ?? '', identity }
    }
  }
}

/** For the client. Files are read at each connect; one that has become unreadable or broken counts as unchanged. */
export function authenticatorOf(credentials: Credentials): Authenticator[] {
  switch (credentials.kind) {
    case 'none':
      return []
    case 'user':
      return [usernamePasswordAuthenticator(credentials.user, credentials.password)]
    case 'token':
      return [tokenAuthenticator(credentials.token)]
    default:
      return [fresh(credentials.kind, credentials.path)]
  }
}

function fresh(kind: 'creds' | 'nkey', path: string): Authenticator {
  let good = authenticatorOfFile(kind, path)
  return nonce => {
    try {
      const next = authenticatorOfFile(kind, path)
      const answer = next(nonce)
      good = next
      return answer
    } catch {
      return good(nonce)
    }
  }
}

function authenticatorOfFile(kind: 'creds' | 'nkey', path: string): Authenticator {
  const bytes = readFileSync(path)
  if (kind === 'creds') return credsAuthenticator(bytes)
  // As the nats command does: the seed may stand between lines of decoration.
  const seed = /^\s*(S[A-Z][A-Z2-7]{56})\s*$/m.exec(bytes.toString('utf8'))
  if (seed === null) throw new Error('no seed')
  return nkeyAuthenticator(Buffer.from(seed[1] as string))
}

function fileOf(kind: 'creds' | 'nkey', path: string): Credentials {
  try {
    authenticatorOfFile(kind, path)('nonce')
  } catch (cause) {
    const { code, syscall } = cause as NodeJS.ErrnoException
    if (code === 'ENOENT') throw bad(`the ${kind} file ${path} does not exist`, 'check the path')
    if (syscall !== undefined) throw bad(`cannot read the ${kind} file ${path} (${code})`, 'check its permissions')
    const wanted = kind === 'creds' ? "a user's JWT and seed" : 'an nkey seed'
    throw bad(`the ${kind} file ${path} does not hold ${wanted}`, 'generate it again')
  }
  return { kind, path, identity: `with the ${kind} file ${path}` }
}

function claimOfUrls(servers: readonly Server[]): Claims {
  const named = servers.filter(server => server.user !== undefined || server.token !== undefined)
  const [first] = named
  if (first === undefined) return {}
  const { user, password, token } = first
  if (named.some(other => other.user !== user || other.password !== password || other.token !== token)) {
    throw bad('the URLs of the servers name different users', 'name the same in all, or only in one')
  }
  return token === undefined ? { user: user as string, password: password as string } : { token }
}

function withUrl(layer: Claims, url: Claims): Claims {
  const both = kinds(url).length > 0 && kinds(layer).length > 0
  if (both)
    throw bad(`the URL of a server and ${kinds(layer).join(' and ')} both say who we are`, 'leave one of them out')
  return { ...layer, ...url }
}

function kinds(layer: Claims): Kind[] {
  const found: Kind[] = []
  if (layer.creds !== undefined) found.push('creds')
  if (layer.nkey !== undefined) found.push('nkey')
  if (layer.user !== undefined || layer.password !== undefined) found.push('user')
  if (layer.token !== undefined) found.push('token')
  return found
}

function bad(what: string, mend: string): DefinitionError {
  return new DefinitionError('BAD_CREDENTIALS', what, mend)
}
