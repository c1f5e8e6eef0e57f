/**
 * Certificates for tests, made on the spot: X.509 written byte by byte, since Node makes keys but no certificates and
 * a machine may have no openssl.
 */
import { generateKeyPairSync, randomBytes, sign, type KeyObject } from 'node:crypto'
import { isIPv4 } from 'node:net'

/** A certificate and its key, as PEM. */
export interface Certificate {
  readonly cert: string
  readonly key: string
}

export interface Authority extends Certificate {
  /** Signs a certificate for these host names and IPv4 addresses. */
  issue(hosts: readonly string[], validity?: Validity): Certificate
}

interface Validity {
  readonly from: Date
  readonly to: Date
}

const DAY = 24 * 60 * 60 * 1000

/** A certificate authority that nobody trusts until told to. */
export function authority(name: string): Authority {
  const keys = pair()
  const sealed = (subject: string, publicKey: KeyObject, extensions: Buffer[], validity: Validity = around()) =>
    certificate({ subject, issuer: name, publicKey, signer: keys.privateKey, extensions, validity })
  return {
    cert: sealed(name, keys.publicKey, [extension('551d13', true, tlv(0x30, tlv(0x01, Buffer.from([0xff]))))]),
    key: pem(keys.privateKey),
    issue(hosts, validity) {
      const own = pair()
      return { cert: sealed(hosts[0] ?? 'nobody', own.publicKey, [names(hosts)], validity), key: pem(own.privateKey) }
    },
  }
}

function around(): Validity {
  return { from: new Date(Date.now() - DAY), to: new Date(Date.now() + DAY) }
}

function pair() {
  return generateKeyPairSync('ec', { namedCurve: 'prime256v1' })
}

function pem(key: KeyObject): string {
  return key.export({ type: 'pkcs8', format: 'pem' }).toString()
}

interface Parts {
  readonly subject: string
  readonly issuer: string
  readonly publicKey: KeyObject
  readonly signer: KeyObject
  readonly extensions: readonly Buffer[]
  readonly validity: Validity
}

function certificate({ subject, issuer, publicKey, signer, extensions, validity }: Parts): string {
  const algorithm = tlv(0x30, oid('2a8648ce3d040302')) // ecdsa-with-SHA256
  const signed = tlv(
    0x30,
    tlv(0xa0, tlv(0x02, Buffer.from([2]))),
    tlv(0x02, Buffer.concat([Buffer.from([1]), randomBytes(8)])),
    algorithm,
    commonName(issuer),
    tlv(0x30, time(validity.from), time(validity.to)),
    commonName(subject),
    publicKey.export({ type: 'spki', format: 'der' }),
    tlv(0xa3, tlv(0x30, ...extensions)),
  )
  const whole = tlv(0x30, signed, algorithm, tlv(0x03, Buffer.from([0]), sign('sha256', signed, signer)))
  const lines = whole.toString('base64').match(/.{1,64}/g) ?? []
  return `-----BEGIN CERTIFICATE-----\n${lines.join('\n')}\n-----END CERTIFICATE-----\n`
}

/** subjectAltName */
function names(hosts: readonly string[]): Buffer {
  const each = hosts.map(host =>
    isIPv4(host) ? tlv(0x87, Buffer.from(host.split('.').map(Number))) : tlv(0x82, Buffer.from(host)),
  )
  return extension('551d11', false, tlv(0x30, ...each))
}

function extension(id: string, critical: boolean, value: Buffer): Buffer {
  const flag = critical ? [tlv(0x01, Buffer.from([0xff]))] : []
  return tlv(0x30, oid(id), ...flag, tlv(0x04, value))
}

function commonName(text: string): Buffer {
  return tlv(0x30, tlv(0x31, tlv(0x30, oid('550403'), tlv(0x0c, Buffer.from(text)))))
}

function time(at: Date): Buffer {
  return tlv(0x18, Buffer.from(at.toISOString().replace(/[-:T]|\.\d+/g, '')))
}

function oid(hex: string): Buffer {
  return tlv(0x06, Buffer.from(hex, 'hex'))
}

/** Tag, length, value. */
function tlv(tag: number, ...parts: readonly Buffer[]): Buffer {
  const value = Buffer.concat(parts)
  const { length } = value
  const size = length < 128 ? [length] : length < 256 ? [0x81, length] : [0x82, length >> 8, length & 255]
  return Buffer.concat([Buffer.from([tag, ...size]), value])
}
