/** Tables against a naive model, with a ledger of which only what a floor spares is ever read again. */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { OctetReader, OctetWriter } from '../codec/octets.js'
import { Tables } from './tables.js'

const PLAIN = ['a', 'b']
const SCOPED = ['s', 't']
const KEYS = ['', 'k', '__proto__', '\ud800', '\udbff', 'long'.repeat(50)]
const SCOPES = ['', 'w1', '\ud800', 'w2']

type Content = Map<string, unknown>

/** Every row under its table, scope and key. */
class Model {
  rows: Content = new Map()
  static at = (...place: string[]) => place.map(part => JSON.stringify(part)).join()
}

function contentOf(tables: Tables): Content {
  const content: Content = new Map()
  for (const name of PLAIN) {
    const table = tables.table(name)
    const entries = [...table.entries()]
    expect(table.size).toBe(entries.length)
    for (const [key, value] of entries) content.set(Model.at(name, key), value)
  }
  for (const name of SCOPED) {
    const table = tables.scopedTable(name)
    for (const scope of table.scopes()) {
      const rows = [...table.rows(scope)]
      expect(table.size(scope)).toBe(rows.length)
      expect(rows.length).toBeGreaterThan(0)
      for (const [key, value] of rows) content.set(Model.at(name, scope, key), value)
    }
  }
  expect(tables.rows).toBe(content.size)
  return content
}

type Step =
  | { do: 'set' | 'delete'; table: number; key: number; value: unknown }
  | { do: 'setIn' | 'deleteIn' | 'drop' | 'empty'; table: number; scope: number; key: number; value: unknown }
  | { do: 'savepoint' | 'check' | 'settle' | 'takeOver' | 'compact' }
  | { do: 'undo'; to: number }
  | { do: 'write'; rewriteBytes: number }

const value = fc.oneof(
  fc.integer({ min: 0, max: 300 }),
  fc.constantFrom(undefined, null, -0, 'text', 'long text'.repeat(30), [1, { a: [2] }], { u: undefined }),
)
const index = fc.nat(11)
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 8, arbitrary: fc.record({ do: fc.constantFrom('set', 'set', 'delete'), table: index, key: index, value }) },
  {
    weight: 10,
    arbitrary: fc.record({
      do: fc.constantFrom('setIn', 'setIn', 'setIn', 'deleteIn', 'drop', 'empty'),
      table: index,
      scope: index,
      key: index,
      value,
    }),
  },
  { weight: 5, arbitrary: fc.record({ do: fc.constantFrom('savepoint', 'savepoint', 'check', 'settle') }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('undo'), to: fc.nat() }) },
  { weight: 4, arbitrary: fc.record({ do: fc.constant('write'), rewriteBytes: fc.constantFrom(0, 1, 20, 200) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constantFrom('takeOver', 'compact') }) },
)

class Fault extends Error {}

/** What a partition goes through, beside the model. */
class World {
  tables = new Tables()
  readonly model = new Model()
  #committed: Content = new Map()
  #savepoints: { at: number; rows: Content; dirtyBytes: number }[] = []
  /** Follows the owner, entry by entry. */
  #standby = new Tables()
  #ledger: { number: number; bytes: Uint8Array }[] = []
  #number = 0

