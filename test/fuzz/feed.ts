/** Feeds one input to a target and says what is wrong with how it ended: its error, its time, its memory. */
import { isTyped, Unsound, WITHIN_MS, type Target } from './target.js'

export interface Finding {
  readonly target: string
  readonly index: number
  readonly what: string
  /** The input, or its beginning. */
  readonly input: string
}

/** A slow one is tried again: the machine may have been busy. */
const TRIES = 4
/** By how much one input may raise the most memory that the process ever had: this much, and so much for each byte. */
const MEMORY_BYTES = 64 * 1024 * 1024
const MEMORY_PER_BYTE = 128

/** What is wrong; undefined when all is well. */
export async function feed(
  target: Target,
  bytes: Uint8Array,
  withinMs = target.slow?.ms ?? WITHIN_MS,
): Promise<string | undefined> {
  let shortestMs = Infinity
  for (let tries = 0; tries < TRIES && shortestMs > withinMs; tries++) {
    const memory = process.resourceUsage().maxRSS
    const [began, worked] = [performance.now(), process.cpuUsage()]
    const fault = await faultOf(target, bytes)
    // Who waits for a core does not work, and who has several works on more than the input.
    const { user, system } = process.cpuUsage(worked)
    shortestMs = Math.min(shortestMs, performance.now() - began, (user + system) / 1000)
    if (fault !== undefined) return fault
    const grown = (process.resourceUsage().maxRSS - memory) * 1024
    if (grown > MEMORY_BYTES + MEMORY_PER_BYTE * bytes.length) {
      return `took ${Math.round(grown / 1024 / 1024)} MB for ${bytes.length} bytes`
    }
  }
  return shortestMs > withinMs ? `took ${Math.round(shortestMs)} ms for ${bytes.length} bytes` : undefined
}

async function faultOf(target: Target, bytes: Uint8Array): Promise<string | undefined> {
  try {
    const value = target.read(bytes)
    if (value instanceof Promise) await value
    return undefined
  } catch (error) {
    if (error instanceof Unsound) return error.message
    const may = target.mayThrow === undefined ? isTyped(error) : target.mayThrow(error)
    if (may) return undefined
    const told = error instanceof Error ? (error.stack ?? error.message) : String(error)
    return `threw what is no error of ours: ${told.split('\n').slice(0, 6).join('\n')}`
  }
}

const SHOWN_BYTES = 2000

export function shown(bytes: Uint8Array): string {
  const begin = Buffer.from(bytes.subarray(0, SHOWN_BYTES)).toString('hex')
  return bytes.length > SHOWN_BYTES ? `${begin}... (${bytes.length} bytes)` : begin
}
