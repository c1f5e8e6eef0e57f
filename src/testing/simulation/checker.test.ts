import { describe, expect, test } from 'vitest'
import { check, Checker, Ids, lettersDue, outputsDue } from './checker.js'
import type { Came, CheckerOptions, FindingKind, Given, History, Ill, Letter } from './checker.js'

const given: Given[] = Array.from({ length: 60 }, (_, i) => ({ id: `r${i}`, key: `k${i % 4}`, value: i * 7 + 1 }))

/** What a faultless pipeline makes of what is well, by a fold written for this test. */
function comes(of: readonly Given[] = given): Came[] {
  const [counts, sums, folds] = [new Map<string, number>(), new Map<string, number>(), new Map<string, number>()]
  return of
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

/** What a second pipeline makes of that. */
function comesOf(first: readonly Came[]): Came[] {
  const states = new Map<string, { count: number; sum: number; fold: number }>()
  return first.map((came): Came => {
    const before = states.get(came.key) ?? { count: 0, sum: 0, fold: 7 }
    const count = before.count + 1
    const state = { count, sum: before.sum + came.sum, fold: (before.fold * 31 + came.sum) % 1_000_003 }
    states.set(came.key, state)
    return { ...came, ...state, drawn: count * 7, drawnBefore: count * 7 - 7 }
  })
}

function history(change: (stored: Came[], read: Came[]) => void, more: object = {}): History {
  const [stored, read] = [comes(), comes()]
  change(stored, read)
  return { given, outputs: [{ name: 'out', by: 'first', takes: () => true, stored, read, ...more }], letters: [] }
}

const kinds = (of: History) => new Set(check(of).map(finding => finding.kind))

/** The same history, told as it comes: after each record that went in, what stands and is read by then. */
function asItComes({ given, outputs }: History, options: CheckerOptions): FindingKind[] {
  const checker = new Checker(outputs, [], options)
  given.forEach((one, i) => {
    checker.give(one)
    const due = (all: readonly Came[]) => {
      const share = (at: number) => Math.floor((all.length * at) / given.length)
      return all.slice(share(i), share(i + 1))
    }
    for (const { name, stored, read } of outputs) {
      for (const came of due(stored)) checker.stored(name, came)
      for (const came of due(read)) checker.read(name, came)
    }
  })
  const findings = checker.end().map(({ kind }) => kind)
  expect(new Set(findings)).toEqual(new Set(checker.counts.keys()))
  return findings
}

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
    test(`${name}, told as it comes to a checker that keeps little in mind`, () =>
      expect(asItComes(history(change), { keeps: 4 })).not.toEqual([]))
  }

  test('with an output in the wrong stream', () => {
    const wrong = history(() => {}, { takes: ({ count }: { count: number }) => count % 2 === 0 })
    expect(kinds(wrong)).toContain('foreign')
  })
})

test('finds nothing in a faultless history that is told as it comes, and knows what is missing of it', () => {
  const faultless = history(() => {})
  for (const keeps of [1, 4, Infinity]) expect(asItComes(faultless, { keeps })).toEqual([])
  const checker = new Checker(faultless.outputs)
  for (const one of given) checker.give(one)
  expect(checker.missing).toBe(comes().length)
  for (const came of comes()) checker.stored('out', came)
  for (const came of comes().slice(0, -1)) checker.read('out', came)
  expect(checker.missing).toBe(1)
})

test('knows each id again, whether it is numbered or not', () => {
  const ids = new Ids()
  const each = ['w/1', 'w/3', 'w/2', 'v/1', 'plain', 'w/x', 'w/007']
  expect(each.map(id => ids.add(id))).toEqual(each.map(() => true))
  expect(each.map(id => ids.add(id))).toEqual(each.map(() => false))
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
  const second = comesOf(first)
  const outputs = (last: Came[]): History['outputs'] => [
    { name: 'out', by: 'first', takes: () => true, stored: first, read: first },
    { name: 'last', by: 'second', takes: () => true, stored: last, read: last },
  ]
  expect(check({ given, outputs: outputs(second), letters: [] })).toEqual([])
  expect(check({ given, outputs: outputs(first), letters: [] })).not.toEqual([])
})

