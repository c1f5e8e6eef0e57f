/**
 * The command and TLS that does not fit: it ends with code 3 and says the mend, and what it would say to the server once
 * it is let in, password and all, never goes over the line in plain text.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { theCommand } from '../command.js'
import { authority, type Certificate } from '../jetstream/certificates.js'
import { startServer, type TestServer } from '../nats-server/server.js'
import { openTap, type Tap, type TapOptions } from './tap.js'

const PASSWORD = 'planted-Password-11'
const command = theCommand()
const cwd = mkdtempSync(join(tmpdir(), 'tls-'))
afterAll(() => rmSync(cwd, { recursive: true, force: true }))

const ours = authority('our authority')
const theirs = authority('their authority')
const PAST = { from: new Date('2020-01-01'), to: new Date('2020-02-01') }
const USERS = `authorization { users: [{ user: ann, password: "${PASSWORD}" }] }`

function file(name: string, text: string): string {
  const path = join(cwd, name)
  writeFileSync(path, text, { mode: 0o600 })
  return path
}

const CA = file('ca.pem', ours.cert)
const WRONG_CA = file('theirs.pem', theirs.cert)

async function tlsServer(name: string, { cert, key }: Certificate, port?: number): Promise<TestServer> {
  const [certFile, keyFile] = [file(`${name}.pem`, cert), file(`${name}.key`, key)]
  const config = `tls { cert_file: "${certFile}", key_file: "${keyFile}" }\n${USERS}`
  return startServer(port === undefined ? { config } : { config, port })
}

const servers = new Map<string, TestServer>()
beforeAll(async () => {
  const kinds = {
    good: () => tlsServer('good', ours.issue(['127.0.0.1'])),
    expired: () => tlsServer('expired', ours.issue(['127.0.0.1'], PAST)),
    elsewhere: () => tlsServer('elsewhere', ours.issue(['nats.example'])),
    plain: () => startServer({ config: USERS }),
  }
  for (const [kind, start] of Object.entries(kinds)) servers.set(kind, await start())
})
afterAll(async () => void (await Promise.all([...servers.values()].map(server => server.stop()))))

async function tapOn(kind: string, options?: TapOptions): Promise<Tap> {
  const tap = await openTap((servers.get(kind) as TestServer).port, options)
  onTestFinished(() => tap.close())
  return tap
}

const PIPELINE = file(
  'pass.ts',
  `import { pipeline, stream } from 'stream-node'
   const flow = pipeline('pass').from(stream('clicks'))
   export default flow.to(flow.as('passed'))`,
)

const VERBS: Readonly<Record<string, readonly string[]>> = {
  run: ['run', PIPELINE, '--until-caught-up'],
  publish: ['publish', 'clicks', '1', '--create'],
  tail: ['tail', 'clicks'],
}

interface Case {
  readonly server: string
  readonly scheme: 'nats' | 'tls'
  readonly env?: Readonly<Record<string, string>>
  readonly tap?: TapOptions
  readonly says: RegExp
}

const CASES: Readonly<Record<string, Case>> = {
  'an authority that is not ours': {
    ...{ server: 'good', scheme: 'tls', env: { NATS_CA: WRONG_CA } },
    says: /signed by no authority that we trust.*; name the right one in ca \(NATS_CA\)/,
  },
  'an expired certificate': {
    ...{ server: 'expired', scheme: 'tls', env: { NATS_CA: CA } },
    says: /outside of its time.*; renew it/,
  },
  'a certificate for another host': {
    ...{ server: 'elsewhere', scheme: 'tls', env: { NATS_CA: CA } },
    says: /for another host.*; connect by a name/,
  },
  'a server that demands TLS of one who did not ask for it': {
    ...{ server: 'good', scheme: 'nats' },
    says: /signed by no authority that we trust.*; name the right one in ca \(NATS_CA\)/,
  },
  'a server without TLS, by a tls:// address': {
    ...{ server: 'plain', scheme: 'tls' },
    says: /speaks only plain text there.*; configure TLS on the server; we do not fall back/,
  },
  'a server without TLS, with an authority given': {
    ...{ server: 'plain', scheme: 'nats', env: { NATS_CA: CA } },
    says: /speaks only plain text there.*; configure TLS on the server; we do not fall back/,
  },
  'one in the middle who says that there is no TLS': {
    ...{ server: 'good', scheme: 'tls', env: { NATS_CA: CA }, tap: { strip: true } },
    says: /speaks only plain text there.*; configure TLS on the server; we do not fall back/,
  },
}

describe.each(Object.entries(CASES))('%s', (_, { server, scheme, env = {}, tap: options, says }) => {
  test.each(Object.entries(VERBS))('ends %s with code 3, and is told nothing', async (_, args) => {
    const tap = await tapOn(server, options)
    const given = { NATS_URL: `${scheme}://127.0.0.1:${tap.port}`, NATS_USER: 'ann', NATS_PASSWORD: PASSWORD, ...env }
    const { code, stdout, stderr } = await command.run(args, { cwd, env: given })
    expect(stderr).toMatch(/^stream-node: no TLS with the server at 127\.0\.0\.1:\d+: .*\[BAD_TLS\]\n$/)
    expect(stderr).toMatch(says)
    expect({ code, stdout }).toEqual({ code: 3, stdout: '' })
    await tap.linked(1)
    expect(tap.plain()).toBe('')
  })
})

test('a certificate that fits lets all of them in, and nothing goes over the line in plain text', async () => {
  const tap = await tapOn('good')
  const env = { NATS_URL: `tls://127.0.0.1:${tap.port}`, NATS_USER: 'ann', NATS_PASSWORD: PASSWORD, NATS_CA: CA }
  for (const verb of ['publish', 'run', 'tail']) {
    const { code, stderr } = await command.run(VERBS[verb] as string[], { cwd, env })
    expect(code, stderr).toBe(0)
  }
  expect(tap.plain()).toBe('')
})

test('the tap hears what is said where nobody asks for TLS', async () => {
  const tap = await tapOn('plain')
  const env = { NATS_URL: `nats://127.0.0.1:${tap.port}`, NATS_USER: 'ann', NATS_PASSWORD: PASSWORD }
  expect(await command.run(['describe'], { cwd, env })).toMatchObject({ code: 0 })
  expect(tap.plain()).toMatch(/CONNECT /)
  expect(tap.plain()).toContain(PASSWORD)
})

test('a server that comes back without TLS is told nothing, and the node goes on when TLS is back', async () => {
  const tap = await tapOn('good')
  const env = { NATS_URL: `nats://127.0.0.1:${tap.port}`, NATS_USER: 'ann', NATS_PASSWORD: PASSWORD, NATS_CA: CA }
  const node = command.start(['run', PIPELINE], { cwd, env })
  onTestFinished(() => void node.process.kill('SIGKILL'))
  await node.tells(/"msg":"running /)
  tap.lead((servers.get('plain') as TestServer).port)
  tap.cut()
  await tap.linked(5)
  tap.lead((servers.get('good') as TestServer).port)
  await node.tells(/the link to \S+ is back/)
  expect(tap.plain()).toBe('')
  node.process.kill('SIGTERM')
  expect(await node.ended).toMatchObject({ code: 0 })
})
