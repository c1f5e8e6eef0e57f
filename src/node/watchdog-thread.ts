/**
 * The thread of the watchdog. It shares with the main thread no more than a few numbers, writes to stderr by itself, and
 * asks the main thread for its stack as a debugger would, which V8 answers amid an endless loop.
 */
import { writeSync } from 'node:fs'
import { Session } from 'node:inspector'
import { parentPort, workerData } from 'node:worker_threads'
import { NOBODY, SLOTS, type SeatNamed, type WatchdogData } from './watchdog.js'

const EXIT_CODE = 5
/** A main thread in native code does not answer a debugger. */
const ANSWER_MS = 2000
const FRAMES_MAX = 20
const WRITE_TRIES_MAX = 100
const WRITE_PAUSE_MS = 10

const { memory, limitMs, tickMs } = workerData as WatchdogData
const slots = new Float64Array(memory)
const names = new Map<number, SeatNamed>()
parentPort?.on('message', (named: SeatNamed) => names.set(named.seat, named))

let beats = slots[SLOTS.beats]
let movedMs = performance.now()
let lookedMs = movedMs
const looking = setInterval(() => {
  const now = performance.now()
  // When this thread stood still too, the whole process was stopped, or the machine asleep.
  const stoodStill = now - lookedMs > 3 * tickMs + 500
  lookedMs = now
  if (slots[SLOTS.beats] !== beats || stoodStill) {
    beats = slots[SLOTS.beats]
    movedMs = now
  } else if (now - movedMs >= limitMs) {
    clearInterval(looking)
    end()
  }
}, tickMs)

function end(): void {
  say(`stream-node: this process has not moved for ${limitMs / 1000} s and is ended: ${atWork()}`)
  setTimeout(() => {
    say('  it is in native code and does not say where')
    kill()
  }, ANSWER_MS)
  const session = new Session()
  session.connectToMainThread()
  const scripts = new Map<string, string>()
  session.on('Debugger.scriptParsed', ({ params }) => scripts.set(params.scriptId, params.url))
  session.on('Debugger.paused', ({ params }) => {
    for (const { functionName, location } of params.callFrames.slice(0, FRAMES_MAX)) {
      const { scriptId, lineNumber, columnNumber = 0 } = location
      const name = functionName || '<anonymous>'
      say(`    at ${name} (${scripts.get(scriptId) ?? ''}:${lineNumber + 1}:${columnNumber + 1})`)
    }
    const callFrameId = params.callFrames[0]?.callFrameId ?? ''
    // All is said, and the inspector would add that it waits for a debugger.
    const hush = "globalThis.process.getBuiltinModule('node:fs').closeSync(2)"
    const expression = `${hush}; globalThis.process.reallyExit(${EXIT_CODE})`
    session.post('Debugger.evaluateOnCallFrame', { callFrameId, expression }, error => {
      if (error !== null) kill()
    })
  })
  session.post('Debugger.enable', () => session.post('Debugger.pause'))
}

function atWork(): string {
  const [seat, source, first, last] = [SLOTS.seat, SLOTS.source, SLOTS.first, SLOTS.last].map(slot => slots[slot] ?? 0)
  if (seat === undefined || seat === NOBODY) return 'no partition was walking records'
  const named = names.get(seat)
  const positions = first === last ? `position ${first}` : `positions ${first} to ${last}`
  return `${named?.name ?? 'a partition'} was walking stream "${named?.sources[source ?? 0] ?? ''}", ${positions}`
}

/** Past the main thread, which is busy. A pipe that nobody reads is not waited for. */
function say(line: string): void {
  let left: Uint8Array = Buffer.from(`${line}\n`)
  for (let tries = 0; left.length > 0 && tries < WRITE_TRIES_MAX; tries++) {
    try {
      left = left.subarray(writeSync(2, left))
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') return
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, WRITE_PAUSE_MS)
    }
  }
}

function kill(): void {
  process.kill(process.pid, 'SIGKILL')
}
