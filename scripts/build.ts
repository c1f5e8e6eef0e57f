/**
 * Builds the package: `src/` to `dist/`, `actors/` to `dist/actors/`, by plain tsc. A run starts from an empty `dist/`,
 * so that no file of an older build is ever packed.
 */
import { spawnSync } from 'node:child_process'
import { chmodSync, rmSync } from 'node:fs'

function tsc(project: string): void {
  const { status } = spawnSync(process.execPath, ['node_modules/typescript/bin/tsc', '-p', project], {
    stdio: 'inherit',
  })
  if (status !== 0) process.exit(status ?? 1)
}

rmSync('dist', { recursive: true, force: true })
tsc('tsconfig.build.json')
// After src/: the actors see the package by its name, through the declarations just built.
tsc('tsconfig.actors.json')
chmodSync('dist/cli/main.js', 0o755)
