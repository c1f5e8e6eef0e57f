/** What `run` takes and what it refuses before it runs anything, and how its files find their packages. */
import { spawnSync } from 'node:child_process'
import { cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { theCommand, type Ran } from './command.js'

const command = theCommand()
const built = dirname(dirname(dirname(command.main)))

function folderWith(files: Readonly<Record<string, string>>): string {
  const folder = mkdtempSync(join(tmpdir(), 'run-'))
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, name)), { recursive: true })
    writeFileSync(join(folder, name), text)
  }
  return folder
}

const run = (files: Readonly<Record<string, string>>, ...args: string[]) => runIn(folderWith(files), ...args)
const runIn = (cwd: string, ...args: string[]) => command.run(['run', ...args, '--until-caught-up'], { cwd })
const copy = (name: string, from = 'clicks') =>
  `pipeline('${name}').from(stream('${from}', { key: 'user' })).to(stream('${name}-out', { key: 'user' }))`
const IMPORTS = "import { pipeline, stream } from 'stream-node'\n"
const said = ({ stderr }: Ran, which = 'running') => {
  const lines = stderr.split('\n').filter(line => line.startsWith('{'))
  return lines.map(line => (JSON.parse(line) as { msg: string }).msg).filter(msg => msg.startsWith(which))
}

test('runs every pipeline that its files export, by default or by name, each once', async () => {
  const ran = await run(
    {
      'one.ts': `${IMPORTS}export const named = ${copy('a')}\nconst b = ${copy('b')}\nexport { b, b as default }\nexport const text: string = 'x'`,
      'two.mts': `export { named } from './one.ts'\n${IMPORTS}export default ${copy('c')}`,
    },
    ...['one.ts', 'two.mts'],
  )
  expect(ran).toMatchObject({ code: 0, stdout: '' })
  expect(said(ran)).toEqual([
    expect.stringMatching(/^running (a, b|b, a), c with 18 partitions on embedded log in \.stream-node$/),
  ])
})

test('takes the folder actors/ when no file is named: what its files export by default, and no tests', async () => {
  const ran = await run({
    'actors/a.ts': `${IMPORTS}export const other = ${copy('no')}\nexport default ${copy('a')}`,
    'actors/ready-made.js': 'export default function make() {}',
    'actors/a.test.ts': 'throw new Error("not to be loaded")',
    'actors/note.md': 'x',
  })
  expect(ran.code).toBe(0)
  expect(said(ran)).toEqual([expect.stringMatching(/^running a with 6 partitions/)])
})

