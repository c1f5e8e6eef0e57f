import { expect, test } from 'vitest'
import { OctetReader, OctetWriter } from '../codec/octets.js'
import { ChangeWriter, readChanges } from './changes.js'

class Fault extends Error {}

function told(bytes: Uint8Array): unknown[] {
  const calls: unknown[] = []
  const from = new OctetReader(bytes, what => new Fault(what))
  readChanges(from, {
    goTo: (table, scope) => calls.push(['goTo', table, scope]),
    set: (key, value, size) => calls.push(['set', key, value, size]),
    delete: key => calls.push(['delete', key]),
    drop: (table, scope) => calls.push(['drop', table, scope]),
  })
  return calls
}

test('changes are read in the order in which they were written, each with its place', () => {
  const out = new OctetWriter(0)
  const changes = new ChangeWriter(out)
  const plain = { table: 'a', scope: undefined }
  const scope = { table: 's', scope: 'w' }
  const sizes = [changes.set(plain, 'k', 1), changes.set(plain, 'l', 'text')]
  changes.delete(plain, 'k')
  sizes.push(changes.set(scope, 'k', null))
  changes.drop(scope)
  sizes.push(changes.set(scope, 'k', [1]))
  changes.set({ table: 's', scope: 'v' }, 'k', undefined)
  changes.end()
  expect(told(out.done())).toEqual([
    ['goTo', 'a', undefined],
    ['set', 'k', 1, sizes[0]],
    ['set', 'l', 'text', sizes[1]],
    ['delete', 'k'],
    ['goTo', 's', 'w'],
    ['set', 'k', null, sizes[2]],
    ['drop', 's', 'w'],
    ['goTo', 's', 'w'],
    ['set', 'k', [1], sizes[3]],
    ['goTo', 's', 'v'],
    ['set', 'k', undefined, 7],
  ])
  expect(sizes).toEqual([3 + 3 + 2, 3 + 6, 3 + 3 + 3 + 1, 3 + 3 + 4])
})

test('a value that cannot be stored has no size', () => {
  expect(new ChangeWriter(new OctetWriter(0)).set({ table: 'a', scope: undefined }, 'k', new Map())).toBe(-1)
})

test.each([
  ['a row without a table', [5, 2, 107, 1, 0]],
  ['a row in no scope', [2, 2, 115, 5, 2, 107, 1, 0]],
  ['a row in a scope that was just dropped', [2, 2, 115, 3, 2, 119, 4, 2, 119, 5, 2, 107, 1, 0]],
  ['a deletion without a table', [6, 2, 107, 0]],
  ['a scope of a plain table', [1, 2, 97, 3, 2, 119, 0]],
  ['a drop in a plain table', [1, 2, 97, 4, 2, 119, 0]],
  ['an unknown change', [9]],
  ['no end', [1, 2, 97]],
])('the reader’s fault is %s', (_, bytes) => {
  expect(() => told(Uint8Array.from(bytes))).toThrow(Fault)
})
