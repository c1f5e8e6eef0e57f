/**
 * `run --respawn`: the node in a child process, started again when it crashes, and ended with when it ends by its own
 * decision. Knows nothing of pipelines or logs.
 */
import { spawn } from 'node:child_process'
import { constants } from 'node:os'
import { systemClock, pause } from '../clock.js'
import { RESPAWNED } from './decision.js'
import { exits, Told } from './failure.js'
import { alarming, say } from './terminal.js'

const FLAG = '--respawn'
const WAIT_MIN_MS = 100
const WAIT_MAX_MS = 30_000
/** A node that ran for so long was in health. */
const HEALTHY_MS = 60_000

/** How long to wait before it is started again: twice as long each time, until it was in health. */
export class Backoff {
  #waitMs = WAIT_MIN_MS

  /** After a life of so long. */
  next(livedMs: number): number {
    if (livedMs >= HEALTHY_MS) this.#waitMs = WAIT_MIN_MS
    const waitMs = this.#waitMs
    this.#waitMs = Math.min(2 * waitMs, WAIT_MAX_MS)
    return waitMs
  }
}

/** How a child ended. */
interface Ended {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
  /** It said before that this is its end. */
  readonly decided: boolean
}

/** Runs this very command without the flag until it ends for good. Throws `Told` when its code is not 0. */
export async function respawn(): Promise<void> {
  const backoff = new Backoff()
  const stop = new AbortController()
  const isAsked = () => stop.signal.aborted
  let child: Child | undefined
  for (const name of ['SIGINT', 'SIGTERM'] as const) {
    process.on(name, () => {
      const isForced = isAsked()
      stop.abort()
      child?.kill(isForced ? 'SIGKILL' : name)
    })
  }
  for (;;) {
    const beganMs = performance.now()
    child = new Child()
    const ended = await child.ended
    child = undefined
    if (ended.decided || isAsked()) {
      endWith(ended)
      return
    }
    const waitMs = backoff.next(performance.now() - beganMs)
    say(`${alarming('stream-node:')} the node ended ${howOf(ended)}; it is started again in ${waitMs} ms`)
    await pause(systemClock, waitMs, stop.signal)
    // Nothing runs that would have to be brought to its end.
    if (isAsked()) return
  }
}

class Child {
  readonly ended: Promise<Ended>
  readonly kill: (signal: NodeJS.Signals) => void

  constructor() {
    const [, main = '', ...args] = process.argv
    const child = spawn(process.execPath, [...process.execArgv, main, ...withoutFlag(args)], {
      stdio: ['inherit', 'inherit', 'inherit', 'ipc'],
      env: { ...process.env, [RESPAWNED]: '1' },
    })
    let decided = false
    child.on('message', message => {
      decided ||= typeof message === 'object' && 'decided' in message
    })
    this.kill = signal => void child.kill(signal)
    this.ended = new Promise((resolve, reject) => {
      child.once('error', reject)
      child.once('exit', (code, signal) => resolve({ code, signal, decided }))
    })
  }
}

/** What is typed behind `--` are files. */
function withoutFlag(args: readonly string[]): string[] {
  const files = args.indexOf('--')
  return args.filter((arg, i) => arg !== FLAG || (files >= 0 && i > files))
}

function howOf({ code, signal }: Ended): string {
  return signal === null ? `with code ${code}` : `by ${signal}`
}

function endWith({ code, signal }: Ended): void {
  const exitCode = code ?? 128 + (signal === null ? 0 : constants.signals[signal])
  if (exitCode !== exits.ok) throw new Told(exitCode)
}
