/**
 * Starts real nats-servers for tests: on 127.0.0.1, on a free port, with data in a temp folder, and gone when the test
 * process is gone, however it ends.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { randomInt } from 'node:crypto'
import { once } from 'node:events'
import { closeSync, openSync, readFileSync } from 'node:fs'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createConnection, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { administrator, leastPrivileges } from '../jetstream/permissions.js'
import { reaped } from '../reaper.js'
import { installServer } from './install.js'

export interface ServerOptions {
  /** A version or its beginning, such as `2.10`. Default: the one this run is about, see `install.ts`. */
  readonly version?: string
  /** Default: a free one. */
  readonly port?: number
  /** More lines for the server's configuration: users, accounts, TLS, limits. */
  readonly config?: string
  /**
   * Whoever does not say who he is has the permissions that docs/permissions.md lists, and no more. Default: when
   * `STREAM_NODE_LEAST_PRIVILEGE` is set and the configuration says nothing of users.
   */
  readonly leastPrivilege?: boolean
  /** JetStream on or off, or on with these lines in its block (`domain: x`, `max_file_store: 10MB`). Default on. */
  readonly jetstream?: boolean | string
  /** Where the server keeps its streams. Default: a temp folder that `stop` removes; a folder given here stays. */
  readonly storeDir?: string
  /** How long the server may take until it answers, in ms. Default 10 seconds. */
  readonly startTimeoutMs?: number
}

export interface TestServer {
  /** `nats://127.0.0.1:<port>` */
  readonly url: string
  readonly port: number
  /** How a test dials it that does what programs never do. */
  readonly admin: { readonly servers: string; readonly user: string; readonly pass: string }
  /** The server's full version, such as `2.9.10`. */
  readonly version: string
  /** The process as it stands now; another one after a restart, undefined while the server is down. */
  readonly pid: number | undefined
  readonly storeDir: string
  /** Ends the process and waits until it is gone; the store stays. Default SIGKILL. */
  kill(signal?: NodeJS.Signals): Promise<void>
  /** Starts it again on the same port and store, killing it first when it is up. Resolves when it answers. */
  restart(): Promise<void>
  /** Stops the process in its tracks (SIGSTOP): links stay open and nothing answers. */
  freeze(): void
  /** Lets a frozen server go on (SIGCONT). */
  thaw(): void
  /** Ends the server for good and removes its temp folder. Calling it again does nothing. */
  stop(): Promise<void>
  /** What the server wrote to stderr since its first start. */
  log(): string
  [Symbol.asyncDispose](): Promise<void>
}

/** Starts a server and resolves when it answers. Fails with the server's own log when it does not come up. */
export async function startServer(options: ServerOptions = {}): Promise<TestServer> {
  const installed = await installServer(options.version === undefined ? {} : { version: options.version })
  for (let tries = 1; ; tries++) {
    const port = options.port ?? (await freePort())
    try {
      return await launch(installed.bin, installed.version, port, options)
    } catch (error) {
      // Another process may take a free port before the server does.
      const taken = error instanceof Error && error.message.includes('address already in use')
      if (!taken || options.port !== undefined || tries === 5) throw error
    }
  }
}

