/**
 * What the owners of a partition tell the next one about how they ended: how many in a row died soon, and what was on
 * trial when the last one did. Stands in claims, marks and releases of the ledger.
 */
import { OctetWriter } from '../codec/octets.js'
import type { Position } from '../log/record.js'
import { bodyReader } from './entry.js'

export interface Notes {
  /** How many owners in a row died, all but the first of them soon after their claim. */
  readonly deaths: number
  /** Present while records are tried because of these deaths. */
  readonly trial: TrialNotes | undefined
}

/** What is tried: the records that an owner which died can have had in hand. */
export interface TrialNotes {
  /** What is being walked, and so may be why its owner dies: nothing, any of them, or the first of `accused` alone. */
  readonly walks: 'nothing' | 'batch' | 'one'
  readonly sources: readonly Tried[]
  readonly accused: readonly Accused[]
}

export interface Place {
  readonly stream: string
  readonly position: Position
}

/** How much of a source is to be tried: up to this position, where it ended when the trial began. */
export interface Tried extends Place {
  /** No more records than this. */
  readonly left: number
}

/** A record that was walked alone, or is about to be. */
export interface Accused extends Place {
  /** How many owners died while it was tried, alone or among others. */
  readonly deaths: number
}

/** What an owner left to the next one. */
export interface Left {
  /** As they were written last; without any, as if nothing had happened. */
  readonly notes: Notes
  /** How many entries were committed since then, of those that are retained. */
  readonly commits: number
  /** `released`: its process lived on when it ended; `cut off`: it may have died; `new`: there was none. */
  readonly how: 'released' | 'cut off' | 'new'
}

/** Nobody died. */
export const UNSUSPECTED: Notes = { deaths: 0, trial: undefined }

const WALKS: readonly TrialNotes['walks'][] = ['nothing', 'batch', 'one']

/** The body of a claim, a mark or a release; empty for a partition that nobody suspects. */
export function encodeNotes({ deaths, trial }: Notes): Uint8Array {
  if (deaths === 0 && trial === undefined) return new Uint8Array(0)
  const out = new OctetWriter(64)
  out.varint(deaths)
  if (trial === undefined) return out.done()
  out.byte(WALKS.indexOf(trial.walks))
  out.varint(trial.sources.length)
  for (const { stream, position, left } of trial.sources) {
    out.text(stream)
    out.varint(position)
    out.varint(left)
  }
  out.varint(trial.accused.length)
  for (const { stream, position, deaths } of trial.accused) {
    out.text(stream)
    out.varint(position)
    out.varint(deaths)
  }
  return out.done()
}

/** Throws an `IntegrityError` for what nobody wrote. `where` says which message it is. */
export function decodeNotes(body: Uint8Array, where: string): Notes {
  if (body.length === 0) return UNSUSPECTED
  const from = bodyReader(body, where)
  const deaths = from.varint()
  if (from.left === 0) return { deaths, trial: undefined }
  const walks = WALKS[from.byte()]
  if (walks === undefined) throw from.fault('what is walked is unknown')
  const sources: Tried[] = []
  for (let count = from.varint(); count > 0; count--) {
    sources.push({ stream: from.text(from.varint()), position: from.varint(), left: from.varint() })
  }
  const accused: Accused[] = []
  for (let count = from.varint(); count > 0; count--) {
    accused.push({ stream: from.text(from.varint()), position: from.varint(), deaths: from.varint() })
  }
  return { deaths, trial: { walks, sources, accused } }
}
