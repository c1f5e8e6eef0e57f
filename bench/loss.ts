/**
 * What a kill does. Four programs do one job, one output for each record: the loop that people write, two careful ones,
 * and a pipeline. Each is killed with SIGKILL again and again, at the same points of its work, and started again; then the
 * outputs are counted by the plain client: which are missing, which are there twice, which stand behind a younger one of
 * their user.
 */
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { jetstream, jetstreamManager, type JetStreamManager } from '@nats-io/jetstream'
import { connect, type NatsConnection } from '@nats-io/transport-node'
import { startServer } from '../test/nats-server/server.js'
import type { Figure } from './case.js'
import { decode, encode, fill, openServer, specOf } from './job.js'
import { clickOf, type View } from './loss/click.js'

export interface LossBenchOptions {
  /** How often all of it is done. Default 1. */
  readonly pairs?: number
  readonly records?: number
  /** How often each program is killed. */
  readonly kills?: number
}

/** One of the programs. */
interface Side {
  readonly name: string
  readonly args: readonly string[]
  /** It ends by itself, with code 0, once all is done. The others are asked for by what their consumer has left. */
  readonly ends: boolean
}

const root = dirname(createRequire(import.meta.url).resolve('stream-node/package.json'))
const program = (name: string, ...flags: string[]) => [
  '--import',
  'jiti/register',
  join(root, 'bench/loss', name),
  ...flags,
]

const SIDES: readonly Side[] = [
  { name: 'an ack for a group', args: program('ack-groups.ts'), ends: false },
  { name: 'an ack for each', args: program('ack-each.ts'), ends: false },
  { name: 'an ack for each, outputs with ids', args: program('ack-each.ts', '--ids'), ends: false },
  {
    name: 'stream-node',
    args: [
      join(root, 'dist/cli/main.js'),
      ...['run', join(root, 'bench/loss/pipeline.ts'), '--until-caught-up', '--log-level', 'error'],
    ],
    ends: true,
  },
]

const SOURCE = 'clicks'
const TARGET = 'views'
const CONSUMER = 'viewer'
const LOOK_MS = 5
/** A side that makes no step for so long never will. */
const STUCK_MS = 120_000

/** Takes some minutes for 200,000 records and 20 kills. */
export async function* lossCases({
  pairs = 1,
  records = 200_000,
  kills = 20,
}: LossBenchOptions = {}): AsyncGenerator<Figure> {
  for (let run = 0; run < pairs; run++) {
    for (const side of SIDES) {
      const { lost, doubled, disordered } = await outputsOf(side, records, momentsOf(records, kills, run))
      const name = `killed ${kills} times, ${side.name}`
      const unit = `of ${records.toLocaleString('en-US')} records`
      const bar = side.ends ? { bar: '0' } : {}
      yield { case: `${name}: lost`, figure: lost, unit, ...bar }
      yield { case: `${name}: doubled`, figure: doubled, unit, ...bar }
      yield { case: `${name}: out of order`, figure: disordered, unit, ...bar }
    }
  }
}

/**
 * At how many outputs a program is killed: spread over its work, at irregular places, and the same for all. The last
 * one leaves enough to do for a program that has lost some.
 */
function momentsOf(records: number, kills: number, run: number): number[] {
  const golden = (Math.sqrt(5) - 1) / 2
  const place = (kill: number) => kill + (((run * kills + kill + 1) * golden) % 1)
  return Array.from({ length: kills }, (_, kill) => Math.ceil((records * place(kill)) / (kills + 2)))
}

async function outputsOf(side: Side, records: number, moments: readonly number[]): Promise<Outputs> {
  // The loops make streams and consumers of their own.
  const server = await startServer({ leastPrivilege: false })
  const env = { ...process.env, NATS_URL: server.url }
  const start = () => spawn(process.execPath, side.args, { cwd: root, env, stdio: ['ignore', 'ignore', 'inherit'] })
  const ports = await openServer(server)
  const nc = await connect({ servers: server.url })
  let child: ChildProcess | undefined
  try {
    await fill(ports, specOf(SOURCE, 1), records, n => ({ partition: 0, payload: encode(clickOf(n)) }))
    const jsm = await jetstreamManager(nc)
    child = start()
    for (const moment of moments) {
      await until(child, async () => (await outputs(jsm)) >= moment)
      await killed(child)
      child = start()
    }
    if (side.ends) await endedWell(child)
    else await until(child, () => isDone(jsm))
    return await counted(nc, records)
  } finally {
    child?.kill('SIGKILL')
    await nc.close()
    await ports.close()
    await server.stop()
  }
}

async function killed(child: ChildProcess): Promise<void> {
  const exit = once(child, 'exit')
  if (!child.kill('SIGKILL')) throw new Error('it had ended before it was killed: take more records')
  await exit
}

async function endedWell(child: ChildProcess): Promise<void> {
  const [code] = child.exitCode === null ? ((await once(child, 'exit')) as [number | null]) : [child.exitCode]
  if (code !== 0) throw new Error(`it ended with ${code}`)
}

/** Looks again and again, as long as the program runs and something moves. */
async function until(child: ChildProcess, is: () => Promise<boolean>): Promise<void> {
  const began = performance.now()
  while (!(await is())) {
    if (child.exitCode !== null) throw new Error(`it ended by itself with ${child.exitCode}`)
    if (performance.now() - began > STUCK_MS) throw new Error('it does not go on')
    await sleep(LOOK_MS)
  }
}

async function outputs(jsm: JetStreamManager): Promise<number> {
  // There is none before the first program has made it.
  const info = await jsm.streams.info(TARGET).catch(() => undefined)
  return info?.state.messages ?? 0
}

/** Nothing is left to be delivered, and nothing delivered is left to be acknowledged. */
async function isDone(jsm: JetStreamManager): Promise<boolean> {
  const { num_pending, num_ack_pending } = await jsm.consumers.info(SOURCE, CONSUMER)
  return num_pending === 0 && num_ack_pending === 0
}

interface Outputs {
  /** Records without an output. */
  readonly lost: number
  /** Outputs beyond the first of their record. */
  readonly doubled: number
  /** First outputs that stand behind one of a younger record of the same user. */
  readonly disordered: number
}

async function counted(nc: NatsConnection, records: number): Promise<Outputs> {
  const times = new Uint32Array(records)
  const youngest = new Map<string, number>()
  let doubled = 0
  let disordered = 0
  const consumer = await jetstream(nc).consumers.get(TARGET)
  const { num_pending: all } = await consumer.info()
  const messages = await consumer.consume({ max_messages: 5000 })
  let left = all
  for await (const { data } of messages) {
    const { n, user } = decode(data) as View
    const before = youngest.get(user) ?? -1
    if (times[n] !== 0) doubled++
    else if (n < before) disordered++
    times[n]!++
    youngest.set(user, Math.max(before, n))
    if (--left === 0) break
  }
  await consumer.delete()
  return { lost: times.filter(count => count === 0).length, doubled, disordered }
}
