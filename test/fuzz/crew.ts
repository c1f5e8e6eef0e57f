/**
 * Runs a job in processes of their own, so that an input that ends the process, or never comes back, is a finding with a
 * name like any other.
 */
import { spawn } from 'node:child_process'
import { copyFileSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { reaped } from '../reaper.js'
import { build, type Change } from '../simulation/build.js'
import type { Finding } from './feed.js'
import type { Job, Line } from './worker.js'

/** What came of a job. */
export interface Report {
  readonly inputs: number
  readonly findings: readonly Finding[]
  /** In hex, where only one was asked for. */
  readonly input?: string
  /** The functions of `src/` that were called. */
  readonly called: ReadonlySet<string>
}

const ENTRY = 'test/fuzz/worker.ts'
/** No input may need more than this. */
const HEAP_MB = 512
/** None takes so long but one that never ends. */
const SILENCE_MS = 30_000

/** Writes what is fuzzed, with these changes, to a folder of this name; gives the path of its entry. */
export function buildFuzz(name: string, changes: readonly Change[] = []): string {
  const entry = build(name, changes, ENTRY)
  // The command reads its version there.
  copyFileSync(join(import.meta.dirname, '../../package.json'), join(entry, '../../../package.json'))
  return entry
}

/** Runs a job, shared by so many processes. One that says nothing for `silenceMs` is taken to be stuck. */
export async function fuzz(entry: string, job: Job, processes = 1, silenceMs = SILENCE_MS): Promise<Report> {
  const parts = Array.from({ length: processes }, (_, i) => run(entry, { ...job, part: [i, processes] }, silenceMs))
  const reports = await Promise.all(parts)
  return {
    inputs: reports.reduce((sum, { inputs }) => sum + inputs, 0),
    findings: reports.flatMap(({ findings }) => findings),
    called: new Set(reports.flatMap(({ called }) => [...called])),
    ...reports.filter(({ input }) => input !== undefined).map(({ input }) => ({ input }))[0],
  }
}

async function run(entry: string, job: Job, silenceMs: number): Promise<Report> {
  const findings: Finding[] = []
  let called: readonly string[] = []
  let inputs = 0
  let input: string | undefined
  let at: Place | undefined
  const death = await watched(entry, job, silenceMs, line => {
    if ('at' in line) at = line.at
    if ('finding' in line) findings.push(line.finding)
    if ('called' in line) called = line.called
    if ('input' in line) input = line.input
    if ('done' in line) inputs += line.done.count
  })
  if (death !== undefined) findings.push(await named(entry, job, { at, death, silenceMs }))
  return { inputs, findings, called: new Set(called), ...(input !== undefined && { input }) }
}

/** At which input a process died: the last ones are fed once more, one by one. */
async function named(entry: string, job: Job, { at, death, silenceMs }: Died): Promise<Finding> {
  if (at === undefined) return { target: 'none yet', index: -1, what: death, input: '' }
  const { fair, count: skip } = at
  let last = at
  const died = await watched(entry, { ...job, targets: [at.target], fair, skip, slowly: true }, silenceMs, line => {
    if ('at' in line) last = line.at
  })
  const { target, index, input = '' } = died === undefined ? at : last
  const what = died === undefined ? `${death}, and not again when the last inputs were fed once more` : died
  return { target, index, what, input }
}

interface Died {
  /** Where it said that it was, undefined before anything was fed. */
  readonly at: Place | undefined
  readonly death: string
  readonly silenceMs: number
}

type Place = Extract<Line, { readonly at: unknown }>['at']

/** Runs one process; gives how it died, undefined when it ended well. */
async function watched(
  entry: string,
  job: Job,
  silenceMs: number,
  take: (line: Line) => void,
): Promise<string | undefined> {
  const args = [`--max-old-space-size=${HEAP_MB}`, entry, JSON.stringify(job)]
  const child = reaped(spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'pipe'] }))
  const stuck = new AbortController()
  const kill = () => {
    stuck.abort()
    child.kill('SIGKILL')
  }
  let silence = setTimeout(kill, SILENCE_MS)
  let stderr = ''
  child.stderr.on('data', chunk => (stderr = `${stderr}${String(chunk)}`.slice(-2000)))
  const ended = new Promise<readonly [number | null, string | null]>(resolve => {
    child.once('close', (code, signal) => resolve([code, signal]))
  })
  for await (const line of createInterface({ input: child.stdout })) {
    clearTimeout(silence)
    silence = setTimeout(kill, silenceMs)
    take(JSON.parse(line) as Line)
  }
  const [code, signal] = await ended
  clearTimeout(silence)
  if (stuck.signal.aborted) return 'the process never came back from it'
  return code === 0 ? undefined : `the process died of it (${signal ?? `code ${code}`}): ${stderr}`
}

/** Findings for people, each with the command that does it again. */
export function told(findings: readonly Finding[], seed: number): string {
  const lines = findings.map(({ target, index, what, input }) => {
    const again = `npm run fuzz -- --target ${JSON.stringify(target)} --seed ${seed} --input ${index}`
    return `${target}, input ${index}: ${what}\n  ${input === '' ? '' : `in hex: ${input}\n  `}${again}`
  })
  return lines.join('\n')
}
