/**
 * Why a connection to a NATS server did not come about, in our words: what the client and TLS throw becomes one of our
 * errors, with the mend.
 */
import { DefinitionError, StreamNodeError, UnavailableError, messageOf } from '../../errors.js'
import { redact } from './servers.js'

/** The oldest server that we trust with a compare-and-set. */
const OLDEST = [2, 9, 10] as const
const OUR_CERTIFICATE =
  'if it asks for a certificate of ours, give cert and key (NATS_CERT, NATS_KEY) that its authority signed'

/**
 * Our error for what was thrown while connecting or while asking for JetStream. `servers` are addresses without user
 * names, `identity` says who we claimed to be (`as user "alice"`), `trusted` that the server has shown a certificate
 * that we trust. Never holds a secret.
 */
export function connectError(
  thrown: unknown,
  servers: readonly string[],
  identity = '',
  trusted = false,
): StreamNodeError {
  if (thrown instanceof StreamNodeError) return thrown
  const at = servers.length === 1 ? `${servers[0]}` : `any of ${servers.join(', ')}`
  const said = redact(messageOf(thrown ?? 'the connection was closed at once'))
  const facts = { servers }
  const details = { facts, cause: bare(thrown, said) }
  const codes = codesOf(thrown)
  const names = chainOf(thrown).map(error => error.name)

  if (names.includes('PermissionViolationError')) {
    return new DefinitionError(
      'PERMISSION_DENIED',
      `${at} forbids it ${identity}: ${said}`,
      'grant it to the user',
      details,
    )
  }
  if (/authorization violation|authentication expired|account .*expired|revoked/i.test(said)) {
    const what = `the server at ${at} refuses us${identity === '' ? '' : ` ${identity}`} (${said})`
    const mend = /without credentials/.test(identity)
      ? 'give credentials: creds, nkey, user and password, or token'
      : 'check the credentials, and that they are for this server and have not expired'
    return new DefinitionError('BAD_CREDENTIALS', what, mend, details)
  }
  if (
    names.includes('JetStreamNotEnabled') ||
    codes.has(10039) ||
    codes.has(10076) ||
    /no ?responders.*\$JS/i.test(said)
  ) {
    const what = `the server at ${at} has no JetStream${codes.has(10039) ? ' for this account' : ''}`
    return new DefinitionError(
      'NO_JETSTREAM',
      what,
      `start it with "-js", or enable JetStream for the account`,
      details,
    )
  }
  const tls = tlsFault(said, codes)
  if (tls !== undefined) {
    return new DefinitionError('BAD_TLS', `no TLS with the server at ${at}: ${tls[0]} (${said})`, tls[1], details)
  }
  if (codes.has('ENOTFOUND') || codes.has('EAI_AGAIN')) {
    return unreachable(
      `the host name of ${at} cannot be resolved (${said})`,
      'check the name, and the network',
      details,
    )
  }
  if (/unexpected response|wrong format|invalid json/i.test(said)) {
    return unreachable(
      `what answers at ${at} is no NATS server (${said})`,
      'check the port; NATS listens on 4222',
      details,
    )
  }
  if (names.includes('TimeoutError') && trusted) {
    // TLS 1.3 tells of a refused client certificate after the handshake, and the client then waits on in vain.
    const what = `the server at ${at} went silent after the TLS handshake`
    return new DefinitionError('BAD_TLS', what, OUR_CERTIFICATE, details)
  }
  if (names.includes('TimeoutError')) {
    const mend = 'check that it is alive and reachable, raise timeout, or set tlsFirst when it wants TLS at once'
    return unreachable(`no answer in time from the server at ${at}`, mend, details)
  }
  return unreachable(
    `no NATS server can be reached at ${at} (${said})`,
    'start one there, or check the address',
    details,
  )
}

/** An error when the server is older than we trust, else undefined. */
export function tooOld(version: string, server: string): DefinitionError | undefined {
  const parts = version.split('.').map(part => Number.parseInt(part, 10) || 0)
  const differs = OLDEST.findIndex((want, i) => (parts[i] ?? 0) !== want)
  if (differs < 0 || (parts[differs] ?? 0) > (OLDEST[differs] as number)) return undefined
  const what = `the server at ${server} is nats-server ${version}, and ${OLDEST.join('.')} is the oldest that works`
  return new DefinitionError('SERVER_TOO_OLD', what, 'upgrade it', { facts: { server, version } })
}

type Fault = readonly [what: string, mend: string]

function tlsFault(said: string, codes: ReadonlySet<unknown>): Fault | undefined {
  if (/does not support 'tls'|'tls' is not available/.test(said)) {
    return ['it speaks only plain text there', 'configure TLS on the server; we do not fall back to plain text']
  }
  if (codes.has('CERT_HAS_EXPIRED') || codes.has('CERT_NOT_YET_VALID')) {
    return ['its certificate is outside of its time', 'renew it, and check the clocks']
  }
  if (codes.has('ERR_TLS_CERT_ALTNAME_INVALID')) {
    return ['its certificate is for another host', 'connect by a name that the certificate holds']
  }
  const chain = ['DEPTH_ZERO_SELF_SIGNED_CERT', 'SELF_SIGNED_CERT_IN_CHAIN', 'UNABLE_TO_VERIFY_LEAF_SIGNATURE']
  const issuer = [
    'UNABLE_TO_GET_ISSUER_CERT',
    'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
    'CERT_SIGNATURE_FAILURE',
    'CERT_UNTRUSTED',
  ]
  if ([...chain, ...issuer].some(code => codes.has(code))) {
    return ['its certificate is signed by no authority that we trust', 'name the right one in ca (NATS_CA)']
  }
  if (/alert (certificate required|bad certificate|handshake failure|unknown ca|certificate unknown)/i.test(said)) {
    return ['it does not accept our certificate', OUR_CERTIFICATE]
  }
  const other = [...codes].some(
    code => typeof code === 'string' && /^(ERR_SSL|ERR_TLS|ERR_OSSL|EPROTO|CERT_)/.test(code),
  )
  return other ? ['the handshake failed', 'check ca, cert and key, and that the port speaks TLS'] : undefined
}

function unreachable(what: string, mend: string, details: { facts: Record<string, unknown>; cause: unknown }) {
  return new UnavailableError('NO_SERVER', what, mend, details)
}

/** The codes of an error and of its causes. */
function codesOf(thrown: unknown): Set<unknown> {
  return new Set(chainOf(thrown).map(error => (error as { code?: unknown }).code))
}

/** An error and its causes. */
function chainOf(thrown: unknown): Error[] {
  const chain: Error[] = []
  for (let at = thrown; at instanceof Error && chain.length < 5; at = at.cause) chain.push(at)
  return chain
}

/** The cause as a plain error with the clean message: what was thrown may carry certificates, URLs and whole replies. */
function bare(thrown: unknown, said: string): Error {
  const error = new Error(said)
  if (thrown instanceof Error) error.name = thrown.name
  return error
}
