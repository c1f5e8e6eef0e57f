/**
 * Twelve secrets, planted wherever the command takes one, in runs that succeed and in runs that fail in many ways: none
 * of them, in whatever form it may be written, is in anything that comes out. What stands in records is data and no
 * secret of ours: `tail` prints it.
 */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { nkeys } from '@nats-io/transport-node'
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { connect } from 'stream-node'
import { theCommand, type Ran } from '../command.js'
import { authority } from '../jetstream/certificates.js'
import { operator } from '../jetstream/operator.js'
import { startServer, type TestServer } from '../nats-server/server.js'

const command = theCommand()
const folder = mkdtempSync(join(tmpdir(), 'secrets-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const nkey = nkeys.createUser()
const { config: operated, creds, wrong, seeds, jwts } = operator()
const ours = authority('our authority')
const [serverPair, ownPair] = [ours.issue(['127.0.0.1']), ours.issue(['client'])]

/** By what it is. The first four are of one user, whom the server lets in. */
const SECRETS = {
  'the password in a URL of a flag': 'planted/Flag@Url:1',
  'the password in NATS_URL': 'planted-Env%Url-2',
  NATS_PASSWORD: 'planted-Env-3',
  'the password of a flag': 'planted-Flag-4',
  'the token in a URL': 'planted-Token-5',
  NATS_TOKEN: 'planted-Token-6',
  'the password in a context file': 'planted-Context-7',
  'the password in a config file': 'planted-Config-8',
  'the seed of an nkey': Buffer.from(nkey.getSeed()).toString(),
  'the seed in a creds file': seeds[0] as string,
  'the JWT in a creds file': jwts[0] as string,
  'the key of a certificate': ownPair.key,
} as const
type Secret = keyof typeof SECRETS

/** How a secret may come out: as it is, as in a URL, as in JSON, base64; of one in several lines each line. */
function formsOf(secret: string): string[] {
  const lines = secret.split('\n').filter(line => line.length > 20 && !line.startsWith('-----'))
  const texts = lines.length > 1 ? lines : [secret]
  return texts.flatMap(text => [
    ...[text, encodeURIComponent(text), JSON.stringify(text).slice(1, -1)],
    ...[Buffer.from(text).toString('base64').replace(/=+$/, ''), Buffer.from(text).toString('hex')],
    ...(text.startsWith('eyJ') ? text.split('.').slice(1) : []),
  ])
}
const FORMS = [...Object.entries(SECRETS), ['wrong seed', seeds[1] as string], ['wrong JWT', jwts[1] as string]].map(
  ([name, secret]) => ({ name, forms: formsOf(secret as string) }),
)

/** Which secrets a text holds, by name. */
function heldIn(text: string): string[] {
  return FORMS.filter(({ forms }) => forms.some(form => text.includes(form))).map(({ name }) => name as string)
}

function file(name: string, text: string): string {
  const path = join(folder, name)
  mkdirSync(join(path, '..'), { recursive: true })
  writeFileSync(path, text, { mode: 0o600 })
  return path
}

const paths = {
  ca: file('ca.pem', ours.cert),
  cert: file('own.pem', ownPair.cert),
  key: file('own.key', ownPair.key),
  serverCert: file('server.pem', serverPair.cert),
  serverKey: file('server.key', serverPair.key),
  nkey: file('user.nk', `${SECRETS['the seed of an nkey']}\n`),
  creds: file('user.creds', creds),
  wrong: file('wrong.creds', wrong),
}
const PIPELINE = file(
  'pass.ts',
  `import { pipeline, stream } from 'stream-node'
   const flow = pipeline('pass').from(stream('clicks'))
   export default flow.to(flow.as('passed'))`,
)

const PASSWORDS = [
  'the password in a URL of a flag',
  'the password in NATS_URL',
  'NATS_PASSWORD',
  'the password of a flag',
] as const
const FILED = ['the password in a context file', 'the password in a config file'] as const

let servers: Readonly<Record<'users' | 'token' | 'token2' | 'nkeys' | 'operated' | 'tls', TestServer>>
beforeAll(async () => {
  const users = [...PASSWORDS, ...FILED].map((name, i) => `{ user: u${i}, password: ${JSON.stringify(SECRETS[name])} }`)
  const verified = `tls { cert_file: "${paths.serverCert}", key_file: "${paths.serverKey}", ca_file: "${paths.ca}", verify: true }`
  servers = {
    users: await startServer({ config: `authorization { users: [${users.join(', ')}] }` }),
    token: await startServer({ config: `authorization { token: "${SECRETS['the token in a URL']}" }` }),
    token2: await startServer({ config: `authorization { token: "${SECRETS['NATS_TOKEN']}" }` }),
    nkeys: await startServer({ config: `authorization { users: [{ nkey: ${nkey.getPublicKey()} }] }` }),
    operated: await startServer({ config: operated }),
    tls: await startServer({ config: verified }),
  }
})
afterAll(async () => void (await Promise.all(Object.values(servers).map(server => server.stop()))))

interface Call {
  readonly flags?: readonly string[]
  readonly env?: Readonly<Record<string, string>>
  readonly cwd?: string
}

/** How each secret gets to the command. `at`: the port, which may be one where the secret is of no use. */
const ways: Readonly<Record<Secret, (at: number) => Call>> = {
  'the password in a URL of a flag': at => ({
    flags: ['--server', withUser(0, 'the password in a URL of a flag', at)],
  }),
  'the password in NATS_URL': at => ({ env: { NATS_URL: withUser(1, 'the password in NATS_URL', at) } }),
  NATS_PASSWORD: at => ({ env: { NATS_URL: url(at), NATS_USER: 'u2', NATS_PASSWORD: SECRETS['NATS_PASSWORD'] } }),
  'the password of a flag': at => ({
    flags: ['-s', url(at), '--user', 'u3', '--password', SECRETS['the password of a flag']],
  }),
  'the token in a URL': at => ({ env: { NATS_URL: `nats://${SECRETS['the token in a URL']}@127.0.0.1:${at}` } }),
  NATS_TOKEN: at => ({ env: { NATS_URL: url(at), NATS_TOKEN: SECRETS['NATS_TOKEN'] } }),
  'the password in a context file': at => {
    const secret = SECRETS['the password in a context file']
    file('config/nats/context/planted.json', JSON.stringify({ url: url(at), user: 'u4', password: secret }))
    return { flags: ['--context', 'planted'], env: { XDG_CONFIG_HOME: join(folder, 'config') } }
  },
  'the password in a config file': at => {
    const secret = SECRETS['the password in a config file']
    const text = JSON.stringify({ servers: url(at), user: 'u5', password: secret })
    return { cwd: join(file(`filed-${at}/stream-node.config.json`, text), '..') }
  },
  'the seed of an nkey': at => ({ env: { NATS_URL: url(at), NATS_NKEY: paths.nkey } }),
  'the seed in a creds file': at => ({ env: { NATS_URL: url(at), NATS_CREDS: paths.creds } }),
  'the JWT in a creds file': at => ({ flags: ['--server', url(at), '--creds', paths.creds] }),
  'the key of a certificate': at => ({
    env: { NATS_URL: `tls://127.0.0.1:${at}`, NATS_CA: paths.ca, NATS_CERT: paths.cert, NATS_KEY: paths.key },
  }),
}

const homes: Readonly<Record<Secret, () => TestServer>> = {
  ...(Object.fromEntries([...PASSWORDS, ...FILED].map(name => [name, () => servers.users])) as Record<
    (typeof PASSWORDS)[number] | (typeof FILED)[number],
    () => TestServer
  >),
  'the token in a URL': () => servers.token,
  NATS_TOKEN: () => servers.token2,
  'the seed of an nkey': () => servers.nkeys,
  'the seed in a creds file': () => servers.operated,
  'the JWT in a creds file': () => servers.operated,
  'the key of a certificate': () => servers.tls,
}

const url = (port: number) => `nats://127.0.0.1:${port}`
const withUser = (n: number, secret: Secret, port: number) =>
  `nats://u${n}:${encodeURIComponent(SECRETS[secret])}@127.0.0.1:${port}`

async function call(verb: readonly string[], { flags = [], env = {}, cwd = folder }: Call): Promise<Ran> {
  const ran = await command.run([...verb, ...flags], { cwd, env: { HOME: folder, ...env } })
  expect(heldIn(ran.stdout + ran.stderr), `${verb.join(' ')} tells secrets`).toEqual([])
  return ran
}

test('is a test that can fail: every form of every secret is found', () => {
  for (const { name, forms } of FORMS) for (const form of forms) expect(heldIn(`x${form}y`)).toContain(name)
  expect(heldIn('nothing of the kind')).toEqual([])
})

describe.each(Object.keys(SECRETS) as Secret[])('%s', secret => {
  test('is not told by a whole day of work', async () => {
    const way = ways[secret](homes[secret]().port)
    const created = await call(['publish', 'clicks', '{"user":"ann"}', '--create', '-o', 'jsonl'], way)
    expect(created.code, created.stderr).toBe(0)
    const node = command.start(['run', PIPELINE, '--log-level', 'debug', ...(way.flags ?? [])], {
      cwd: way.cwd ?? folder,
      env: { HOME: folder, ...way.env },
    })
    onTestFinished(() => void node.process.kill('SIGKILL'))
    await node.tells(/"msg":"published"/)
    const looks = [['status'], ['describe'], ['tail', 'passed']]
    const look = looks[Object.keys(SECRETS).indexOf(secret) % looks.length] as string[]
    const looked = await call([...look, '-o', 'json'], way)
    expect(looked.code, looked.stderr).toBe(0)
    expect(looked.stdout).not.toBe('')
    node.process.kill('SIGTERM')
    const { code, stdout, stderr } = await node.ended
    expect(code, stderr).toBe(0)
    expect(heldIn(stdout + stderr)).toEqual([])
  }, 60_000)

  test('is not told where it is of no use', async () => {
    const other = homes[secret]() === servers.users ? servers.nkeys : servers.users
    const nowhere = 9
    for (const [port, verb] of [
      [other.port, ['run', PIPELINE, '--log-level', 'debug']],
      [nowhere, ['publish', 'clicks', '1', '-o', 'json', '--timeout', '500ms']],
    ] as const) {
      const { code, stderr } = await call(verb, ways[secret](port))
      expect(code, stderr).toBe(3)
      expect(stderr).toMatch(/\[(BAD_CREDENTIALS|BAD_TLS|NO_SERVER)\]\n$/)
    }
  }, 60_000)
})

describe('what is written wrongly', () => {
  const at = (name: Secret) => encodeURIComponent(SECRETS[name])
  const slips: readonly (readonly [string, Call])[] = [
    ['a URL with two addresses in one', { flags: ['-s', `nats://u0:${at('the password in a URL of a flag')}@h h`] }],
    ['a URL without its host', { env: { NATS_URL: `nats://u1:${at('the password in NATS_URL')}@` } }],
    [
      'a URL with a scheme that is none of ours',
      { flags: ['-s', `http://u0:${at('the password in a URL of a flag')}@h`] },
    ],
    ['a URL that is badly encoded', { env: { NATS_URL: `nats://u1:${SECRETS['the password in NATS_URL']}%@h` } }],
    ['a password without its user', { env: { NATS_URL: url(9), NATS_PASSWORD: SECRETS['NATS_PASSWORD'] } }],
    ['two who we are', { env: { NATS_URL: url(9), NATS_TOKEN: SECRETS['NATS_TOKEN'], NATS_USER: 'u' } }],
    ['a flag that does not exist', { flags: ['-s', url(9), `--pasword=${SECRETS['the password of a flag']}`] }],
    ['a key in the place of a certificate', { env: { NATS_URL: url(9), NATS_CERT: paths.key, NATS_KEY: paths.key } }],
    ['a key in the place of an authority', { env: { NATS_URL: url(9), NATS_CA: paths.key } }],
    ['creds in the place of an nkey', { env: { NATS_URL: url(9), NATS_NKEY: paths.key } }],
    ['an nkey in the place of creds', { env: { NATS_URL: url(9), NATS_CREDS: paths.nkey } }],
  ]

  test.each(slips)('%s shows no secret', async (name, given) => {
    const { code, stderr } = await call(['describe', '-o', 'json'], given)
    expect(code, stderr).not.toBe(0)
    expect(stderr, name).toMatch(/^stream-node: .*\[[A-Z_]+\]\n$/s)
  })

  test.each([
    ['json', (secret: string) => `{"servers":"nats://u5:${secret}@h", "password": "${secret}"`],
    ['json', (secret: string) => JSON.stringify({ servers: ['a'], password: [secret] })],
    ['json', (secret: string) => JSON.stringify({ servers: `nats://u5:${secret}@h h` })],
    ['ts', (secret: string) => `export default { servers: 'nats://u5:${secret}@h', pasword: '${secret}' }`],
    ['ts', (secret: string) => `throw new Error('cannot reach nats://u5:${secret}@h')`],
    ['ts', (secret: string) => `const password = '${secret}' oops`],
  ] as const)('a config file that is wrong shows no secret (%s)', async (ending, write) => {
    const path = file(`wrong-${ending}/stream-node.config.${ending}`, write(SECRETS['the password in a config file']))
    const { code, stderr } = await call(['describe'], { cwd: join(path, '..') })
    expect(code, stderr).toBe(78)
    rmSync(path)
  })

  test('a context file that is wrong shows no secret', async () => {
    file('config/nats/context/broken.json', `{"password":"${SECRETS['the password in a context file']}"`)
    const env = { XDG_CONFIG_HOME: join(folder, 'config') }
    const { code, stderr } = await call(['describe'], { flags: ['--context', 'broken'], env })
    expect(code, stderr).toBe(78)
  })
})

test('what code of the user throws is shown without the URL in it, in lines, in the status and at the end', async () => {
  const bad = file(
    'bad.ts',
    `import { map } from 'rxjs'
     import { pipeline, stream } from 'stream-node'
     const flow = pipeline('bad', { onError: { then: 'stop' } }).from(stream<{ user: string }>('clicks'))
       .pipe(map(() => { throw new Error('no answer from nats://u:${SECRETS['NATS_PASSWORD']}@db:4222') }))
     export default flow.to(flow.as('never'))`,
  )
  const way = ways['NATS_PASSWORD'](servers.users.port)
  await call(['publish', 'clicks', '{"user":"ann"}', '--create'], way)
  const node = command.start(['run', bad], { cwd: folder, env: { HOME: folder, ...way.env } })
  onTestFinished(() => void node.process.kill('SIGKILL'))
  await node.tells(/no answer from/)
  const asked = await call(['status', '-o', 'json'], way)
  expect(asked.stdout).toContain('no answer from nats://***@db:4222')
  node.process.kill('SIGTERM')
  const { code, stdout, stderr } = await node.ended
  expect(code).toBe(1)
  expect(stderr).toContain('no answer from nats://***@db:4222')
  expect(heldIn(stdout + stderr)).toEqual([])
}, 60_000)

test('a program is told no secret by errors and events either', async () => {
  const told: string[] = []
  const given = { user: 'u2', password: SECRETS['NATS_PASSWORD'], timeout: '2 seconds' } as const
  const tell = (event: object) => void told.push(JSON.stringify(event, (_, value: unknown) => shown(value)))
  await using client = await connect({ servers: servers.users.url, ...given, onEvent: tell })
  await client.streams()
  for (const port of [servers.nkeys.port, 9]) {
    const error: unknown = await connect({ servers: url(port), ...given, onEvent: tell }).catch(
      (thrown: unknown) => thrown,
    )
    expect(error).toBeInstanceOf(Error)
    told.push(JSON.stringify(shown(error)))
  }
  expect(heldIn(told.join('\n'))).toEqual([])
})

/** All that an error has, with what caused it. */
function shown(value: unknown): unknown {
  if (!(value instanceof Error)) return value
  const { message, stack, cause } = value
  return { ...(value as object), message, stack, cause: shown(cause) }
}
