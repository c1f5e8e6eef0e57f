/** Records that kill real processes, among healthy ones, and a node that is started again and again until it is through. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished } from 'vitest'
import { theCommand } from './command.js'

const command = theCommand()

const FLOW = `
  import { map } from 'rxjs'
  import { aggregate, count, pipeline, stream, sum } from 'stream-node'

  const input = stream('input', { key: 'user', partitions: 8 })
  const kill = {
    loop() { for (;;) {} },
    hog() { const all = []; for (;;) all.push(new Array(100_000).fill(all.length)) },
    exit() { process.exit(0) },
  }
  const flow = pipeline('killed').from(input).pipe(
    map(one => {
      kill[one.how]?.()
      return one
    }),
    aggregate({ count: count(), sum: sum(({ n }) => n) }),
  )
  export default flow.to(flow.as('totals', { partitions: 8 }))
`

interface Given {
  readonly user: string
  readonly n: number
  readonly how?: string
}

export class Place {
  readonly folder = mkdtempSync(join(tmpdir(), 'killed-'))

  constructor() {
    onTestFinished(() => rmSync(this.folder, { recursive: true, force: true }))
    writeFileSync(join(this.folder, 'flow.mjs'), FLOW)
  }

  run(...args: string[]) {
    const env = { NODE_OPTIONS: '--max-old-space-size=64' }
    return command.run(['run', 'flow.mjs', '--until-caught-up', ...args], { cwd: this.folder, env })
  }

  async publish(given: readonly Given[]): Promise<void> {
    expect((await this.run()).code).toBe(0)
    const lines = given.map(one => `${JSON.stringify(one)}\n`).join('')
    const { code } = await command.run(['publish', 'input'], { cwd: this.folder, stdin: lines })
    expect(code).toBe(0)
  }

  async tail(stream: string): Promise<Record<string, unknown>[]> {
    const { stdout } = await command.run(['tail', stream, '-o', 'jsonl'], { cwd: this.folder })
    const lines = stdout.split('\n').filter(line => line !== '')
    return lines.map(line => (JSON.parse(line) as { value: Record<string, unknown> }).value)
  }

  /** What was counted in the end, by user. */
  async totals(): Promise<Record<string, unknown>> {
    const all = await this.tail('totals')
    return Object.fromEntries(all.map(({ key, ...total }) => [String(key), total]))
  }
}

const healthy: readonly Given[] = Array.from({ length: 3000 }, (_, n) => ({ user: `u${n % 40}`, n }))

/** Publishes the healthy records with these among them, and brings the node through. */
export async function survived(...kills: readonly string[]): Promise<string> {
  const place = new Place()
  const given: Given[] = [...healthy]
  for (const [i, how] of kills.entries()) given.splice(1000 * (i + 1), 0, { user: `u${3 + i}`, n: -1, how })
  await place.publish(given)
  const ran = await place.run('--respawn', '--watchdog', '2s')
  expect(ran.code, ran.stderr).toBe(0)
  const letters = await place.tail('killed-dead-letters')
  const what = letters.map(({ error, bytes, attempts }) => {
    const { how } = JSON.parse(Buffer.from(String(bytes), 'base64').toString()) as Given
    return { how, code: (error as { code: string }).code, attempts }
  })
  const due = kills.map(how => ({ how, code: 'KILLS_PROCESS', attempts: 3 }))
  expect(new Set(what)).toEqual(new Set(due))
  expect(what).toHaveLength(due.length)
  const without = new Place()
  await without.publish(healthy)
  expect((await without.run()).code).toBe(0)
  expect(await place.totals()).toEqual(await without.totals())
  expect(Object.keys(await place.totals())).toHaveLength(40)
  return ran.stderr
}