test.each<[string, Readonly<Record<string, string>>, string[], number, RegExp]>([
  ['no file and no folder', {}, [], 2, /no file is given, and there is no folder actors\/; .*\[USAGE\]/],
  [
    'no file, and a folder with tests alone',
    { 'actors/a.test.ts': '' },
    [],
    2,
    /actors\/ has none to run; .*\[USAGE\]/,
  ],
  [
    'a folder without pipelines',
    { 'actors/a.ts': 'export default 1' },
    [],
    1,
    /no file of actors\/ has a pipeline.*\[BAD_MODULE\]/,
  ],
  [
    'a file of the folder without a default',
    { 'actors/a.ts': 'export const a = 1' },
    [],
    1,
    /^stream-node: actors\/a\.ts exports nothing by default; .*\[BAD_MODULE\]/,
  ],
  ['a file that is not there', {}, ['no.ts'], 2, /there is no file no\.ts; check its path \[USAGE\]/],
  ['a folder as a file', { 'x/a.ts': '' }, ['x'], 2, /x is no file; .*\[USAGE\]/],
  [
    'no pipeline in a file',
    { 'a.ts': 'export const a = 1, b = 2' },
    ['a.ts'],
    1,
    /a\.ts has no pipeline: it exports a, b; .*\[BAD_MODULE\]/,
  ],
  ['no export in a file', { 'a.ts': '' }, ['a.ts'], 1, /a\.ts has no pipeline: it exports nothing; .*\[BAD_MODULE\]/],
  [
    'garbage',
    { 'a.ts': 'const a = 1\nhello world, this is no code' },
    ['a.ts'],
    1,
    /^stream-node: a\.ts:2 is no valid code: .*; mend the file \[BAD_MODULE\]/,
  ],
  [
    'a file that throws',
    { 'a.ts': 'const a: number = 1\nthrow new Error("password: planted")' },
    ['a.ts'],
    1,
    /^stream-node: a\.ts:2 cannot be loaded: .*\[BAD_MODULE\]/,
  ],
  [
    'a file that loads one that throws',
    { 'a.ts': "import './b/c.js'", 'b/c.ts': '\n\nthrow new Error("oh")' },
    ['a.ts'],
    1,
    /^stream-node: a\.ts cannot be loaded: b\/c\.ts:3 cannot be loaded: oh; /,
  ],
  [
    'a package that is not there',
    { 'a.ts': "import 'no-such-package'" },
    ['a.ts'],
    1,
    /a\.ts.* cannot be loaded: Cannot find .*'no-such-package'.*\[BAD_MODULE\]/,
  ],
  [
    'a definition that cannot be',
    { 'a.ts': `${IMPORTS}\nexport default pipeline('no dots.').from(stream('a')).to(stream('b'))` },
    ['a.ts'],
    1,
    /^stream-node: a\.ts:3: .*no dots\..*\[BAD_NAME\]/,
  ],
  [
    'an option that there is not',
    { 'a.ts': `${IMPORTS}\nexport default pipeline('a', { onerror: {} }).from(stream('a')).to(stream('b'))` },
    ['a.ts'],
    1,
    /^stream-node: a\.ts:3: .*did you mean "onError"\? \[UNKNOWN_OPTION\]/,
  ],
  [
    'two pipelines of one name',
    { 'a.ts': `${IMPORTS}export const a = ${copy('p')}, b = ${copy('p', 'other')}` },
    ['a.ts'],
    1,
    /a\.ts has two pipelines of the name "p"; .*\[BAD_PIPELINE\]/,
  ],
  [
    'two pipelines of one name in two files',
    { 'a.ts': `${IMPORTS}export default ${copy('p')}`, 'b.ts': `${IMPORTS}export default ${copy('p')}` },
    ['a.ts', 'b.ts'],
    1,
    /a\.ts and b\.ts have two pipelines of the name "p"; .*\[BAD_PIPELINE\]/,
  ],
  [
    'a level that there is not',
    { 'a.ts': '' },
    ['a.ts', '--log-level', 'loud'],
    2,
    /--log-level must be one of debug, info, .* but is "loud"/,
  ],
])('refuses %s, in one line', async (_, files, args, code, line) => {
  const ran = await run(files, ...args)
  expect(ran.stderr).toMatch(line)
  expect(ran).toMatchObject({ code, stdout: '' })
  expect(ran.stderr.split('\n')).toHaveLength(2)
  expect(ran.stderr).not.toContain('planted')
})

test('ends with code 3 when no server is there, and says what to do', async () => {
  const ran = await run(
    { 'a.ts': `${IMPORTS}export default ${copy('a')}` },
    'a.ts',
    '--server',
    'nats://127.0.0.1:9',
    '--timeout',
    '2s',
  )
  expect(ran).toMatchObject({
    code: 3,
    stdout: '',
    stderr: expect.stringMatching(/^stream-node: .*127\.0\.0\.1:9.*; .*\[NO_SERVER\]\n$/),
  })
})

const SEES = `
  import * as rx from 'rxjs'
  import { map } from 'rxjs/operators'
  import * as ours from 'stream-node'
  import { running } from './same.mjs'
  console.error('same ' + (ours.stream === running.ours.stream) + ' ' + (rx.map === map))
  export default ${copy('a').replaceAll(/\b(pipeline|stream)\(/g, 'ours.$1(')}
`
/** Loads natively what stands in `stream-node` as it is named there. */
const same = (path: string) => `const ours = await import(${JSON.stringify(path)})\nexport const running = { ours }`

