/**
 * How the tests run. Most share the cores, with a server or without; those that measure time or memory run after them,
 * one file at a time, so that a server and its clients are not short of a core and a figure means something.
 */
import { fileURLToPath } from 'node:url'
import { defineConfig } from 'vitest/config'

const at = (path: string) => fileURLToPath(new URL(path, import.meta.url))

/** Tests that take minutes each: `npm run test:long`. */
const long = ['{src,test}/**/*.long.test.ts']
const withServer = [
  ...['src/log/jetstream/**/*.test.ts', 'test/jetstream/**/*.test.ts', 'test/nats-server/**/*.test.ts'],
  'test/security/**/*.test.ts',
]
const measuring = ['test/jetstream/{restart,link,flat}.test.ts']
/** They put something in the place of a module, so they need modules of their own. */
const replacing = ['src/log/embedded/sync.test.ts']
/** Takes both cores by itself. */
const seeds = ['test/simulation/seeds.test.ts']
/** Processes killed again and again, which need the cores to come back. */
const chaos = ['test/chaos/{jetstream,embedded}.test.ts']

/** Where `.ci/run` and `npm run test:servers` want the figures of the run. */
const report = process.env['STREAM_NODE_TEST_REPORT']

const longRun = {
  extends: true as const,
  test: {
    name: 'long',
    include: long,
    testTimeout: 600_000,
    hookTimeout: 60_000,
    fileParallelism: false,
  },
}

export default defineConfig({
  resolve: {
    alias: [
      { find: /^stream-node$/, replacement: at('src/index.ts') },
      { find: /^stream-node\/testing$/, replacement: at('src/testing/index.ts') },
      { find: /^stream-node\/actors\/(.*)$/, replacement: at('actors/$1.ts') },
    ],
  },
  test: {
    reporters: report ? ['default', ['json', { outputFile: report }]] : ['default'],
    globalSetup: ['test/setup.ts'],
    pool: 'forks',
    maxWorkers: 3,
    projects: [
      {
        extends: true,
        test: {
          name: 'plain',
          include: ['{src,actors,examples,test}/**/*.test.ts'],
          exclude: [...withServer, ...long, ...seeds, ...chaos, ...replacing],
          testTimeout: 10_000,
          // The files of a worker share their modules, which takes a fifth of the time.
          isolate: false,
          sequence: { groupOrder: 0 },
        },
      },
      {
        extends: true,
        test: {
          name: 'server',
          include: withServer,
          exclude: [...measuring, ...long],
          isolate: false,
          testTimeout: 30_000,
          hookTimeout: 30_000,
          sequence: { groupOrder: 0 },
        },
      },
      { extends: true, test: { name: 'replacing', include: replacing, sequence: { groupOrder: 0 } } },
      {
        extends: true,
        test: {
          name: 'measuring',
          include: measuring,
          testTimeout: 30_000,
          hookTimeout: 30_000,
          fileParallelism: false,
          sequence: { groupOrder: 1 },
        },
      },
      {
        extends: true,
        test: { name: 'simulation', include: seeds, fileParallelism: false, sequence: { groupOrder: 2 } },
      },
      { extends: true, test: { name: 'chaos', include: chaos, sequence: { groupOrder: 3 } } },
      ...(process.env['STREAM_NODE_LONG'] ? [longRun] : []),
    ],
  },
})