describe('of records that cannot be processed', () => {
  const ills: Readonly<Record<number, Ill>> = {
    ...{ 3: 'poison', 8: 'garbled', 9: 'busy', 11: 'poison', 17: 'garbled', 20: 'poison' },
    // Its value never comes past the filter, and so no step throws at it.
    22: 'poison',
  }
  const mixed = given.map((one, i): Given => (ills[i] === undefined ? one : { ...one, ill: ills[i] }))
  const isWell = ({ ill }: Given) => ill === undefined || ill === 'busy'
  const lettersOf = (ids: readonly string[]) => ids.map((of, i): Letter => ({ of, isTrue: true, id: `l/${i + 1}` }))
  const due = ['r3', 'r8', 'r11', 'r17', 'r20']

  function historyOf(
    change: (stored: Letter[], read: Letter[]) => void = () => {},
    came = comes(mixed.filter(isWell)),
  ) {
    const [stored, read] = [lettersOf(due), lettersOf(due)]
    change(stored, read)
    const out = { name: 'out', by: 'first', takes: () => true, stored: came, read: came } as const
    return { given: mixed, outputs: [out], letters: [{ name: 'letters', by: 'first', stored, read }] } satisfies History
  }

  test('finds nothing when each has one letter, and the others are as if they had never been', () => {
    expect(check(historyOf())).toEqual([])
    expect(lettersDue(mixed, 'first').map(({ id }) => id)).toEqual(due)
    expect(outputsDue(mixed, () => true)).toBe(comes(mixed.filter(isWell)).length)
  })

  const corruptions: Record<string, [FindingKind, (stored: Letter[], read: Letter[]) => void]> = {
    'a letter that is nowhere': ['lost', (stored, read) => [stored, read].forEach(list => list.splice(2, 1))],
    'a letter that the reader does not see': ['lost', (_, read) => read.splice(2, 1)],
    'a letter twice, under one id': ['duplicate', stored => stored.push(stored[1]!)],
    'a letter twice, under two ids': ['duplicate', stored => stored.push({ ...stored[1]!, id: 'l/9' })],
    'a letter twice at the reader': ['duplicate', (_, read) => read.push(read[1]!)],
    'a letter about a record that could be processed': [
      'foreign',
      (stored, read) => [stored, read].forEach(list => list.push({ of: 'r9', isTrue: true, id: 'l/9' })),
    ],
    'a letter about a record that nobody gave': [
      'foreign',
      (stored, read) => [stored, read].forEach(list => list.push({ of: 'r99', isTrue: true, id: 'l/9' })),
    ],
    'a letter that says what is not so': [
      'wrong',
      (stored, read) => [stored, read].forEach(list => (list[2] = { ...list[2]!, isTrue: false })),
    ],
    'a letter without an id': ['foreign', stored => (stored[2] = { ...stored[2]!, id: undefined })],
    'letters of a key in turned order': ['out of order', (_, read) => ([read[0], read[2]] = [read[2]!, read[0]!])],
  }
  for (const [name, [kind, change]] of Object.entries(corruptions)) {
    test(`refuses ${name}`, () => expect(kinds(historyOf(change))).toContain(kind))
  }

  test('refuses a record that changed something before it went to the dead letters', () => {
    expect([...kinds(historyOf(() => {}, comes(mixed)))]).toEqual(expect.arrayContaining(['foreign', 'wrong']))
    const kept = comes(mixed).filter(({ of }) => !due.includes(of))
    expect(kinds(historyOf(() => {}, kept))).toContain('wrong')
  })

  test('knows that the second of two pipelines cannot process what the first could', () => {
    const later = given.map((one, i): Given => (i === 3 ? { ...one, ill: 'poison later' } : one))
    expect(lettersDue(later, 'first')).toEqual([])
    expect(lettersDue(later, 'second').map(({ id }) => id)).toEqual(['r3'])
    const first = comes(later)
    const second = comesOf(first.filter(({ of }) => of !== 'r3'))
    const outputs = [
      { name: 'out', by: 'first', takes: () => true, stored: first, read: first },
      { name: 'last', by: 'second', takes: () => true, stored: second, read: second },
    ] as const
    const letters = lettersOf(['r3'])
    const found = (one: Letter[]) =>
      check({ given: later, outputs, letters: [{ name: 'letters', by: 'second', stored: one, read: one }] })
    expect(found(letters)).toEqual([])
    expect(found([]).map(({ kind }) => kind)).toEqual(['lost', 'lost'])
  })
})
