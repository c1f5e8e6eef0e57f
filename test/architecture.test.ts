import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { breaches } from './architecture.js'

const root = join(import.meta.dirname, '..')

function sources(): Map<string, string> {
  const paths = ['src', 'actors']
    .filter(folder => existsSync(join(root, folder)))
    .flatMap(folder =>
      readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' }).map(path => join(folder, path)),
    )
    .filter(path => path.endsWith('.ts'))
  return new Map(paths.map(path => [path.replaceAll('\\', '/'), readFileSync(join(root, path), 'utf8')]))
}

test('every import keeps the order of the rooms, every package its home, every file has a name that says something', () => {
  const files = sources()
  expect(files.size).toBeGreaterThan(5)
  expect(breaches(files).join('\n')).toBe('')
})

const judge = (...files: [path: string, text: string][]) => breaches(new Map(files))

test.each([
  [
    'a room sees what is built on it',
    'src/log/a.ts',
    "import { b } from '../stream/b.js'",
    /log\/a\.ts:1 .*stream\/b\.ts.*move the line to stream/,
  ],
  [
    'a type import goes up',
    'src/codec/a.ts',
    "\nimport type { b } from '../log/b.js'",
    /codec\/a\.ts:2 .*codec does not see log/,
  ],
  ['an inline type import goes up', 'src/codec/a.ts', "type B = import('../log/b.js').B", /codec does not see log/],
  ['a dynamic import goes up', 'src/codec/a.ts', "const b = await import('../log/b.js')", /codec does not see log/],
  [
    'an export passes through from above',
    'src/errors.ts',
    "export { b } from './telemetry/b.js'",
    /ground does not see telemetry/,
  ],
  ['placement sees actor', 'src/placement/a.ts', "import '../actor/b.js'", /placement does not see actor/],
  ['actor sees placement', 'src/actor/a.ts', "import '../placement/b.js'", /actor does not see placement/],
  ['client sees state', 'src/client/a.ts', "import '../state/b.js'", /client does not see state/],
  [
    'stream sees client',
    'src/stream/a.ts',
    "import '../client/b.js'",
    /stream does not see client; move the line to client, node, cli/,
  ],
  ['a room sees the face', 'src/cli/a.ts', "import '../index.js'", /no room sees the index face/],
  ['a room sees the face of tests', 'src/cli/a.ts', "import '../testing/b.js'", /no room sees the testing face/],
  ['a folder that is no room', 'src/engine/a.ts', "import '../errors.js'", /"engine", which is no room/],
  ['the machine reaches outside', 'src/log/a.ts', "import '../../actors/b.js'", /nothing outside of src/],
  ['nats outside its home', 'src/log/a.ts', "import '@nats-io/jetstream'", /its home is log\/jetstream\//],
  ['lmdb in the other log', 'src/log/jetstream/a.ts', "import 'lmdb'", /its home is log\/embedded\//],
  [
    'the type of a package outside its home',
    'src/stream/a.ts',
    "import type { Type } from 'avsc'",
    /its home is codec\//,
  ],
  ['a subpath of a package', 'src/actor/a.ts', "import 'rxjs/operators'", /its home is operators\//],
  ['telemetry in the events', 'src/telemetry/events.ts', "import '@opentelemetry/api'", /not telemetry\/events\.ts/],
  ['a package that has no home', 'src/log/a.ts', "import 'lodash'", /without a home/],
  [
    'an actor with a private door',
    'actors/a.ts',
    "import '../src/errors.js'",
    /export what it needs from src\/index\.ts/,
  ],
  ['a name that says nothing', 'src/log/retry-utils.ts', '', /retry-utils\.ts:1 is named "utils"/],
  ['a file for all types', 'src/log/types.ts', '', /is named "types"/],
  ['a folder that says nothing', 'src/log/common/a.ts', '', /is named "common"/],
])('finds a planted breach: %s', (_, path, text, finding) => {
  const found = judge([path, text])
  expect(found).toHaveLength(1)
  expect(found[0]).toMatch(finding)
})

test('finds a circle once and says the road', () => {
  const found = judge(
    ['src/log/c.ts', "import './a.js'"],
    ['src/log/a.ts', "\nimport { type B } from './b.js'"],
    ['src/log/b.ts', "export { C } from './c.js'"],
    ['src/log/d.ts', "import './a.js'"],
  )
  expect(found).toEqual([
    'src/log/a.ts:2 is in a circle: src/log/a.ts > src/log/b.ts > src/log/c.ts > src/log/a.ts; move what both need below them',
  ])
})

test('lets what is allowed pass', () => {
  const found = judge(
    ['src/errors.ts', ''],
    ['src/options.ts', "import './errors.js'"],
    [
      'src/log/jetstream/link.ts',
      "import '@nats-io/transport-node'\nimport '../../telemetry/events.js'\nimport 'node:fs'",
    ],
    ['src/telemetry/events.ts', "import '../clock.js'"],
    ['src/node/a.ts', "import '../placement/ring.js'\nimport '../actor/a.js'\nimport '../client/c.js'"],
    ['src/cli/main.ts', "import 'commander'\nconst x = await import('../node/a.js')"],
    ['src/index.ts', "export { a } from './node/a.js'"],
    ['src/testing/index.ts', "import '../index.js'\nimport 'rxjs'"],
    ['src/log/a.test.ts', "import 'vitest'\nimport '../testing/index.js'"],
    ['src/operators/a.ts', "// import '../node/a.js'\nconst text = \"import '../node/a.js'\""],
    ['src/codec/codec.ts', "import type { J } from './json.js'\nconst a = await import('./avro.js')"],
    ['src/codec/json.ts', "import './codec.js'"],
    ['src/codec/avro.ts', "import './codec.js'\nexport type { J } from './json.js'"],
    ['actors/a.ts', "import { stream } from 'stream-node'"],
  )
  expect(found).toEqual([])
})
