/** What is fuzzed: one way from bytes that may come from anywhere to a value or an error of ours. */
import { StreamNodeError } from '../../src/errors.js'

export interface Target {
  readonly name: string
  /** Bytes that are as they should be. */
  readonly samples: readonly Uint8Array[]
  /** What is put between or over the bytes of a sample: lengths that lie, texts that break. */
  readonly pieces: readonly Uint8Array[]
  /** So many bytes at the front that most inputs leave alone, lest all of them fail at the door. Default none. */
  readonly keep?: number
  /** Inputs that were thought up. */
  readonly bombs?: readonly Uint8Array[]
  /** How many of the inputs it gets, where others get 1: less for those that are slow by their nature. */
  readonly share?: number
  /** The longest that it may take over one input, in ms, where that is more than `WITHIN_MS`; and why. */
  readonly slow?: { readonly ms: number; readonly why: string }
  /** Reads: gives a value, or throws. The same bytes give the same again. */
  read(bytes: Uint8Array): unknown
  /** Whether this may be thrown. Default: any error of ours that has a code. */
  mayThrow?(error: unknown): boolean
}

/** How long a target may take over one input, in ms. */
export const WITHIN_MS = 10

export function isTyped(error: unknown): boolean {
  return error instanceof StreamNodeError && error.code.length > 0 && error.message.length > 0
}

export const text = (given: string): Uint8Array => Buffer.from(given)
export const hex = (given: string): Uint8Array => Buffer.from(given, 'hex')

/** The errors that must not come: for what is fine to throw where it is heard, and a fault where it is swallowed. */
export class Unsound extends Error {
  override readonly name = 'Unsound'
}

/** Throws when what a decoder gave is no value that it should have given. */
export function sound(holds: boolean, what: string): void {
  if (!holds) throw new Unsound(what)
}