test('gives files our own copies in a folder without node_modules', async () => {
  const ran = await run({ 'a.ts': SEES, 'same.mjs': same(join(built, 'dist/index.js')) }, 'a.ts')
  expect(ran.stderr).toContain('same true true')
  expect(ran.code).toBe(0)
})

test('gives files the copy that runs when it is the one that is installed, though by a link', async () => {
  const cwd = folderWith({ 'a.ts': SEES, 'same.mjs': same(join(built, 'dist/index.js')) })
  mkdirSync(join(cwd, 'node_modules'))
  symlinkSync(built, join(cwd, 'node_modules/stream-node'))
  symlinkSync(join(built, 'node_modules/rxjs'), join(cwd, 'node_modules/rxjs'))
  const ran = await runIn(cwd, 'a.ts')
  expect(ran.stderr).toContain('same true true')
  expect(ran.code).toBe(0)
})

test('runs the definitions of another copy, where that is what is installed', async () => {
  const cwd = folderWith({ 'a.ts': SEES + COUNTS, 'same.mjs': same('stream-node') })
  const other = join(cwd, 'node_modules/stream-node')
  cpSync(join(built, 'dist'), join(other, 'dist'), { recursive: true })
  cpSync(join(built, 'package.json'), join(other, 'package.json'))
  for (const name of ['rxjs', 'avsc', '@opentelemetry']) {
    symlinkSync(join(built, 'node_modules', name), join(cwd, 'node_modules', name))
  }
  await command.run(['publish', 'clicks', '{"user":"ann"}', '--create', '--key-field', 'user'], { cwd })
  const ran = await runIn(cwd, 'a.ts')
  expect(ran.stderr).toContain('same true true')
  expect(ran.code).toBe(0)
  const { stdout } = await command.run(['tail', 'counts'], { cwd })
  expect(stdout).toContain('{"key":"ann","n":1}')
})

/** With memory, and with a key that only the turn knows. */
const COUNTS = `
  const clicks = ours.stream('clicks', { key: 'user' })
  const flow = ours.pipeline('count').from(clicks).pipe(ours.aggregate({ n: ours.count() }))
  export const counts = flow.to(flow.as('counts'))
`

test('runs a file that takes its packages by require', async () => {
  const text = `const { pipeline, stream } = require('stream-node')\nconst { map } = require('rxjs')\nexports.default = ${copy('a').replace('.to(', '.pipe(map(x => x)).to(')}`
  const ran = await run({ 'a.cjs': text }, 'a.cjs')
  expect(ran.stderr).toContain('running a with')
  expect(ran.code).toBe(0)
})

test('says what code of a file threw outside every pipeline, with its place, and fails', async () => {
  const text = `${IMPORTS}setTimeout(() => { throw new TypeError('planted') }, 500)\nexport default ${copy('a')}`
  const ran = await command.run(['run', 'a.ts'], { cwd: folderWith({ 'a.ts': text }) })
  expect(ran).toMatchObject({ code: 1, stdout: '' })
  expect(ran.stderr).toMatch(/stream-node: something was thrown outside the pipelines: TypeError: planted\n.*a\.ts:2/)
  expect(ran.stderr).not.toContain('bug in stream-node')
})

test('--help loads neither the engine nor what it rests on', () => {
  const hook = join(folderWith({ 'hook.cjs': HOOK }), 'hook.cjs')
  for (const words of [['--help'], ['run', '--help'], ['status', '--help']]) {
    const { stdout, stderr } = spawnSync(process.execPath, ['-r', hook, command.main, ...words], { encoding: 'utf8' })
    expect(stdout).toContain('Usage: stream-node')
    expect(stderr).toMatch(/^loaded .*commander/)
    expect(stderr).not.toMatch(/rxjs|pino|nats-io|lmdb|jiti|avsc|opentelemetry/)
  }
})

/** Tells at the end which packages were loaded. */
const HOOK = `
  const { _cache } = require('node:module')
  const name = path => /node_modules.((?:@[^/]+.)?[^/]+)/.exec(path)?.[1]
  process.on('exit', () => console.error('loaded', ...new Set(Object.keys(_cache).map(name))))
`
