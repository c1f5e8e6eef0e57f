/** Who the command says it is to a real server, when flags, environment and config file each have a word in it. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { theCommand } from '../command.js'
import { startServer, type TestServer } from '../nats-server/server.js'

const command = theCommand()
const cwd = mkdtempSync(join(tmpdir(), 'config-file-'))
let server: TestServer
beforeAll(async () => {
  server = await startServer({ config: 'authorization { user: ann, password: right }' })
})
afterAll(async () => {
  rmSync(cwd, { recursive: true, force: true })
  await server.stop()
})

const withName = (name: string) => server.url.replace('//', `//${name}@`)

test.each([
  ['the file alone', { servers: () => server.url, user: 'ann', password: 'right' }, {}, [], 0],
  ['a URL in the file', { servers: () => withName('ann:right') }, {}, [], 0],
  ['a wrong password in the file', { servers: () => server.url, user: 'ann', password: 'planted' }, {}, [], 3],
  ['the environment over it', { servers: () => withName('ann:planted') }, { NATS_PASSWORD: 'right' }, [], 0],
  ['a flag over both', { servers: () => withName('ann:right') }, { NATS_PASSWORD: 'right' }, ['--password', 'no'], 3],
  ['a token over a user', { servers: () => withName('ann:right') }, { NATS_TOKEN: 'planted' }, [], 3],
  [
    'a user over a token',
    { servers: () => server.url, token: 'x' },
    { NATS_USER: 'ann', NATS_PASSWORD: 'right' },
    [],
    0,
  ],
] as const)('believes %s', async (_, { servers, ...claims }, env, flags, code) => {
  const path = join(cwd, 'stream-node.config.json')
  writeFileSync(path, JSON.stringify({ servers: servers(), ...claims }))
  const ran = await command.run(['describe', ...flags], { cwd, env })
  expect(ran.code, ran.stderr).toBe(code)
  expect(ran.stderr).not.toMatch(/planted|right/)
})