async function launch(bin: string, version: string, port: number, options: ServerOptions): Promise<TestServer> {
  const folder = await mkdtemp(join(tmpdir(), 'nats-server-'))
  const storeDir = options.storeDir ?? join(folder, 'store')
  await mkdir(storeDir, { recursive: true })
  const { jetstream = true } = options
  const block = typeof jetstream === 'string' ? jetstream : ''
  const config = [
    `listen: "127.0.0.1:${port}"`,
    ...(jetstream === false ? [] : ['jetstream {', `  store_dir: ${JSON.stringify(storeDir)}`, block, '}']),
    options.config ?? '',
    isLeast(options) ? leastPrivileges() : '',
  ]
  await writeFile(join(folder, 'server.conf'), config.join('\n'))

  const logFile = join(folder, 'stderr.log')
  const log = () => readFileSync(logFile, 'utf8')
  let process: Running | undefined
  let lastLog = ''

  const start = async () => {
    const started = run(bin, folder, logFile)
    process = started
    try {
      await answers(port, started.child, options.startTimeoutMs ?? 10_000)
    } catch (error) {
      await kill()
      const why = error instanceof Error ? error.message : String(error)
      throw new Error(`nats-server ${version} on port ${port} ${why}; its log:\n${log()}`, { cause: error })
    }
  }
  const kill = async (signal: NodeJS.Signals = 'SIGKILL') => {
    const running = process
    if (!running) return
    await running.end(signal)
    if (process === running) process = undefined
  }
  const stop = async () => {
    await kill()
    if (lastLog === '') lastLog = log()
    await rm(folder, { recursive: true, force: true })
  }

  try {
    await start()
  } catch (error) {
    await rm(folder, { recursive: true, force: true })
    throw error
  }
  return {
    url: `nats://127.0.0.1:${port}`,
    admin: { servers: `nats://127.0.0.1:${port}`, ...administrator },
    port,
    version,
    storeDir,
    get pid() {
      return process && !ended(process.child) ? process.child.pid : undefined
    },
    kill,
    async restart() {
      await kill()
      await start()
    },
    freeze() {
      process?.child.kill('SIGSTOP')
      while (isRunning(process?.child.pid)) continue
    },
    thaw: () => void process?.child.kill('SIGCONT'),
    stop,
    log: () => (lastLog === '' ? log() : lastLog),
    [Symbol.asyncDispose]: stop,
  }
}

function isLeast({ leastPrivilege, config = '', jetstream }: ServerOptions): boolean {
  if (leastPrivilege !== undefined) return leastPrivilege
  const saysWho = /\b(?:authorization|accounts|operator)\b/.test(config)
  return Boolean(process.env['STREAM_NODE_LEAST_PRIVILEGE']) && jetstream !== false && !saysWho
}

interface Running {
  readonly child: ChildProcess
  end(signal: NodeJS.Signals): Promise<void>
}

/** One life of the server. A test run that is killed leaves nothing of it behind. */
function run(bin: string, folder: string, logFile: string): Running {
  const stderr = openSync(logFile, 'a')
  const child = reaped(spawn(bin, ['-c', join(folder, 'server.conf')], { stdio: ['ignore', 'ignore', stderr] }), folder)
  closeSync(stderr)
  child.unref()
  const gone = new Promise<void>(resolve => {
    child.once('exit', () => resolve())
    child.once('error', () => resolve())
  })
  return {
    child,
    async end(signal) {
      // A frozen process takes no signal but SIGKILL until it goes on.
      if (signal !== 'SIGKILL') child.kill('SIGCONT')
      child.kill(signal)
      child.ref()
      await gone
    },
  }
}

function ended(child: ChildProcess): boolean {
  return child.exitCode !== null || child.signalCode !== null || child.pid === undefined
}

/** Resolves once the server greets on its port; fails when its process ends first or the time is over. */
async function answers(port: number, child: ChildProcess, withinMs: number): Promise<void> {
  const deadline = Date.now() + withinMs
  while (Date.now() < deadline) {
    if (ended(child)) throw new Error('ended at once')
    if (await greets(port)) return
    await sleep(5)
  }
  throw new Error(`did not answer within ${withinMs} ms`)
}

function greets(port: number): Promise<boolean> {
  return new Promise(resolve => {
    const socket = createConnection({ port, host: '127.0.0.1' })
    const end = (is: boolean) => {
      socket.destroy()
      resolve(is)
    }
    socket.once('error', () => end(false))
    socket.once('data', () => end(true))
    // With TLS first the server waits for us to speak: a link that stands is all there is to see.
    socket.once('connect', () => socket.setTimeout(500, () => end(true)))
  })
}

