/**
 * Runs the JetStream suites on every server version we support, one after another, and prints one table. Ends with 1
 * when any test failed, or when a version ran none.
 */
import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { installServer, knownServers } from '../test/nats-server/install.js'

interface Report {
  readonly numPassedTests: number
  readonly numFailedTests: number
  readonly numPendingTests: number
  readonly testResults: readonly { readonly status: string; readonly name: string }[]
}

const suites = ['test/jetstream', 'src/log/jetstream', 'test/nats-server']
const folder = mkdtempSync(join(tmpdir(), 'servers-'))
const rows: Record<string, string | number>[] = []
let failed = false

for (const known of knownServers) {
  const { version } = await installServer({ version: known.version })
  console.log(`\nnats-server ${version}`)
  const file = join(folder, `${version}.json`)
  const began = performance.now()
  const { status } = spawnSync(process.execPath, ['node_modules/vitest/vitest.mjs', 'run', ...suites], {
    stdio: 'inherit',
    env: { ...process.env, STREAM_NODE_NATS_VERSION: version, STREAM_NODE_TEST_REPORT: file },
  })
  const report = JSON.parse(readFileSync(file, 'utf8')) as Report
  failed ||= status !== 0 || report.numPassedTests === 0
  rows.push({
    server: version,
    passed: report.numPassedTests,
    failed: report.numFailedTests,
    skipped: report.numPendingTests,
    'broken files': report.testResults.filter(result => result.status === 'failed').length,
    seconds: Math.round((performance.now() - began) / 1000),
  })
}
rmSync(folder, { recursive: true, force: true })
console.log()
console.table(rows)
process.exitCode = failed ? 1 : 0
