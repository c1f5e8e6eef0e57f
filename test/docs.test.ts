import { execFileSync, spawnSync } from 'node:child_process'
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { commandsOf, fencesOf, printedAsSaid, stepsOf, typeFaults, unheld, unheldCommand } from './docs.js'

const root = join(import.meta.dirname, '..')
const main = join(root, 'dist/cli/main.js')
const { scripts } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { scripts: Record<string, string> }

/** What `sh` fences may hold beside npm and stream-node, and what runs it. */
const runElsewhere = [
  'nats-server', // test/nats-server starts one for every run
  '.ci/run', // is what runs this
]

const pages = ['README.md', 'CONTRIBUTING.md', ...docsIn('docs')].filter(page => existsSync(join(root, page)))
const fences = pages.flatMap(page => fencesOf(page, readFileSync(join(root, page), 'utf8')))

function docsIn(folder: string): string[] {
  const names = readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
  return names.filter(name => name.endsWith('.md')).map(name => join(folder, name).replaceAll('\\', '/'))
}

function help(verb: string): string {
  const words = verb === '' ? ['--help'] : [verb, '--help']
  return execFileSync(process.execPath, [main, ...words], { encoding: 'utf8' })
}

test('every fence of the docs is one that a test holds', () => {
  expect(unheld(fences).join('\n')).toBe('')
})

test('every ts snippet of the docs compiles against the source', { timeout: 60_000 }, () => {
  expect(typeFaults(root, fences).join('\n')).toBe('')
})

test('every sh command of the docs is one that something runs, with options that exist', () => {
  const findings = fences
    .filter(fence => fence.language === 'sh')
    .flatMap(fence => commandsOf(fence).map(command => ({ ...command, page: fence.page })))
    .flatMap(({ page, line, command }) => {
      const why = unheldCommand(command, Object.keys(scripts), help, runElsewhere)
      return why ? [`${page}:${line} ${why}`] : []
    })
  expect(findings.join('\n')).toBe('')
})

const consoles = pages.filter(page => fences.some(fence => fence.page === page && fence.language === 'console'))

test.each(consoles)('every console of %s prints what the page says', { timeout: 60_000 }, page => {
  const folder = mkdtempSync(join(tmpdir(), 'docs-'))
  try {
    const bin = join(folder, 'node_modules/.bin')
    mkdirSync(bin, { recursive: true })
    symlinkSync(root, join(folder, 'node_modules/stream-node'))
    symlinkSync(main, join(bin, 'stream-node'))
    chmodSync(main, 0o755)
    const env = { PATH: `${bin}:${process.env['PATH'] ?? ''}`, HOME: folder, npm_config_update_notifier: 'false' }
    for (const fence of fences.filter(({ page: of }) => of === page)) {
      if (fence.file) writeFileSync(join(folder, fence.file), `${fence.text}\n`)
      if (fence.language !== 'console') continue
      for (const { line, command, output } of stepsOf(fence)) {
        const { stdout, stderr, status } = spawnSync('sh', ['-c', command], {
          cwd: folder,
          env,
          encoding: 'utf8',
          timeout: 30_000,
        })
        if (status === 0 && printedAsSaid(stdout, output)) continue
        expect.fail(
          `${page}:${line} says\n${output}\nbut "${command}" printed (exit ${String(status)})\n${stdout}${stderr}`,
        )
      }
    }
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
})

const page = (...lines: string[]) => fencesOf('p.md', lines.join('\n'))

test('finds a snippet that does not compile, at its line of the page, and lets one import a named one', () => {
  const planted = page(
    '```ts file=a.ts',
    "import { systemClock } from '../../src/clock.js'",
    'export const at: number = systemClock.now()',
    '```',
    '- in a list',
    '  ```ts',
    "  import { at } from './a.js'",
    '  const same: number = at',
    '  const wrong: string = at',
    '  ```',
  )
  expect(typeFaults(root, planted)).toEqual(["p.md:9 Type 'number' is not assignable to type 'string'."])
})

test('finds a fence without a language', () => {
  expect(unheld(page('```', 'x', '```'))[0]).toMatch(/^p\.md:1 is ""/)
})

test('reads commands and what they print, where ... stands for any lines', () => {
  const [fence] = page('```console', '$ first', 'a', '...', 'z', '$ second', '```')
  expect(fence && stepsOf(fence)).toEqual([
    { line: 2, command: 'first', output: 'a\n...\nz' },
    { line: 6, command: 'second', output: '' },
  ])
  expect(printedAsSaid('a\nb\nc\nz\n', 'a\n...\nz')).toBe(true)
  expect(printedAsSaid('a\nz', 'a\n...\nz')).toBe(true)
  expect(printedAsSaid('a\nb\n', 'a')).toBe(false)
  expect(printedAsSaid('a+b\n', 'a.b')).toBe(false)
})

test.each([
  ['npm ci && npm test', undefined],
  ['npm run nothing', 'package.json has no script "nothing"'],
  ['echo 1 | npx stream-node publish clicks --limit 3', undefined],
  ['echo 1 | npx stream-node publish clicks --limti 3', '"stream-node publish" has no option --limti'],
  ['rm -rf x', expect.stringContaining('nothing runs "rm -rf x"')],
])('judges the command %s', (command, finding) => {
  const told = unheldCommand(command, ['test'], verb => (verb === 'publish' ? '  -n, --limit <count>' : ''), ['echo'])
  expect(told).toEqual(finding)
})

test('joins continued lines of a command and leaves comments out', () => {
  const [fence] = page('```sh', '# start', 'npm run x \\', '  -- y  # why', '', 'npm test', '```')
  expect(fence && commandsOf(fence)).toEqual([
    { line: 3, command: 'npm run x -- y' },
    { line: 6, command: 'npm test' },
  ])
})
