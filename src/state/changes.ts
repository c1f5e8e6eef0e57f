/**
 * The changes of a write, byte by byte: one after the other, each naming its table and scope when they differ from those
 * of the change before. Read in that order they give the state that was written.
 */
import type { OctetReader, OctetWriter } from '../codec/octets.js'
import { readPlain, readText, writePlain, writeText } from './plain.js'

const END = 0
const TABLE = 1
const SCOPED_TABLE = 2
const SCOPE = 3
const DROP = 4
const SET = 5
const DELETE = 6

/** Where rows are. */
export interface Place {
  readonly table: string
  /** undefined in a plain table. */
  readonly scope: string | undefined
}

export class ChangeWriter {
  #table: string | undefined
  #place: Place | undefined
  /** Where the last change ended. */
  #from: number

  constructor(private readonly out: OctetWriter) {
    this.#from = out.length
  }

  /** How many bytes it took, with what names its place; -1 when the value cannot be stored. */
  set(place: Place, key: string, value: unknown): number {
    this.#goTo(place)
    this.out.byte(SET)
    writeText(this.out, key)
    return writePlain(this.out, value) ? this.#took() : -1
  }

  delete(place: Place, key: string): void {
    this.#goTo(place)
    this.out.byte(DELETE)
    writeText(this.out, key)
    this.#took()
  }

  drop(place: Place): void {
    this.#goToTable(place)
    this.out.byte(DROP)
    writeText(this.out, place.scope as string)
    this.#place = undefined
    this.#took()
  }

  end(): void {
    this.out.byte(END)
  }

  #took(): number {
    const bytes = this.out.length - this.#from
    this.#from = this.out.length
    return bytes
  }

  #goTo(place: Place): void {
    if (place === this.#place) return
    this.#goToTable(place)
    this.#place = place
    if (place.scope === undefined) return
    this.out.byte(SCOPE)
    writeText(this.out, place.scope)
  }

  #goToTable({ table, scope }: Place): void {
    if (table === this.#table) return
    this.#table = table
    this.out.byte(scope === undefined ? TABLE : SCOPED_TABLE)
    writeText(this.out, table)
  }
}

/** Whom `readChanges` tells what it reads. */
export interface ChangeReader {
  /** The rows to come are of this place. */
  goTo(table: string, scope: string | undefined): void
  /** `size`: as `ChangeWriter.set` gave it. */
  set(key: string, value: unknown, size: number): void
  delete(key: string): void
  drop(table: string, scope: string): void
}

/** Reads all changes of one write, or throws the reader's fault on its way. */
export function readChanges(from: OctetReader, reader: ChangeReader): void {
  let left = from.left
  let table: string | undefined
  let scoped = false
  let placed = false
  for (;;) {
    const change = from.byte()
    switch (change) {
      case END:
        return
      case TABLE:
      case SCOPED_TABLE:
        table = readText(from)
        scoped = change === SCOPED_TABLE
        placed = !scoped
        if (placed) reader.goTo(table, undefined)
        continue
      case SCOPE:
        if (table === undefined || !scoped) throw from.fault('it names a scope, and no table that has some')
        reader.goTo(table, readText(from))
        placed = true
        continue
      case DROP:
        if (table === undefined || !scoped) throw from.fault('it drops a scope, and names no table that has some')
        reader.drop(table, readText(from))
        placed = false
        break
      case SET: {
        if (!placed) throw from.fault('it sets a row, and names no table or scope')
        const key = readText(from)
        const value = readPlain(from)
        reader.set(key, value, left - from.left)
        break
      }
      case DELETE:
        if (!placed) throw from.fault('it deletes a row, and names no table or scope')
        reader.delete(readText(from))
        break
      default:
        throw from.fault(`it has a change of the unknown kind ${change}`)
    }
    left = from.left
  }
}
