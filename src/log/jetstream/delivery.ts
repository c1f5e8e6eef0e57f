/**
 * What a delivered message tells in its reply subject: the numbers after the names of stream and consumer, in the old
 * form `$JS.ACK.<stream>.<consumer>.<try>.<position>.<in consumer>.<ns>.<pending>` and in the newer one, which has a
 * domain and an account before the names and a random word at the end.
 */
import { InvariantError } from '../../errors.js'
import type { Position } from '../record.js'

export interface Delivery {
  readonly position: Position
  /** Counts the deliveries of the consumer from 1, so that a lost one shows. */
  readonly consumerSequence: number
  /** When the server stored it, in ms. */
  readonly time: number
  /** How many more it had ready. */
  readonly behind: number
}

const DOT = '.'.charCodeAt(0)
const ZERO = '0'.charCodeAt(0)
/** Words before the numbers: `$JS`, `ACK`, stream, consumer; and with domain and account. */
const OLD_FORM_NAMES = 4
const NEW_FORM_NAMES = 6
const NEW_FORM_WORDS = 11
const NS_DIGITS_BELOW_MS = 6

/** Reads the numbers in one pass, without taking the text apart. Throws for a reply that is no delivery. */
export function parseDelivery(reply: string): Delivery {
  let at = 0
  for (let word = 0; word < OLD_FORM_NAMES + 1; word++) at = nextWord(reply, at)
  const position = number(reply, at)
  at = nextWord(reply, at)
  const consumerSequence = number(reply, at)
  const timeAt = nextWord(reply, at)
  at = nextWord(reply, timeAt)
  if (reply.indexOf('.', at) >= 0) return parseNewForm(reply)
  const time = number(reply, timeAt, at - 1 - NS_DIGITS_BELOW_MS)
  return { position, consumerSequence, time, behind: number(reply, at) }
}

function parseNewForm(reply: string): Delivery {
  const words = reply.split('.')
  if (words.length < NEW_FORM_WORDS) throw unknown(reply)
  const [, position, consumerSequence, time, behind] = words.slice(NEW_FORM_NAMES)
  return {
    position: Number(position),
    consumerSequence: Number(consumerSequence),
    time: Number(time?.slice(0, -NS_DIGITS_BELOW_MS)),
    behind: Number(behind),
  }
}

/** Where the next word begins. */
function nextWord(reply: string, from: number): number {
  const dot = reply.indexOf('.', from)
  if (dot < 0) throw unknown(reply)
  return dot + 1
}

function unknown(reply: string): InvariantError {
  return new InvariantError(`a record came with the unknown reply "${reply}"`)
}

/** The number that begins here, up to a dot or `end`. */
function number(text: string, from: number, end = text.length): number {
  let value = 0
  for (let i = from; i < end; i++) {
    const code = text.charCodeAt(i)
    if (code === DOT) break
    value = value * 10 + code - ZERO
  }
  return value
}
