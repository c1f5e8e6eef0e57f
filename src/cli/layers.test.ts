import { expect, test } from 'vitest'
import { beneath, kindsOf } from './layers.js'

test('takes each option from the file that no layer above has', () => {
  const file = { servers: 'a', ca: 'file.pem', timeout: 5, domain: 'hub' }
  expect(beneath(file, [{}, {}])).toEqual(file)
  expect(beneath(file, [{ timeout: 1 }, { ca: 'env.pem' }])).toEqual({ servers: 'a', domain: 'hub' })
})

test('takes the server of the file only when none is named above, by its address or by a context', () => {
  expect(beneath({ servers: 'a' }, [{}, { servers: 'b' }])).toEqual({})
  expect(beneath({ servers: 'a' }, [{ context: 'prod' }])).toEqual({})
  expect(beneath({ context: 'dev' }, [{ context: 'prod' }])).toEqual({})
  expect(beneath({ context: 'dev' }, [{ servers: 'b' }])).toEqual({ context: 'dev' })
})

test('takes who we are as one field', () => {
  const claims = [{ creds: 'x' }, { nkey: 'x' }, { user: 'x', password: 'y' }, { token: 'x' }]
  for (const [i, file] of claims.entries()) {
    expect(beneath(file, [{ servers: 'a' }])).toEqual(file)
    for (const [j, above] of claims.entries()) if (i !== j) expect(beneath(file, [{}, above])).toEqual({})
  }
})

test('takes the password from the file for a user named above, and the other way round', () => {
  expect(beneath({ user: 'bob', password: 'y' }, [{ user: 'ann' }])).toEqual({ password: 'y' })
  expect(beneath({ user: 'bob', password: 'y' }, [{ password: 'z' }])).toEqual({ user: 'bob' })
})

test('takes the name out of the URLs of the file when a layer above says who we are', () => {
  const file = { servers: ['nats://bob:y@a', 'tls://bob:y@b:1'] }
  expect(beneath(file, [{}])).toEqual(file)
  expect(beneath(file, [{ token: 't' }])).toEqual({ servers: ['a:4222', 'tls://b:1'] })
  expect(beneath(file, [{ password: 'z' }])).toEqual({ servers: ['a:4222', 'tls://b:1'], user: 'bob' })
})

test('lets the name in a URL above shut out the one in the file', () => {
  expect(beneath({ token: 'x' }, [{}, { servers: 'nats://ann:z@a' }])).toEqual({})
  expect(beneath({ servers: 'nats://bob:y@a' }, [{ servers: 'b', user: 'ann' }])).toEqual({})
})

test('sees several ways to say who we are in one layer, in URLs too', () => {
  expect(kindsOf([{ token: 'x', user: 'y' }])).toEqual(['user', 'token'])
  expect(kindsOf([{ servers: 'nats://t@a', creds: 'x' }])).toEqual(['creds', 'token'])
  expect(kindsOf([{ user: 'y', password: 'z' }])).toEqual(['user'])
  // Only the URL of the server that counts says who we are.
  expect(kindsOf([{ servers: 'a' }, { servers: 'nats://t@b' }])).toEqual([])
})
