/** The watchdog in processes of its own: what it ends, how, and what it leaves alone. */
import { spawn } from 'node:child_process'
import { dirname, join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { pathToFileURL } from 'node:url'
import { expect, test } from 'vitest'
import { theCommand } from './command.js'
import { reaped } from './reaper.js'

const module = pathToFileURL(join(dirname(dirname(theCommand().main)), 'node/watchdog.js')).href
const LIMIT_MS = 1500
const BEGIN = `
  const { startWatchdog } = await import('${module}')
  const watch = startWatchdog(${LIMIT_MS}).watch('partition 3 of pipeline "p"', ['a', 'b'])
  await new Promise(resolve => setTimeout(resolve, 300))
`

function start(code: string) {
  const child = reaped(spawn(process.execPath, ['--input-type=module', '-e', `${BEGIN}${code}`]))
  let [stdout, stderr] = ['', '']
  child.stdout.on('data', chunk => (stdout += String(chunk)))
  child.stderr.on('data', chunk => (stderr += String(chunk)))
  const ended = new Promise<{ code: number | null; signal: string | null; stdout: string; stderr: string }>(resolve => {
    child.once('close', (code, signal) => resolve({ code, signal, stdout, stderr }))
  })
  return { child, ended }
}

test('a process that does not move is ended with code 5, and says what was at work and where', async () => {
  const { code, stderr } = await start('function spins() { for (;;) {} }\nwatch.walks(1, 7, 9)\nspins()').ended
  expect(code).toBe(5)
  expect(stderr).toContain('has not moved for 1.5 s and is ended: partition 3 of pipeline "p" was walking stream "b", ')
  expect(stderr).toContain('positions 7 to 9\n')
  expect(stderr).toMatch(/\n {4}at spins \(file:.*\[eval1\]:\d+:\d+\)\n/)
  expect(stderr).not.toContain('debugger')
}, 30_000)

test('one that is stuck in native code is killed', async () => {
  const stuck = "watch.walks(0, 7, 7)\nwatch.rests();(await import('node:child_process')).spawnSync('sleep', ['8'])"
  const { signal, stderr } = await start(stuck).ended
  expect(signal).toBe('SIGKILL')
  expect(stderr).toMatch(/no partition was walking records\n {2}it is in native code/)
}, 30_000)

test('it keeps no process alive, and ends none that moves', async () => {
  const busy = `
    const until = performance.now() + ${2 * LIMIT_MS}
    while (performance.now() < until) {
      for (const t = performance.now(); performance.now() - t < 50;);
      await new Promise(setImmediate)
    }`
  expect(await start(busy).ended).toMatchObject({ code: 0, stderr: '' })
}, 30_000)

test('one that was stopped and woken goes on', async () => {
  const { child, ended } = start("console.log('up')\nawait new Promise(resolve => process.stdin.once('data', resolve))")
  await new Promise(resolve => child.stdout.once('data', resolve))
  child.kill('SIGSTOP')
  await pause(2 * LIMIT_MS)
  child.kill('SIGCONT')
  await pause(LIMIT_MS)
  child.stdin.end('go')
  expect(await ended).toMatchObject({ code: 0, stderr: '' })
}, 30_000)
