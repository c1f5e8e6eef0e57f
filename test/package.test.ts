import { execFileSync } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'

const root = join(import.meta.dirname, '..')

interface Packed {
  readonly filename: string
  readonly size: number
  readonly files: readonly { readonly path: string }[]
}

let packed: Packed
const folder = mkdtempSync(join(tmpdir(), 'package-'))
const npm = (cwd: string, ...words: string[]) => execFileSync('npm', words, { cwd, encoding: 'utf8', stdio: 'pipe' })

beforeAll(() => {
  if (!existsSync(join(root, 'dist/index.js'))) throw new Error('dist/ is not built; run npm run build first')
  // Newer npm gives an object by name, older an array.
  const answer = JSON.parse(npm(root, 'pack', '--json', '--ignore-scripts', '--pack-destination', folder)) as
    Packed[] | Record<string, Packed>
  packed = Object.values(answer)[0]!
}, 60_000)

afterAll(() => rmSync(folder, { recursive: true, force: true }))

test('the tarball is at most 1 MB and holds what a user needs, and no tests', () => {
  const paths = packed.files.map(file => file.path)
  expect(packed.size).toBeLessThanOrEqual(1_000_000)
  expect(paths).toEqual(
    expect.arrayContaining(['LICENSE', 'README.md', 'CHANGELOG.md', 'dist/index.js', 'dist/index.d.ts']),
  )
  expect(paths.filter(path => /\.test\.|^(src|test|bench)\//.test(path))).toEqual([])
})

test('every file that the exports and the bin name is in the tarball', () => {
  const { exports, bin } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as {
    exports: Record<string, string | Record<string, string>>
    bin: Record<string, string>
  }
  const paths = new Set(packed.files.map(file => `./${file.path}`))
  const named = Object.values(exports).flatMap(entry => (typeof entry === 'string' ? [entry] : Object.values(entry)))
  const missing = [...named, ...Object.values(bin).map(path => `./${path}`)]
    .filter(path => !path.includes('*'))
    .filter(path => !paths.has(path))
  expect(missing).toEqual([])
})

test('the lockfile names no registry, so that it serves every mirror, and has the binaries of every platform', () => {
  const text = readFileSync(join(root, 'package-lock.json'), 'utf8')
  expect(text).not.toContain('"resolved"')
  const { packages } = JSON.parse(text) as {
    packages: Record<string, { optionalDependencies?: Record<string, string> }>
  }
  const wanted = Object.values(packages).flatMap(({ optionalDependencies = {} }) => Object.keys(optionalDependencies))
  expect(wanted.filter(name => !Object.keys(packages).some(path => path.endsWith(`node_modules/${name}`)))).toEqual([])
})

test('installs without any install script, imports, and its command runs', { timeout: 90_000 }, () => {
  writeFileSync(join(folder, 'package.json'), '{ "name": "user", "private": true, "type": "module" }')
  npm(
    folder,
    'install',
    '--ignore-scripts',
    '--prefer-offline',
    '--no-audit',
    '--no-fund',
    join(folder, packed.filename),
  )
  const program = `
    const face = await import('stream-node')
    const testing = await import('stream-node/testing')
    await import('lmdb')
    console.log(Object.keys(face).length > 0 && Object.keys(testing).length > 0)`
  const node = (...words: string[]) => execFileSync(process.execPath, words, { cwd: folder, encoding: 'utf8' })
  expect(node('--input-type=module', '-e', program)).toBe('true\n')
  expect(node('node_modules/.bin/stream-node', '--help')).toContain('stream-node')
})
