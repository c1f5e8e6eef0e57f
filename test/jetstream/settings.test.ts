/** Reaching real servers by every kind of credentials and TLS, and what is said when it does not come about. */
import { chmod, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer, type AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { connect, nkeys } from '@nats-io/transport-node'
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { systemChance } from '../../src/clock.js'
import { StreamNodeError, type ErrorCode } from '../../src/errors.js'
import {
  connectionOptions,
  optionsFromEnv,
  redact,
  tooOld,
  type JetStreamOptions,
} from '../../src/log/jetstream/settings.js'
import { startServer, type ServerOptions, type TestServer } from '../nats-server/server.js'
import { authority } from './certificates.js'
import { operator } from './operator.js'

type KeyPair = ReturnType<typeof nkeys.createUser>

const PASSWORD = 'planted-Password-77'
const TOKEN = 'planted-Token-88'
const DEAD = '127.0.0.1:9'
const secrets = [PASSWORD, TOKEN]

let folder: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'settings-'))
})
afterAll(() => rm(folder, { recursive: true, force: true }))

async function file(name: string, text: string): Promise<string> {
  const path = join(folder, name)
  await writeFile(path, text, { mode: 0o600 })
  return path
}

async function serverWith(config: string, options: ServerOptions = {}): Promise<TestServer> {
  const server = await startServer({ jetstream: false, config, ...options })
  onTestFinished(() => server.stop())
  return server
}

type Env = Record<string, string>

/** Connects, makes one round trip and closes; gives the server's address. Fails as the log does. */
async function reach(options: JetStreamOptions, env: Env = {}): Promise<string> {
  const dial = await connectionOptions(
    { timeout: 2000, ...options },
    { env: { HOME: folder, ...env }, chance: systemChance },
  )
  try {
    const link = await connect(dial.connect)
    await link.flush()
    const server = link.getServer()
    await link.close()
    return server
  } catch (error) {
    throw dial.explain(error)
  }
}

/** The error of a connection that must not come about; no secret is in it. */
async function refusal(options: JetStreamOptions, env: Env = {}): Promise<StreamNodeError> {
  const error = await reach(options, env).then(
    () => expect.fail('it connected'),
    (thrown: unknown) => thrown,
  )
  expect(error).toBeInstanceOf(StreamNodeError)
  const { message, stack, facts, cause } = error as StreamNodeError
  const all = [
    message,
    stack,
    JSON.stringify(facts),
    cause instanceof Error ? `${cause.message}${cause.stack}` : '',
  ].join()
  for (const secret of secrets) expect(all).not.toContain(secret)
  return error as StreamNodeError
}

function says(error: StreamNodeError | undefined, code: ErrorCode, what: string | RegExp): void {
  expect(error?.code).toBe(code)
  expect(error?.message).toMatch(what)
}

const users = `authorization { users = [{ user: alice, password: "${PASSWORD}" }] }`

describe('user and password', () => {
  test('are taken from options, from the environment, and from the URL', async () => {
    const { port, url } = await serverWith(users)
    const reached = `127.0.0.1:${port}`
    expect(await reach({ servers: url, user: 'alice', password: PASSWORD })).toBe(reached)
    expect(await reach({ servers: `nats://alice:${PASSWORD}@${reached}` })).toBe(reached)
    expect(await reach({}, { NATS_URL: url, NATS_USER: 'alice', NATS_PASSWORD: PASSWORD })).toBe(reached)
    expect(await reach({ servers: url, user: 'alice' }, { NATS_PASSWORD: PASSWORD })).toBe(reached)
  })

  test('refuses a wrong password, and says who was refused', async () => {
    const { url } = await serverWith(users)
    const error = await refusal({ servers: url.replace('//', '//alice:planted-Wrong@') })
    expect(error.code).toBe('BAD_CREDENTIALS')
    expect(error.message).toContain('as user "alice"')
    expect(error.message).not.toContain('planted-Wrong')
    expect((await refusal({ servers: url })).message).toMatch(/without credentials.*give credentials/)
  })

  test('take characters that a URL must encode', async () => {
    const { port } = await serverWith('authorization { user: "a@b", password: "p:/@%" }')
    expect(await reach({ servers: `nats://a%40b:p%3A%2F%40%25@127.0.0.1:${port}` })).toBe(`127.0.0.1:${port}`)
  })
})

