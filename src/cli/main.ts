#!/usr/bin/env node
/** The command `stream-node`: runs a verb and ends the process with its exit code. */
import { CommanderError } from 'commander'
import { exitCodeOf, exits, lineOf } from './failure.js'
import { program, usageError } from './program.js'
import { alarming, flushed, say, watchPipes } from './terminal.js'

watchPipes()
process.on('uncaughtException', thrown => process.exit(told(thrown)))
let code = await codeOf(() => program().parseAsync())
if (code === exits.ok) code = await codeOf(flushed)
else await flushed().catch(() => {})
// An input that nobody reads to its end would hold the process.
process.exit(code)

/** The exit code that the work ends with, after what failed was said. */
async function codeOf(work: () => Promise<unknown>): Promise<number> {
  try {
    await work()
  } catch (thrown) {
    const error = thrown instanceof CommanderError ? usageError(thrown) : thrown
    if (error !== undefined) return told(error)
  }
  return exits.ok
}

/** Says what failed; gives the exit code for it. */
function told(thrown: unknown): number {
  const line = lineOf(thrown)
  if (line !== '') say(`${alarming('stream-node:')} ${line}`)
  return exitCodeOf(thrown)
}
