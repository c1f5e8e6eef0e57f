/** The config file as people meet it: beside the command's other settings, in a folder of its own. */
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { theCommand } from './command.js'

const command = theCommand()

function folderWith(text: string, name = 'stream-node.config.ts'): string {
  const folder = mkdtempSync(join(tmpdir(), 'config-file-'))
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
  writeFileSync(join(folder, name), text)
  return folder
}

const run = (cwd: string, args: readonly string[], env: Readonly<Record<string, string>> = {}) =>
  command.run(args, { cwd, env: { TMPDIR: cwd, ...env } })

test('says the data folder and the output, in a folder without node_modules, and leaves no copy of itself', async () => {
  const cwd = folderWith(`
    import { defineConfig } from 'stream-node'
    const dataDir: string = 'kept'
    export default defineConfig({ dataDir, output: 'json' })`)
  const published = await run(cwd, ['publish', 'clicks', '1', '--create'])
  expect(published).toMatchObject({ code: 0, stdout: '{"stream":"clicks","records":1,"repeats":0}\n' })
  expect(readdirSync(cwd).sort()).toEqual(['kept', 'stream-node.config.ts'])
})

test('counts behind flags and environment', async () => {
  const cwd = folderWith('export default { dataDir: "file", output: "json", timeout: "1 ms" }')
  const create = ['publish', 'clicks', '1', '--create', '--timeout', '20s']
  await run(cwd, create, { STREAM_NODE_DATA_DIR: 'env' })
  expect([existsSync(join(cwd, 'env')), existsSync(join(cwd, 'file'))]).toEqual([true, false])
  await run(cwd, [...create, '--data-dir', 'flag'], { STREAM_NODE_DATA_DIR: 'env' })
  expect(existsSync(join(cwd, 'flag'))).toBe(true)
  const described = await run(cwd, ['describe', '-o', 'jsonl', '--data-dir', 'flag'])
  expect(described.stdout.trimEnd().split('\n')).toHaveLength(1)
})

test('is the one that --config names, with its paths from its own folder', async () => {
  const cwd = folderWith('throw new Error("not this one")')
  mkdirSync(join(cwd, 'conf'))
  writeFileSync(join(cwd, 'conf/other.json'), '{ "dataDir": "data" }')
  expect(await run(cwd, ['publish', 'clicks', '1', '--create', '--config', 'conf/other.json'])).toMatchObject({
    code: 0,
  })
  expect(existsSync(join(cwd, 'conf/data'))).toBe(true)
})

test('ends every verb with 78 and one line when it is wrong, and none with --help', async () => {
  const cwd = folderWith('const a: number = 1\nthrow new Error("password: planted")')
  for (const verb of [['describe'], ['tail', 's'], ['publish', 's', '1']]) {
    const ran = await run(cwd, verb)
    expect(ran.code).toBe(78)
    expect(ran.stderr).toMatch(/^stream-node: stream-node\.config\.ts:2 cannot be loaded: .*; mend .*\[BAD_OPTION\]\n$/)
    expect(ran.stderr).not.toContain('planted')
    expect((await run(cwd, [...verb, '--help'])).code).toBe(0)
  }
})

test('names a server, and its secrets stay unsaid when the server is not there', async () => {
  const cwd = folderWith('export default { servers: "nats://ann:planted@127.0.0.1:9", timeout: "2s" }')
  const ran = await run(cwd, ['describe'])
  expect(ran).toMatchObject({ code: 3, stderr: expect.stringMatching(/127\.0\.0\.1:9.*\[NO_SERVER\]\n$/) })
  expect(ran.stderr).not.toContain('planted')
})
