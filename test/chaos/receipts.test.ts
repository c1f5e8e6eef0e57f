import { expect, test } from 'vitest'
import { Receipts } from './receipts.js'

function found(write: (receipts: Receipts) => void): string[] {
  const findings: string[] = []
  const receipts = new Receipts(what => findings.push(what))
  write(receipts)
  receipts.end()
  return findings
}

test('finds nothing when each record stands where its publisher was told, whoever hears of it first', () => {
  const findings = found(receipts => {
    receipts.acknowledged('r/1', 5)
    expect(receipts.held('r/1', 5)).toBe(true)
    expect(receipts.held('r/2', 6)).toBe(true)
    receipts.acknowledged('r/2', 6)
  })
  expect(findings).toEqual([])
})

test('finds a record that was acknowledged and is not there', () => {
  expect(found(receipts => receipts.acknowledged('r/1', 5))).toEqual([
    'record r/1 was acknowledged at 5, and is not in the log',
  ])
})

test('finds a record of which nobody was told', () => {
  expect(found(receipts => void receipts.held('r/1', 5))).toHaveLength(1)
})

test('finds a record that stands twice, and one that stands elsewhere', () => {
  const twice = found(receipts => {
    receipts.acknowledged('r/1', 5)
    receipts.held('r/1', 5)
    expect(receipts.held('r/1', 9)).toBe(false)
  })
  expect(twice).toEqual(['record r/1 stands in the input once more, at 9'])
  const elsewhere = found(receipts => {
    receipts.acknowledged('r/1', 5)
    receipts.held('r/1', 6)
  })
  expect(elsewhere).toEqual(['record r/1 is said to stand at 6 and at 5'])
})
