import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { installServer } from './install.js'

let folder: string
let web: Server
let address: string
let pages: Map<string, Buffer | string>
let asked: string[]

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'install-'))
  pages = new Map()
  asked = []
  web = createServer((request, response) => {
    asked.push(request.url ?? '')
    const page = pages.get(request.url ?? '')
    response.writeHead(page === undefined ? 404 : 200).end(page)
  })
  await new Promise<void>(resolve => web.listen(0, '127.0.0.1', resolve))
  address = `http://127.0.0.1:${(web.address() as AddressInfo).port}`
})

afterEach(() => {
  web.close()
  rmSync(folder, { recursive: true, force: true })
})

/** A stand-in for the server: it only says its version. */
function binary(path: string, version: string): string {
  mkdirSync(join(path, '..'), { recursive: true })
  writeFileSync(path, `#!/bin/sh\necho "nats-server: v${version}"\n`)
  chmodSync(path, 0o755)
  return path
}

const sha256 = (bytes: Buffer) => createHash('sha256').update(bytes).digest('hex')

function apt(): string {
  mkdirSync(join(folder, 'apt/sources.list.d'), { recursive: true })
  writeFileSync(join(folder, 'apt/sources.list'), `deb ${address}/debian bookworm main\n`)
  return join(folder, 'apt')
}

function release(version: string): void {
  const name = `nats-server-v${version}-${process.platform}-${{ x64: 'amd64', arm64: 'arm64' }[process.arch as string] ?? ''}`
  binary(join(folder, name, 'nats-server'), version)
  const archive = execFileSync('tar', ['-czf', '-', name], { cwd: folder })
  pages.set(`/releases/v${version}/${name}.tar.gz`, archive)
  pages.set(`/releases/v${version}/SHA256SUMS`, `${sha256(archive)}  ${name}.tar.gz\n${'0'.repeat(64)}  other.zip\n`)
}

const install = (env: Record<string, string> = {}, version?: string) =>
  installServer({
    env: { XDG_CACHE_HOME: join(folder, 'cache'), ...env },
    aptDir: join(folder, 'apt'),
    releases: `${address}/releases`,
    ...(version !== undefined && { version }),
  })

test('takes NATS_SERVER_BIN, else the PATH, while no version is asked for', async () => {
  const named = binary(join(folder, 'named/nats'), '2.11.1')
  const onPath = binary(join(folder, 'bin/nats-server'), '2.11.2')
  const cached = binary(join(folder, 'cache/stream-node/nats-server/2.10.27/nats-server'), '2.10.27')
  const env = { NATS_SERVER_BIN: named, PATH: `/nowhere:${join(folder, 'bin')}` }
  expect(await install(env)).toEqual({ bin: named, version: '2.11.1' })
  expect(await install({ PATH: env.PATH })).toEqual({ bin: onPath, version: '2.11.2' })
  expect(await install(env, '2.10')).toEqual({ bin: cached, version: '2.10.27' })
  expect(await install({ ...env, STREAM_NODE_NATS_VERSION: '2.10' })).toEqual({ bin: cached, version: '2.10.27' })
  expect(asked).toEqual([])
})

test('says the mend when NATS_SERVER_BIN does not run', async () => {
  await expect(install({ NATS_SERVER_BIN: '/nowhere/nats' })).rejects.toThrow(
    /\/nowhere\/nats does not run.*; give NATS_/s,
  )
})

test('takes the newest of the cache that fits, by number and not by letter', async () => {
  const newest = binary(join(folder, 'cache/stream-node/nats-server/2.10.27/nats-server'), '2.10.27')
  binary(join(folder, 'cache/stream-node/nats-server/2.10.9/nats-server'), '2.10.9')
  binary(join(folder, 'cache/stream-node/nats-server/2.1.0/nats-server'), '2.1.0')
  expect((await install({}, '2.10')).bin).toBe(newest)
})

test('unpacks a release, keeps it in the cache, and leaves nothing half unpacked there', async () => {
  release('2.9.10')
  const installed = await install()
  const cache = join(folder, 'cache/stream-node/nats-server')
  expect(installed).toEqual({ bin: join(cache, '2.9.10/nats-server'), version: '2.9.10' })
  expect(readdirSync(cache)).toEqual(['2.9.10'])
  const before = asked.length
  expect(await install()).toEqual(installed)
  expect(asked).toHaveLength(before)
})

test('two at once both get a whole server', async () => {
  release('2.9.10')
  const [one, other] = await Promise.all([install(), install()])
  expect(one).toEqual(other)
  expect(readdirSync(join(folder, 'cache/stream-node/nats-server'))).toEqual(['2.9.10'])
})

test.runIf(existsSync('/usr/bin/dpkg-deb'))('unpacks the Debian package that the mirror of apt names', async () => {
  apt()
  binary(join(folder, 'deb/usr/sbin/nats-server'), '2.9.10')
  mkdirSync(join(folder, 'deb/DEBIAN'))
  writeFileSync(
    join(folder, 'deb/DEBIAN/control'),
    'Package: n\nVersion: 1\nArchitecture: all\nMaintainer: n\nDescription: n\n',
  )
  execFileSync('dpkg-deb', ['-b', join(folder, 'deb'), join(folder, 'n.deb')])
  const deb = readFileSync(join(folder, 'n.deb'))
  pages.set('/debian/pool/n.deb', deb)
  pages.set(
    `/debian/dists/bookworm/main/binary-${process.arch === 'x64' ? 'amd64' : process.arch}/Packages.gz`,
    gzipSync(`Package: nats-server\nVersion: 2.9.10-1+b3\nFilename: pool/n.deb\nSHA256: ${sha256(deb)}\n`),
  )
  expect((await install()).version).toBe('2.9.10')
  expect(asked.every(url => url.startsWith('/debian/'))).toBe(true)
})

test('uses no download whose hash is another, and tells each road it tried, and the mend', async () => {
  apt()
  release('2.9.10')
  for (const url of pages.keys()) if (url.endsWith('.gz')) pages.set(url, 'something else')
  const failure = await install().then(
    () => '',
    (error: unknown) => String(error),
  )
  expect(failure).toMatch(/no nats-server 2\.9\.10 for the tests/)
  expect(failure).toMatch(/no Debian package: .*bookworm.*answers 404/)
  expect(failure).toMatch(/has SHA-256 .*it is not used/)
  expect(failure).toMatch(/Install one .* NATS_SERVER_BIN/)
  expect(existsSync(join(folder, 'cache'))).toBe(false)
})