test('connects with a token, given or in the URL', async () => {
  const { url } = await serverWith(`authorization { token: "${TOKEN}" }`)
  await reach({ servers: url, token: TOKEN })
  await reach({ servers: url.replace('//', `//${TOKEN}@`) })
  expect((await refusal({ servers: url, token: 'planted-Token-wrong' })).message).not.toContain('planted')
})

test('connects with an nkey, and takes a seed renewed in the file at the next connect', async () => {
  const [first, second] = [nkeys.createUser(), nkeys.createUser()]
  const { url } = await serverWith(`authorization { users = [{ nkey: ${first.getPublicKey()} }] }`)
  const path = await file('user.nk', `-----BEGIN SEED-----\n${seed(second)}\n-----END SEED-----\n`)
  const dial = await connectionOptions({ servers: url, nkey: path }, { env: {}, chance: systemChance })
  await expect(connect(dial.connect)).rejects.toThrow(/authorization violation/i)
  await file('user.nk', seed(first))
  await (await connect(dial.connect)).close()
})

test('connects with a creds file', async () => {
  const { config, creds, wrong, seeds } = operator()
  secrets.push(...seeds)
  const { url } = await serverWith(config)
  await reach({ servers: url, creds: await file('user.creds', creds) })
  const error = await refusal({ servers: url, creds: await file('wrong.creds', wrong) })
  expect(error.code).toBe('BAD_CREDENTIALS')
  expect(error.message).toContain('wrong.creds')
})

describe('TLS', () => {
  const ours = authority('our authority')
  const theirs = authority('their authority')
  const long = { from: new Date('2020-01-01'), to: new Date('2020-02-01') }

  async function tlsServer(hosts: string[], { verify = false, expired = false } = {}): Promise<TestServer> {
    const { cert, key } = ours.issue(hosts, expired ? long : undefined)
    const paths = [await file('server.pem', cert), await file('server.key', key), await file('ours.pem', ours.cert)]
    return serverWith(
      `tls { cert_file: "${paths[0]}", key_file: "${paths[1]}", ca_file: "${paths[2]}", verify: ${verify} }`,
    )
  }
  const ca = () => file('ca.pem', ours.cert)

  test('trusts the authority it is told to, and no other', async () => {
    const { url } = await tlsServer(['127.0.0.1'])
    await reach({ servers: url, ca: await ca() })
    await reach({}, { NATS_URL: url, NATS_CA: await ca() })
    const wrong = await refusal({ servers: url, ca: await file('theirs.pem', theirs.cert) })
    expect(wrong.code).toBe('BAD_TLS')
    expect(wrong.message).toContain('no authority that we trust')
    expect((await refusal({ servers: url, tls: true })).code).toBe('BAD_TLS')
  })

  test('checks the host, be it a name or an address', async () => {
    const named = await tlsServer(['localhost'])
    await reach({ servers: `tls://localhost:${named.port}`, ca: await ca() })
    const byAddress = await refusal({ servers: `tls://127.0.0.1:${named.port}`, ca: await ca() })
    says(byAddress, 'BAD_TLS', 'for another host')
    const other = await tlsServer(['nats.example'])
    expect((await refusal({ servers: `tls://localhost:${other.port}`, ca: await ca() })).code).toBe('BAD_TLS')
  })

  test('refuses an expired certificate', async () => {
    const { url } = await tlsServer(['127.0.0.1'], { expired: true })
    const error = await refusal({ servers: url, ca: await ca() })
    says(error, 'BAD_TLS', 'outside of its time')
  })

  test('shows its own certificate where the server asks for one', async () => {
    const { url } = await tlsServer(['127.0.0.1'], { verify: true })
    const mine = ours.issue(['client'])
    const good = { cert: await file('mine.pem', mine.cert), key: await file('mine.key', mine.key) }
    await reach({ servers: url, ca: await ca(), ...good })
    await reach({}, { NATS_URL: url, NATS_CA: await ca(), NATS_CERT: good.cert, NATS_KEY: good.key })
    const foreign = theirs.issue(['client'])
    const bad = { cert: await file('foreign.pem', foreign.cert), key: await file('foreign.key', foreign.key) }
    for (const options of [{}, bad]) {
      const error = await refusal({ servers: url, ca: await ca(), timeout: 500, ...options })
      says(error, 'BAD_TLS', 'a certificate of ours')
    }
  })

  test('speaks TLS first where the server wants it', async context => {
    const { cert, key } = ours.issue(['127.0.0.1'])
    const paths = [await file('first.pem', cert), await file('first.key', key)]
    const config = `tls { cert_file: "${paths[0]}", key_file: "${paths[1]}", handshake_first: true }`
    const server = await serverWith(config).catch((error: unknown) => {
      if (!/unknown field \["handshake_first"\]/.test(String(error))) throw error
      return context.skip('servers before 2.10.4 do not know handshake_first')
    })
    await reach({ servers: server.url, ca: await ca(), tlsFirst: true })
    const error = await refusal({ servers: server.url, ca: await ca(), timeout: 300 })
    says(error, 'NO_SERVER', 'set tlsFirst')
    const wrong = await refusal({ servers: server.url, ca: await file('theirs.pem', theirs.cert), tlsFirst: true })
    expect(wrong.code).toBe('BAD_TLS')
  })

  test('never falls back to plain text', async () => {
    const { url } = await serverWith('')
    for (const options of [{ tls: true }, { ca: await ca() }, { servers: url.replace('nats:', 'tls:') }]) {
      const error = await refusal({ servers: url, ...options })
      says(error, 'BAD_TLS', 'only plain text')
    }
  })

  test('names the file that is missing, broken or of another pair', async () => {
    const [one, two] = [ours.issue(['a']), ours.issue(['b'])]
    const cert = await file('one.pem', one.cert)
    const cases: [JetStreamOptions, RegExp][] = [
      [{ ca: '/nowhere/ca.pem' }, /\/nowhere\/ca\.pem/],
      [{ ca: await file('broken.pem', 'x') }, /broken\.pem.* not PEM/],
      [{ cert }, /cert is given without key/],
      [{ key: cert }, /key is given without cert/],
      [{ cert, key: await file('two.key', two.key) }, /one\.pem.*cannot be used together/],
    ]
    for (const [options, message] of cases) {
      says(await refusal(options), 'BAD_TLS', message)
    }
  })
})

