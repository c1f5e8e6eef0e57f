import { describe, expect, test } from 'vitest'
import { OctetReader, OctetWriter } from '../codec/octets.js'
import { DefinitionError, InvariantError } from '../errors.js'
import { Tables } from './tables.js'
import { ScopedRows } from './views.js'

class Fault extends Error {}

function written(tables: Tables, number: number, rewriteBytes = 0): Uint8Array {
  const out = new OctetWriter(0)
  tables.write(out, number, rewriteBytes)
  return out.done()
}

const read = (tables: Tables, bytes: Uint8Array, number: number) =>
  tables.read(new OctetReader(bytes, what => new Fault(what)), number)

const thrownBy = (work: () => void): unknown => {
  try {
    work()
  } catch (error) {
    return error
  }
  return undefined
}

describe('a table', () => {
  test('is the same for the same name, and has one form', () => {
    const tables = new Tables()
    expect(tables.table('a')).toBe(tables.table('a'))
    expect(tables.scopedTable('s')).toBe(tables.scopedTable('s'))
    expect(() => tables.scopedTable('a')).toThrow(InvariantError)
    expect(() => tables.scopedTable('a')).toThrow('"a"')
    expect(() => tables.table('s')).toThrow('"s"')
  })

  test('keeps what was read before anybody opened it, in the form it was written in', () => {
    const owner = new Tables()
    owner.table('a').set('k', 1)
    owner.scopedTable('s').set('w', 'k', 2)
    const tables = new Tables()
    read(tables, written(owner, 1), 1)
    expect(() => tables.scopedTable('a')).toThrow(InvariantError)
    expect(() => tables.table('s')).toThrow(InvariantError)
    expect(tables.table('a').get('k')).toBe(1)
    expect(tables.scopedTable('s').get('w', 'k')).toBe(2)
  })

  test('opened in one form does not read the other', () => {
    const owner = new Tables()
    owner.table('a').set('k', 1)
    const bytes = written(owner, 1)
    const tables = new Tables()
    tables.scopedTable('a')
    expect(() => read(tables, bytes, 1)).toThrow(Fault)
  })

  test('tells a row with undefined from none', () => {
    const table = new Tables().table('a')
    table.set('k', undefined)
    expect([table.get('k'), table.has('k'), table.has('other'), table.size]).toEqual([undefined, true, false, 1])
  })
})

describe('dirtyBytes', () => {
  test('is 0 when all that was made is gone again', () => {
    const tables = new Tables()
    const [table, scoped] = [tables.table('a'), tables.scopedTable('s')]
    table.set('k', 'text')
    scoped.set('w', 'k', { n: 1 })
    expect(tables.dirtyBytes).toBeGreaterThan(0)
    table.delete('k')
    scoped.drop('w')
    expect(tables.dirtyBytes).toBe(0)
    expect(written(tables, 1)).toHaveLength(1)
  })

  test('forgets with a turn what its check had found', () => {
    const tables = new Tables()
    const table = tables.table('a')
    table.set('k', { n: 1 })
    const before = tables.savepoint()
    table.set('k', { text: 'x'.repeat(1000) })
    tables.check(before)
    expect(tables.dirtyBytes).toBeGreaterThan(1000)
    tables.undo(before)
    table.delete('k')
    expect(tables.dirtyBytes).toBe(0)
  })

  test('is near what a write then takes, once values were checked', () => {
    const tables = new Tables()
    const savepoint = tables.savepoint()
    for (let i = 0; i < 1000; i++)
      tables.table('a').set(`key-${i}`, { count: i, tags: ['a', 'b'], text: 'x'.repeat(i) })
    tables.check(savepoint)
    tables.settle()
    const guess = tables.dirtyBytes
    const bytes = written(tables, 1).length
    expect(guess / bytes).toBeGreaterThan(0.7)
    expect(guess / bytes).toBeLessThan(1.4)
  })
})

describe('a value that cannot be stored', () => {
  test('fails the turn at its check, named by table, scope, key and path', () => {
    const tables = new Tables()
    const first = tables.savepoint()
    tables.table('step 1').set('good', { n: 1 })
    const second = tables.savepoint()
    tables.scopedTable('step 2').set('w1', 'bad', { seen: [new Set()] })
    const error = thrownBy(() => tables.check(second))
    expect(error).toBeInstanceOf(DefinitionError)
    expect(error).toMatchObject({ code: 'NOT_STORABLE' })
    expect(String(error)).toContain('in the row "bad" of the scope "w1" of the table "step 2", value.seen[0] is a Set')
    expect(() => tables.check(first)).toThrow('a Set')
    tables.undo(second)
    tables.check(first)
  })

  test('is looked for only in what the savepoint has not seen, and not in what is gone', () => {
    const tables = new Tables()
    const table = tables.table('a')
    tables.savepoint()
    table.set('bad', new Map())
    const second = tables.savepoint()
    table.set('other', new Map())
    table.delete('other')
    tables.scopedTable('s').set('w', 'k', new Map())
    tables.scopedTable('s').drop('w')
    tables.check(second)
  })

  test('changes nothing when only the write meets it', () => {
    const tables = new Tables()
    const table = tables.table('a')
    table.set('old', 1)
    written(tables, 1)
    table.set('good', 1)
    table.delete('old')
    table.set('bad', new Date(0))
    const { dirtyBytes, liveBytes } = tables
    expect(() => written(tables, 2, 100)).toThrow('in the row "bad" of the table "a", value is a Date')
    expect([tables.dirtyBytes, tables.liveBytes, tables.floor(), tables.rows]).toEqual([dirtyBytes, liveBytes, 1, 2])
    table.delete('bad')
    const bytes = written(tables, 2)
    const other = new Tables()
    read(other, bytes, 2)
    expect([...other.table('a').entries()]).toEqual([['good', 1]])
  })
})

