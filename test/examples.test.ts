/** Every example prints what stands beside it, on the package as it was built; the README shows one of them. */
import { execFile } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { fencesOf } from './docs.js'
import { startServer } from './nats-server/server.js'

const root = join(import.meta.dirname, '..')
const names = readdirSync(join(root, 'examples')).sort()
const folders: string[] = []

const textOf = (...path: string[]) => readFileSync(join(root, ...path), 'utf8')

/** Runs an example as `npm run example` does, in a folder of its own. Gives what it printed. */
async function run(name = '', env: Readonly<Record<string, string>> = {}, folder = newFolder()): Promise<string> {
  const words = [
    join(root, 'node_modules/jiti/lib/jiti-cli.mjs'),
    join(root, 'scripts/example.ts'),
    ...(name ? [name] : []),
  ]
  const options = { cwd: folder, env: { PATH: process.env['PATH'], ...env }, timeout: 60_000 }
  const { stdout, stderr } = await promisify(execFile)(process.execPath, words, options)
  expect(stderr).toBe('')
  return stdout
}

function newFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'example-'))
  folders.push(folder)
  return folder
}

beforeAll(() => {
  if (!existsSync(join(root, 'dist/index.js'))) throw new Error('dist/ is not built; run npm run build first')
})
afterAll(() => folders.forEach(folder => rmSync(folder, { recursive: true, force: true })))

test.each(names)('%s prints what stands beside it', { timeout: 70_000 }, async name => {
  expect(await run(name)).toBe(textOf('examples', name, 'expected.txt'))
})

test.each(names)('%s imports what a user has: packages by name, and nothing of ours but those', name => {
  for (const file of readdirSync(join(root, 'examples', name)).filter(file => file.endsWith('.ts'))) {
    const imported = [...textOf('examples', name, file).matchAll(/from '([^']+)'/g)].map(match => match[1] ?? '')
    expect(imported).toContain('stream-node')
    expect(imported.filter(from => !/^(stream-node|rxjs|zod|node:[\w/]+|\.\/\w+\.js)$/.test(from))).toEqual([])
  }
})

test('the first example prints the same on a real server, and the same again', { timeout: 60_000 }, async () => {
  const [name = ''] = names
  await using server = await startServer()
  const folder = newFolder()
  const expected = textOf('examples', name, 'expected.txt')
  expect(await run(name, { NATS_URL: server.url }, folder)).toBe(expected)
  expect(await run(name, { NATS_URL: server.url }, folder)).toBe(expected)
  expect(readdirSync(folder)).toEqual([])
})

test('the examples of pipelines print the same on a real server', { timeout: 200_000 }, async () => {
  await using server = await startServer()
  for (const name of [
    '05-clicks-per-user',
    '06-two-targets',
    '07-survives-a-kill',
    '08-a-bad-record',
    '09-into-a-table',
  ]) {
    const folder = newFolder()
    expect(await run(name, { NATS_URL: server.url }, folder)).toBe(textOf('examples', name, 'expected.txt'))
    expect(readdirSync(folder)).toEqual([])
  }
})

test('without a name it is the program that the README shows, letter by letter', { timeout: 70_000 }, async () => {
  const name = '05-clicks-per-user'
  const fences = fencesOf('README.md', textOf('README.md')).map(fence => `${fence.text}\n`)
  expect(fences).toContain(textOf('examples', name, 'clicks.ts'))
  expect(fences).toContain(textOf('examples', name, 'expected.txt'))
  expect(await run()).toBe(textOf('examples', name, 'expected.txt'))
})

test('a name that is none is told with those there are', { timeout: 30_000 }, async () => {
  await expect(run('99-nothing')).rejects.toMatchObject({ code: 2, stderr: expect.stringContaining(names[0] ?? '') })
})
