#!/usr/bin/env node
/** The command `stream-node`: runs a verb and ends the process with its exit code. */
import { CommanderError } from 'commander'
import { exitCodeOf, exits, lineOf } from './failure.js'
import { program, usageError } from './program.js'
import { alarming, flushed, say, watchPipes } from './terminal.js'

watchPipes()
let code: number = exits.ok
try {
  await program().parseAsync()
} catch (thrown) {
  const error = thrown instanceof CommanderError ? usageError(thrown) : thrown
  if (error !== undefined) {
    code = exitCodeOf(error)
    const line = lineOf(error)
    if (line !== '') say(`${alarming('stream-node:')} ${line}`)
  }
}
await flushed()
// An input that nobody reads to its end would hold the process.
process.exit(code)
