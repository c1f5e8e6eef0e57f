import { expect, test } from 'vitest'
import { type Contract, type Opened, register } from './contract.js'

const promises = { 'keeps a promise': () => Promise.resolve(), 'keeps another': () => Promise.resolve() }

function noted(skip: Contract['skip'] = []) {
  const [run, skipped] = [new Map<string, () => Promise<void>>(), [] as string[]]
  const runner = Object.assign((name: string, keep: () => Promise<void>) => run.set(name, keep), {
    skip: (name: string) => skipped.push(name),
  })
  let open = 0
  const opened: Opened = { ports: {} as Opened['ports'], another: () => Promise.reject(new Error('none')), close }
  function close() {
    open--
    return Promise.resolve()
  }
  const contract: Contract = { test: runner, expect, skip, open: () => (open++, Promise.resolve(opened)) }
  return { contract, run, skipped, open: () => open }
}

test('registers one test for each promise, skipped ones with their reason', () => {
  const { contract, run, skipped } = noted([{ promise: 'keeps another', reason: 'it has no second link' }])
  register([promises], contract)
  expect([...run.keys()]).toEqual(['keeps a promise'])
  expect(skipped).toEqual(['keeps another (cannot: it has no second link)'])
})

test('throws for a skip that names no promise, and for one without a reason', () => {
  const unknown = noted([{ promise: 'keeps a promis', reason: 'none' }])
  expect(() => register([promises], unknown.contract)).toThrow('"keeps a promis"')
  const bare = noted([{ promise: 'keeps another', reason: ' ' }])
  expect(() => register([promises], bare.contract)).toThrow('gives no reason')
})

test('throws when two promises bear one name', () => {
  expect(() => register([promises, promises], noted().contract)).toThrow('same name')
})

test('closes the link also when a promise is not kept', async () => {
  const { contract, run, open } = noted()
  const broken = { 'breaks a promise': () => Promise.reject(new Error('broken')) }
  register([broken], contract)
  await expect(run.get('breaks a promise')?.()).rejects.toThrow('broken')
  expect(open()).toBe(0)
})
