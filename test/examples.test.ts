/** Every example prints what stands beside it, on the package as it was built; the README shows the first of them. */
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
async function run(name: string, env: Readonly<Record<string, string>> = {}, folder = newFolder()): Promise<string> {
  const words = [join(root, 'node_modules/jiti/lib/jiti-cli.mjs'), join(root, 'scripts/example.ts'), name]
  const options = { cwd: folder, env: { PATH: process.env['PATH'], ...env }, timeout: 20_000 }
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

test.each(names)('%s prints what stands beside it', { timeout: 30_000 }, async name => {
  expect(await run(name)).toBe(textOf('examples', name, 'expected.txt'))
})

test.each(names)('%s imports what a user has: packages by name, and nothing of ours but those', name => {
  const imported = [...textOf('examples', name, 'main.ts').matchAll(/from '([^']+)'/g)].map(match => match[1] ?? '')
  expect(imported).toContain('stream-node')
  expect(imported.filter(from => !/^(stream-node|zod|node:[\w/]+)$/.test(from))).toEqual([])
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

test('the README shows the first example and what it prints, letter by letter', () => {
  const fences = fencesOf('README.md', textOf('README.md')).map(fence => `${fence.text}\n`)
  const [name = ''] = names
  expect(fences).toContain(textOf('examples', name, 'main.ts'))
  expect(fences).toContain(textOf('examples', name, 'expected.txt'))
})

test('a name that is none is told with those there are', { timeout: 30_000 }, async () => {
  await expect(run('99-nothing')).rejects.toMatchObject({ code: 2, stderr: expect.stringContaining(names[0] ?? '') })
})