describe('servers', () => {
  test('says that nothing listens there', async () => {
    const error = await refusal({ servers: `nats://alice:${PASSWORD}@${DEAD}` })
    says(error, 'NO_SERVER', DEAD)
    expect((await refusal({ servers: 'no-such-host.invalid' })).message).toContain('cannot be resolved')
  })

  test('goes on to the next when the first is dead', async () => {
    const { url, port } = await serverWith('')
    for (let i = 0; i < 5; i++) expect(await reach({ servers: [DEAD, url] })).toBe(`127.0.0.1:${port}`)
    expect(await reach({}, { NATS_URL: `${DEAD}, ${url}` })).toBe(`127.0.0.1:${port}`)
  })

  test('says that something else than NATS answers, or that nothing does', async () => {
    const other = createServer(socket => socket.on('error', () => {}).end('HTTP/1.1 400 Bad Request\r\n\r\n'))
    const mute = createServer(socket => socket.on('error', () => {}))
    for (const [server, message] of [
      [other, /is no NATS server/],
      [mute, /no answer in time/],
    ] as const) {
      await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
      onTestFinished(() => void server.close())
      const { port } = server.address() as AddressInfo
      const error = await refusal({ servers: `127.0.0.1:${port}`, timeout: 300 })
      says(error, 'NO_SERVER', message)
    }
  })

  test('refuses what is no address, without showing what may be a secret', async () => {
    for (const servers of [
      'http://a',
      'ws://a',
      'a:70000',
      'a b',
      `nats://x:${PASSWORD}@`,
      `nats://x:${PASSWORD}%@a`,
      '',
      ',',
    ]) {
      expect((await refusal({ servers })).code).toBe('BAD_OPTION')
    }
  })
})

