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
const OLD_FORM_WORDS = 9
const OLD_FORM_NAMES = 4
const NEW_FORM_NAMES = 6
const NS_DIGITS_BELOW_MS = 6

/** Reads the numbers in one pass, without taking the text apart. */
export function parseDelivery(reply: string): Delivery {
  let names = OLD_FORM_NAMES
  let at = skipWords(reply, 0, names + 1)
  const position = number(reply, at)
  at = reply.indexOf('.', at) + 1
  const consumerSequence = number(reply, at)
  at = reply.indexOf('.', at) + 1
  const timeAt = at
  at = reply.indexOf('.', at) + 1
  if (at > 0 && reply.indexOf('.', at) < 0) {
    const time = number(reply, timeAt, at - 1 - NS_DIGITS_BELOW_MS)
    return { position, consumerSequence, time, behind: number(reply, at) }
  }
  names = NEW_FORM_NAMES
  const words = reply.split('.')
  if (words.length < OLD_FORM_WORDS + 2) throw new InvariantError(`a record came with the unknown reply "${reply}"`)
  return {
    position: Number(words[names + 1]),
    consumerSequence: Number(words[names + 2]),
    time: Number((words[names + 3] as string).slice(0, -NS_DIGITS_BELOW_MS)),
    behind: Number(words[names + 4]),
  }
}

function skipWords(text: string, from: number, count: number): number {
  let at = from
  for (let i = 0; i < count; i++) at = text.indexOf('.', at) + 1
  return at
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
