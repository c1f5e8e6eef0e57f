/**
 * A writer as the commit has it: appends in order, pipelined, each with an id; whatever ended without being stored is
 * settled by sending it again, the oldest alone until it is stored, then all after it.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import type { Append, Ending, LogStream, Stored } from '../src/log/log.js'

export interface Writing {
  readonly stream: LogStream
  /** The record of a number, always with the same bytes and an id. */
  readonly record: (number: number) => Append
  /** Once true, nothing new is sent, and what was sent is settled. */
  readonly until: () => boolean
  /** Told of each append that ended stored, of one number also several times. */
  readonly stored?: (number: number, ending: Stored) => void
  /** Told of each that ended otherwise. */
  readonly failed?: (number: number, ending: Exclude<Ending, Stored>) => void
}

/** How many are sent in one go before the event loop has its turn, so that many are in flight when something breaks. */
const BURST = 400
const BETWEEN_BURSTS_MS = 10

/** Writes records 0, 1, 2, ... until told to stop and gives how many are stored. Rejects when one is refused for good. */
export async function writeSettled({ stream, record, until, stored, failed }: Writing): Promise<number> {
  let sent = 0
  const send = async (number: number): Promise<boolean> => {
    sent = Math.max(sent, number + 1)
    const ending = await stream.append(record(number))
    if (ending.ending === 'stored') {
      stored?.(number, ending)
      return true
    }
    failed?.(number, ending)
    if (ending.ending === 'refused' && ending.why !== 'unavailable') throw ending.error
    return false
  }
  const room = async () => {
    for (let wait = stream.room(); wait !== undefined; wait = stream.room()) await wait
  }

  for (let oldest = 0; ;) {
    await room()
    if (!(await send(oldest))) {
      await sleep(5)
      continue
    }
    let next = oldest + 1
    let lost = Infinity
    const flights: Promise<void>[] = []
    while (lost === Infinity && (next < sent || !until())) {
      const number = next++
      const settle = (ok: boolean) => void (lost = ok ? lost : Math.min(lost, number))
      flights.push(send(number).then(settle))
      if (number % BURST === 0) await sleep(BETWEEN_BURSTS_MS)
      await room()
    }
    await Promise.all(flights)
    if (lost === Infinity) return sent
    oldest = lost
  }
}
