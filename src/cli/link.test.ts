import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import type { ConfigFile } from './config.js'
import type { Flags } from './flags.js'
import { logOf } from './link.js'

const path = 'stream-node.config.ts'
const meant = (flags: Partial<Flags>, env: Readonly<Record<string, string>>, file: Partial<ConfigFile> = {}) =>
  logOf({ output: 'text', file: { path, server: {}, ...file }, ...flags }, env)
const server = (options: object) => ({ server: { name: 'stream-node command', ...options } })

test('takes the log that the highest layer names, be it a server or a folder', async () => {
  const [aServer, aFolder] = [{ server: { servers: 'file' } }, { dataDir: 'file' }]
  expect(await meant({}, {})).toEqual({ dataDir: '.stream-node' })
  expect(await meant({}, {}, aServer)).toEqual(server({ servers: 'file' }))
  expect(await meant({}, {}, aFolder)).toEqual({ dataDir: 'file' })
  expect(await meant({}, { STREAM_NODE_DATA_DIR: 'env' }, aServer)).toEqual({ dataDir: 'env' })
  expect(await meant({}, { STREAM_NODE_DATA_DIR: 'env' }, aFolder)).toEqual({ dataDir: 'env' })
  expect(await meant({}, { NATS_URL: 'env' }, aFolder)).toEqual(server({}))
  expect(await meant({}, { NATS_URL: 'env' }, aServer)).toEqual(server({}))
  expect(await meant({ dataDir: 'flag' }, { NATS_URL: 'env' }, aServer)).toEqual({ dataDir: 'flag' })
  expect(await meant({ server: 'flag' }, { STREAM_NODE_DATA_DIR: 'env' }, aFolder)).toEqual(server({ servers: 'flag' }))
})

test('takes field by field what flags and environment leave open', async () => {
  const file = { server: { servers: 'file', token: 'planted', ca: 'file.pem', domain: 'hub' } }
  expect(await meant({ tlsCa: 'flag.pem' }, { NATS_CREDS: 'env.creds' }, file)).toEqual(
    server({ servers: ['file:4222'], domain: 'hub', ca: 'flag.pem' }),
  )
  expect(await meant({}, { NATS_URL: 'env' }, file)).toEqual(
    server({ token: 'planted', ca: 'file.pem', domain: 'hub' }),
  )
})

test('takes a context named above the file before the file', async () => {
  const home = mkdtempSync(join(tmpdir(), 'contexts-'))
  onTestFinished(() => rmSync(home, { recursive: true, force: true }))
  mkdirSync(join(home, 'nats/context'), { recursive: true })
  writeFileSync(join(home, 'nats/context/prod.json'), JSON.stringify({ url: 'prod', token: 'x' }))
  const file = { server: { servers: 'file', user: 'ann', domain: 'hub' } }
  const env = { XDG_CONFIG_HOME: home }
  expect(await meant({ context: 'prod' }, env, file)).toEqual(server({ domain: 'hub', context: 'prod' }))
  expect(await meant({}, { ...env, NATS_CONTEXT: 'prod' }, file)).toEqual(server({ domain: 'hub' }))
  expect(await meant({}, env, { server: { context: 'prod', user: 'ann' } })).toEqual(
    server({ context: 'prod', user: 'ann' }),
  )
})

test('names both places where a flag for a server meets a folder, or no log at all', async () => {
  const said = (flags: Partial<Flags>, env: Readonly<Record<string, string>>, file?: Partial<ConfigFile>) =>
    expect(meant(flags, env, file)).rejects
  await said({ creds: 'a' }, {}, { dataDir: 'b' }).toThrow(/--creds is given, but dataDir in stream-node\.config\.ts/)
  await said({ tlsCa: 'a' }, { STREAM_NODE_DATA_DIR: 'b' }).toThrow(/--tls-ca is given, but STREAM_NODE_DATA_DIR/)
  await said({ creds: 'a' }, {}).toThrow(/--creds is given, but no server/)
  await said({ dataDir: 'a', token: 'x' }, {}).toThrow(/--data-dir is given, and a flag for a server \(--token\)/)
  await said({}, {}, { server: { ca: 'a' } }).toThrow(/stream-node\.config\.ts has tlsCa, but no server is named/)
})

test('lets a timeout stand beside a folder', async () => {
  expect(await meant({ dataDir: 'a', timeout: '5s' }, {})).toEqual({ dataDir: 'a' })
})
