import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { configFile, configOptions } from './config.js'
import { program } from './program.js'

/** A folder with these files. */
function folderWith(files: Readonly<Record<string, string>>): string {
  const folder = mkdtempSync(join(tmpdir(), 'config-'))
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
  for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text)
  return folder
}

const fileOf = (text: string, name = 'stream-node.config.ts') => configFile(undefined, folderWith({ [name]: text }))

/** The message for a file with this text, without the folder. */
async function faultOf(text: string, name = 'stream-node.config.ts'): Promise<string> {
  const folder = folderWith({ [name]: text })
  const thrown: unknown = await configFile(undefined, folder).then(
    () => expect.fail('it was taken'),
    (error: unknown) => error,
  )
  expect(thrown).toMatchObject({ name: 'DefinitionError', code: expect.stringMatching(/^(BAD|UNKNOWN)_OPTION$/) })
  return (thrown as Error).message.replaceAll(`${folder}/`, '')
}

test('has the options that the flags of every verb have', () => {
  const flags = program().options.map(option => option.attributeName())
  const named = flags.filter(name => !['version', 'config'].includes(name))
  expect([...configOptions].sort()).toEqual(named.map(name => (name === 'server' ? 'servers' : name)).sort())
})

test('is not missed where there is none', async () => {
  expect(await configFile(undefined, folderWith({ 'stream-node.ts': 'throw 1' }))).toBeUndefined()
})

test.each([
  ['stream-node.config.ts', 'const a: string = "a"\nexport default { servers: a } satisfies object'],
  ['stream-node.config.mts', 'const a = await Promise.resolve("a" as string)\nexport default { servers: a }'],
  ['stream-node.config.js', 'export default { servers: "a", user: undefined }'],
  ['stream-node.config.mjs', 'export default { servers: "a" }'],
  ['stream-node.config.json', '{ "servers": "a" }'],
])('is found and loaded as %s', async (name, text) => {
  expect(await fileOf(text, name)).toEqual({ path: expect.stringContaining(name), server: { servers: 'a' } })
})

test('gives every option by the name that the connection has for it, and paths from its own folder', async () => {
  const folder = folderWith({})
  mkdirSync(join(folder, 'conf'))
  const options = { servers: ['a', 'b'], creds: 'me.creds', tlsCa: '~/ca.pem', tlsCert: '/c.pem', tlsKey: 'k.pem' }
  const path = join(folder, 'conf/any.json')
  writeFileSync(path, JSON.stringify({ ...options, domain: 'hub', timeout: '2 seconds', output: 'jsonl' }))
  expect(await configFile(path)).toEqual({
    path,
    server: {
      ...{ servers: ['a', 'b'], domain: 'hub', creds: join(folder, 'conf/me.creds') },
      ...{ ca: '~/ca.pem', cert: '/c.pem', key: join(folder, 'conf/k.pem') },
    },
    timeout: '2000 ms',
    output: 'jsonl',
  })
  const other = folderWith({ 'stream-node.config.json': '{ "dataDir": "data" }' })
  expect(await configFile(undefined, other)).toMatchObject({ dataDir: join(other, 'data') })
})

test('is refused when there are several, or when the one that is named is not there', async () => {
  const folder = folderWith({ 'stream-node.config.ts': '', 'stream-node.config.json': '{}' })
  await expect(configFile(undefined, folder)).rejects.toThrow(/config\.ts and .*config\.json are both here; .*--config/)
  await expect(configFile(join(folder, 'other.ts'))).rejects.toThrow(/there is no config file .*other\.ts/)
  await expect(configFile(join(folder, 'other.yaml'))).rejects.toThrow(/ends with \.ts, \.mts/)
})

test.each([
  ['throws', 'const a: number = 1\nthrow new Error("no\\nluck")', /^stream-node\.config\.ts:2 cannot be loaded: no; /],
  ['throws no error', 'throw 7', /^stream-node\.config\.ts cannot be loaded: 7/],
  ['is no code', 'export default {\n  user: = 1 }', /^stream-node\.config\.ts:2 is no valid code: Unexpected token; /],
  ['imports what is not there', 'import "./no.js"', /^stream-node\.config\.ts:1 cannot be loaded: .*no\.js'; /],
  ['has no default export', 'export const servers = "a"', /no default export; write "export default defineConfig/],
  ['exports a function', 'export default () => ({})', /must be a plain object, but is of type function/],
  ['exports an instance', 'export default new Map()', /but is an instance of a class/],
  ['exports a promise that fails', 'export default Promise.reject(new Error("no"))', /cannot be loaded: no; /],
  ['exports a list', 'export default []', /but is an array/],
  ['exports nothing', 'export default null', /but is null/],
  [
    'has an unknown option',
    'export default {\n  datadir: "a",\n}',
    /"datadir" of stream-node\.config\.ts:2; did you mean "dataDir"\?$/,
  ],
  ['has a wrong output', 'export default { output: "xml" }', /^output in .*:?1? must be 'text', 'json' or 'jsonl'/],
  [
    'has a wrong timeout',
    'export default {\n timeout: "soon" }',
    /^timeout in stream-node\.config\.ts:2 must be a num/,
  ],
  [
    'has wrong servers',
    'export default {\n servers: ["http://a"] }',
    /^servers in stream.*:2: .*; use nats:\/\/ or tls/,
  ],
  ['has servers that are none', 'export default { servers: 7 }', /must be a text or several/],
  ['names two users', 'export default { servers: "nats://a:b@c,nats://d:e@f" }', /servers in .* name different users/],
  [
    'names two logs',
    'export default { servers: "a", dataDir: "b" }',
    /has dataDir and servers, which are for different/,
  ],
  ['has TLS for a folder', 'export default { tlsCa: "a", dataDir: "b" }', /has dataDir and tlsCa/],
  ['says twice who we are', 'export default { token: "a", creds: "b" }', /who we are: creds and token/],
])('is refused with its name, its line and the mend when it %s', async (_, text, message) => {
  const said = await faultOf(text)
  expect(said).toMatch(message)
  expect(said).not.toContain('    at ')
})

test.each([
  ['a secret of the wrong type', 'stream-node.config.ts', 'export default { password: ["planted"] }'],
  ['a secret beside a slip', 'stream-node.config.ts', 'export default { password: "planted", usr: 1 }'],
  ['a secret where the code breaks', 'stream-node.config.ts', 'export default { password: "planted" "planted" }'],
  ['a secret where the JSON breaks', 'stream-node.config.json', '{ "password": "planted" planted }'],
  ['a secret in JSON that it reads', 'stream-node.config.ts', 'export default JSON.parse("planted")'],
  ['a secret in a URL', 'stream-node.config.ts', 'export default { servers: "nats://ann:planted@h:99999999" }'],
  ['a secret in what it throws', 'stream-node.config.ts', 'throw new Error("no way to nats://ann:planted@h")'],
])('shows nothing of %s', async (_, name, text) => {
  const said = await faultOf(text, name)
  expect(said).toContain(name)
  expect(said).not.toContain('planted')
})
