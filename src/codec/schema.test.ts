import { expect, test } from 'vitest'
import { checkedSchema } from './schema.js'

const refused = (schema: unknown, what: RegExp) => {
  expect(() => checkedSchema(schema, 'number')).toThrow(
    expect.objectContaining({ code: 'BAD_SCHEMA', message: expect.stringMatching(what) }) as Error,
  )
}

/** Records that hold the one before them twice: so many levels of them have twice as many parts with each level. */
function doubling(levels: number, last: readonly object[]): object {
  let schema: object = { type: 'record', name: 'R0', fields: last }
  for (let level = 1; level <= levels; level++) {
    const fields = [
      { name: 'a', type: schema },
      { name: 'b', type: `R${level - 1}` },
    ]
    schema = { type: 'record', name: `R${level}`, fields }
  }
  return schema
}

test('refuses records of which a few bytes would stand for millions of parts', () => {
  const few = /has more than 8 parts for each byte that it takes, .*; leave out what is always empty/
  refused(doubling(30, []), few)
  refused(doubling(30, [{ name: 'n', type: 'null' }]), few)
  const hollow = Array.from({ length: 40 }, (_, i) => ({ name: `n${i}`, type: 'null' }))
  refused({ type: 'record', name: 'Hollow', fields: [{ name: 'id', type: 'int' }, ...hollow] }, few)
  refused(
    { type: 'array', items: { type: 'record', name: 'Nothing', fields: [{ name: 'n', type: 'null' }] } },
    /no bytes/,
  )
})

test('takes records that hold others many times, when each of their parts takes bytes', () => {
  const { fingerprint } = checkedSchema(doubling(40, [{ name: 'n', type: 'int' }]), 'number')
  expect(fingerprint).toMatch(/^[0-9a-f]{16}$/)
  const some = ['null', 'int', 'null'].map((type, i) => ({ name: `f${i}`, type }))
  checkedSchema({ type: 'record', name: 'Some', fields: some }, 'number')
  checkedSchema({ type: 'record', name: 'Empty', fields: [] }, 'number')
})

test('refuses a record that holds itself in every value, however far down', () => {
  const inner = { type: 'record', name: 'Inner', fields: [{ name: 'outer', type: 'Outer' }] }
  refused({ type: 'record', name: 'Outer', fields: [{ name: 'inner', type: inner }] }, /holds itself in every value/)
})

test('refuses more records than a schema may have, before code is made for each', () => {
  const links = Array.from({ length: 5000 }, (_, i) => {
    const fields = i === 0 ? [{ name: 'n', type: 'int' }] : [{ name: 'l', type: `L${i - 1}` }]
    return { name: `f${i}`, type: { type: 'array', items: { type: 'record', name: `L${i}`, fields } } }
  })
  refused({ type: 'record', name: 'Chain', fields: links }, /has 5001 records, and 1000 are taken; make several of it/)
})

test('refuses a name longer than any schema may be', () => {
  refused('a'.repeat(2_000_000), /larger than 1 MB/)
})
