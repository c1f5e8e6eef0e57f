/**
 * Asks the server itself, once per link, whether a compare-and-set and an id do what all above rests on. A proxy, an
 * export or a server of tomorrow that takes such writes as ordinary ones would break every promise in silence.
 */
import { DefinitionError } from '../../errors.js'
import { encodeHeaders } from '../record.js'
import { NOTES_BUCKET } from './floors.js'
import type { Link } from './link.js'
import type { Writer } from './writer.js'

/** Where it is tried out: an entry that nothing rests on. */
export const PROBE = `$KV.${NOTES_BUCKET}.probe`
/** A position that no stream reaches. */
const NEVER = 2 ** 53 - 1

/** How the test ended: the server refuses what it must; we may not write there; it cannot be asked just now. */
export type Verdict = 'safe' | 'untested' | 'away'

/** Rejects with `UNSAFE_SERVER` when the server stores what it must refuse; false when it cannot be asked just now. */
export async function checkServer(link: Link, writer: Writer): Promise<boolean> {
  return (await testServer(link, writer)) !== 'away'
}

/** Likewise, and tells more of how it ended. */
export async function testServer(link: Link, writer: Writer): Promise<Verdict> {
  const lane = writer.lane(`KV_${NOTES_BUCKET}`)
  const send = (headers: Record<string, string> | undefined, id: string | undefined) =>
    writer.append(lane, PROBE, encodeHeaders(headers, id), Buffer.from(link.tools.chance.name()))
  const expected = await send({ 'Nats-Expected-Last-Subject-Sequence': `${NEVER}` }, undefined)
  if (expected.ending === 'stored') throw unsafe(link, 'stored a write that expected another position')
  const id = `probe/${link.tools.chance.name()}`
  const [first, second] = [await send(undefined, id), await send(undefined, id)]
  if (first.ending === 'stored' && second.ending === 'stored' && !second.repeat) {
    throw unsafe(link, 'stored a write twice under one id')
  }
  if (expected.ending !== 'refused' || expected.why === 'unavailable') return 'away'
  return expected.why === 'expected' ? 'safe' : 'untested'
}

function unsafe(link: Link, what: string): DefinitionError {
  const mend = 'connect to JetStream itself, without an import, export or proxy between that drops headers'
  return new DefinitionError('UNSAFE_SERVER', `${link.server} (nats-server ${link.version}) ${what}`, mend)
}
