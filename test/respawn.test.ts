/** `run --respawn`: what it starts again, and what it ends with. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { theCommand } from './command.js'

const command = theCommand()
const COPY = "pipeline('copy').from(stream('in', { key: 'user' })).to(stream('out', { key: 'user' }))"
const IMPORTS =
  "import { pipeline, stream } from 'stream-node'\nimport { appendFileSync, readFileSync } from 'node:fs'\n"
/** Which life this is, from 1. */
const LIFE = "appendFileSync('lives', 'x')\nconst life = readFileSync('lives', 'utf8').length\n"

function folderWith(code: string): string {
  const folder = mkdtempSync(join(tmpdir(), 'respawn-'))
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
  writeFileSync(join(folder, 'flow.mjs'), `${IMPORTS}${LIFE}${code}\nexport default ${COPY}`)
  return folder
}

const respawned = (cwd: string, ...args: string[]) => command.start(['run', 'flow.mjs', '--respawn', ...args], { cwd })
const again = (stderr: string) => stderr.split('\n').filter(line => line.includes('it is started again in'))

test('starts it again after a kill, an exit and a throw, waiting longer each time, until it ends by itself', async () => {
  const cwd = folderWith(`
    if (life === 1) setTimeout(() => process.kill(process.pid, 'SIGKILL'), 300)
    if (life === 2) setTimeout(() => process.exit(0), 300)
    if (life === 3) setTimeout(() => { throw new Error('oh') }, 300)
    if (life < 4) await new Promise(resolve => setTimeout(resolve, 1000))`)
  const { code, stderr } = await respawned(cwd, '--until-caught-up').ended
  expect(code).toBe(0)
  expect(again(stderr)).toEqual([
    expect.stringMatching(/the node ended by SIGKILL; it is started again in 100 ms$/),
    expect.stringMatching(/the node ended with code 1; it is started again in 200 ms$/),
    expect.stringMatching(/the node ended with code 1; it is started again in 400 ms$/),
  ])
  expect(stderr).toContain('has ended it, with code 0')
  expect(stderr).toContain('oh')
}, 30_000)

test.each([
  ['a file that cannot be run', "throw new Error('bad')", [], 1],
  ['a file that is not there', '', ['no.mjs'], 2],
  ['a flag that is wrong', '', ['--watchdog', '1ms'], 2],
  ['settings that are wrong', '', ['--data-dir', 'flow.mjs'], 78],
])('ends at once with the code of %s', async (_, code, args, expected) => {
  const ran = await respawned(folderWith(code), ...args).ended
  expect(ran.code).toBe(expected)
  expect(again(ran.stderr)).toEqual([])
})

test('passes a signal on, and ends with 0 when the node has ended well', async () => {
  const started = respawned(folderWith("console.log('loaded')"), '--log-level', 'silent')
  await started.says('loaded')
  started.process.kill('SIGTERM')
  const { code, stderr } = await started.ended
  expect([code, again(stderr)]).toEqual([0, []])
}, 30_000)

test('a second signal ends a node that hears none', async () => {
  const started = respawned(folderWith("console.log('loaded')\nfor (;;) {}"))
  await started.says('loaded')
  started.process.kill('SIGTERM')
  started.process.kill('SIGINT')
  expect((await started.ended).code).toBe(137)
}, 30_000)

test('a node whose parent is killed ends well by itself', async () => {
  const started = respawned(folderWith("process.on('exit', () => console.log('ended'))\nconsole.log('loaded')"))
  await started.says('loaded')
  started.process.kill('SIGKILL')
  // Its pipes close when the last who holds them has ended.
  const { stdout } = await started.ended
  expect(stdout).toBe('loaded\nended\n')
}, 30_000)
