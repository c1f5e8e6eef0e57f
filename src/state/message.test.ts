import fc from 'fast-check'
import { expect, test } from 'vitest'
import { IntegrityError } from '../errors.js'
import { MESSAGE_OVERHEAD, seal, unseal, type LedgerMessage, type MessageKind } from './message.js'

const message: LedgerMessage = {
  kind: 'commit',
  incarnation: 'i'.repeat(22),
  fence: 3,
  owner: 'o'.repeat(22),
  number: 300,
  previous: '0123456789abcdef0123456789abcdef',
  part: 2,
  floor: 129,
  body: Buffer.from('what was committed'),
}

function faultOf(bytes: Uint8Array): IntegrityError {
  try {
    unseal(bytes, 'the message')
  } catch (error) {
    if (error instanceof IntegrityError) return error
    throw error
  }
  return expect.unreachable('it was believed')
}

test('what was sealed is read back, with the hash of its bytes', () => {
  const text = fc.string({ maxLength: 30 })
  const number = fc.maxSafeNat()
  const hash = fc.constantFrom('', 'ab'.repeat(16))
  const kind = fc.constantFrom<MessageKind>('claim', 'part', 'commit', 'mark', 'release')
  const body = fc.uint8Array({ maxLength: 500 })
  const any = fc.record({
    ...{
      kind,
      body,
      incarnation: text,
      owner: text,
      fence: number,
      number,
      part: number,
      floor: number,
      previous: hash,
    },
  })
  fc.assert(
    fc.property(any, given => {
      const { bytes, hash } = seal(given)
      expect(unseal(bytes, 'it')).toEqual({ ...given, body: Buffer.from(given.body), hash })
    }),
  )
})

test('equal messages have equal bytes, and a difference anywhere gives another hash', () => {
  const { bytes, hash } = seal(message)
  expect(seal({ ...message })).toEqual({ bytes, hash })
  const others: Partial<LedgerMessage>[] = [
    ...[{ kind: 'part' as const }, { incarnation: 'j' }, { fence: 4 }, { owner: 'p' }, { number: 301 }],
    ...[{ previous: '' }, { part: 1 }, { floor: 130 }, { body: Buffer.from('what was commited') }],
  ]
  const hashes = others.map(other => seal({ ...message, ...other }).hash)
  expect(new Set([hash, ...hashes]).size).toBe(others.length + 1)
})

test('a message torn at any byte, or with more behind it, is not believed', () => {
  const { bytes } = seal(message)
  for (let end = 0; end < bytes.length; end++) expect(faultOf(bytes.subarray(0, end)).code).toBe('BAD_LOG')
  expect(faultOf(Buffer.concat([bytes, Buffer.of(0)])).code).toBe('BAD_LOG')
})

test('a message with any one bit flipped is not believed', () => {
  const { bytes } = seal(message)
  for (let bit = 0; bit < bytes.length * 8; bit++) {
    const flipped = Buffer.from(bytes)
    flipped[bit >> 3] = (flipped[bit >> 3] as number) ^ (1 << (bit & 7))
    expect(faultOf(flipped).code, `bit ${bit}`).toBe('BAD_LOG')
  }
})

test('bytes of anybody else are not believed', () => {
  fc.assert(fc.property(fc.uint8Array({ maxLength: 200 }), bytes => faultOf(bytes).code === 'BAD_LOG'))
})

test('a message of a later version says which it is, and which this release reads', () => {
  const later = Buffer.from(seal(message).bytes)
  later[0] = 2
  const { code, message: text } = faultOf(later)
  expect(code).toBe('BAD_LOG')
  expect(text).toContain('the message cannot be believed: it has version 2, and this release reads version 1')
})

test('what a message takes beside its body fits in what is kept free for it, with the headers of the log', () => {
  const largest = Number.MAX_SAFE_INTEGER
  const { bytes } = seal({
    ...message,
    fence: largest,
    number: largest,
    part: largest,
    floor: largest,
    body: Buffer.alloc(100_000),
  })
  const id = `${'l'.repeat(200)}.4095/${message.incarnation}/${largest}`
  expect(bytes.length - 100_000 + `NATS/1.0\r\nNats-Msg-Id: ${id}\r\n\r\n`.length).toBeLessThan(MESSAGE_OVERHEAD)
})