describe('the ledger', () => {
  test('holds a deleted row up until its deletion is written', () => {
    const tables = new Tables()
    tables.table('a').set('k', 1)
    tables.scopedTable('s').set('w', 'k', 1)
    written(tables, 1)
    tables.table('a').set('other', 1)
    written(tables, 2)
    tables.table('a').delete('k')
    tables.scopedTable('s').drop('w')
    expect(tables.floor()).toBe(1)
    written(tables, 3)
    expect(tables.floor()).toBe(2)
    tables.table('a').delete('other')
    written(tables, 4)
    expect(tables.floor()).toBe(Infinity)
    expect(tables.liveBytes).toBe(0)
  })

  test('drops a scope in a few bytes, however many rows it has', () => {
    const tables = new Tables()
    const table = tables.scopedTable('s')
    for (let i = 0; i < 1000; i++) table.set('w', `k${i}`, i)
    written(tables, 1)
    table.drop('w')
    table.set('w', 'k1', 'new')
    const bytes = written(tables, 2)
    expect(bytes.length).toBeLessThan(30)
    expect([tables.rows, [...table.rows('w')]]).toEqual([1, [['k1', 'new']]])
  })

  test('gets a name once for all rows under it', () => {
    const tables = new Tables()
    const table = tables.scopedTable('name '.repeat(20))
    for (const scope of ['v', 'w']) for (let i = 0; i < 10; i++) table.set(scope, `${i}`, i)
    expect(written(tables, 1).length).toBeLessThan(100 + 2 * 10 * 6 + 20)
  })

  test('re-writes about as many bytes as asked, those first that wait longest, and none that was just written', () => {
    const tables = new Tables()
    const table = tables.table('a')
    for (let i = 0; i < 100; i++) {
      table.set(`${i}`, 'x'.repeat(100))
      written(tables, i)
    }
    table.set('new', 1)
    const bytes = written(tables, 100, 1000)
    expect(bytes.length).toBeGreaterThan(1000)
    expect(bytes.length).toBeLessThan(1200)
    expect(tables.floor()).toBe(10)
    expect(written(tables, 101, 1e9).length).toBeLessThan(100 * 107 + 20)
    expect(tables.floor()).toBe(101)
  })

  test('stays within a small multiple of the live state when each write re-writes what it adds', () => {
    const tables = new Tables()
    const table = tables.table('a')
    const entries: { number: number; bytes: number }[] = []
    // Most rows are never set again; a few are all the time.
    for (let number = 0; number < 3000; number++) {
      if (number < 500) table.set(`cold-${number}`, 'x'.repeat(50))
      for (let i = 0; i < 5; i++) table.set(`hot-${(number * 7 + i) % 50}`, number)
      const bytes = written(tables, number, tables.dirtyBytes)
      entries.push({ number, bytes: bytes.length })
      while ((entries[0]?.number ?? 0) < tables.floor()) entries.shift()
      const held = entries.reduce((sum, entry) => sum + entry.bytes, 0)
      expect(held).toBeLessThan(2.5 * tables.liveBytes + 500)
    }
  })

  test('leaves nothing behind of scopes that were emptied row by row', () => {
    const [owner, standby] = [new Tables(), new Tables()]
    const scopes = (tables: Tables) => {
      const table = tables.scopedTable('s')
      return table instanceof ScopedRows && table.all.size
    }
    for (let number = 0; number < 10; number++) {
      for (const scope of ['v', 'w']) owner.scopedTable('s').set(`${scope}${number}`, 'k', 1)
      read(standby, written(owner, 2 * number), 2 * number)
      for (const scope of ['v', 'w']) owner.scopedTable('s').delete(`${scope}${number}`, 'k')
      const bytes = written(owner, 2 * number + 1)
      read(standby, bytes, 2 * number + 1)
      // A deletion of what is not there makes no scope either.
      read(standby, bytes, 2 * number + 1)
    }
    const savepoint = owner.savepoint()
    owner.scopedTable('s').set('undone', 'k', 1)
    owner.undo(savepoint)
    expect([scopes(owner), scopes(standby)]).toEqual([0, 0])
  })

  test('takes no lower number, and nothing while a turn is on', () => {
    const tables = new Tables()
    tables.table('a').set('k', 1)
    const bytes = written(tables, 5)
    tables.table('a').set('k', 2)
    expect(() => written(tables, 4)).toThrow(InvariantError)
    expect(() => read(tables, bytes, 6)).toThrow(InvariantError)
    const savepoint = tables.savepoint()
    expect(() => written(tables, 6)).toThrow(InvariantError)
    tables.settle()
    expect(() => tables.undo(savepoint)).toThrow(InvariantError)
    expect(() => tables.check(savepoint)).toThrow(InvariantError)
    written(tables, 6)
  })
})
