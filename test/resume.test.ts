/** What people see of a partition that is paused: in `status`, by `resume`, and in how `run` ends. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { theCommand, type Started } from './command.js'

const command = theCommand()

/** Fails at the numbers of bob for as long as there is no file `mended` in its folder. */
const SUMS = `
  import { existsSync } from 'node:fs'
  import { map } from 'rxjs'
  import { pipeline, stream } from 'stream-node'

  const numbers = stream<{ user: string; n: number }>('numbers', { key: 'user', partitions: 3 })
  const flow = pipeline('sums', { onError: { then: 'pause' } }).from(numbers).pipe(map(one => {
    if (one.user === 'bob' && !existsSync('mended')) throw new TypeError('planted')
    return one
  }))
  export default flow.to(flow.as('sums', { key: 'user', partitions: 3 }))
`
const NUMBERS = ['{"user":"ann","n":1}', '{"user":"bob","n":2}']

async function scene() {
  const cwd = mkdtempSync(join(tmpdir(), 'resume-'))
  onTestFinished(() => rmSync(cwd, { recursive: true, force: true }))
  writeFileSync(join(cwd, 'sums.ts'), SUMS)
  const start = (...args: string[]): Started => {
    const started = command.start(args, { cwd })
    onTestFinished(() => void started.process.kill('SIGKILL'))
    return started
  }
  const flags = ['--create', '--key-field', 'user', '--partitions', '3']
  expect(await start('publish', 'numbers', ...NUMBERS, ...flags).ended).toMatchObject({ code: 0 })
  const mend = () => writeFileSync(join(cwd, 'mended'), '')
  const outputs = async () => (await start('tail', 'sums').ended).stdout.match(/"user":"\w+"/g)?.sort()
  return { start, mend, outputs }
}

test('run until all is caught up fails by name when a partition is paused, and the next run tries it again', async () => {
  const { start, mend, outputs } = await scene()
  const ran = await start('run', 'sums.ts', '--until-caught-up').ended
  expect(ran).toMatchObject({ code: 1, stdout: '' })
  expect(ran.stderr).toMatch(
    /\nstream-node: partition \d of pipeline "sums" was paused; mend what is wrong, .*planted.*\[STEP_FAILED\]\n$/,
  )
  expect(await outputs()).toEqual(['"user":"ann"'])
  mend()
  expect(await start('run', 'sums.ts', '--until-caught-up').ended).toMatchObject({ code: 0 })
  expect(await outputs()).toEqual(['"user":"ann"', '"user":"bob"'])
}, 60_000)

test('resume lets it go on from a second terminal, and says how many did', async () => {
  const { start, mend, outputs } = await scene()
  expect(await start('resume', 'sums').ended).toMatchObject({
    code: 3,
    stderr: expect.stringMatching(/^stream-node: no node runs on .*\[NOBODY_THERE\]\n$/),
  })
  const node = start('run', 'sums.ts')
  const paused = async () => {
    const { stdout } = await start('status').ended
    return stdout.split('\n').filter(line => / paused /.test(line))
  }
  await expect.poll(paused, { timeout: 20_000 }).toEqual([expect.stringMatching(/ paused .* 0 +\S.*planted/)])
  expect(await start('resume', 'sum').ended).toMatchObject({
    code: 3,
    stderr: expect.stringMatching(/runs pipeline "sum"; what runs there is "sums"; .*\[NOBODY_THERE\]\n$/),
  })
  expect(await start('resume', 'sums', 'bob').ended).toMatchObject({
    code: 2,
    stderr: expect.stringMatching(/the partition must be a whole number from 0 to 4095, but is "bob"/),
  })
  mend()
  expect(await start('resume', 'sums').ended).toEqual({
    ...{ code: 0, signal: null, stdout: '', stderr: '1 partition of pipeline "sums" resumed\n' },
  })
  await expect.poll(outputs, { timeout: 20_000 }).toEqual(['"user":"ann"', '"user":"bob"'])
  expect(await start('resume', 'sums').ended).toMatchObject({
    code: 1,
    stderr: expect.stringMatching(/^stream-node: pipeline "sums" is not paused; .*\[NOT_PAUSED\]\n$/),
  })
  node.process.kill('SIGTERM')
  expect(await node.ended).toMatchObject({ code: 0 })
}, 60_000)
