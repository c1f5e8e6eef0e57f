/** Real processes that die of records: the watchdog, `run --respawn`, and a partition that finds out which record it is. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { buildCommand } from './command.js'

const command = buildCommand()

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

class Place {
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

test('a record that never ends and one that takes all memory are passed over, each once, and all else is counted', async () => {
  const place = new Place()
  const given: Given[] = [...healthy]
  given.splice(1000, 0, { user: 'u3', n: -1, how: 'loop' })
  given.splice(2000, 0, { user: 'u4', n: -1, how: 'hog' })
  await place.publish(given)
  const ran = await place.run('--respawn', '--watchdog', '500ms')
  expect(ran.code, ran.stderr).toBe(0)
  expect(ran.stderr).toMatch(
    /has not moved for 0\.5 s .*: partition \d of pipeline "killed" was walking stream "input", /,
  )
  expect(ran.stderr).toMatch(/ at loop \(file:.*flow\.mjs:\d+:\d+\)/)
  const letters = await place.tail('killed-dead-letters')
  const what = letters.map(({ error, bytes }) => {
    const { how } = JSON.parse(Buffer.from(String(bytes), 'base64').toString()) as Given
    return [how, (error as { code: string }).code]
  })
  expect(what.sort()).toEqual([
    ['hog', 'KILLS_PROCESS'],
    ['loop', 'KILLS_PROCESS'],
  ])
  const without = new Place()
  await without.publish(healthy)
  expect((await without.run()).code).toBe(0)
  expect(await place.totals()).toEqual(await without.totals())
  expect(Object.keys(await place.totals())).toHaveLength(40)
}, 180_000)

test('a process.exit() in a step is told, and is no success', async () => {
  const place = new Place()
  await place.publish([{ user: 'ann', n: 1, how: 'exit' }])
  const ran = await place.run()
  expect(ran.code).toBe(1)
  expect(ran.stderr).toMatch(/code that this process runs has ended it, with code 0/)
})
