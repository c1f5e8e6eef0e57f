/**
 * Asks the server itself, once per link, whether a compare-and-set and an id do what all above rests on. A proxy, an
 * export or a server of tomorrow that takes such writes as ordinary ones would break every promise in silence.
 */
import { DefinitionError } from '../../errors.js'
import { encodeHeaders } from '../record.js'
import { NOTES_BUCKET } from './floors.js'
import type { Link } from './link.js'
import type { Writer } from './writer.js'

const PROBE = `$KV.${NOTES_BUCKET}.probe`
/** A position that no stream reaches. */
const NEVER = 2 ** 53 - 1

/** Rejects with `UNSAFE_SERVER` when the server stores what it must refuse; false when it cannot be asked just now. */
export async function checkServer(link: Link, writer: Writer): Promise<boolean> {
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
  return expected.ending === 'refused' && expected.why !== 'unavailable'
}

function unsafe(link: Link, what: string): DefinitionError {
  const mend = 'connect to JetStream itself, without an import, export or proxy between that drops headers'
  return new DefinitionError('UNSAFE_SERVER', `${link.server} (nats-server ${link.version}) ${what}`, mend)
}