  take(step: Step): void {
    const { tables, model } = this
    switch (step.do) {
      case 'set':
      case 'delete': {
        const name = PLAIN[step.table % PLAIN.length]!
        const key = KEYS[step.key % KEYS.length]!
        if (step.do === 'delete') {
          tables.table(name).delete(key)
          model.rows.delete(Model.at(name, key))
        } else {
          tables.table(name).set(key, step.value)
          model.rows.set(Model.at(name, key), step.value)
        }
        expect(tables.table(name).has(key)).toBe(step.do === 'set')
        expect(tables.table(name).get(key)).toBe(model.rows.get(Model.at(name, key)))
        return
      }
      case 'setIn':
      case 'deleteIn':
      case 'drop':
      case 'empty': {
        const name = SCOPED[step.table % SCOPED.length]!
        const scope = SCOPES[step.scope % SCOPES.length]!
        const key = KEYS[step.key % KEYS.length]!
        const table = tables.scopedTable(name)
        if (step.do === 'setIn') {
          table.set(scope, key, step.value)
          model.rows.set(Model.at(name, scope, key), step.value)
        } else if (step.do === 'deleteIn') {
          table.delete(scope, key)
          model.rows.delete(Model.at(name, scope, key))
        } else {
          if (step.do === 'drop') table.drop(scope)
          else for (const [each] of [...table.rows(scope)]) table.delete(scope, each)
          for (const each of KEYS) model.rows.delete(Model.at(name, scope, each))
        }
        expect(table.get(scope, key)).toBe(model.rows.get(Model.at(name, scope, key)))
        return
      }
      case 'savepoint':
        this.#savepoints.push({ at: tables.savepoint(), rows: new Map(model.rows), dirtyBytes: tables.dirtyBytes })
        return
      case 'check':
        if (this.#savepoints.length > 0) tables.check(this.#savepoints[0]!.at)
        return
      case 'undo': {
        if (this.#savepoints.length === 0) return
        const index = step.to % this.#savepoints.length
        const { at, rows, dirtyBytes } = this.#savepoints[index]!
        this.#savepoints.length = index + 1
        tables.undo(at)
        model.rows = new Map(rows)
        expect(tables.dirtyBytes).toBe(dirtyBytes)
        expect(contentOf(tables)).toEqual(model.rows)
        return
      }
      case 'settle':
        return this.#settle()
      case 'write':
        return this.#write(step.rewriteBytes)
      case 'takeOver':
        // The owner dies; what it had not written is gone with it.
        this.tables = this.#replayed()
        this.model.rows = new Map(this.#committed)
        this.#savepoints = []
        return
      case 'compact':
        return this.#compact()
    }
  }

  #settle(): void {
    this.tables.settle()
    this.#savepoints = []
  }

  #write(rewriteBytes: number): void {
    this.#settle()
    const { tables, model } = this
    const changed = tables.dirtyBytes > 0
    const bytes = this.#append(tables, ++this.#number, rewriteBytes)
    this.#ledger.push({ number: this.#number, bytes })
    expect(tables.dirtyBytes).toBe(0)
    if (rewriteBytes === 0) expect(bytes.length > 1).toBe(changed)
    this.#committed = new Map(model.rows)
    // Sooner than any owner would, so that every entry above the floor has to do.
    this.#ledger = this.#ledger.filter(entry => entry.number >= tables.floor())
    this.#standby.read(this.#reader(bytes), this.#number)
    for (const other of [this.#replayed(), this.#standby]) this.#expectSame(other)
    const bound = this.#ledger.reduce((sum, entry) => sum + entry.bytes.length, 0)
    expect(tables.liveBytes).toBeLessThanOrEqual(bound)
  }

  /** Others re-write the same rows in the same order: they stand in the same last-written order. */
  #compact(): void {
    this.#write(0)
    const twin = this.#replayed()
    const bytes = this.#append(this.tables, ++this.#number, 300)
    expect(Buffer.from(this.#append(twin, this.#number, 300)).equals(bytes)).toBe(true)
    this.#ledger.push({ number: this.#number, bytes })
    this.#standby.read(this.#reader(bytes), this.#number)
    this.#expectSame(twin)
    this.#expectSame(this.#standby)
  }

  #append(tables: Tables, number: number, rewriteBytes: number): Uint8Array {
    const out = new OctetWriter(0)
    tables.write(out, number, rewriteBytes)
    return out.done()
  }

  #replayed(): Tables {
    const tables = new Tables()
    for (const { number, bytes } of this.#ledger) tables.read(this.#reader(bytes), number)
    return tables
  }

  #reader = (bytes: Uint8Array) => new OctetReader(bytes, what => new Fault(what))

  #expectSame(other: Tables): void {
    expect(contentOf(other)).toEqual(this.model.rows)
    expect(contentOf(this.tables)).toEqual(this.model.rows)
    expect(other.floor()).toBe(this.tables.floor())
    expect(other.liveBytes).toBe(this.tables.liveBytes)
    expect(other.dirtyBytes).toBe(0)
  }
}

test('what is left of the ledger gives back the live state, whatever was set, deleted, dropped, undone and re-written', () => {
  fc.assert(
    fc.property(fc.array(step, { minLength: 1, maxLength: 120, size: 'max' }), steps => {
      const world = new World()
      for (const each of steps) world.take(each)
      world.take({ do: 'write', rewriteBytes: 0 })
    }),
    { numRuns: 150 },
  )
})

test('bytes that no write gave are the fault of the reader, and nothing else', () => {
  const written = (steps: Step[]) => {
    const world = new World()
    for (const each of steps) if (each.do === 'set' || each.do === 'setIn' || each.do === 'drop') world.take(each)
    const out = new OctetWriter(0)
    world.tables.write(out, 1, 0)
    return out.done()
  }
  const survives = (bytes: Uint8Array) => {
    try {
      new Tables().read(new OctetReader(bytes, what => new Fault(what)), 1)
    } catch (error) {
      expect(error).toBeInstanceOf(Fault)
    }
  }
  fc.assert(fc.property(fc.uint8Array({ maxLength: 60 }), survives), { numRuns: 1000 })
  fc.assert(
    fc.property(fc.array(fc.nat(8), { maxLength: 60 }), bytes => survives(Uint8Array.from(bytes))),
    { numRuns: 3000 },
  )
  fc.assert(
    fc.property(fc.array(step, { minLength: 5, maxLength: 30 }), fc.nat(), fc.nat(255), (steps, at, byte) => {
      const bytes = written(steps)
      bytes[at % bytes.length] = byte
      survives(bytes)
    }),
    { numRuns: 1000 },
  )
})
