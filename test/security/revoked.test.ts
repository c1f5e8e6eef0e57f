/**
 * A user whom the server shuts out in the middle of a `run`: the node ends soon, by code 3 and with the mend, and when the
 * user is let in again nothing is lost and nothing comes twice.
 */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { theCommand } from '../command.js'
import { startServer } from '../nats-server/server.js'
import { doublesOf, numbers, writeNumbers } from '../run.js'

const command = theCommand()
const RECORDS = 20_000
const ADMIN = '{ user: admin, password: admin }'
const APP = '{ user: app, password: app }'

test('ends the node with code 3 when the server is told anew who may come in, and loses nothing', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'revoked-'))
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
  const cwd = join(folder, 'work')
  mkdirSync(cwd)
  writeNumbers(cwd)
  const allow = (...users: string[]) => writeFileSync(join(folder, 'users.conf'), `users: [${users.join(', ')}]`)
  allow(ADMIN, APP)
  // The server looks for the file beside its own.
  const config = `authorization { include "../${basename(folder)}/users.conf" }`
  await using server = await startServer({ config })
  const as = (user: string) => ({ NATS_URL: server.url, NATS_USER: user, NATS_PASSWORD: user })
  const reload = () => process.kill(server.pid as number, 'SIGHUP')

  const flags = ['--create', '--key-field', 'user']
  const put = await command.run(['publish', 'numbers', ...flags], { cwd, env: as('admin'), stdin: numbers(0, RECORDS) })
  expect(put.code, put.stderr).toBe(0)

  const node = command.start(['run', 'numbers.ts', '--log-level', 'debug'], { cwd, env: as('app') })
  onTestFinished(() => void node.process.kill('SIGKILL'))
  await node.tells(/"outputs":[1-9].*"msg":"committed"/)
  allow(ADMIN)
  reload()
  const { code, stderr } = await node.ended
  expect(stderr.slice(-2000)).toMatch(/refuses us as user "app".*; check the credentials.*\[BAD_CREDENTIALS\]\n/)
  expect(code).toBe(3)
  const refused = await command.run(['run', 'numbers.ts', '--until-caught-up'], { cwd, env: as('app') })
  expect(refused).toMatchObject({ code: 3, stderr: expect.stringContaining('[BAD_CREDENTIALS]') })

  allow(ADMIN, APP)
  reload()
  await expect.poll(async () => (await command.run(['describe'], { cwd, env: as('app') })).code).toBe(0)
  const again = await command.run(['run', 'numbers.ts', '--until-caught-up'], { cwd, env: as('app') })
  expect(again.code, again.stderr).toBe(0)
  const { stdout } = await command.run(['tail', 'doubles', '-o', 'jsonl'], { cwd, env: as('admin') })
  const doubles = stdout
    .split('\n')
    .flatMap(line => (line === '' ? [] : [JSON.parse(line) as { value: { user: string } }]))
  expect(doubles).toHaveLength(RECORDS / 2)
  for (const user of [0, 2, 4, 6, 8]) {
    const values = doubles.map(({ value }) => value).filter(value => value.user === `u${user}`)
    expect(values).toEqual(doublesOf(user, RECORDS))
  }
}, 120_000)
