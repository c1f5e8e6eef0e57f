/**
 * Finds a nats-server for the tests, or fetches one without root: from `NATS_SERVER_BIN` or the PATH, from the cache,
 * from the Debian packages of this machine's own mirror, else from the project's release page.
 */
import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { access, chmod, constants, mkdir, mkdtemp, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { homedir, tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { promisify } from 'node:util'
import { gunzipSync } from 'node:zlib'
import { mirrorsIn, packageIn } from './apt.js'

const run = promisify(execFile)

/** The versions the tests know, oldest first, each with the Debian suite that has it and a full number for the release page. */
export const knownServers = [
  { version: '2.9.10', suite: 'bookworm', release: '2.9.10' },
  { version: '2.10', suite: 'trixie', release: '2.10.27' },
  { version: '2.15', suite: 'sid', release: '2.15.1' },
] as const

export interface Installed {
  readonly bin: string
  readonly version: string
}

export interface InstallOptions {
  /** A version or its beginning, such as `2.10`. Default: `STREAM_NODE_NATS_VERSION`, else any server that is there, else 2.9.10. */
  readonly version?: string
  /** Default: the environment of this process. */
  readonly env?: Readonly<Record<string, string | undefined>>
  /** Where apt keeps its sources. Default `/etc/apt`. */
  readonly aptDir?: string
  /** Where the project keeps its releases, one folder a tag. */
  readonly releases?: string
}

const known = new Map<string, Promise<Installed>>()

/**
 * Gives a server that answers to `--version`, the same for each call of this process. Fails with every road that was
 * tried, why it did not lead there, and the mend. Safe to call from several processes at once.
 */
export function installServer(options: InstallOptions = {}): Promise<Installed> {
  const env = options.env ?? process.env
  const asked = options.version ?? (env['STREAM_NODE_NATS_VERSION'] || undefined)
  if (options.env || options.aptDir || options.releases) return find(asked, { ...options, env })
  const key = asked ?? ''
  const found = known.get(key) ?? find(asked, { ...options, env })
  known.set(key, found)
  return found
}

async function find(asked: string | undefined, options: InstallOptions & { env: NonNullable<InstallOptions['env']> }) {
  const { env } = options
  if (asked === undefined) {
    if (env['NATS_SERVER_BIN']) return { bin: env['NATS_SERVER_BIN'], version: await versionOf(env['NATS_SERVER_BIN']) }
    const onPath = await fromPath(env['PATH'] ?? '')
    if (onPath) return onPath
  }
  const want = asked ?? knownServers[0].version
  const cache = join(env['XDG_CACHE_HOME'] || join(env['HOME'] ?? homedir(), '.cache'), 'stream-node', 'nats-server')
  const cached = await fromCache(cache, want)
  if (cached) return cached

  const failures: string[] = []
  for (const road of [fromDebian, fromReleases]) {
    try {
      return await road(want, cache, options)
    } catch (error) {
      failures.push(error instanceof Error ? error.message : String(error))
    }
  }
  throw new Error(
    `no nats-server ${want} for the tests: ${failures.map(failure => `\n  - ${failure}`).join('')}\n` +
      'Install one (https://nats.io/download) and name it in NATS_SERVER_BIN, put it on the PATH, ' +
      `or lay it into ${join(cache, want, 'nats-server')}.`,
  )
}

/** Whether `version` is what was asked for: the same, or more exact. */
function fits(version: string, asked: string): boolean {
  return version === asked || version.startsWith(`${asked}.`)
}

/** What a binary says of itself; fails with the mend when it does not run. */
async function versionOf(bin: string): Promise<string> {
  const said = await run(bin, ['--version']).catch((error: unknown) => {
    throw new Error(`${bin} does not run: ${String(error)}; give NATS_SERVER_BIN a nats-server for this machine`)
  })
  const version = /v?(\d+\.\d+\.\d+)/.exec(said.stdout)?.[1]
  if (!version) throw new Error(`${bin} is no nats-server: it calls itself "${said.stdout.trim()}"`)
  return version
}

async function fromPath(path: string): Promise<Installed | undefined> {
  for (const folder of path.split(delimiter).filter(entry => entry !== '')) {
    const bin = join(folder, 'nats-server')
    if (await runnable(bin)) return { bin, version: await versionOf(bin) }
  }
  return undefined
}

const runnable = (bin: string) =>
  access(bin, constants.X_OK).then(
    () => true,
    () => false,
  )

async function fromCache(cache: string, want: string): Promise<Installed | undefined> {
  const versions = await readdir(cache).catch(() => [])
  const newestFirst = versions
    .filter(version => fits(version, want))
    .sort((a, b) => b.localeCompare(a, 'en', { numeric: true }))
  for (const version of newestFirst) {
    const bin = join(cache, version, 'nats-server')
    if (await runnable(bin)) return { bin, version: await versionOf(bin) }
  }
  return undefined
}

async function fromDebian(want: string, cache: string, { aptDir = '/etc/apt' }: InstallOptions): Promise<Installed> {
  const arch = { x64: 'amd64', arm64: 'arm64', arm: 'armhf', s390x: 's390x', ppc64: 'ppc64el' }[process.arch as string]
  const mirrors = await aptMirrors(aptDir)
  if (mirrors.length === 0 || !arch) throw new Error(`no Debian mirror: ${aptDir} names none for ${process.arch}`)
  const suites = knownServers.filter(server => fits(server.version, want) || fits(want, server.version))
  const failures: string[] = []
  for (const { suite } of suites.length > 0 ? suites : knownServers) {
    for (const mirror of mirrors) {
      try {
        const index = await packagesIndex(`${mirror}/dists/${suite}/main/binary-${arch}`)
        const found = packageIn(index, 'nats-server')
        if (!found || !fits(found.version, want)) throw new Error(`has nats-server ${found?.version ?? 'not at all'}`)
        const deb = await download(`${mirror}/${found.filename}`)
        mustHash(deb, found.sha256, found.filename)
        return await unpack(cache, found.version, deb, 'package.deb', unpackDeb)
      } catch (error) {
        failures.push(`${mirror} ${suite}: ${error instanceof Error ? error.message : String(error)}`)
      }
    }
  }
  throw new Error(`no Debian package: ${failures.join('; ')}`)
}

/** The http mirrors of this machine's apt sources, security updates left out: they hold single packages only. */
async function aptMirrors(aptDir: string): Promise<string[]> {
  const folder = join(aptDir, 'sources.list.d')
  const names = (await readdir(folder).catch(() => [])).filter(name => /\.(sources|list)$/.test(name)).sort()
  const mirrors: string[] = []
  for (const file of [join(aptDir, 'sources.list'), ...names.map(name => join(folder, name))]) {
    for (const uri of mirrorsIn(file, await readFile(file, 'utf8').catch(() => ''))) {
      const list = /^mirror\+file:(?:\/\/)?(.*)$/.exec(uri)?.[1]
      if (list) mirrors.push(...(await readFile(list, 'utf8').catch(() => '')).split(/\s+/))
      else mirrors.push(uri)
    }
  }
  return [...new Set(mirrors.map(uri => uri.replace(/\/+$/, '')))].filter(
    uri => /^https?:/.test(uri) && !uri.includes('security'),
  )
}

async function packagesIndex(folder: string): Promise<string> {
  try {
    return gunzipSync(await download(`${folder}/Packages.gz`)).toString()
  } catch {
    // A suite may come with xz alone; Node unpacks gz itself, so that is asked for first.
    const work = await mkdtemp(join(tmpdir(), 'packages-'))
    try {
      await writeFile(join(work, 'Packages.xz'), await download(`${folder}/Packages.xz`))
      await run('xz', ['-d', 'Packages.xz'], { cwd: work })
      return await readFile(join(work, 'Packages'), 'utf8')
    } finally {
      await rm(work, { recursive: true, force: true })
    }
  }
}

async function unpackDeb(file: string, into: string): Promise<string> {
  try {
    await run('dpkg-deb', ['-x', file, into])
  } catch {
    await run('ar', ['x', file], { cwd: into })
    const data = (await readdir(into)).find(name => name.startsWith('data.tar'))
    await run('tar', ['-xf', data ?? 'data.tar'], { cwd: into })
  }
  return join(into, 'usr/sbin/nats-server')
}

async function fromReleases(want: string, cache: string, options: InstallOptions): Promise<Installed> {
  const version = knownServers.find(server => fits(server.release, want))?.release ?? want
  const arch = { x64: 'amd64', arm64: 'arm64', arm: 'arm7', s390x: 's390x', ppc64: 'ppc64le' }[process.arch as string]
  const name = `nats-server-v${version}-${process.platform}-${arch ?? process.arch}`
  const folder = `${options.releases ?? 'https://github.com/nats-io/nats-server/releases/download'}/v${version}`
  const sums = (await download(`${folder}/SHA256SUMS`)).toString()
  const archive = [`${name}.tar.gz`, `${name}.zip`].find(file => sums.includes(file))
  if (!archive) throw new Error(`${folder} has no ${name}.tar.gz or .zip`)
  const bytes = await download(`${folder}/${archive}`)
  mustHash(bytes, new RegExp(`^([0-9a-f]{64})\\s+\\*?${archive}$`, 'm').exec(sums)?.[1] ?? '', archive)
  return unpack(cache, version, bytes, archive, async (file, into) => {
    await (archive.endsWith('.zip') ? run('unzip', ['-q', file, '-d', into]) : run('tar', ['-xzf', file, '-C', into]))
    return join(into, name, 'nats-server')
  })
}

async function download(url: string): Promise<Buffer> {
  let answer: Response
  try {
    answer = await fetch(url, { signal: AbortSignal.timeout(120_000) })
  } catch (error) {
    const reason = error instanceof Error && error.cause instanceof Error ? error.cause.message : String(error)
    // curl honours the proxies of the environment, which fetch does not.
    const viaCurl = await run('curl', ['-fsSL', url], { encoding: 'buffer', maxBuffer: 2 ** 28 }).catch(() => undefined)
    if (viaCurl) return viaCurl.stdout
    throw new Error(`${url} is out of reach (${reason})`, { cause: error })
  }
  if (!answer.ok) throw new Error(`${url} answers ${answer.status}`)
  return Buffer.from(await answer.arrayBuffer())
}

function mustHash(bytes: Buffer, sha256: string, what: string): void {
  const is = createHash('sha256').update(bytes).digest('hex')
  if (is !== sha256) throw new Error(`${what} has SHA-256 ${is}, not ${sha256} as its index says; it is not used`)
}

/** Unpacks beside the cache's final place and renames, so that a reader sees a whole server or none. */
async function unpack(
  cache: string,
  version: string,
  archive: Buffer,
  name: string,
  open: (file: string, into: string) => Promise<string>,
): Promise<Installed> {
  await mkdir(cache, { recursive: true })
  const work = await mkdtemp(join(cache, '.unpacking-'))
  try {
    await writeFile(join(work, name), archive)
    const bin = await open(join(work, name), work)
    await chmod(bin, 0o755)
    const says = await versionOf(bin)
    if (says !== version) throw new Error(`${name} was to hold nats-server ${version}, and holds ${says}`)
    await mkdir(join(work, 'whole'))
    await rename(bin, join(work, 'whole', 'nats-server'))
    // Another process may have been faster; its server is as good.
    await rename(join(work, 'whole'), join(cache, version)).catch(() => undefined)
    return { bin: join(cache, version, 'nats-server'), version: await versionOf(join(cache, version, 'nats-server')) }
  } finally {
    await rm(work, { recursive: true, force: true })
  }
}