/**
 * A port that nobody listens on, below those the system hands out to outgoing links: while a server is down, a client
 * that dials such a port again and again can be given that very port and be linked to itself.
 */
async function freePort(): Promise<number> {
  for (;;) {
    const port = randomInt(10_000, 32_000)
    const probe = createServer()
    try {
      probe.listen(port, '127.0.0.1')
      await once(probe, 'listening')
      return port
    } catch {
      continue
    } finally {
      probe.close()
    }
  }
}

export interface TestCluster {
  readonly servers: readonly TestServer[]
  /** All addresses, joined by commas, as `NATS_URL` takes them. */
  readonly url: string
  /** Ends all servers and removes their folders. */
  stop(): Promise<void>
  [Symbol.asyncDispose](): Promise<void>
}

type ClusterOptions = Omit<ServerOptions, 'port' | 'storeDir'>

/** Servers that begin at the same moment elect a leader within a second, or now and then never: then others begin. */
const LEADER_MS = 10_000
const CLUSTERS_TRIED = 3

/** Starts a JetStream cluster of `count` servers and resolves when it has a leader that all of them follow. */
export async function startCluster(count: number, options: ClusterOptions = {}): Promise<TestCluster> {
  for (let tried = 1; ; tried++) {
    try {
      return await formCluster(count, options)
    } catch (error) {
      if (!(error instanceof NoLeader) || tried === CLUSTERS_TRIED) throw error
    }
  }
}

async function formCluster(count: number, options: ClusterOptions): Promise<TestCluster> {
  const links = await Promise.all(Array.from({ length: count }, freePort))
  const monitors = await Promise.all(Array.from({ length: count }, freePort))
  const routes = links.map(port => `nats-route://127.0.0.1:${port}`).join(', ')
  const starts = await Promise.allSettled(
    links.map((port, i) =>
      startServer({
        ...options,
        config: [
          `server_name: s${i + 1}`,
          `http: "127.0.0.1:${monitors[i] ?? 0}"`,
          `cluster { name: test, listen: "127.0.0.1:${port}", routes: [${routes}] }`,
          options.config ?? '',
        ].join('\n'),
      }),
    ),
  )
  const servers = starts.flatMap(start => (start.status === 'fulfilled' ? [start.value] : []))
  const stop = async () => void (await Promise.all(servers.map(server => server.stop())))
  try {
    for (const start of starts) if (start.status === 'rejected') throw start.reason
    await haveLeader(monitors, LEADER_MS)
  } catch (error) {
    await stop()
    throw error
  }
  return { servers, url: servers.map(server => server.url).join(','), stop, [Symbol.asyncDispose]: stop }
}

class NoLeader extends Error {}

async function haveLeader(monitors: readonly number[], withinMs: number): Promise<void> {
  const deadline = Date.now() + withinMs
  const leaders = async () => {
    const answers = monitors.map(async port => {
      const answer = await fetch(`http://127.0.0.1:${port}/jsz`)
      const { meta_cluster: meta } = (await answer.json()) as {
        meta_cluster?: { leader?: string; cluster_size?: number }
      }
      return meta?.cluster_size === monitors.length ? meta.leader : undefined
    })
    return new Set(await Promise.all(answers))
  }
  for (;;) {
    const [leader, ...others] = await leaders()
    if (leader && others.length === 0) return
    if (Date.now() > deadline)
      throw new NoLeader(`the cluster of ${monitors.length} has no leader after ${withinMs} ms`)
    await sleep(20)
  }
}

/** A stop signal takes a moment to take effect. Where the system does not tell, it is taken to be in effect. */
function isRunning(pid: number | undefined): boolean {
  try {
    const [, state = 'T'] = /\) (\w)/.exec(readFileSync(`/proc/${pid}/stat`, 'utf8')) ?? []
    return state !== 'T'
  } catch {
    return false
  }
}