describe('contexts', () => {
  async function context(name: string, text: string): Promise<Env> {
    await mkdir(join(folder, 'config/nats/context'), { recursive: true })
    await file(`config/nats/context/${name}.json`, text)
    return { XDG_CONFIG_HOME: join(folder, 'config'), NATS_CONTEXT: name }
  }

  test('are read where the nats command keeps them', async () => {
    const { url, port } = await serverWith(users)
    const text = JSON.stringify({ description: '', url, user: 'alice', password: PASSWORD, token: '', nsc: '' })
    const env = await context('prod', text)
    expect(await reach({}, env)).toBe(`127.0.0.1:${port}`)
    expect(await reach({ context: 'prod' }, { ...env, NATS_CONTEXT: 'other' })).toBe(`127.0.0.1:${port}`)
    await mkdir(join(folder, '.config/nats/context'), { recursive: true })
    await file('.config/nats/context/home.json', text)
    expect(await reach({ context: 'home' })).toBe(`127.0.0.1:${port}`)
  })

  test('stand behind the environment, which stands behind what is given', async () => {
    const { url, port } = await serverWith(users)
    const env = await context('weak', JSON.stringify({ url: DEAD, token: TOKEN }))
    const both = { ...env, NATS_URL: url, NATS_USER: 'bob', NATS_PASSWORD: PASSWORD }
    expect((await refusal({}, both)).message).toContain('as user "bob"')
    expect(await reach({ user: 'alice' }, both)).toBe(`127.0.0.1:${port}`)
  })

  test('say what is wrong with them, and nothing of what they hold', async () => {
    expect((await refusal({ context: 'missing' })).message).toMatch(/no context "missing": .*missing\.json/)
    expect((await refusal({ context: '../x' })).message).toContain('without a path')
    for (const text of [`{"password": "${PASSWORD}"`, '[]', `{"password":${JSON.stringify([PASSWORD])}}`]) {
      expect((await refusal({}, await context('broken', text))).code).toBe('BAD_OPTION')
    }
    expect((await refusal({}, await context('nsc', '{"nsc":"nsc://a/b/c"}'))).message).toContain('nsc generate creds')
  })
})

