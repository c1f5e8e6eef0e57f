/** Servers with an operator, and creds files of their users: JWTs signed on the spot. */
import { nkeys } from '@nats-io/transport-node'

type KeyPair = ReturnType<typeof nkeys.createUser>

export interface Operator {
  /** Lines for the server's configuration. */
  readonly config: string
  /** A creds file of a user who is let in. */
  readonly creds: string
  /** One of a user of an account that the server does not know. */
  readonly wrong: string
  /** The secrets in both: seeds and JWTs. */
  readonly seeds: readonly string[]
  readonly jwts: readonly string[]
}

/** An operator with one account that has JetStream, and one for the server itself. */
export function operator(): Operator {
  const [top, account, system, stranger] = [nkeys.createOperator(), ...[0, 1, 2].map(() => nkeys.createAccount())] as [
    KeyPair,
    KeyPair,
    KeyPair,
    KeyPair,
  ]
  const plain = { subs: -1, data: -1, payload: -1, imports: -1, exports: -1, wildcards: true, conn: -1, leaf: -1 }
  const withStreams = { ...plain, mem_storage: -1, disk_storage: -1, streams: -1, consumer: -1 }
  const operatorJwt = jwt(top, top.getPublicKey(), { type: 'operator', version: 2 })
  const accountJwt = (of: KeyPair, limits: object) =>
    `${of.getPublicKey()}: ${jwt(top, of.getPublicKey(), { type: 'account', version: 2, limits })}`
  const preloaded = [accountJwt(account, withStreams), accountJwt(system, plain)]
  const config = [
    `operator: ${operatorJwt}`,
    `system_account: ${system.getPublicKey()}`,
    'resolver: MEMORY',
    `resolver_preload: { ${preloaded.join(', ')} }`,
  ]
  const [known, unknown] = [userOf(account), userOf(stranger)]
  return {
    ...{ config: config.join('\n'), creds: credsOf(known), wrong: credsOf(unknown) },
    seeds: [known.seed, unknown.seed],
    jwts: [known.jwt, unknown.jwt],
  }
}

interface User {
  readonly seed: string
  readonly jwt: string
}

function userOf(account: KeyPair): User {
  const user = nkeys.createUser()
  const token = jwt(account, user.getPublicKey(), { type: 'user', version: 2, subs: -1, data: -1, payload: -1 })
  return { seed: Buffer.from(user.getSeed()).toString(), jwt: token }
}

function credsOf({ seed, jwt }: User): string {
  const part = (name: string, text: string) => `-----BEGIN ${name}-----\n${text}\n------END ${name}------\n\n`
  return part('NATS USER JWT', jwt) + part('USER NKEY SEED', seed)
}

function jwt(issuer: KeyPair, subject: string, nats: object): string {
  const encode = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url')
  const iat = Math.floor(Date.now() / 1000)
  const claims = { jti: subject, iat, iss: issuer.getPublicKey(), name: 'test', sub: subject, nats }
  const body = `${encode({ typ: 'JWT', alg: 'ed25519-nkey' })}.${encode(claims)}`
  return `${body}.${Buffer.from(issuer.sign(Buffer.from(body))).toString('base64url')}`
}
