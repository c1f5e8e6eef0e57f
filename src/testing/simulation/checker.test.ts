import { describe, expect, test } from 'vitest'
import { check, outputsDue } from './checker.js'
import type { Came, FindingKind, Given, History } from './checker.js'

const given: Given[] = Array.from({ length: 60 }, (_, i) => ({ id: `r${i}`, key: `k${i % 4}`, value: i * 7 + 1 }))

/** What a faultless pipeline makes of it, by a fold written for this test. */
function comes(): Came[] {
  const [counts, sums, folds] = [new Map<string, number>(), new Map<string, number>(), new Map<string, number>()]
  return given
    .filter(one => one.value % 5 !== 0)
    .map(({ id, key, value }, i) => {
      counts.set(key, (counts.get(key) ?? 0) + 1)
      sums.set(key, (sums.get(key) ?? 0) + value * 2)
      folds.set(key, ((folds.get(key) ?? 7) * 31 + value * 2) % 1_000_003)
      return {
        of: id,
        key,
        count: counts.get(key)!,
        sum: sums.get(key)!,
        fold: folds.get(key)!,
        drawn: counts.get(key)! * 7,
        drawnBefore: counts.get(key)! * 7 - 7,
        id: `w/${i + 1}`,
      }
    })
}

function history(change: (stored: Came[], read: Came[]) => void, more: object = {}): History {
  const [stored, read] = [comes(), comes()]
  change(stored, read)
  return { given, outputs: [{ name: 'out', by: 'first', takes: () => true, stored, read, ...more }] }
}

const kinds = (of: History) => new Set(check(of).map(finding => finding.kind))

test('finds nothing in a history without a fault', () => {
  expect(check(history(() => {}))).toEqual([])
  expect(outputsDue(given, () => true)).toBe(comes().length)
})

describe('refuses a history', () => {
  const corruptions: Record<string, [FindingKind, (stored: Came[], read: Came[]) => void]> = {
    'with an output that is nowhere': ['lost', (stored, read) => [stored, read].forEach(list => list.splice(20, 1))],
    'with an output that the reader does not see': ['gap', (_, read) => read.splice(20, 1)],
    'without its end': ['lost', (stored, read) => [stored, read].forEach(list => list.pop())],
    'with an output twice in the stream, under one id': ['duplicate', stored => stored.push(stored[9]!)],
    'with an output twice in the stream, under two ids': [
      'duplicate',
      stored => stored.push({ ...stored[9]!, id: 'w/99' }),
    ],
    'with an output twice at the reader': ['duplicate', (_, read) => read.push(read[9]!)],
    'with two outputs of a key in turned order': [
      'out of order',
      (_, read) => ([read[0], read[3], read[7]] = [read[3]!, read[7]!, read[0]!]),
    ],
    'with a record counted twice': [
      'wrong',
      (stored, read) => [stored, read].forEach(list => (list[30] = { ...list[30]!, count: list[30]!.count + 1 })),
    ],
    'with memory that was lost and begun anew': [
      'wrong',
      (stored, read) => [stored, read].forEach(list => (list[30] = { ...list[30]!, count: 1, sum: 2 })),
    ],
    'with records folded in another order': [
      'wrong',
      (stored, read) => [stored, read].forEach(list => (list[30] = { ...list[30]!, fold: list[30]!.fold + 1 })),
    ],
    'with an output of a record that should give none': [
      'foreign',
      (stored, read) => [stored, read].forEach(list => list.push({ ...list[1]!, of: 'r2' })),
    ],
    'with an output of a record that nobody gave': [
      'foreign',
      (stored, read) => [stored, read].forEach(list => list.push({ ...list[1]!, of: 'r99' })),
    ],
    'with an output that follows another one than what is there': [
      'torn',
      (stored, read) => [stored, read].forEach(list => (list[30] = { ...list[30]!, drawn: 1 })),
    ],
    'with an output without an id': ['foreign', stored => (stored[5] = { ...stored[5]!, id: undefined })],
  }
  for (const [name, [kind, change]] of Object.entries(corruptions)) {
    test(name, () => expect(kinds(history(change))).toContain(kind))
  }

  test('with an output in the wrong stream', () => {
    const wrong = history(() => {}, { takes: ({ count }: { count: number }) => count % 2 === 0 })
    expect(kinds(wrong)).toContain('foreign')
  })
})

test('forgives repeats in the stream at the edge of the promise, but not at the reader', () => {
  const edge = { mayRepeatInStream: true }
  expect(check(history(stored => stored.push(stored[9]!), edge))).toEqual([])
  expect(kinds(history((_, read) => read.push(read[9]!), edge))).toContain('duplicate')
})

test('forgives what retention has dropped, but no repeat at the reader', () => {
  const trimmed = { isTrimmed: true }
  expect(check(history((stored, read) => [stored, read].forEach(list => list.splice(0, 9)), trimmed))).toEqual([])
  expect(kinds(history((_, read) => read.push(read[9]!), trimmed))).toContain('duplicate')
})

test('judges the second of two pipelines by what the first should have given', () => {
  const first = comes()
  const states = new Map<string, { count: number; sum: number; fold: number }>()
  const second = first.map((came): Came => {
    const { count, sum, fold } = states.get(came.key) ?? { count: 0, sum: 0, fold: 7 }
    const state = { count: count + 1, sum: sum + came.sum, fold: (fold * 31 + came.sum) % 1_000_003 }
    states.set(came.key, state)
    return { ...came, ...state }
  })
  const outputs = (last: Came[]): History['outputs'] => [
    { name: 'out', by: 'first', takes: () => true, stored: first, read: first },
    { name: 'last', by: 'second', takes: () => true, stored: last, read: last },
  ]
  expect(check({ given, outputs: outputs(second) })).toEqual([])
  expect(check({ given, outputs: outputs(first) })).not.toEqual([])
})
