/**
 * Runs the command as people do: a process of its own, with its own pipes. It is compiled at the start of the run, so that
 * no test runs yesterday's build.
 */
import { spawn, type ChildProcessWithoutNullStreams } from 'node:child_process'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { inject } from 'vitest'
import { reaped } from './reaper.js'

export interface Ran {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
  readonly stdout: string
  readonly stderr: string
}

export interface RunOptions {
  readonly stdin?: string | Iterable<string>
  readonly env?: Readonly<Record<string, string>>
  readonly cwd?: string
}

export interface Built {
  /** The path of the compiled `main.js`. */
  readonly main: string
  /** Runs it to its end. */
  run(args: readonly string[], options?: RunOptions): Promise<Ran>
  /** Starts it and leaves the rest to the test. */
  start(args: readonly string[], options?: RunOptions): Started
}

export interface Started {
  readonly process: ChildProcessWithoutNullStreams
  /** What it wrote to stdout so far. */
  stdout(): string
  /** Resolves when stdout holds the text; rejects when it ends without. */
  says(text: string): Promise<void>
  /** Likewise when stderr holds what fits the pattern. */
  tells(pattern: RegExp): Promise<void>
  readonly ended: Promise<Ran>
}

/** The command, compiled from the sources of now. */
export function theCommand(): Built {
  const main = join(inject('compiled'), 'cli/main.js')
  const start = (args: readonly string[], options: RunOptions = {}) => started(main, args, options)
  return { main, start, run: (args, options) => start(args, options).ended }
}

function started(main: string, args: readonly string[], { stdin = '', env = {}, cwd }: RunOptions): Started {
  const child = reaped(spawn(process.execPath, [main, ...args], { env: { PATH: process.env['PATH'], ...env }, cwd }))
  let [stdout, stderr] = ['', '']
  child.stdout.on('data', chunk => (stdout += String(chunk)))
  child.stderr.on('data', chunk => (stderr += String(chunk)))
  child.stdin.on('error', () => {})
  Readable.from(typeof stdin === 'string' ? [stdin] : stdin).pipe(child.stdin)
  const ended = new Promise<Ran>(resolve => {
    child.once('close', (code, signal) => resolve({ code, signal, stdout, stderr }))
  })
  const once = (out: Readable, holds: () => boolean, what: string) =>
    new Promise<void>((resolve, reject) => {
      const look = () => {
        if (holds()) resolve()
      }
      out.on('data', look)
      void ended.then(({ code }) =>
        reject(new Error(`ended with ${code} and never said ${what}\n${stdout}\n${stderr}`)),
      )
      look()
    })
  return {
    process: child,
    stdout: () => stdout,
    says: text => once(child.stdout, () => stdout.includes(text), text),
    tells: pattern => once(child.stderr, () => pattern.test(stderr), String(pattern)),
    ended,
  }
}
