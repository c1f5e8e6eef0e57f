/**
 * The two ways out: data to stdout, at the pace of whoever reads it; everything for people to stderr. A pipe that was
 * closed at the other end (`| head`) ends the command quietly.
 */
import { once } from 'node:events'
import { OutputError } from './failure.js'

/** Whether stderr is a person's terminal: only then is a line written over again. */
export const terminal = process.stderr.isTTY

let open = true
let fault: Error | undefined
const whenGone = new AbortController()

/** Aborted when nobody reads stdout any more. */
export const readerGone: AbortSignal = whenGone.signal

/** Watches stdout and stderr for a closed pipe. Call it once, before anything is written. */
export function watchPipes(): void {
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    open = false
    if (error.code !== 'EPIPE') fault = error
    whenGone.abort()
  })
  process.stderr.on('error', () => {})
}

/** Writes data; resolves when more may come. Once the reader is gone it does nothing. */
export async function write(text: string): Promise<void> {
  if (!open || process.stdout.write(text)) return
  await once(process.stdout, 'drain', { signal: readerGone }).catch(() => {})
}

/** Waits until everything written has left the process; throws what stopped it, if it was not its reader. */
export async function flushed(): Promise<void> {
  if (open) {
    await new Promise<void>(resolve => {
      readerGone.addEventListener('abort', () => resolve(), { once: true })
      process.stdout.write('', error => {
        // What went wrong is told by an event of its own, right after this.
        if (!error) resolve()
      })
    })
  }
  if (fault !== undefined) throw new OutputError(fault)
}

/** A line for people. */
export function say(line: string): void {
  process.stderr.write(`${line}\n`)
}

/** Red and bold on a terminal that takes colours (`NO_COLOR`), else as it is. */
export function alarming(text: string): string {
  const plain = !terminal || process.env['NO_COLOR'] || process.env['TERM'] === 'dumb'
  return plain ? text : `\u001B[1;31m${text}\u001B[0m`
}

const PROGRESS_MS = 200

/** A line that tells how far a long work is, on a terminal only. */
export class Progress {
  readonly #startedMs = performance.now()
  #shownMs = this.#startedMs
  #width = 0

  constructor(private readonly what: string) {}

  /** How long it has been, in ms. */
  get elapsedMs(): number {
    return performance.now() - this.#startedMs
  }

  /** Shows the count, if it is time to. */
  show(count: number): void {
    const now = performance.now()
    if (!terminal || now - this.#shownMs < PROGRESS_MS) return
    this.#shownMs = now
    const line = `${this.what} ${this.rate(count)}`
    process.stderr.write(`\r${line.padEnd(this.#width)}`)
    this.#width = line.length
  }

  /** `12,345 records in 0.9 s (13,716/s)` */
  rate(count: number): string {
    const seconds = Math.max(this.elapsedMs, 1) / 1000
    const speed = seconds < 0.1 ? '' : ` (${grouped(Math.round(count / seconds))}/s)`
    return `${counted(count, 'record')} in ${seconds.toFixed(1)} s${speed}`
  }

  /** Takes the line away. */
  clear(): void {
    if (this.#width > 0) process.stderr.write(`\r${''.padEnd(this.#width)}\r`)
    this.#width = 0
  }
}

/** `1 record`, `2,000 records` */
export function counted(count: number, noun: string): string {
  return `${grouped(count)} ${noun}${count === 1 ? '' : 's'}`
}

function grouped(count: number): string {
  return count.toLocaleString('en-US')
}
