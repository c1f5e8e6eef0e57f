import { PassThrough } from 'node:stream'
import { expect, test } from 'vitest'
import { confirm } from './reset.js'

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
