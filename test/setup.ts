/**
 * Runs once before all tests: makes sure a nats-server is there, and compiles the sources for the tests that run them in
 * processes of their own. Without a server the run fails here and says the mend, since a suite that skips the real log
 * proves nothing.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestProject } from 'vitest/node'
import { compileSources } from './compile.js'
import { installServer } from './nats-server/install.js'

declare module 'vitest' {
  interface ProvidedContext {
    /** Where the compiled sources lie. */
    readonly compiled: string
  }
}

export default async function setup(project: TestProject): Promise<() => void> {
  const { version, bin } = await installServer()
  if (process.env['CI']) console.error(`nats-server ${version} at ${bin}`)
  const folder = mkdtempSync(join(tmpdir(), 'compiled-'))
  compileSources(folder)
  project.provide('compiled', join(folder, 'dist'))
  project.onTestsRerun(() => compileSources(folder))
  return () => rmSync(folder, { recursive: true, force: true })
}
