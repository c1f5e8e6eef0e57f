import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { PassThrough } from 'node:stream'
import { expect, test, vi } from 'vitest'
import { systemChance, systemClock } from '../clock.js'
import { openEmbedded } from '../log/embedded/embedded.js'
import { runNode } from '../node/node.js'
import { answerStatus } from '../node/status.js'
import { pipeline } from '../pipeline/pipeline.js'
import { stream } from '../stream/stream.js'
import { confirm, reset } from './reset.js'

/** A terminal at which somebody types. */
function typed(keys: string, isTTY = true) {
  const screen = Object.assign(new PassThrough({ encoding: 'utf8' }), { isTTY: true })
  const stdin = Object.assign(new PassThrough(), { isTTY })
  // As a terminal does that passes on each key.
  if (isTTY) Object.assign(stdin, { setRawMode() {} })
  stdin.write(keys)
  return { stdin, stderr: screen, shown: () => String(screen.read() ?? '') }
}

test('goes on when the name of the pipeline is typed, and asks for nothing else', async () => {
  const terminal = typed('orders\r')
  await confirm('orders', {}, terminal)
  expect(terminal.shown()).toContain('type the name of the pipeline to begin it anew: ')
})

test.each([
  ['another name', 'order\r'],
  ['yes', 'yes\r'],
  ['nothing', '\r'],
  ['Ctrl-C', 'orders\x03'],
  ['Ctrl-D', '\x04'],
])('does nothing when %s is typed', async (_, keys) => {
  await expect(confirm('orders', {}, typed(keys))).rejects.toMatchObject({ name: 'Told', exitCode: 1 })
})

test('does not ask where nobody can answer, nor who said yes before', async () => {
  const nobody = typed('orders\r', false)
  await expect(confirm('orders', {}, nobody)).rejects.toThrow('add --yes')
  await confirm('orders', { yes: true }, nobody)
  expect(nobody.shown()).toBe('')
})

test('does nothing when a node has begun to run the pipeline while it asked', async () => {
  const dataDir = await mkdtemp(join(tmpdir(), 'stream-node-'))
  const said = vi.spyOn(process.stderr, 'write').mockReturnValue(true)
  const parts = { clock: systemClock, chance: systemChance, tell: () => {}, replicas: 1 }
  const ports = await openEmbedded({ dataDir }, parts)
  try {
    const orders = pipeline('orders').from(stream('given')).to(stream('taken'))
    const before = await runNode(ports, [orders], parts)
    await before.caughtUp()
    await before.stop()
    const terminal = typed('')
    const asked = reset('orders', { dataDir, from: 'start', output: 'text' }, terminal)
    await new Promise(resolve => terminal.stderr.once('readable', resolve))
    const node = await runNode(ports, [orders], parts)
    const is = { name: 'late', pid: process.pid, since: 0, log: 'this' }
    const answering = await answerStatus(ports.signals, 'late', () => ({ ...is, partitions: node.status() }))
    terminal.stdin.write('orders\r')
    await expect(asked).rejects.toMatchObject({ code: 'PIPELINE_RUNS' })
    answering.close()
    await node.stop()
  } finally {
    said.mockRestore()
    await ports.close()
    await rm(dataDir, { recursive: true, force: true })
  }
})
