import type { StandardSchemaV1 } from '@standard-schema/spec'
import { expect, test } from 'vitest'
import { z } from 'zod'
import { DefinitionError, RecordError } from '../errors.js'
import { validated } from './validate.js'

const Click = z.object({ user: z.string(), tags: z.array(z.string()).default([]) })

function schema(validate: (value: unknown) => ReturnType<StandardSchemaV1['~standard']['validate']>): StandardSchemaV1 {
  return { '~standard': { version: 1, vendor: 'test', validate } }
}

function thrownBy(work: () => unknown): unknown {
  try {
    work()
  } catch (thrown) {
    return thrown
  }
  throw new Error('nothing was thrown')
}

test('gives the value as the schema gives it back', () => {
  expect(validated(Click, { user: 'u', extra: 1 }, 'decode')).toEqual({ user: 'u', tags: [] })
})

test('names the first issue in the message and all in the facts', () => {
  const error = thrownBy(() => validated(Click, { user: 1, tags: ['a', 2] }, 'encode'))
  expect(error).toBeInstanceOf(RecordError)
  expect(error).toMatchObject({ code: 'INVALID_VALUE', facts: { path: 'value.user', direction: 'encode' } })
  expect((error as Error).message).toMatch(/^value\.user: .*\(and 1 more\)/)
  expect((error as RecordError).facts['issues']).toMatchObject([{ path: 'value.user' }, { path: 'value.tags[1]' }])
})

test('takes paths in segments', () => {
  const picky = schema(() => ({ issues: [{ message: 'no', path: [{ key: 'a' }, Symbol('s')] }] }))
  expect(thrownBy(() => validated(picky, 1, 'decode'))).toMatchObject({ facts: { path: 'value.a["Symbol(s)"]' } })
})

test('refuses a schema that answers with a promise, and hears its rejection', async () => {
  const late = schema(() => Promise.reject(new Error('unheard, this would end the process')))
  expect(thrownBy(() => validated(late, 1, 'decode'))).toBeInstanceOf(DefinitionError)
  await new Promise(resolve => setImmediate(resolve))
})

test('makes a schema that throws an error of the record', () => {
  const cause = new Error('oops')
  const broken = schema(() => {
    throw cause
  })
  expect(thrownBy(() => validated(broken, 1, 'decode'))).toMatchObject({ code: 'INVALID_VALUE', cause })
})
