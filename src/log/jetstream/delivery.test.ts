import { expect, test } from 'vitest'
import { InvariantError } from '../../errors.js'
import { parseDelivery } from './delivery.js'

const numbers = { position: 5_000_000_017, consumerSequence: 12, time: 1_795_169_944_460, behind: 3 }

test('reads the numbers of a delivery', () => {
  expect(parseDelivery('$JS.ACK.clicks.sn_1.1.5000000017.12.1795169944460123456.3')).toEqual(numbers)
})

test('reads them from the newer form, with domain and account before the names', () => {
  const reply = '$JS.ACK.hub.A1B2.clicks.sn_1.1.5000000017.12.1795169944460123456.3.x9y8'
  expect(parseDelivery(reply)).toEqual(numbers)
})

test('reads them behind names that are numbers themselves', () => {
  expect(parseDelivery('$JS.ACK.12.34.1.5000000017.12.1795169944460123456.3')).toEqual(numbers)
})

test('refuses a reply that is no delivery', () => {
  expect(() => parseDelivery('_INBOX.a.b')).toThrow(InvariantError)
})