test('refuses contradictions and names both sides', async () => {
  const path = await file('x.creds', 'x')
  const cases: [JetStreamOptions, RegExp][] = [
    [{ creds: path, user: 'a', password: PASSWORD }, /creds and user/],
    [{ servers: `a:${PASSWORD}@h`, token: TOKEN }, /URL of a server and token/],
    [{ servers: ['a:b@h', 'c:d@i'] }, /different users/],
    [{ password: PASSWORD }, /without a user name/],
    [{ creds: path }, /x\.creds does not hold a user's JWT and seed/],
    [{ nkey: path }, /x\.creds does not hold an nkey seed/],
    [{ creds: '/nowhere/y.creds' }, /y\.creds does not exist/],
  ]
  for (const [options, message] of cases) {
    says(await refusal(options), 'BAD_CREDENTIALS', message)
  }
  expect((await refusal({ servers: 'tls://a', tls: false })).message).toContain('tls is false')
})

test('refuses unknown options and wrong types, a secret of the wrong type unseen', async () => {
  const odd = (options: object) => refusal(options)
  expect((await odd({ pasword: 'x' })).message).toContain('did you mean "password"?')
  expect((await odd({ password: [PASSWORD], user: 'a' })).code).toBe('BAD_OPTION')
  expect((await odd({ token: '' })).message).toContain('token must be a text, but is empty')
  expect((await odd({ inboxPrefix: 'a.>' })).code).toBe('BAD_OPTION')
  expect((await odd({ timeout: 'soon' })).code).toBe('BAD_OPTION')
  expect((await refusal({}, { NATS_TIMEOUT: '5000' })).message).toContain('NATS_TIMEOUT')
})

test("takes the environment by the nats command's names", () => {
  const env = { NATS_URL: 'a', NATS_CREDS: 'b', NATS_NKEY: 'c', NATS_USER: 'd', NATS_PASSWORD: 'e', NATS_TOKEN: 'f' }
  const more = {
    NATS_CA: 'g',
    NATS_CERT: 'h',
    NATS_KEY: 'i',
    NATS_CONTEXT: 'j',
    NATS_TIMEOUT: '1m1.5s',
    NATS_OTHER: 'x',
  }
  expect(optionsFromEnv({ ...env, ...more })).toEqual({
    ...{ servers: 'a', creds: 'b', nkey: 'c', user: 'd', password: 'e', token: 'f', ca: 'g', cert: 'h', key: 'i' },
    ...{ context: 'j', timeout: 61_500 },
  })
  expect(optionsFromEnv({ NATS_URL: '', NATS_USER: ' ' })).toEqual({})
})

test('takes the inbox given, or the usual one, and never gives up', async () => {
  const at = { env: {}, chance: systemChance }
  const one = await connectionOptions({}, at)
  expect(one.connect.inboxPrefix).toBe('_INBOX')
  expect((await connectionOptions({ inboxPrefix: '_INBOX_app' }, at)).connect.inboxPrefix).toBe('_INBOX_app')
  expect(one.connect).toMatchObject({ maxReconnectAttempts: -1, pingInterval: 1000, maxPingOut: 2 })
})

test('refuses servers older than it trusts, by version', () => {
  for (const version of ['2.9.9', '2.8.30', '1.4.1', '0.0.0', 'x'])
    expect(tooOld(version, 'h:1')?.code).toBe('SERVER_TOO_OLD')
  for (const version of ['2.9.10', '2.9.25', '2.10.0-beta.1', '2.15.1', '3.0.0'])
    expect(tooOld(version, 'h:1')).toBeUndefined()
})

test('says that a server or an account has no JetStream, and what is forbidden', async () => {
  const { jetstreamManager } = await import('@nats-io/jetstream')
  const denied = '{ user: bob, password: b, permissions: { publish: "x" } }'
  const accounts = `accounts { A { users = [{ user: alice, password: a }, ${denied}] } }`
  for (const jetstream of [false, true]) {
    const { url } = await serverWith(accounts, { jetstream })
    const dial = await connectionOptions(
      { servers: url, user: 'alice', password: 'a' },
      { env: {}, chance: systemChance },
    )
    const link = await connect(dial.connect)
    onTestFinished(() => link.close())
    const error = await jetstreamManager(link).then(
      () => undefined,
      (thrown: unknown) => dial.explain(thrown),
    )
    expect(error).toMatchObject({ code: 'NO_JETSTREAM', name: 'DefinitionError' })
  }
  const { url } = await serverWith(accounts)
  const dial = await connectionOptions({ servers: url, user: 'bob', password: 'b' }, { env: {}, chance: systemChance })
  const link = await connect(dial.connect)
  onTestFinished(() => link.close())
  const error = await jetstreamManager(link).then(
    () => undefined,
    (thrown: unknown) => dial.explain(thrown),
  )
  says(error, 'PERMISSION_DENIED', 'as user "bob"')
})

test('redacts what looks like a secret', () => {
  const seeds = seed(nkeys.createUser())
  const text = `at nats://bob:${PASSWORD}@h:1,tls://${TOKEN}@h2 {"password": "${PASSWORD}", token: ${TOKEN}} ${seeds} eyJ0eXAi.eyJqdGki.c2ln`
  const clean = redact(text)
  for (const secret of [PASSWORD, TOKEN, seeds, 'eyJqdGki', 'bob']) expect(clean).not.toContain(secret)
  expect(clean).toContain('nats://***@h:1,tls://***@h2')
  expect(redact('stream "clicks" at 127.0.0.1:4222')).toBe('stream "clicks" at 127.0.0.1:4222')
  expect(redact('see src/a.test.ts and a-b.c_d.e')).toBe('see src/a.test.ts and a-b.c_d.e')
})

test('says that a file cannot be read', async () => {
  const path = await file('locked.creds', 'x')
  await chmod(path, 0)
  const error = await refusal({ creds: process.getuid?.() === 0 ? folder : path })
  says(error, 'BAD_CREDENTIALS', /cannot read .*(EACCES|EISDIR)/)
})

function seed(pair: KeyPair): string {
  const text = Buffer.from(pair.getSeed()).toString()
  secrets.push(text)
  return text
}
